"""The application put together: routers, errors, lifespan, and the guard around them."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from fastapi import Depends, FastAPI

from service.answers import Problem
from service.api import (
    articles,
    audit,
    bulk,
    changes,
    clusters,
    edits,
    keys,
    operation,
    reclusterings,
    stories,
    webhooks,
)
from service.api.desk import open_desk, refuse_writes
from service.api.entrances import Entrances, document_scopes
from service.api.problems import document_problems, install
from service.api.search import document_parameters
from service.api.strict import JSON, NDJSON
from service.desk import Desk as RealDesk
from service.door import Door, Limits
from service.guard import BodyRule, Guard
from service.keyring import KeyRing, read_keys
from service.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from starlette.types import ASGIApp

    from service.api.desk import Desk
    from service.settings import Settings
    from service.standby import Standby

# Pages wait for the extraction pool; with threads of their own they do not hold up other answers.
_APART = 8


_WORDS = (
    *("/v1/clusters/{cluster_id}/merge", "/v1/clusters/{cluster_id}/split"),
    *("/v1/stories/{story_id}/merge", "/v1/stories/{story_id}/split"),
    *("/v1/edits/{edit_id}/undo", "/v1/reclusterings"),
)
_MAX_SMALL_BYTES = 16 * 2**10
_ROUTERS = (
    articles.router,
    bulk.router,
    clusters.router,
    stories.router,
    changes.router,
    webhooks.router,
    edits.router,
    reclusterings.router,
    keys.router,
    audit.router,
    operation.router,
    operation.pages,
)


def create_app(
    settings: Settings,
    desk: Desk | None = None,
    *,
    standby: Standby | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(tz=UTC),
    clock_ns: Callable[[], int] = time.monotonic_ns,
    own_secret: str | None = None,
) -> ASGIApp:
    """Make the service: with `desk` given it is the caller's to close, else the lifespan opens and closes one.

    With `standby` it answers before there is a desk, which that one opens and closes. Whoever shows `own_secret` may do
    everything, whatever keys there are.
    """
    given = desk or standby
    metrics = given.metrics if given is not None else Metrics()
    app = _Api(
        title="benang",
        version=version_of_benang(),
        summary="News in, threads out: copies, event clusters and stories with stable IDs.",
        description=(
            "Takes news articles, finds copies, groups reports of the same event into clusters and ties clusters "
            "into stories with a timeline. Errors are RFC 9457 problems; times are RFC 3339 with an offset."
        ),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(settings, metrics, opens=given is None),
        dependencies=[Depends(refuse_writes)] if settings.read_only else [],
        # Spans of FastAPI's own would carry query strings, its logs exception messages.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.desk = None
    app.state.lacks = "desk_open" if standby is None else "lock_held"
    if desk is not None:
        _take(app, metrics, desk)
    if standby is not None:
        standby.on_open(lambda opened: _take(app, metrics, opened))
    app.state.metrics = metrics
    app.state.clock = clock
    app.state.streams = 0
    app.state.apart = anyio.CapacityLimiter(_APART)
    routers = [router for router in _ROUTERS if settings.docs or router is not operation.pages]
    for router in routers:
        app.include_router(router)
    routes = [route for router in routers for route in router.routes]
    install(app, routes)
    app.state.keys = KeyRing(lambda: read_keys(open_desk(app).reader), metrics=metrics, own=own_secret)
    return Guard(
        app,
        entrance_of=Entrances(routes, body_rules(settings)).find,
        door=Door(
            app.state.keys,
            Limits.of(settings, clock_ns),
            now_us=lambda: int(clock().timestamp() * 1_000_000),
            metrics=metrics,
        ),
        body_timeout_s=settings.body_timeout_s,
        metrics=metrics,
    )


class _Api(FastAPI):
    """FastAPI with a document that tells the truth about errors."""

    def openapi(self) -> dict[str, Any]:
        """Make the OpenAPI document once."""
        if not self.openapi_schema:
            document = super().openapi()
            document["components"]["schemas"].update(_problem_schemas())
            self.openapi_schema = document_problems(document_scopes(document_parameters(document)))
        return self.openapi_schema


def body_rules(settings: Settings) -> Mapping[str, BodyRule]:
    """Say which routes take a body, and within which bounds."""
    one = frozenset({JSON})
    return {
        "POST /v1/articles": BodyRule(settings.max_body_bytes, one, is_article=True),
        "POST /v1/similar": BodyRule(settings.max_body_bytes, one),
        **{f"POST {path}": BodyRule(settings.max_body_bytes, one) for path in _WORDS},
        "POST /v1/webhooks": BodyRule(_MAX_SMALL_BYTES, one),
        "POST /v1/keys": BodyRule(_MAX_SMALL_BYTES, one),
        "POST /v1/articles/bulk": BodyRule(
            settings.max_bulk_bytes,
            one | {NDJSON},
            inflated_limit=settings.max_inflated_bytes,
            is_held=True,
        ),
    }


def _lifespan(settings: Settings, metrics: Metrics, *, opens: bool) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if not opens:
            yield
            return
        desk = await anyio.to_thread.run_sync(lambda: RealDesk.open(settings, metrics))
        _take(app, metrics, desk)
        try:
            yield
        finally:
            app.state.desk = None
            await anyio.to_thread.run_sync(desk.close)

    return lifespan


def _take(app: FastAPI, metrics: Metrics, desk: Desk) -> None:
    """Answer from a desk that is open."""
    app.state.desk = desk
    metrics.describe_build(version=version_of_benang(), model=desk.model, store=desk.reader.dialect.name)


def _problem_schemas() -> dict[str, Any]:
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs"), "Problem": schema}


def version_of_benang() -> str:
    """Return the version of the installed package, `0` where there is none."""
    try:
        return version("benang")
    except PackageNotFoundError:
        return "0"
