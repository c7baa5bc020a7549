"""The service as a process: socket, address file, drain."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import uvicorn

from service.app import create_app, version_of_benang
from service.desk import Desk
from service.door import is_loopback
from service.errors import StoreUnavailable
from service.keyring import read_keys
from service.schedule import Schedule
from service.store.engine import FILE, FolderInUseError, own_folder, reader_engine
from service.telemetry import Metrics, set_up_logging
from service.tracing import sending

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from service.bell import Bell
    from service.settings import Settings

ADDRESS_FILE = "service.json"
MAX_CONNECTIONS = 512
DRAIN_S = 30


class CannotListenError(RuntimeError):
    """The address cannot, or must not, be listened on."""


def run_server(settings: Settings) -> None:
    """Serve until a signal says stop; what was accepted is finished first.

    Raises:
        CannotListenError: the address is not loopback, there is no key, and the settings do not allow that.
        FolderInUseError: another process owns the data folder.
        ModelMismatchError: the store was made with another model.
    """
    check_address(settings)
    set_up_logging()
    metrics = Metrics()
    listener = _listen(settings.host, settings.port)
    secret = secrets.token_urlsafe(32)
    with (
        sending(settings.traces, version_of_benang()),
        listener,
        Desk.open(settings, metrics) as desk,
        _nights(settings, desk),
    ):
        config = uvicorn.Config(
            create_app(settings, desk, own_secret=secret),
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=DRAIN_S,
        )
        host, port = listener.getsockname()[:2]
        with _announced(settings.data, f"http://{_in_url(host)}:{port}", secret):
            Server(config, desk.bell).run(sockets=[listener])


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
    if settings.open_beyond_loopback or is_loopback(settings.host) or _has_keys(settings.data):
        return
    raise CannotListenError(
        f"{settings.host} can be reached from other machines, and {settings.data} has no key yet: whoever reaches it "
        f"could write and delete. Make one first (benang keys create NAME --scope admin --data {settings.data}), "
        "listen on 127.0.0.1, or set BENANG_OPEN_BEYOND_LOOPBACK=true if the network itself is closed (a container's "
        "own network, say)."
    )


def _has_keys(folder: Path) -> bool:
    """Say whether callers of a store need keys; one of an earlier version has none."""
    if not (folder / FILE).is_file():
        return False
    engine = reader_engine(folder)
    try:
        return read_keys(engine).has_keys
    except StoreUnavailable:
        return False
    finally:
        engine.dispose()


@dataclass(frozen=True, slots=True)
class Running:
    """A service that runs: where it listens, and the secret that commands on its folder show it."""

    url: str
    secret: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What a request has to carry to be taken for one of the folder's owner."""
        return {"Authorization": f"Bearer {self.secret}"}


def running_service(folder: Path) -> Running | None:
    """Return the service that owns `folder`, or None when nobody does.

    Raises:
        FolderInUseError: a process owns the folder but does not say where it listens.
    """
    file = folder / ADDRESS_FILE
    if not (folder / "lock").exists():
        return None
    try:
        with own_folder(folder):
            return None
    except FolderInUseError:
        if not file.exists():
            raise
    return Running(**json.loads(file.read_text(encoding="utf-8")))


class Server(uvicorn.Server):
    """A server that ends the streams before it waits for answers, and returns after its shutdown."""

    def __init__(self, config: uvicorn.Config, bell: Bell) -> None:
        super().__init__(config)
        self._bell = bell

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain: an open stream would never finish by itself."""
        self._bell.close()
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
    """Write where the service listens, for the owner of the folder alone: the secret opens everything."""
    file = folder / ADDRESS_FILE
    file.unlink(missing_ok=True)
    with open(file, "x", encoding="utf-8", opener=_private) as out:
        out.write(json.dumps({"url": url, "secret": secret}) + "\n")
    print(f"benang listens on {url}  ·  API: {url}/docs  ·  stop with Ctrl-C", flush=True)  # noqa: T201
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
