"""Where an ID leads that was merged: to the group its articles are in now, for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from service.errors import Gone, NotFound
from service.store.bulk import chunks
from service.store.tables import clusters, redirects, stories, tombstones

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection


def current_id(connection: Connection, group_id: str) -> str:
    """Return the ID that a cluster or story has now: its own unless it was merged."""
    target = connection.execute(select(redirects.c.target).where(redirects.c.id == group_id)).scalar()
    return group_id if target is None else str(target)


def standing_id(connection: Connection, level: str, group_id: str) -> str:
    """Return the ID that a cluster or story has now, of one that is there.

    Raises:
        NotFound: there never was one; `Gone` when it was deleted.
    """
    found = current_id(connection, group_id)
    require(connection, level, found)
    return found


def require(connection: Connection, level: str, group_id: str) -> None:
    """Make sure that a cluster or story is there.

    Raises:
        NotFound: it never was; `Gone` when it was deleted.
    """
    table = clusters if level == "cluster" else stories
    if connection.execute(select(table.c.seq).where(table.c.id == group_id)).first() is None:
        raise missing(connection, group_id)


def missing(connection: Connection, wanted_id: str) -> NotFound:
    """Say why there is nothing under an ID."""
    deleted = connection.execute(select(tombstones.c.id).where(tombstones.c.id == wanted_id)).one_or_none()
    return NotFound() if deleted is None else Gone()


def resolved(connection: Connection, group_ids: Iterable[str]) -> dict[str, str]:
    """Return for each ID the one it has now."""
    ids = sorted(set(group_ids))
    found = dict(zip(ids, ids, strict=True))
    for part in chunks(ids):
        query = select(redirects).where(redirects.c.id.in_(part))
        found |= {row.id: row.target for row in connection.execute(query)}
    return found
