"""A receiver of webhooks: a real server that answers as it is told and keeps what it was sent."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came in one request, and how it was answered."""

    headers: dict[str, str]
    body: bytes
    at: float
    status: int

    @property
    def content(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def seqs(self) -> list[int]:
        return [item["seq"] for item in self.content["items"]]


@dataclass
class Receiver:
    """`answer` gives the status of the request with this number (from 0), and may take its time."""

    url: str
    answer: Callable[[int], int] = lambda _number: 200
    headers: dict[str, str] = field(default_factory=dict)
    got: list[Delivery] = field(default_factory=list)

    @property
    def taken(self) -> list[int]:
        """The numbers of the changes in deliveries that were confirmed."""
        return [seq for one in self.got if one.status < 300 for seq in one.seqs]


def first_seen(seqs: list[int]) -> list[int]:
    """What is left when a receiver passes over numbers it has."""
    return list(dict.fromkeys(seqs))


@contextmanager
def receiving(*, port: int = 0, tls: ssl.SSLContext | None = None, body: bytes = b"") -> Iterator[Receiver]:
    """Run a receiver on a free port of loopback (or on `port`) until the block ends."""
    lock = threading.Lock()
    count = iter(range(1_000_000))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                number = next(count)
            status = receiver.answer(number)
            with lock:
                receiver.got.append(Delivery(dict(self.headers), sent, time.time(), status))
            self.send_response(status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """Senders may leave: that is theirs to do."""

    server = Server(("127.0.0.1", port), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme, host = ("https", "localhost") if tls else ("http", "127.0.0.1")
    receiver = Receiver(f"{scheme}://{host}:{server.server_address[1]}/hook?key=1")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
