"""Articles posted again: unchanged, or edited in place under the ID they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.store import write
from service.window import entry_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, RowMapping

    from service.batch import Prepared
    from service.model import Outcome
    from service.window import Window


def known_among(connection: Connection, batch: Sequence[Prepared]) -> dict[int, RowMapping]:
    """Return, by position, the stored article each item is a repetition of."""
    external = [item.article.external_id for item in batch if item.article.external_id is not None]
    urls = [item.article.url_key for item in batch if item.article.url_key is not None]
    found = write.find_known(connection, external, urls)
    by_external = {row["external_id"]: row for row in found if row["external_id"] is not None}
    by_url = {row["url_key"]: row for row in found if row["url_key"] is not None}
    known = {}
    for position, item in enumerate(batch):
        article = item.article
        row = by_external.get(article.external_id) if article.external_id else None
        if row is None and article.url_key in by_url:
            row = by_url[article.url_key]
        if row is not None:
            known[position] = row
    return known


def length_of_part(rest: Sequence[Prepared], known: Mapping[int, RowMapping]) -> int:
    """Return how many of the first articles are all edits, each of another article, or none of them an edit."""
    first_is_edit = 0 in known and _is_edit(rest[0], known[0])
    edited: set[str] = set()
    for position, item in enumerate(rest):
        row = known.get(position)
        is_edit = row is not None and _is_edit(item, row)
        if is_edit != first_is_edit or (row is not None and row["id"] in edited):
            return position
        if is_edit and row is not None:
            edited.add(row["id"])
    return len(rest)


def _is_edit(item: Prepared, row: RowMapping) -> bool:
    return bool(item.article.title != row["title"] or item.article.text != row["text"])


def again(
    connection: Connection, window: Window, item: Prepared, row: RowMapping
) -> tuple[Outcome, int | None]:
    """Answer for an article posted again; an edited one keeps its ID and place and gets a new revision."""
    if not _is_edit(item, row):
        return write.outcome_of(row), None
    write.revise(connection, row, item.article, item.fingerprint)
    write.replace_vector(connection, row, item.vectors.to_bytes())
    old = window.row_of(row["id"])
    was_head = old is not None and old in window.heads
    if old is not None:
        window.forget(old)
    (new,) = window.shelve([entry_of(row["id"], item.article, item.vectors)])
    cluster = window.cluster_number(row["cluster_id"], row["story_id"])
    window.place(new, cluster, is_copy=row["copy_of"] is not None)
    window.articles.add_terms(new)
    if was_head:
        window.heads.add_terms(new)
    stored = write.find_article(connection, row["id"])
    assert stored is not None
    return write.outcome_of(stored, "revised"), new
