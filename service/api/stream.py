"""Changes as server-sent events: the feed read on page by page, for as long as somebody listens."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Annotated, Any

import anyio
from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import format_sse_event
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from service.api.desk import OpenDesk
from service.bell import Bell
from service.errors import TooManyStreams
from service.store.changes import Page

HEARTBEAT_S = 15.0
GATHER_S = 0.05
"""Pause between the bell and the reading, so that a busy writer is followed twenty times a second and not oftener."""
SEND_TIMEOUT_S = 30.0
"""Time in which a client has to make room for what it asked for; one that reads on later resumes."""
RETRY_MS = 2000

_HELLO = b": benang\n\n"
_HEARTBEAT = b":\n\n"


class EventStream(StreamingResponse):
    """An answer that ends with its events, when the client leaves, or when it takes nothing for too long."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        super().__init__(events, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  ASGI's signature
        """Send events; all that waits for the client is one page and what the socket holds."""
        async with contextlib.aclosing(self._events), anyio.create_task_group() as group:

            async def send_in_time(message: Message) -> None:
                with anyio.move_on_after(SEND_TIMEOUT_S) as limit:
                    await send(message)
                if limit.cancelled_caught:
                    group.cancel_scope.cancel()

            async def leave_with_client() -> None:
                await self.listen_for_disconnect(receive)
                group.cancel_scope.cancel()

            group.start_soon(leave_with_client)
            await self.stream_response(send_in_time)
            group.cancel_scope.cancel()


async def _one_stream(request: Request, desk: OpenDesk) -> AsyncIterator[None]:
    """Hold a place among the open streams until the answer has ended.

    Raises:
        TooManyStreams: All places are taken.
    """
    state = request.app.state
    if state.streams >= desk.settings.max_streams:
        raise TooManyStreams
    state.streams += 1
    desk.metrics.streams.set(state.streams)
    try:
        yield
    finally:
        state.streams -= 1
        desk.metrics.streams.set(state.streams)


OneStream = Annotated[None, Depends(_one_stream)]


async def events(read: Callable[[int], Page | None], bell: Bell, after: int) -> AsyncGenerator[bytes, None]:
    """Yield every change later than `after`, then each new one, and a sign of life in between, until the bell is closed.

    `read` gives the part of the feed that follows a number, or None where the caller may hear no more. The next page is
    read when the last one is sent.
    """
    loop = asyncio.get_running_loop()
    news = asyncio.Event()

    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # the loop ended before the stream could say so
            loop.call_soon_threadsafe(news.set)

    with bell.heard_by(wake):
        yield _HELLO
        retry: int | None = RETRY_MS
        silent_until = loop.time() + HEARTBEAT_S
        while not bell.is_closed:
            news.clear()
            page = await run_in_threadpool(read, after)
            if page is None:
                return
            after = page.next_after
            if page.items:
                # Beside an event: there are clients that take a block without one for an event.
                yield frame(page.items[0], retry) + b"".join(map(frame, page.items[1:]))
                retry = None
                silent_until = loop.time() + HEARTBEAT_S
            if page.has_more:
                continue
            try:
                async with asyncio.timeout_at(silent_until):
                    await news.wait()
                    await asyncio.sleep(GATHER_S)
            except TimeoutError:
                yield _HEARTBEAT
                silent_until = loop.time() + HEARTBEAT_S


def frame(item: dict[str, Any], retry_ms: int | None = None) -> bytes:
    """Write one change as an event."""
    data = json.dumps(item, separators=(",", ":"))
    return format_sse_event(data_str=data, event=item["kind"], id=str(item["seq"]), retry=retry_ms)
