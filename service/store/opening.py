"""A store opened for writing: owned, whole, as new as what was answered, and of this version's schema."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from service.store.acknowledged import require_acknowledged
from service.store.engine import (
    migrate,
    own_folder,
    require_complete,
    require_tables,
    require_whole,
    writer_engine,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine


@contextmanager
def owned_store(folder: Path, *, reads_all: bool) -> Iterator[Engine]:
    """Own the store in `folder` until the block ends and lend the engine of its one writer.

    With `reads_all` every page is read before, to see that it is whole: a second for some gigabytes.

    Raises:
        FolderInUseError: another process writes to the folder.
        StoreError: the store is damaged, or its newest commits are gone.
    """
    with own_folder(folder):
        require_complete(folder)
        engine = writer_engine(folder)
        try:
            if reads_all:
                require_whole(engine)
            migrate(engine)
            require_tables(engine)
            with engine.connect() as connection:
                require_acknowledged(connection, folder)
            yield engine
        finally:
            engine.dispose()
