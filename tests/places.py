"""Where the stores of a test lie: in its folders, or each in a database of its own on a PostgreSQL server.

A test module that asks for the fixture `database` runs once on either. `BENANG_TEST_POSTGRES` names a server to use, by a URL
whose user may create databases; else a server is started for the session where its programs are installed.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from sqlalchemy import NullPool, create_engine, make_url, text

from service.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.store.engine import Place

KINDS = ("sqlite", "postgresql")
NO_SERVER = (
    "no PostgreSQL server: install its programs (package postgresql), or name one in BENANG_TEST_POSTGRES"
)
_MEMORY = Path("/dev/shm")
_WHO = ("postgres", "nobody")
"""Whom the server runs as when the tests run as root, whom it refuses."""


class Server:
    """A PostgreSQL server of the tests, and the databases they made there."""

    def __init__(self, url: str, folder: Path | None = None, options: dict[str, Any] | None = None) -> None:
        self.url = url
        self.folder = folder
        self._options = options or {}
        self._engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        self.made: set[str] = set()
        self.tablespace = "pg_default"

    def place_of(self, folder: Path) -> str:
        """The URL of the database that stands for a folder, made when it is asked for first."""
        name = self.name_of(folder)
        if name not in self.made:
            self.execute(
                f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' "
                f"TABLESPACE {self.tablespace}"
            )
            self.made.add(name)
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)

    @property
    def owner(self) -> str | int:
        """Whom a server of our own runs as."""
        found: str | int = self._options.get("user", os.geteuid())
        return found

    def start(self) -> None:
        """Start a server of our own."""
        assert self.folder is not None
        self.control("-l", str(self.folder / "log"), "start")

    @staticmethod
    def name_of(folder: Path) -> str:
        return "benang_" + hashlib.sha256(str(folder).encode()).hexdigest()[:16]

    def drop(self, names: set[str]) -> None:
        for name in names:
            self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self.made -= names

    def execute(self, statement: str) -> None:
        with self._engine.connect() as connection:
            connection.execute(text(statement))

    def control(self, *words: str) -> None:
        """Have `pg_ctl` do something to a server of our own."""
        assert self.folder is not None
        found = programs()
        assert found is not None
        command = [str(found / "pg_ctl"), "-D", str(self.folder / "data"), "-w", *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", **self._options)

    def close(self) -> None:
        self._engine.dispose()


_server: Server | None = None
"""The server of the test that runs, none while stores lie in folders."""


def current() -> Server | None:
    """The server on which the stores of the test that runs lie."""
    return _server


def place_of(folder: Path) -> Place:
    """Where the store of a folder lies in the test that runs."""
    return folder if _server is None else _server.place_of(folder)


def forget(folder: Path) -> None:
    """Remove a folder and the database that stands for it, if there are any."""
    shutil.rmtree(folder, ignore_errors=True)
    if _server is not None:
        _server.drop({_server.name_of(folder)})


def settings_of(folder: Path, **changes: Any) -> Settings:
    """Settings whose store is that of a folder."""
    store = "" if _server is None else _server.place_of(folder)
    return Settings(data=folder, store=SecretStr(store), **changes)


def environment_of(folder: Path) -> dict[str, str]:
    """The variables by which a command finds the store of a folder."""
    return {} if _server is None else {"BENANG_STORE": _server.place_of(folder)}


@contextmanager
def using(server: Server | None) -> Iterator[None]:
    """Let the stores of folders lie on `server` until the block ends."""
    global _server  # noqa: PLW0603
    before, _server = _server, server
    try:
        yield
    finally:
        _server = before


def has_server() -> bool:
    return "BENANG_TEST_POSTGRES" in os.environ or programs() is not None


@contextmanager
def server_of_the_session() -> Iterator[Server]:
    """The server that is named, or one of our own."""
    if (url := os.environ.get("BENANG_TEST_POSTGRES")) is not None:
        server = Server(url)
        try:
            yield server
        finally:
            server.drop(set(server.made))
            server.close()
        return
    with own_server() as server:
        yield server


@contextmanager
def own_server(**settings: str) -> Iterator[Server]:
    """Start a server in a new folder, reached by a socket in it, and stop it at the end."""
    found = programs()
    assert found is not None
    folder = Path(tempfile.mkdtemp(prefix="pg", dir=_quick_place()))
    options: dict[str, Any] = {}
    if os.geteuid() == 0:
        who = next(name for name in _WHO if _is_known(name))
        shutil.chown(folder, who)
        options = {"user": who, "group": _group_of(who), "extra_groups": []}
    init = [str(found / "initdb"), "-D", str(folder / "data"), "-U", "benang", "-A", "trust", "-E", "UTF8"]
    subprocess.run(
        [*init, "--locale=C", "--no-sync"], check=True, stdout=subprocess.DEVNULL, cwd="/", **options
    )
    given = {
        "listen_addresses": "",
        "unix_socket_directories": str(folder),
        "max_connections": "200",
    } | settings
    lines = [f"{name} = '{value}'\n" for name, value in given.items()]
    with (folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.writelines(lines)
    server = Server(f"postgresql+psycopg://benang@/postgres?host={folder}", folder, options)
    try:
        server.start()
        try:
            yield server
        finally:
            server.close()
            if (folder / "data" / "postmaster.pid").exists():  # a test may have stopped it
                server.control("-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _quick_place() -> Path | None:
    """A file system in memory with room enough: every database made and dropped is synced."""
    return _MEMORY if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > 2 * 2**30 else None


def programs() -> Path | None:
    """Where the programs of PostgreSQL are, none where they are not installed."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).parent
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return places[-1].parent if places else None


def _is_known(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _group_of(name: str) -> int:
    return pwd.getpwnam(name).pw_gid
