"""The service as a process: socket, address file, drain."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from service.app import create_app, version_of_benang
from service.desk import Desk
from service.door import is_loopback
from service.errors import StoreUnavailable
from service.keyring import read_keys
from service.readonly import ReadingDesk
from service.schedule import Schedule
from service.standby import Standby
from service.store.engine import exists, is_owned, reader_engine, told
from service.store.failures import StoreError, StoreInUseError
from service.telemetry import Metrics, set_up_logging
from service.tracing import sending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp

    from service.settings import Settings
    from service.store.engine import Place

ADDRESS_FILE = "service.json"
MAX_CONNECTIONS = 512
DRAIN_S = 30


class CannotListenError(RuntimeError):
    """The address cannot, or must not, be listened on."""


def run_server(settings: Settings) -> None:
    """Serve until a signal says stop; what was accepted is finished first.

    Where the store is a folder a second process is refused; beside PostgreSQL it stands by until the first one is gone.

    Raises:
        CannotListenError: the address is not loopback, there is no key, and the settings do not allow that.
        FolderInUseError: another process owns the data folder.
        StoreError: it cannot be written to, or holds no store that can be opened.
        ModelMismatchError: the store was made with another model.
    """
    check_address(settings)
    set_up_logging()
    metrics = Metrics()
    secret = secrets.token_urlsafe(32)
    with sending(settings.traces, version_of_benang()), _listen(settings.host, settings.port) as listener:
        if settings.read_only:
            with ReadingDesk.open(settings, metrics) as reading:
                listener.listen()
                print(_greeting(listener, "reads only"), flush=True)  # noqa: T201
                _server(create_app(settings, reading), reading.bell.close).run(sockets=[listener])
        elif isinstance(settings.place, Path):
            with Desk.open(settings, metrics) as desk, _open_for_all(settings, desk, listener, secret):
                app = create_app(settings, desk, own_secret=secret)
                _server(app, desk.bell.close).run(sockets=[listener])
        else:
            _stand_by(settings, metrics, listener, secret)


def _stand_by(settings: Settings, metrics: Metrics, listener: socket.socket, secret: str) -> None:
    """Answer at once that the process lives, and everything else from when the store is its own."""
    standby = Standby(settings, metrics)
    server = _server(create_app(settings, standby=standby, own_secret=secret), standby.end_streams)
    with ExitStack() as closing:
        closing.callback(standby.close)
        standby.on_open(lambda desk: closing.enter_context(_open_for_all(settings, desk, listener, secret)))
        standby.start(server.leave)
        try:
            server.run(sockets=[listener])
        finally:
            standby.leave_off()
    if standby.error is not None:
        raise standby.error


def _server(app: ASGIApp, end_streams: Callable[[], None]) -> Server:
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=DRAIN_S,
    )
    return Server(config, end_streams)


@contextmanager
def _open_for_all(settings: Settings, desk: Desk, listener: socket.socket, secret: str) -> Iterator[None]:
    """Say where the service listens, and run its nights, until the block ends.

    From before the first word: whoever reads the address and connects at once waits, and is not refused.
    """
    listener.listen()
    with _nights(settings, desk), _announced(settings.data, _url_of(listener), secret):
        print(_greeting(listener, f"API: {_url_of(listener)}/docs"), flush=True)  # noqa: T201
        yield


def _url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{_in_url(host)}:{port}"


def _greeting(listener: socket.socket, remark: str) -> str:
    return f"benang listens on {_url_of(listener)}  ·  {remark}  ·  stop with Ctrl-C"


@contextmanager
def _nights(settings: Settings, desk: Desk) -> Iterator[None]:
    """Run a night every day at the time set, while the service runs."""
    if not settings.recluster_at:
        yield
        return
    schedule = Schedule(settings.recluster_at, desk.recluster)
    try:
        yield
    finally:
        schedule.close()


def check_address(settings: Settings) -> None:
    """Refuse to listen where strangers could write.

    Raises:
        CannotListenError: the address is not loopback, no key was ever created, and `open_beyond_loopback` is off.
    """
    if settings.open_beyond_loopback or is_loopback(settings.host) or _has_keys(settings.place):
        return
    raise CannotListenError(
        f"{settings.host} can be reached from other machines, and {told(settings.place)} has no key yet: whoever reaches it "
        f"could write and delete. Make one first (benang keys create NAME --scope admin --data {settings.data}), "
        "listen on 127.0.0.1, or set BENANG_OPEN_BEYOND_LOOPBACK=true if the network itself is closed (a container's "
        "own network, say)."
    )


def _has_keys(place: Place) -> bool:
    """Say whether callers of a store need keys; one of an earlier version, or that cannot be read, has none."""
    if not exists(place):
        return False
    engine = reader_engine(place)
    try:
        return read_keys(engine).has_keys
    except StoreUnavailable:
        return False
    finally:
        engine.dispose()


@dataclass(frozen=True, slots=True)
class Running:
    """A service that runs: where it listens, and the secret that commands beside it show it."""

    url: str
    secret: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What a request has to carry to be taken for one of the folder's owner."""
        return {"Authorization": f"Bearer {self.secret}"}


def running_service(settings: Settings) -> Running | None:
    """Return the service that owns the store, or None when nobody does.

    Raises:
        StoreInUseError: a process owns it, and the data folder does not say where it listens.
        StoreError: the store cannot be reached.
    """
    if not is_owned(settings.place):
        return None
    file = settings.data / ADDRESS_FILE
    if not file.exists():
        raise StoreInUseError(
            f"Another benang process writes to {told(settings.place)}. Stop it, or send requests to it instead."
        )
    return Running(**json.loads(file.read_text(encoding="utf-8")))


class Server(uvicorn.Server):
    """A server that ends the streams before it waits for answers, and returns after its shutdown."""

    def __init__(self, config: uvicorn.Config, end_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._end_streams = end_streams

    def leave(self) -> None:
        """Stop as after a signal; from any thread."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain: an open stream would never finish by itself."""
        self._end_streams()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM; uvicorn's own would raise the signal again and end the process."""
        before = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _announced(folder: Path, url: str, secret: str) -> Iterator[None]:
    """Write where the service listens, for the owner of the folder alone: the secret opens everything.

    Raises:
        StoreError: the folder takes no file, for want of room.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / ADDRESS_FILE
    file.unlink(missing_ok=True)
    try:
        with open(file, "x", encoding="utf-8", opener=_private) as out:
            out.write(json.dumps({"url": url, "secret": secret}) + "\n")
    except OSError as error:
        file.unlink(missing_ok=True)
        raise StoreError(
            f"{file} cannot be written ({error.strerror}). Commands find the service by it."
        ) from error
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise CannotListenError(
            f"Cannot listen on {host}:{port} ({error.strerror}). Choose another with --port, or 0 for any free one."
        ) from error
    return listener


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
