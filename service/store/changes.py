"""The change feed: what became of articles, clusters and stories, in the order it became true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select

from service.store.bulk import insert_rows
from service.store.engine import set_last_number
from service.store.read import rfc3339
from service.store.tables import changes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, RowMapping

    from service.model import Kind

RESTORED: Kind = "store.restored"
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


def tell_restored(connection: Connection, now_us: int) -> int:
    """Tell that the store goes on from an earlier state of itself, and return the number of this change.

    The store that was replaced may have given out numbers that this one does not know. So numbers go on at the time, in
    microseconds: no life of a store gives out more than one a microsecond, and none ever gives out another's.
    """
    seq = max(now_us, last_change(connection) + 2)
    connection.execute(insert(changes).values(seq=seq, at_us=now_us, kind=RESTORED))
    set_last_number(connection, changes.name, seq)
    return seq


def is_lost(connection: Connection, after: int) -> bool:
    """Say whether number `after` was given out by a store that was replaced since: this one does not know that change."""
    query = select(changes.c.seq, changes.c.kind).where(changes.c.seq >= after).order_by(changes.c.seq)
    following = connection.execute(query.limit(1)).first()
    return following is not None and following.kind == RESTORED and 0 < after < following.seq


def list_changes(
    connection: Connection, after: int, limit: int, kinds: Sequence[str] = ()
) -> list[RowMapping]:
    """Return at most `limit` changes later than number `after`, in order, of `kinds` (none given: of all).

    That the store was restored concerns everybody.
    """
    query = select(changes).where(changes.c.seq > after).order_by(changes.c.seq).limit(limit)
    if kinds:
        query = query.where(changes.c.kind.in_([*kinds, RESTORED]))
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


def newest_change(connection: Connection) -> tuple[int, int]:
    """Return number and time of the latest change, zeros where there is none."""
    row = connection.execute(
        select(changes.c.seq, changes.c.at_us).order_by(changes.c.seq.desc()).limit(1)
    ).first()
    return (0, 0) if row is None else (row.seq, row.at_us)


def last_change(connection: Connection) -> int:
    """Return the number of the latest change, 0 where there is none."""
    return connection.execute(select(func.max(changes.c.seq))).scalar() or 0


def count_later(connection: Connection, after: int) -> int:
    """Return how many changes came after number `after`."""
    query = select(func.count()).select_from(changes).where(changes.c.seq > after)
    return connection.execute(query).scalar_one()


def change_row(row: RowMapping) -> dict[str, Any]:
    """Return a change as the feed answers it: what does not apply is left out."""
    return {name: row[name] for name in FIELDS if row[name] is not None}
