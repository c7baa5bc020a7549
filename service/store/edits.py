"""Editors' words: what belongs together and what apart, by whom and why, kept for ever, undone or not."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import func, insert, or_, select, update

from service.errors import Gone, NotFound
from service.model import ID_PREFIXES, Reason
from service.store.bulk import chunks
from service.store.changes import FIELDS, change_row
from service.store.read import rfc3339
from service.store.redirect import current_id, require
from service.store.settling import unsettle
from service.store.tables import articles, changes, clusters, edits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, RowMapping

Level = Literal["cluster", "story"]
MAX_HISTORY = 1000


@dataclass(frozen=True, slots=True)
class Member:
    """An article of a group, as far as an editor's word touches it; earlier members come first."""

    id: str
    copy_of: str | None
    cluster_id: str


def members_of(connection: Connection, level: Level, group_id: str) -> list[Member]:
    """Return the articles of a cluster or story in order of time."""
    group = articles.c.cluster_id if level == "cluster" else clusters.c.story_id
    rows = connection.execute(
        select(articles.c.id, articles.c.copy_of, articles.c.cluster_id)
        .join(clusters, clusters.c.id == articles.c.cluster_id)
        .where(group == group_id)
        .order_by(articles.c.event_us, articles.c.fingerprint, articles.c.id)
    )
    return [Member(*row) for row in rows]


def first_original(connection: Connection, cluster_ids: Sequence[str]) -> str:
    """Return the earliest article of these clusters that repeats no other."""
    first = connection.execute(
        select(articles.c.id)
        .where(articles.c.cluster_id.in_(cluster_ids), articles.c.copy_of.is_(None))
        .order_by(articles.c.event_us, articles.c.fingerprint, articles.c.id)
        .limit(1)
    )
    return str(first.scalar_one())


def story_of(connection: Connection, cluster_id: str) -> str:
    """Return the story of a cluster."""
    return str(
        connection.execute(select(clusters.c.story_id).where(clusters.c.id == cluster_id)).scalar_one()
    )


def story_reason(connection: Connection, cluster_id: str) -> Reason:
    """Return why a cluster is in its story."""
    found = connection.execute(
        select(clusters.c.story_reason).where(clusters.c.id == cluster_id)
    ).scalar_one()
    return Reason(**json.loads(found))


def cluster_count(connection: Connection, story_id: str) -> int:
    """Return how many clusters a story has."""
    counted = select(func.count()).select_from(clusters).where(clusters.c.story_id == story_id)
    return connection.execute(counted).scalar_one()


def insert_edit(connection: Connection, edit_id: str, *, at_us: int, **values: Any) -> None:
    """Keep an editor's word: level, kind, these, those, group_id, other_id, actor, note."""
    sides = {name: json.dumps(values.pop(name)) for name in ("these", "those")}
    connection.execute(insert(edits).values(id=edit_id, at_us=at_us, **sides, **values))


def find_edit(connection: Connection, edit_id: str) -> RowMapping:
    """Return an editor's word.

    Raises:
        NotFound: there is none under this ID.
    """
    row = connection.execute(select(edits).where(edits.c.id == edit_id)).mappings().first()
    if row is None:
        raise NotFound
    return row


def mark_undone(connection: Connection, row: RowMapping, *, actor: str, at_us: int) -> None:
    """Take an editor's word back; the next night looks anew at every article it named."""
    connection.execute(
        update(edits).where(edits.c.seq == row["seq"]).values(undone_us=at_us, undone_by=actor)
    )
    named = sorted({*json.loads(row["these"]), *json.loads(row["those"])})
    unsettle(connection, named)


def list_edits(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """Return the latest words of editors, newest first."""
    rows = connection.execute(select(edits).order_by(edits.c.seq.desc()).limit(limit)).mappings()
    return [edit_row(row) for row in rows]


def edit_row(row: RowMapping) -> dict[str, Any]:
    """Return an editor's word as JSON values."""
    return {
        "id": row["id"],
        "level": row["level"],
        "kind": row["kind"],
        "group_id": row["group_id"],
        "other_id": row["other_id"],
        "actor": row["actor"],
        "note": row["note"],
        "at": rfc3339(row["at_us"]),
        "undone_at": None if row["undone_us"] is None else rfc3339(row["undone_us"]),
        "undone_by": row["undone_by"],
    }


def history_of(connection: Connection, level: Level, group_id: str) -> dict[str, Any]:
    """Return what nights and editors did to a group since it opened, oldest first, each with the editor's word behind it.

    Raises:
        NotFound: there never was such a group.
    """
    if not group_id.startswith(ID_PREFIXES[level]):
        raise NotFound
    own = changes.c.cluster_id if level == "cluster" else changes.c.story_id
    query = (
        select(changes)
        .where(changes.c.cause.is_not(None), or_(own == group_id, changes.c.other_id == group_id))
        .order_by(changes.c.seq)
        .limit(MAX_HISTORY + 1)
    )
    rows = list(connection.execute(query).mappings())
    if not rows:
        with suppress(Gone):  # what was deleted keeps its history, though it be empty
            require(connection, level, group_id)
    words = _words(connection, sorted({row["cause"] for row in rows}))
    return {
        "id": group_id,
        "current_id": current_id(connection, group_id),
        "items": [
            {
                "seq": row["seq"],
                "at": rfc3339(row["at_us"]),
                "kind": row["kind"],
                **dict.fromkeys(FIELDS),
                **change_row(row),
                "edit": words.get(row["cause"]),
            }
            for row in rows[:MAX_HISTORY]
        ],
        "complete": len(rows) <= MAX_HISTORY,
    }


def _words(connection: Connection, causes: Sequence[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for part in chunks(causes):
        found |= {
            row["id"]: edit_row(row)
            for row in connection.execute(select(edits).where(edits.c.id.in_(part))).mappings()
        }
    return found
