"""What the routers ask of the desk, and how they ask it."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Annotated, Any, Protocol, TypeVar

import anyio.to_thread
from fastapi import Depends, FastAPI, Request
from sqlalchemy import Connection, Engine

from service.bell import Bell
from service.editing import Edited
from service.errors import NotReady, ReadOnly
from service.extract import PagePool
from service.model import Article, Outcome
from service.settings import Settings
from service.shift import Progress
from service.similar import Neighbour
from service.store.trail import By
from service.telemetry import Metrics

T = TypeVar("T")

_READING = {"GET", "HEAD", "OPTIONS"}


class Desk(Protocol):
    """The part of `service.desk.Desk` that answers requests."""

    settings: Settings
    metrics: Metrics
    reader: Engine
    bell: Bell
    model: str

    @property
    def pages(self) -> PagePool:
        """The processes that read pages."""

    def ready(self) -> dict[str, bool]:
        """Say which conditions of service hold."""

    def submit(self, articles: Sequence[Article]) -> Future[list[Outcome]]:
        """Queue articles for the writer."""

    def delete(self, article_id: str, by: By) -> Future[bool]:
        """Queue the removal of an article."""

    def recluster(self, window_days: float | None = None, *, dry_run: bool = False, by: By) -> str:
        """Start a nightly run and return its ID."""

    def night_progress(self, run_id: str) -> Progress | None:
        """Say how far a run is that is under way."""

    def edit(self, work: Callable[[Connection, int], Edited]) -> Future[dict[str, Any]]:
        """Queue an editor's word."""

    def write(self, call: Callable[[Connection], T]) -> Future[T]:
        """Queue a function that writes to the store."""

    def similar(self, article: Article, limit: int) -> Future[list[Neighbour]]:
        """Find the neighbours of an article that is not stored."""

    def similar_to(self, article_id: str, limit: int) -> Future[list[Neighbour] | None]:
        """Find the neighbours of a stored article."""


def open_desk(app: FastAPI) -> Desk:
    """Find the desk that the lifespan opened.

    Raises:
        NotReady: It is not open.
    """
    desk: Desk | None = app.state.desk
    if desk is None:
        raise NotReady(app.state.lacks)
    return desk


def refuse_writes(request: Request) -> None:
    """Let through what only reads.

    Raises:
        ReadOnly: It would write.
    """
    if request.method not in _READING:
        raise ReadOnly


def get_desk(request: Request) -> Desk:
    """Find the open desk (see `open_desk`)."""
    return open_desk(request.app)


OpenDesk = Annotated[Desk, Depends(get_desk)]


def now_of(request: Request) -> int:
    """Return the time by the service's clock in UTC microseconds."""
    return int(request.app.state.clock().timestamp() * 1_000_000)


async def settled(future: Future[T]) -> T:
    """Wait for the desk; a client that leaves does not take back what is queued."""
    return await asyncio.shield(asyncio.wrap_future(future))


async def apart(request: Request, work: Callable[..., T], *args: Any, **options: Any) -> T:
    """Run slow work in one of the few threads kept for it, so that it cannot hold up other answers."""
    return await anyio.to_thread.run_sync(partial(work, *args, **options), limiter=request.app.state.apart)
