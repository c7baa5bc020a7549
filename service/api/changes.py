"""The change feed: every assignment as it becomes true, for whoever mirrors them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from service.api.desk import Desk, OpenDesk, now_of
from service.api.problems import problems
from service.api.stream import EventStream, OneStream, events
from service.errors import FieldError, Refused
from service.feed_schemas import ChangeList, ChangeSearch, FeedSearch, Place
from service.model import Kind
from service.store import changes
from service.store.read import reading

STREAM_PAGE = 200

router = APIRouter(prefix="/v1/changes", tags=["changes"])


@router.get(
    "",
    response_model=ChangeList,
    response_model_exclude_unset=True,
    responses=problems("invalid", "store_unavailable"),
)
def list_changes(wanted: Annotated[ChangeSearch, Query()], desk: OpenDesk) -> dict[str, Any]:
    """List the changes later than `after`, in the order in which they became true."""
    with reading(desk.reader) as connection:
        page = changes.read_page(connection, wanted.after, wanted.limit, wanted.kind)
        lost = changes.is_lost(connection, wanted.after)
    if lost or wanted.after > page.last:
        raise ahead("/query/after")
    return {"items": page.items, "next_after": page.next_after, "last": page.last}


@router.get(
    "/stream",
    response_class=Response,
    responses={
        200: {
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
            "description": "Events with the number as `id`, the kind as `event` and a `ChangeRow` as `data`.",
        },
        **problems("invalid", "not_ready", "store_unavailable", "too_many_streams"),
    },
)
async def stream_changes(
    wanted: Annotated[FeedSearch, Query()],
    request: Request,
    desk: OpenDesk,
    _place: OneStream,
    last_event_id: Annotated[
        Place | None,
        Header(alias="Last-Event-ID", description="Sent by clients that resume; wins over `after`."),
    ] = None,
) -> Response:
    """Send the changes later than `after` as server-sent events, then each new one as it becomes true.

    The stream ends with the key it was asked for with.
    """
    after = wanted.after if last_event_id is None else last_event_id
    pages = _Reader(desk, wanted.kind, partial(_still_admitted, request))
    if await run_in_threadpool(pages.cannot_begin_at, after):
        raise ahead("/query/after" if last_event_id is None else "/header/Last-Event-ID")
    return EventStream(events(pages.read, desk.bell, after))


class _Reader:
    """Reads the feed for one stream; no transaction lasts from one page to the next."""

    def __init__(self, desk: Desk, kinds: Sequence[Kind], may_hear: Callable[[], bool]) -> None:
        self._engine = desk.reader
        self._kinds = kinds
        self._may_hear = may_hear

    def cannot_begin_at(self, after: int) -> bool:
        with reading(self._engine) as connection:
            return after > changes.last_change(connection) or changes.is_lost(connection, after)

    def read(self, after: int) -> changes.Page | None:
        if not self._may_hear():
            return None
        with reading(self._engine) as connection:
            return changes.read_page(connection, after, STREAM_PAGE, self._kinds)


def _still_admitted(request: Request) -> bool:
    return bool(request.app.state.keys.still_admits(request.state.caller, now_of(request)))


def ahead(pointer: str) -> Refused:
    """Make the refusal of a place that no change of this store can have given."""
    return Refused("invalid", [FieldError.of(pointer, "after_ahead")])
