"""What an archive holds: every article with its groups and vectors, by the day of its event."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from service.store.failures import StoreError
from service.store.settling import IS_PROVISIONAL
from service.store.snapshot import last_seen
from service.store.tables import articles, clusters, vectors
from service.store.write import get_meta

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Row

CHUNK = 2000
_DAY_US = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SAME = (
    *("seq", "id", "external_id", "url", "source", "publisher", "title", "text", "author", "language"),
    *("relation", "copy_of", "similarity", "cluster_id"),
)


def facts(connection: Connection) -> dict[str, Any]:
    """Return what an archive made from this view has to say of itself."""
    return {**get_meta(connection), "last_change": last_seen(connection)}


def count_articles(connection: Connection) -> int:
    """Return how many articles there are."""
    return connection.execute(select(func.count()).select_from(articles)).scalar_one()


def by_day(connection: Connection) -> Iterator[tuple[str, Iterator[list[dict[str, Any]]]]]:
    """Yield each day of events (UTC) with its articles, some at a time.

    Raises:
        StoreError: vectors do not match their checksum.
    """
    query = (
        select(
            *(articles.c[name] for name in _SAME),
            articles.c.published_us,
            articles.c.received_us,
            articles.c.event_us,
            IS_PROVISIONAL,
            clusters.c.story_id,
            vectors.c.blob,
            vectors.c.crc,
        )
        .join(clusters, clusters.c.id == articles.c.cluster_id)
        .outerjoin(vectors, vectors.c.article_seq == articles.c.seq)
        .order_by(articles.c.event_us, articles.c.seq)
    )
    rows = connection.execution_options(yield_per=CHUNK).execute(query)
    for day, inside in groupby(rows, key=lambda row: row.event_us // _DAY_US):
        yield (_EPOCH + timedelta(days=day)).date().isoformat(), _parts(inside)


def _parts(rows: Iterator[Any]) -> Iterator[list[dict[str, Any]]]:
    while part := [_row(row) for row in islice(rows, CHUNK)]:
        yield part


def _row(row: Row[Any]) -> dict[str, Any]:
    if row.blob is not None and zlib.crc32(row.blob) != row.crc:
        raise StoreError(
            f"The vectors of {row.id} are damaged. A start of the service makes them anew; then export again, to a new folder."
        )
    return {
        **{name: getattr(row, name) for name in _SAME},
        "published_at": _EPOCH + timedelta(microseconds=row.published_us),
        "received_at": _EPOCH + timedelta(microseconds=row.received_us),
        "story_id": row.story_id,
        "provisional": bool(row.provisional),
        "vectors": row.blob,
    }
