"""The store's engines, one writer and many readers: a folder is SQLite's, a URL PostgreSQL's.

What the two do differently stands in `sqlite` and `postgres`; everywhere else the statements are the same.
"""

from __future__ import annotations

import functools
import math
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import event, select
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError

from service.store import postgres, sqlite
from service.store.failures import StoreError, kind_of
from service.store.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine
    from sqlalchemy.engine import ExceptionContext

Place = Path | str
"""Where a store is: the folder of an SQLite file, or the URL of a PostgreSQL database."""
PULSE_S = 2.0
MIGRATIONS = Path(__file__).parent / "migrations"


def writer_engine(place: Place) -> Engine:
    """Return the engine of the one writer: durable at every commit."""
    return sqlite.writer_engine(place) if isinstance(place, Path) else postgres.writer_engine(place)


def reader_engine(place: Place) -> Engine:
    """Return an engine whose connections cannot write, and see one state for the whole of a transaction."""
    return sqlite.reader_engine(place) if isinstance(place, Path) else postgres.reader_engine(place)


def migrate(engine: Engine, schema: str = "head") -> None:
    """Bring the schema to this version, or up to `schema`, in one transaction.

    Raises:
        StoreError: the database does not answer, is not one of ours, is damaged, or has no room.
    """
    config = _config()
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            if is_postgres(connection) and postgres.begin_migration(connection):
                command.stamp(config, "head")
            command.upgrade(config, schema)
    except OperationalError as error:
        if not is_postgres(engine):
            sqlite.require_room(engine, error)
            raise StoreError(_unusable(engine)) from error
        raise StoreError(f"The database does not answer: {_first_line(error)}") from error
    except DatabaseError as error:
        why = f" ({_first_line(error)})" if is_postgres(engine) else ""
        raise StoreError(_unusable(engine) + why) from error
    except CommandError as error:
        raise StoreError(_unusable(engine)) from error


def _unusable(engine: Engine) -> str:
    if is_postgres(engine):
        what_then = "Restore the database, or name another."
    else:
        what_then = "Restore a backup (`benang restore`), or name another folder with --data."
    return f"{engine.url.database} is damaged, or was not written by this version of benang. {what_then}"


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().partition("\n")[0]


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
        raise StoreError(
            _unusable(engine) if is_postgres(engine) else sqlite.damaged(engine, str(error.orig))
        ) from error


def checkpoint(engine: Engine) -> None:
    """Move what SQLite's write-ahead log holds into the file; PostgreSQL does so by itself."""
    if not is_postgres(engine):
        sqlite.checkpoint(engine)


def schema_is_current(engine: Engine) -> bool:
    """Say whether the store has the schema this version writes."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() == known_schemas()[-1]


def earlier_schema(engine: Engine) -> str | None:
    """Return the schema of a store that an earlier version wrote; None for one of this version, and for what is no store yet."""
    with suppress(DatabaseError, CommandError), engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
        return found if found in known_schemas()[:-1] else None
    return None  # it cannot be read: whoever migrates it says so


@functools.cache
def known_schemas() -> tuple[str, ...]:
    """Return the schemas that this version can bring up to date, the oldest first, its own last."""
    history = ScriptDirectory.from_config(_config()).walk_revisions()
    return tuple(reversed([one.revision for one in history]))


def last_number(connection: Connection, table: str) -> int:
    """Return the last number that a table gave to a row, be the row there or not."""
    return (postgres.last_number if is_postgres(connection) else sqlite.last_number)(connection, table)


def set_last_number(connection: Connection, table: str, number: int) -> None:
    """Let a table go on counting after `number`."""
    (postgres.set_last_number if is_postgres(connection) else sqlite.set_last_number)(
        connection, table, number
    )


def database_damage(connection: Connection) -> list[str]:
    """Return what the database's own check complains about; PostgreSQL checks pages as it reads them."""
    return [] if is_postgres(connection) else sqlite.damage(connection)


def keeps_checksums(connection: Connection) -> bool | None:
    """Say whether a server keeps checksums of its pages, None for SQLite, which reads all of them instead."""
    return postgres.keeps_checksums(connection) if is_postgres(connection) else None


def on_damage(engine: Engine, call: Callable[[], None]) -> None:
    """Call this whenever the database complains of damage."""

    @event.listens_for(engine, "handle_error")
    def on_error(context: ExceptionContext) -> None:
        error = context.sqlalchemy_exception
        if error is not None and kind_of(error) == "corrupt":
            call()


def conditions(place: Place, reader: Engine, min_disk_free: int) -> dict[str, bool]:
    """Say which conditions for writing hold, as far as they can be seen from a reader's connection."""
    if isinstance(place, Path):
        return {"disk_free": sqlite.disk_free(place) >= min_disk_free}
    with reader.connect() as connection:
        owner = postgres.owner(connection)
        return {
            "store_writable": postgres.is_writable(connection),
            "lock_held": owner is not None and owner.name == postgres.writer_name(),
        }


def pulse_s(place: Place) -> float | None:
    """Return how long a writer may stand idle before it looks whether it still has its connection; None: for ever."""
    return None if isinstance(place, Path) else PULSE_S


def make_sure(engine: Engine) -> None:
    """Make sure that the database answers; raises what the driver says where it does not."""
    with engine.connect() as connection:
        connection.execute(select(1))


def bytes_free(place: Place) -> float:
    """Return the free space where the store lies, NaN for a server's."""
    return sqlite.disk_free(place) if isinstance(place, Path) else math.nan


def exists(place: Place) -> bool:
    """Say whether there is a store at a place; a server's tells when it is read."""
    return not isinstance(place, Path) or (place / sqlite.FILE).is_file()


def is_owned(place: Place) -> bool:
    """Say whether a process writes to a store.

    Raises:
        StoreError: the database does not answer.
    """
    if isinstance(place, Path):
        return sqlite.is_owned(place)
    engine = reader_engine(place)
    try:
        with engine.connect() as connection:
            return postgres.owner(connection) is not None
    except DBAPIError as error:
        raise StoreError(f"The database does not answer: {_first_line(error)}") from error
    finally:
        engine.dispose()


def reaches(place: Place) -> bool:
    """Say whether a store, or a folder, can be reached from here."""
    if isinstance(place, Path):
        return place.is_dir()
    engine = reader_engine(place)
    try:
        with engine.connect():
            return True
    except DBAPIError:
        return False
    finally:
        engine.dispose()


def is_postgres(bind: Engine | Connection) -> bool:
    """Say whether this is PostgreSQL."""
    return bind.dialect.name == "postgresql"


def told(place: Place) -> str:
    """Return a place as it may be shown, without a password."""
    return str(place) if isinstance(place, Path) else postgres.told(place)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
