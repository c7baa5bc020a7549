"""Every text of a store, read in parts, and what is computed from texts written in its place."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, select, update

from service.store.bulk import chunks
from service.store.tables import articles, vectors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Row

BEGINNING = 1000
"""Characters of a text that are read where its first words will do."""
_PAGE = (
    select(articles.c.seq, articles.c.title, articles.c.text, vectors.c.seq.is_not(None).label("is_compared"))
    .outerjoin(vectors, vectors.c.article_seq == articles.c.seq)
    .where(articles.c.seq > bindparam("after"))
    .order_by(articles.c.seq)
    .limit(bindparam("size"))
)


def count_texts(connection: Connection) -> int:
    """Return how many articles there are."""
    return connection.execute(select(func.count()).select_from(articles)).scalar_one()


def texts_in_parts(connection: Connection, size: int) -> Iterator[Sequence[Row[tuple[int, str, str, bool]]]]:
    """Yield `seq`, title and text of all articles, `size` at a time, and whether each has vectors.

    Between two parts the caller may write to them.
    """
    after = -1
    while part := connection.execute(_PAGE, {"after": after, "size": size}).all():
        yield part
        after = part[-1].seq


def openings_in_order(connection: Connection, seqs: Sequence[int]) -> Iterator[tuple[str, str] | None]:
    """Yield title and beginning of the text of articles by `seq`, in the order asked; None for what is not there."""
    beginning = func.substr(articles.c.text, 1, BEGINNING)
    for part in chunks(seqs):
        query = select(articles.c.seq, articles.c.title, beginning).where(articles.c.seq.in_(part))
        found = {seq: (title, text) for seq, title, text in connection.execute(query)}
        yield from map(found.get, part)


def write_fingerprints(connection: Connection, found: Mapping[int, bytes]) -> None:
    """Write the fingerprints of stored articles, by `seq`, anew."""
    if found:
        connection.execute(
            update(articles)
            .where(articles.c.seq == bindparam("of"))
            .values(fingerprint=bindparam("fingerprint_")),
            [{"of": seq, "fingerprint_": print_} for seq, print_ in found.items()],
        )


def rewrite_vectors(connection: Connection, blobs: Mapping[int, bytes]) -> None:
    """Write the vectors of articles, by their `seq`, anew where they stand."""
    if blobs:
        connection.execute(
            update(vectors)
            .where(vectors.c.article_seq == bindparam("of"))
            .values(blob=bindparam("blob_"), crc=bindparam("crc_")),
            [{"of": seq, "blob_": blob, "crc_": zlib.crc32(blob)} for seq, blob in blobs.items()],
        )
