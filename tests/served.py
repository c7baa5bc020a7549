"""A real server in a thread of the test, on a free port."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import uvicorn

from service.app import create_app
from service.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S = 30


class _Quiet(Server):
    """A server that leaves the signals to the test."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.contextmanager
def served(desk: Any, *, own_secret: str | None = None) -> Iterator[str]:
    """Serve a desk as `benang serve` does, and drain at the end of the block."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        create_app(desk.settings, desk, own_secret=own_secret), log_config=None, access_log=False
    )
    server = _Quiet(config, desk.bell.close)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + PATIENCE_S
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "the drain hangs"
