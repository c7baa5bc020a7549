"""Nightly runs: started, watched, read."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool

from service.api.audit import by_of
from service.api.desk import Desk, OpenDesk
from service.api.ids import RunId, known_id
from service.api.problems import BODY, problems
from service.api.strict import StrictRoute
from service.night_schemas import Reclustering, ReclusteringIn, ReclusteringList
from service.store import nights
from service.store.read import reading

router = APIRouter(prefix="/v1/reclusterings", tags=["reclusterings"], route_class=StrictRoute)


@router.post(
    "",
    status_code=202,
    response_model=Reclustering,
    responses=problems(
        *BODY, "invalid", "reclustering_running", "not_ready", "store_unavailable", "storage_full"
    ),
)
async def start_reclustering(wanted: ReclusteringIn, request: Request, desk: OpenDesk) -> dict[str, Any]:
    """Start to group the window anew; taking and reading articles go on meanwhile.

    Everything it changes becomes true at once, at its end. With `dry_run` nothing changes, and `diff` says what would.
    """
    run_id = await run_in_threadpool(
        desk.recluster, wanted.window_days, dry_run=wanted.dry_run, by=by_of(request)
    )
    return await run_in_threadpool(_read, desk, run_id)


@router.get("", response_model=ReclusteringList, responses=problems("invalid", "store_unavailable"))
def list_reclusterings(
    desk: OpenDesk, limit: Annotated[int, Query(ge=1, le=100, description="Most runs to answer.")] = 20
) -> dict[str, Any]:
    """List runs, the latest first, with counts of what they changed."""
    with reading(desk.reader) as connection:
        return {"items": [_with_progress(desk, one) for one in nights.list_nights(connection, limit)]}


@router.get("/{run_id}", response_model=Reclustering, responses=problems("not_found", "store_unavailable"))
def get_reclustering(run_id: RunId, desk: OpenDesk) -> dict[str, Any]:
    """Show a run: its status, how far it is, and what it changed."""
    return _read(desk, known_id(run_id))


def _read(desk: Desk, run_id: str) -> dict[str, Any]:
    with reading(desk.reader) as connection:
        return _with_progress(desk, nights.get_night(connection, run_id))


def _with_progress(desk: Desk, night: dict[str, Any]) -> dict[str, Any]:
    progress = desk.night_progress(night["id"]) if night["status"] == "running" else None
    ended = 1.0 if night["status"] == "done" else None
    return {
        **night,
        "stage": None if progress is None else progress.stage,
        "fraction": ended if progress is None else progress.fraction,
    }
