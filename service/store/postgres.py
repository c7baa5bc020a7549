"""PostgreSQL: one writer that holds the lock on the very connection it writes with, any number of readers."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError

from service.store.failures import StoreError, StoreInUseError
from service.store.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

CONNECT_S = 10
WRITER_STATEMENT_MS = 600_000
"""The longest statement of a night over a million articles takes a tenth of that."""
READER_STATEMENT_MS = 60_000
CHECK_MS = 1000
"""How soon the server notices that a client died in the middle of a statement, and frees the lock."""
MIGRATION_LOCK_MS = 10_000
MIN_VERSION = 140_000

_KEY = "SELECT hashtextextended('benang ' || current_schema(), 0)"
"""The number of the lock: stores in different databases or schemas do not meet."""
_PATIENT: Mapping[str, str | int] = {
    "connect_timeout": CONNECT_S,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_WRITER = {
    "synchronous_commit": "on",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "statement_timeout": str(WRITER_STATEMENT_MS),
    "client_connection_check_interval": str(CHECK_MS),
}
_READER = {
    # A page that takes several statements shows one state.
    "default_transaction_isolation": "repeatable read",
    "default_transaction_read_only": "on",
    "statement_timeout": str(READER_STATEMENT_MS),
}


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds the lock of a store: the process of the server, and the name of its client."""

    pid: int
    name: str


def writer_engine(url: str) -> Engine:
    """Return the engine of the one writer: a single connection, durable at every commit, that owns the store.

    Connecting raises `StoreInUseError` when another process owns it, and `StoreError` when the server would not keep
    what it has confirmed. Whenever the connection is lost the lock goes with it, and the next one has to take it anew.
    """
    engine = _engine(url, {"application_name": writer_name()}, pool_size=1, max_overflow=0)

    def own(cursor: Any) -> None:
        _require_durable(cursor)
        key = cursor.execute(_KEY).fetchone()
        if not cursor.execute("SELECT pg_try_advisory_lock(%s)", key).fetchone()[0]:
            raise StoreInUseError(
                "Another benang process writes to this database. Stop it, or send requests to it instead."
            )

    _prepare(engine, _WRITER, own)
    return engine


def reader_engine(url: str) -> Engine:
    """Return an engine whose connections cannot write, each transaction a view of one moment."""
    engine = _engine(url, {}, pool_size=8)
    _prepare(engine, _READER)
    return engine


def _engine(url: str, own: dict[str, str], **pool: int) -> Engine:
    try:
        given = make_url(url)
        options = {**{name: value for name, value in _PATIENT.items() if name not in given.query}, **own}
        return create_engine(given, hide_parameters=True, connect_args=options, **pool)
    except (ArgumentError, ValueError) as error:
        raise StoreError(
            "The setting `store` is no database URL. Write postgresql+psycopg://user@host/database."
        ) from error
    except ModuleNotFoundError as error:
        raise StoreError(f"{error}: PostgreSQL needs `pip install benang[postgres]`.") from error


def _prepare(engine: Engine, settings: Mapping[str, str], then: Any = None) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: object) -> None:
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for name, value in settings.items():
                    _set(cursor, name, value)
                if then is not None:
                    then(cursor)
            connection.autocommit = False
        except BaseException:
            connection.close()
            raise


def _set(cursor: Any, name: str, value: str) -> None:
    cursor.execute("SELECT set_config(%s, %s, false)", (name, value))
    (got,) = cursor.execute("SELECT setting FROM pg_settings WHERE name = %s", (name,)).fetchone()
    if got != value:
        raise StoreError(f"PostgreSQL refused {name}={value} (it says {got!r}).")


def _require_durable(cursor: Any) -> None:
    """Refuse a server on which a confirmed commit may be lost, or on which nothing can be written."""
    asked = ("fsync", "full_page_writes", "server_encoding", "server_version_num")
    found = dict(cursor.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", (list(asked),)))
    for name in ("fsync", "full_page_writes"):
        if found[name] != "on":
            raise StoreError(
                f"The PostgreSQL server runs with {name}={found[name]}: a crash of its machine could lose or damage what "
                f"was acknowledged. Set {name}=on and reload it."
            )
    if int(found["server_version_num"]) < MIN_VERSION:
        raise StoreError("The PostgreSQL server is older than version 14. Bring it up to date.")
    if found["server_encoding"] != "UTF8":
        raise StoreError(
            f"The database is encoded in {found['server_encoding']}. Create it with ENCODING 'UTF8'."
        )
    if cursor.execute("SELECT pg_is_in_recovery()").fetchone()[0]:
        raise StoreError(
            "This PostgreSQL server is a standby: nothing can be written to it. Name the primary."
        )


def begin_migration(connection: Connection) -> bool:
    """Wait for no lock longer than some seconds; make the tables of a new store, and say whether it was one."""
    connection.execute(text("SELECT set_config('lock_timeout', :ms, true)"), {"ms": str(MIGRATION_LOCK_MS)})
    is_new = connection.execute(text("SELECT to_regclass('alembic_version') IS NULL")).scalar_one()
    if is_new:
        metadata.create_all(connection, checkfirst=False)
    return bool(is_new)


def is_writable(connection: Connection) -> bool:
    """Say whether the server takes changes: it is no standby, and no operator made it read-only."""
    asked = text("SELECT NOT pg_is_in_recovery() AND reset_val = 'off' FROM pg_settings WHERE name = :name")
    return bool(connection.execute(asked, {"name": "default_transaction_read_only"}).scalar_one())


def keeps_checksums(connection: Connection) -> bool:
    """Say whether the server keeps checksums of its pages, so that it notices those that are damaged."""
    return bool(connection.execute(text("SELECT current_setting('data_checksums') = 'on'")).scalar_one())


def writer_name() -> str:
    """Return what this process calls itself on the server when it writes."""
    return f"benang {socket.gethostname()[:40]} {os.getpid()}"


def owner(connection: Connection) -> Owner | None:
    """Return who holds the lock of the store."""
    asked = text(
        "SELECT pid, application_name FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND database = "
        "(SELECT oid FROM pg_database WHERE datname = current_database()) "
        "AND (classid::bigint << 32 | objid::bigint) = :key"
    )
    found = connection.execute(asked, {"key": connection.execute(text(_KEY)).scalar_one()}).first()
    return None if found is None else Owner(found.pid, found.application_name)


def last_number(connection: Connection, table: str) -> int:
    """Return the last number that a table gave to a row, be the row there or not."""
    asked = text("SELECT pg_sequence_last_value(pg_get_serial_sequence(:name, 'seq')::regclass)")
    return int(connection.execute(asked, {"name": table}).scalar() or 0)


def set_last_number(connection: Connection, table: str, number: int) -> None:
    """Let a table go on counting after `number`."""
    asked = text("SELECT setval(pg_get_serial_sequence(:name, 'seq')::regclass, :last, :used)")
    connection.execute(asked, {"name": table, "last": max(number, 1), "used": number > 0})


def told(url: str) -> str:
    """Return a URL as it may be shown: without its password."""
    return make_url(url).render_as_string(hide_password=True)
