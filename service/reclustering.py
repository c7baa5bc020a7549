"""A night asked for in the terminal: alone on the data folder, or through the service that owns it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
from ulid import ULID

from service.errors import in_words
from service.model import ID_PREFIXES
from service.shift import NightError, Progress, Shift, night_of, progress_of
from service.store import nights
from service.store.apply import apply_plan, foretell
from service.store.engine import checkpoint
from service.store.opening import owned_store
from service.store.trail import FOLDER, record

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from service.server import Running
    from service.settings import Settings
    from service.shift import Work

POLL_S = 0.5
TIMEOUT_S = 60.0


def recluster_alone(
    settings: Settings,
    *,
    window_days: float,
    dry_run: bool,
    work: Work,
    on_progress: Callable[[Progress], None],
) -> dict[str, Any]:
    """Own the store, run a night over it and return the run as the API shows it.

    Raises:
        StoreError: another process owns the store, or it is damaged.
        EmptyWindowError: there is nothing to look at.
        NightError: the night failed, and changed nothing; also when the store was made with another model.
    """
    with owned_store(settings.place, reads_all=settings.check_at_start) as engine:
        run_id = ID_PREFIXES["run"] + str(ULID())
        with engine.begin() as connection:
            nights.give_up_lost(connection, _now_us())
            now = _now_us()
            nights.begin(connection, run_id, window_days=window_days, dry_run=dry_run, now_us=now)
            record(connection, FOLDER, "reclustering.started", run_id, now)
        try:
            _run(engine, settings, run_id, window_days, dry_run, work, on_progress)
        except BaseException as error:
            with engine.begin() as connection:
                nights.finish(connection, run_id, now_us=_now_us(), error=str(error) or type(error).__name__)
            raise
        with engine.connect() as connection:
            found = nights.get_night(connection, run_id)
        checkpoint(engine)
        return found


def _run(
    engine: Engine,
    settings: Settings,
    run_id: str,
    window_days: float,
    dry_run: bool,
    work: Work,
    on_progress: Callable[[Progress], None],
) -> None:
    night = night_of(settings, window_days, _now_us())
    shift = Shift(settings, night, work)
    try:
        proposal = shift.wait(on_progress)
    finally:
        shift.end()
    on_progress(progress_of("writing", 0, 1))
    now = _now_us()
    with engine.begin() as connection:
        diff = (
            foretell(connection, proposal.plan)
            if dry_run
            else apply_plan(connection, proposal, now_us=now, cause=run_id).diff()
        )
        nights.finish(connection, run_id, now_us=now, diff=diff)
    on_progress(progress_of("writing", 1, 1))


def recluster_through(
    service: Running, *, window_days: float | None, dry_run: bool, on_progress: Callable[[Progress], None]
) -> dict[str, Any]:
    """Start a night in a running service and wait for its end.

    Raises:
        NightError: the service refuses it, stops answering, or the night failed.
    """
    try:
        with httpx.Client(
            base_url=service.url, headers=service.headers, timeout=TIMEOUT_S, trust_env=False
        ) as client:
            body = {"dry_run": dry_run, **({} if window_days is None else {"window_days": window_days})}
            night = _answer(client.post("/v1/reclusterings", json=body))
            while night["status"] == "running":
                if night["stage"] is not None:
                    on_progress(Progress(night["stage"], night["fraction"]))
                time.sleep(POLL_S)
                night = _answer(client.get(f"/v1/reclusterings/{night['id']}"))
    except httpx.TransportError as error:
        raise NightError(
            "The service stopped answering. A run that had begun goes on if the service does: "
            "GET /v1/reclusterings tells."
        ) from error
    if night["status"] == "failed":
        raise NightError(night["error"])
    return night


def _answer(response: httpx.Response) -> dict[str, Any]:
    if response.is_error:
        raise NightError(in_words(response.json()))
    answer: dict[str, Any] = response.json()
    return answer


def _now_us() -> int:
    return time.time_ns() // 1000
