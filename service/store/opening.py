"""A store opened for writing: owned, whole, as new as what was answered, and of this version's schema."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import DBAPIError

from service.store import sqlite
from service.store.acknowledged import require_acknowledged
from service.store.copying import keep_before_migration
from service.store.engine import earlier_schema, migrate, require_tables, writer_engine
from service.store.failures import StoreError, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

    from service.store.engine import Place


log = structlog.get_logger()


@contextmanager
def owned_store(place: Place, *, reads_all: bool = False) -> Iterator[Engine]:
    """Own a store until the block ends and lend the engine of its one writer.

    With `reads_all` every page of an SQLite file is read before, to see that it is whole: a second for some gigabytes.
    PostgreSQL looks at pages as it reads them. An SQLite file of an earlier schema is read so too, and copied beside itself,
    before it is brought to this version's.

    Raises:
        StoreInUseError: another process writes to it.
        StoreError: it cannot be reached or written to, is damaged, or its newest commits are gone.
    """
    with ExitStack() as closing:
        if isinstance(place, Path):
            closing.enter_context(sqlite.own_folder(place))
            sqlite.require_complete(place)
        engine = writer_engine(place)
        closing.callback(engine.dispose)
        if isinstance(place, Path):
            earlier = earlier_schema(engine)
            if reads_all or earlier is not None:
                sqlite.require_whole(engine)
            if earlier is not None:
                log.info("store_kept", schema=earlier, file=str(keep_before_migration(place)))
        migrate(engine)
        require_tables(engine)
        if isinstance(place, Path):
            with engine.connect() as connection:
                require_acknowledged(connection, place)
        yield engine


@contextmanager
def all_or_nothing(engine: Engine) -> Iterator[Connection]:
    """Lend a connection whose one transaction becomes true when the block ends.

    Raises:
        StoreError: the database failed; the message says how.
    """
    try:
        with engine.begin() as connection:
            yield connection
    except DBAPIError as error:
        first_line = str(error.orig).strip().partition("\n")[0]
        other = f"The database failed ({first_line}); nothing was changed."
        raise StoreError(_WHY.get(kind_of(error), other)) from error


_WHY = {
    "full": "There is no room for it on the disk of the store; nothing was changed.",
    "lost": "The connection to the database was lost. Run it again.",
    "corrupt": "The store is damaged, `benang check` says where; nothing was changed.",
}
