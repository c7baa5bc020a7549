"""The change feed: what became of articles, clusters and stories, in the order it became true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from service.store.bulk import insert_rows
from service.store.read import rfc3339
from service.store.tables import changes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, RowMapping

    from service.model import Kind

FIELDS = ("article_id", "cluster_id", "story_id", "other_id", "cause")


@dataclass(frozen=True, slots=True)
class Change:
    """One change; `other_id` is where something came from (moved, split) or what it was merged into."""

    kind: Kind
    article_id: str | None = None
    cluster_id: str | None = None
    story_id: str | None = None
    other_id: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the feed: its changes as they are answered, where the next part begins, and the newest number."""

    items: list[dict[str, Any]]
    next_after: int
    last: int

    @property
    def has_more(self) -> bool:
        """Whether later changes are there to be read at once."""
        return self.next_after < self.last


def tell(connection: Connection, found: Iterable[Change], at_us: int, cause: str | None = None) -> None:
    """Append changes to the feed, in order, inside the transaction that makes them true."""
    rows = [
        {
            "kind": one.kind,
            "article_id": one.article_id,
            "cluster_id": one.cluster_id,
            "story_id": one.story_id,
            "other_id": one.other_id,
            "at_us": at_us,
            "cause": cause,
        }
        for one in found
    ]
    insert_rows(connection, changes, rows)


def list_changes(
    connection: Connection, after: int, limit: int, kinds: Sequence[str] = ()
) -> list[RowMapping]:
    """Return at most `limit` changes later than number `after`, in order, of `kinds` (none given: of all)."""
    query = select(changes).where(changes.c.seq > after).order_by(changes.c.seq).limit(limit)
    if kinds:
        query = query.where(changes.c.kind.in_(kinds))
    return list(connection.execute(query).mappings())


def read_page(connection: Connection, after: int, limit: int, kinds: Sequence[str] = ()) -> Page:
    """Return the part of the feed that follows number `after`: at most `limit` changes of `kinds` (none given: of all).

    `next_after` passes over changes of other kinds, so that nobody looks through them twice.
    """
    last = last_change(connection)
    found = list_changes(connection, after, limit, kinds)
    items = [
        {"seq": row["seq"], "at": rfc3339(row["at_us"]), "kind": row["kind"], **change_row(row)}
        for row in found
    ]
    return Page(items, found[-1]["seq"] if len(found) == limit else max(after, last), last)


def last_change(connection: Connection) -> int:
    """Return the number of the latest change, 0 where there is none."""
    return connection.execute(select(func.max(changes.c.seq))).scalar() or 0


def change_row(row: RowMapping) -> dict[str, Any]:
    """Return a change as the feed answers it: what does not apply is left out."""
    return {name: row[name] for name in FIELDS if row[name] is not None}
