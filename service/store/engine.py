"""Connections: one writer, many readers, every pragma asserted, one process a folder."""

from __future__ import annotations

import fcntl
import functools
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Engine, create_engine, event, select
from sqlalchemy.exc import DatabaseError

from service.store.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

FILE = "benang.db"
CACHE_KIB = 32 * 1024
CHECKPOINT_PAGES = 8192
"""Pages of 4 KiB in the log before it is moved into the file: pages that many batches change are then written once."""
_MIGRATIONS = Path(__file__).parent / "migrations"


class StoreError(RuntimeError):
    """The data folder cannot be used; the message says why and what to do."""


class FolderInUseError(StoreError):
    """Another process owns the data folder."""


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


def migrate(engine: Engine, schema: str = "head") -> None:
    """Bring the schema to this version, or up to `schema`, in one transaction.

    Raises:
        StoreError: the file is not a database of ours, or is damaged.
    """
    config = _config()
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, schema)
    except (DatabaseError, CommandError) as error:
        raise StoreError(
            f"{engine.url.database} is damaged, or was not written by this version of benang. Restore a backup "
            "(`benang restore`), or name another folder with --data."
        ) from error


def require_whole(engine: Engine) -> None:
    """Read every page of the database, and refuse one that is damaged.

    Raises:
        StoreError: it is; the message says what to do.
    """
    try:
        with engine.connect() as connection:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    except DatabaseError as error:
        found = str(error.orig)
    if found != "ok":
        raise StoreError(_damaged(engine, str(found)))


def require_tables(engine: Engine) -> None:
    """Refuse a store whose tables cannot be asked for what this version asks: a page may be whole, and say nonsense.

    Raises:
        StoreError: it is damaged.
    """
    try:
        with engine.connect() as connection:
            for table in metadata.sorted_tables:
                connection.execute(select(table).limit(1)).first()
    except DatabaseError as error:
        raise StoreError(_damaged(engine, str(error.orig))) from error


def _damaged(engine: Engine, how: str) -> str:
    return (
        f"{engine.url.database} is damaged ({how.splitlines()[-1]}). Restore a backup: `benang restore FILE --replace` "
        "keeps the damaged store beside it."
    )


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


def checkpoint(engine: Engine) -> None:
    """Move what the write-ahead log holds into the database file."""
    with engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")  # a checkpoint cannot run inside the transaction begun for us
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")


def schema_is_current(engine: Engine) -> bool:
    """Say whether the store has the schema this version writes."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() == known_schemas()[-1]


@functools.cache
def known_schemas() -> tuple[str, ...]:
    """Return the schemas that this version can bring up to date, the oldest first, its own last."""
    history = ScriptDirectory.from_config(_config()).walk_revisions()
    return tuple(reversed([one.revision for one in history]))


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config
