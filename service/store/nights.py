"""The nights that were asked for: their status, and what they changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from service.errors import NotFound
from service.store.read import rfc3339
from service.store.tables import reclusterings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, RowMapping

LOST = "The service ended during the run; nothing was changed. Start it again."


def begin(connection: Connection, run_id: str, *, window_days: float, dry_run: bool, now_us: int) -> None:
    """Note that a night was asked for and runs."""
    connection.execute(
        insert(reclusterings).values(
            id=run_id, status="running", dry_run=int(dry_run), window_days=window_days, created_us=now_us
        )
    )


def finish(
    connection: Connection,
    run_id: str,
    *,
    now_us: int,
    diff: Mapping[str, Any] | None = None,
    error: str | None = None,
) -> bool:
    """Note that a night is done, with its diff, or failed, with the reason; what is noted once stays.

    Returns whether it was noted.
    """
    done = connection.execute(
        update(reclusterings)
        .where(reclusterings.c.id == run_id, reclusterings.c.status == "running")
        .values(
            status="done" if error is None else "failed",
            finished_us=now_us,
            diff=None if diff is None else json.dumps(diff),
            error=error,
        )
    )
    return done.rowcount > 0


def give_up_lost(connection: Connection, now_us: int) -> None:
    """Note that nights which ran when the process ended have failed."""
    connection.execute(
        update(reclusterings)
        .where(reclusterings.c.status == "running")
        .values(status="failed", finished_us=now_us, error=LOST)
    )


def last_done(connection: Connection) -> tuple[float, float]:
    """Return when a night was last carried out, in seconds since 1970, and how many seconds it took; 0, 0 for never."""
    done = (reclusterings.c.status == "done") & (reclusterings.c.dry_run == 0)
    row = connection.execute(
        select(reclusterings.c.created_us, reclusterings.c.finished_us)
        .where(done)
        .order_by(reclusterings.c.seq.desc())
        .limit(1)
    ).first()
    return (0.0, 0.0) if row is None else (row.finished_us / 1e6, (row.finished_us - row.created_us) / 1e6)


def list_nights(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """Return the latest nights, newest first, with counts alone of what they changed."""
    rows = connection.execute(
        select(reclusterings).order_by(reclusterings.c.seq.desc()).limit(limit)
    ).mappings()
    return [_night(row, whole=False) for row in rows]


def get_night(connection: Connection, run_id: str) -> dict[str, Any]:
    """Return a night with all it changed.

    Raises:
        NotFound: there is no such night.
    """
    row = connection.execute(select(reclusterings).where(reclusterings.c.id == run_id)).mappings().first()
    if row is None:
        raise NotFound
    return _night(row, whole=True)


def _night(row: RowMapping, *, whole: bool) -> dict[str, Any]:
    diff = None if row["diff"] is None else json.loads(row["diff"])
    if diff is not None and not whole:
        diff = {name: value for name, value in diff.items() if not isinstance(value, list)}
    return {
        "id": row["id"],
        "status": row["status"],
        "dry_run": bool(row["dry_run"]),
        "window_days": row["window_days"],
        "created_at": rfc3339(row["created_us"]),
        "finished_at": None if row["finished_us"] is None else rfc3339(row["finished_us"]),
        "diff": diff,
        "error": row["error"],
    }
