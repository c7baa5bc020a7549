"""What operators and newcomers ask: is it alive, ready, how much, and how do I use it."""

from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.responses import HTMLResponse, JSONResponse

from service.answers import Live, Ready, Stats
from service.api.desk import OpenDesk
from service.api.pages import STYLE, docs_page, front_page
from service.api.problems import problems
from service.errors import NotReady
from service.store import read

router = APIRouter(tags=["operation"])
pages = APIRouter(include_in_schema=False)
"""What explains the service to people and machines; `docs` switches it off."""


@router.get("/livez", response_model=Live)
async def live() -> dict[str, Any]:
    """Say that the process answers; nothing is read."""
    return {"status": "alive"}


@router.get("/readyz", response_model=Ready, responses=problems("not_ready"))
def ready(desk: OpenDesk) -> dict[str, Any]:
    """Say whether articles can be taken; if not, which condition does not hold."""
    try:
        conditions = desk.ready()
    except Exception:  # noqa: BLE001  whatever fails here, the answer is that we are not ready
        raise NotReady("store_reachable") from None
    failing = [name for name, holds in conditions.items() if not holds]
    if failing:
        raise NotReady(*failing)
    return {"status": "ready", "conditions": conditions}


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(request: Request) -> Response:
    """Answer every metric in Prometheus' text format."""
    return Response(request.app.state.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/v1/stats", response_model=Stats, responses=problems("store_unavailable"))
def stats(desk: OpenDesk) -> dict[str, Any]:
    """Count what is stored."""
    with read.reading(desk.reader) as connection:
        return read.get_stats(connection)


@pages.get("/openapi.json")
def openapi(request: Request) -> JSONResponse:
    """Answer the OpenAPI document."""
    return JSONResponse(request.app.openapi())


@pages.get("/")
def front(request: Request) -> HTMLResponse:
    """Show the routes and a first command."""
    return HTMLResponse(front_page(request.app.openapi()))


@pages.get("/docs")
def docs(request: Request) -> HTMLResponse:
    """Show the OpenAPI document as a page that loads nothing from elsewhere."""
    return HTMLResponse(docs_page(request.app.openapi()))


@pages.get("/docs.css")
def style() -> Response:
    """Answer the one style sheet of these pages."""
    return Response(STYLE, media_type="text/css")
