"""The newest change that was answered, kept beside the store: a store that ends before it has lost commits.

The database cannot know by itself that its log was deleted or that an older file was copied over it: both leave a store that is
whole, and older. The number is written after the commit and needs no sync: on the disk it is never ahead of the store.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from service.store.changes import last_change
from service.store.failures import StoreError
from service.store.sqlite import FILE

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from service.store.engine import Place

NAME = "acknowledged"


class Acknowledged:
    """Keeps the number up to date while the store is open."""

    def __init__(self, place: Place) -> None:
        self._handle: int | None = (
            None  # a server keeps its log itself, and a failover may take some of it back
        )
        if isinstance(place, Path):
            self._handle = os.open(place / NAME, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._last = 0

    @property
    def is_kept(self) -> bool:
        """Whether there is a folder to keep the number in."""
        return self._handle is not None

    def note(self, number: int) -> None:
        """Write down the number of the newest change; where the disk takes no more, the older number stays."""
        if self._handle is not None and number != self._last:
            with suppress(OSError):
                os.pwrite(self._handle, f"{number:020}\n".encode(), 0)
                self._last = number

    def close(self) -> None:
        """Close the file."""
        if self._handle is not None:
            os.close(self._handle)


def read_acknowledged(folder: Path) -> int:
    """Return the number that is written in a folder, 0 where there is none."""
    with suppress(OSError, ValueError):
        return int((folder / NAME).read_text(encoding="ascii"))
    return 0


def require_acknowledged(connection: Connection, folder: Path) -> None:
    """Refuse a store that ends before what was answered.

    Raises:
        StoreError: its newest commits are gone; the message says what to do.
    """
    number, last = read_acknowledged(folder), last_change(connection)
    if last < number:
        raise StoreError(
            f"The store in {folder} ends with change {last}, but change {number} was answered: its newest commits are gone. "
            f"Was {FILE}-wal deleted, or an older file copied into place? Put it back, or restore a backup. To go on with "
            f"what is there: `benang restore {folder / FILE} --data {folder} --replace`."
        )
