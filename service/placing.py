"""Files that appear whole: made under another name in the same folder, synced, then renamed."""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PART = ".benang-part-"


@contextmanager
def part_in(folder: Path) -> Iterator[Path]:
    """Lend the name of a file to be made in `folder`, readable by its owner only, and remove it if it is still there.

    What killed processes left of theirs is removed first.
    """
    handle, name = tempfile.mkstemp(prefix=PART, dir=folder)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        for left in folder.glob(f"{PART}*"):
            if left != Path(name):
                _remove_unowned(left)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
        os.close(handle)


def put_in_place(made: Path, place: Path) -> None:
    """Let the file `made` stand under the name `place`, of the same disk, at once and durably."""
    handle = os.open(made, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    made.replace(place)
    sync_folder(place.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_unowned(left: Path) -> None:
    with suppress(OSError):  # somebody at work on it owns it
        handle = os.open(left, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()
        finally:
            os.close(handle)
