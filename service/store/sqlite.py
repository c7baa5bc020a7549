"""SQLite: a file in a folder that one process owns; every pragma asserted."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import DatabaseError

from service.store.failures import FolderInUseError, StoreError, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

FILE = "benang.db"
CACHE_KIB = 32 * 1024
CHECKPOINT_PAGES = 8192
"""Pages of 4 KiB in the log before it is moved into the file: pages that many batches change are then written once."""


@contextmanager
def own_folder(folder: Path) -> Iterator[None]:
    """Own `folder` for writing until the block ends; the system frees the lock when the process dies.

    Raises:
        FolderInUseError: another process owns it.
        StoreError: it is no folder, or may not be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(
            f"{folder} cannot hold a store ({error.strerror}). Name another folder with --data."
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise FolderInUseError(
                f"Another benang process writes to {folder}. Stop it, or send requests to it instead."
            ) from error
        yield
    finally:
        os.close(handle)


def is_owned(folder: Path) -> bool:
    """Say whether a process owns `folder`."""
    if not (folder / "lock").exists():
        return False
    try:
        with own_folder(folder):
            return False
    except FolderInUseError:
        return True


def writer_engine(folder: Path) -> Engine:
    """Return the engine of the one writer: durable at every commit, locked from the first statement."""
    engine = create_engine(f"sqlite:///{folder / FILE}", hide_parameters=True)
    _prepare(
        engine,
        begin="BEGIN IMMEDIATE",
        pragmas={
            "journal_mode": "wal",
            "synchronous": 2,
            "foreign_keys": 1,
            "busy_timeout": 10_000,
            "cache_size": -CACHE_KIB,
            "wal_autocheckpoint": CHECKPOINT_PAGES,
        },
    )
    return engine


def reader_engine(folder: Path) -> Engine:
    """Return an engine whose connections cannot write."""
    engine = create_engine(f"sqlite:///{folder / FILE}", hide_parameters=True, pool_size=8)
    _prepare(engine, begin="BEGIN", pragmas={"query_only": 1, "busy_timeout": 10_000})
    return engine


def _prepare(engine: Engine, *, begin: str, pragmas: dict[str, str | int]) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: object) -> None:
        # The driver's own BEGIN comes too late for reads and not at all for DDL; we send ours below.
        connection.isolation_level = None
        for name, value in pragmas.items():
            connection.execute(f"PRAGMA {name}={value}")
            got = connection.execute(f"PRAGMA {name}").fetchone()[0]
            if got != value:
                raise RuntimeError(f"SQLite refused PRAGMA {name}={value} (it says {got!r})")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def checkpoint(engine: Engine) -> None:
    """Move what the write-ahead log holds into the database file; what cannot be moved, for want of room, stays in the log."""
    with suppress(DatabaseError), engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")  # a checkpoint cannot run inside the transaction begun for us
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")


def require_whole(engine: Engine) -> None:
    """Read every page of the database, and refuse one that is damaged.

    Raises:
        StoreError: it is, or there is no room to open it; the message says what to do.
    """
    try:
        with engine.connect() as connection:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    except DatabaseError as error:
        require_room(engine, error)
        found = str(error.orig)
    if found != "ok":
        raise StoreError(damaged(engine, str(found)))


def require_room(engine: Engine, error: DatabaseError) -> None:
    """Tell a full disk, on which not even reading can begin, from damage.

    Raises:
        StoreError: `error` came of one.
    """
    if kind_of(error) == "full":
        raise StoreError(
            f"There is no room left where {engine.url.database} lies. Make room, then start again."
        ) from error


def require_complete(folder: Path) -> None:
    """Refuse a folder in which the log of a store lies without the store.

    Raises:
        StoreError: opening it would throw the log away, which may hold the newest commits.
    """
    store, log = folder / FILE, folder / f"{FILE}-wal"
    if log.exists() and log.stat().st_size and not (store.exists() and store.stat().st_size):
        raise StoreError(
            f"{log} is there, but {store} is gone or empty. Put it back, or restore a backup with `benang restore`."
        )


def damaged(engine: Engine, how: str) -> str:
    """Say that a store is damaged, and what to do."""
    return (
        f"{engine.url.database} is damaged ({how.splitlines()[-1]}). Restore a backup: `benang restore FILE --replace` "
        "keeps the damaged store beside it."
    )


def damage(connection: Connection) -> list[str]:
    """Return what SQLite's own check complains about."""
    try:
        lines = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
    except DatabaseError as error:
        return [str(error.orig)]
    return [str(line) for line in lines if line != "ok"]


def last_number(connection: Connection, table: str) -> int:
    """Return the last number that a table gave to a row, be the row there or not."""
    asked = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
    return int(connection.execute(asked, {"name": table}).scalar() or 0)


def set_last_number(connection: Connection, table: str, number: int) -> None:
    """Let a table go on counting after `number`."""
    given = {"name": table, "number": number}
    connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), given)
    connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :number)"), given)


def disk_free(folder: Path) -> int:
    """Return the bytes that are free where the store lies."""
    return shutil.disk_usage(folder).free
