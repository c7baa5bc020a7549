"""The audit trail: who did what that others may ask about, written in the transaction that does it and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from service.store.cursor import Cursor
from service.store.read import rfc3339
from service.store.tables import audit_trail

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from service.model import Action


@dataclass(frozen=True, slots=True)
class By:
    """Who does it: the ID of a key, or how someone without one came in; and under which request."""

    caller: str
    request_id: str | None = None


FOLDER = By("folder")
"""Who works on the data folder itself."""
SCHEDULE = By("schedule")
"""The service, at the time that was set."""


def record(connection: Connection, by: By, action: Action, target: str, at_us: int) -> None:
    """Note what is done; `target` is the ID of what it is done to, of an editor's word that of the edit."""
    values = {
        "at_us": at_us,
        "caller": by.caller,
        "action": action,
        "target": target,
        "request_id": by.request_id,
    }
    connection.execute(insert(audit_trail).values(values))


def list_trail(
    connection: Connection, *, limit: int, cursor: str | None = None
) -> tuple[list[dict[str, Any]], str | None]:
    """Return what was done, the latest first, and the cursor of the next page.

    Raises:
        Refused: the cursor is not one of ours.
    """
    query = select(audit_trail).order_by(audit_trail.c.seq.desc()).limit(limit + 1)
    if cursor is not None:
        query = query.where(audit_trail.c.seq < Cursor.decode(cursor).seq)
    rows = list(connection.execute(query).mappings())
    items = [
        {
            "at": rfc3339(row["at_us"]),
            "caller": row["caller"],
            "action": row["action"],
            "target": row["target"],
            "request_id": row["request_id"],
        }
        for row in rows[:limit]
    ]
    following = (
        None if len(rows) <= limit else Cursor(rows[limit - 1]["at_us"], rows[limit - 1]["seq"]).encode()
    )
    return items, following
