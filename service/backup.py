"""A store into a file of its own while it is written to, and back: always whole, always checked before it is trusted."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from service.check import check_store
from service.placing import part_in, put_in_place, sync_folder
from service.store import copying
from service.store.acknowledged import read_acknowledged
from service.store.changes import tell_restored
from service.store.copying import CopyError
from service.store.engine import migrate, writer_engine
from service.store.sqlite import FILE, own_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.check import Finding
    from service.store.copying import Held, Progress

NAME = "benang-{:%Y%m%dT%H%M%S%fZ}.db"
OURS = "benang-????????T????????????Z.db"
NOTE = "backed_up"
"""In the data folder: when its last backup was made, in seconds since 1970, for whoever watches the service."""
_WORK = ".benang-restore-"


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made, and the older ones that were removed for it."""

    file: Path
    size: int
    held: Held
    removed: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Restored:
    """A store that was put in place: what it holds, what a check of it found, and where the one before is kept."""

    held: Held
    findings: tuple[Finding, ...]
    aside: Path | None

    @property
    def is_sound(self) -> bool:
        """Whether the check found nothing that the service does not mend by itself."""
        return all(one.ok or one.name == "vectors" for one in self.findings)


def back_up(data: Path, to: Path, *, keep: int | None, progress: Progress) -> Backup:
    """Copy the store in `data` to the file `to`, or into the folder `to` under a name that tells the time.

    In a folder, only the newest `keep` backups stay (None: all). The file appears when it is whole, checked and durable;
    until then one that stood there stays.

    Raises:
        CopyError: the copy cannot be made, or must not stand there.
    """
    is_folder = to.is_dir()
    if keep is not None and not is_folder:
        raise CopyError(
            f"There is no folder {to}, and --keep counts backups in one. Make it first, or leave --keep out."
        )
    file = to / NAME.format(datetime.now(tz=UTC)) if is_folder else to
    _refuse_bad_places(data, file)
    with _speaking_of(file), part_in(file.parent) as part:
        copying.copy_store(data, part, progress)
        held = copying.examine(part)
        put_in_place(part, file)
        removed = _keep_newest(to, keep) if keep is not None else ()
    with contextlib.suppress(OSError):  # who may only read the store may still back it up
        (data / NOTE).write_text(f"{time.time():.0f}\n", encoding="ascii")
    return Backup(file, file.stat().st_size, held, removed)


def last_backup(data: Path) -> float:
    """Return when the store in `data` was last backed up, in seconds since 1970; 0 for never."""
    with contextlib.suppress(OSError, ValueError):
        return float((data / NOTE).read_text(encoding="ascii"))
    return 0.0


def _refuse_bad_places(data: Path, file: Path) -> None:
    if not file.parent.is_dir():
        raise CopyError(f"There is no folder {file.parent}. Make it first.")
    if file.parent.resolve() == data.resolve():
        raise CopyError(f"{data} holds the store itself. Name a place outside, best on another disk.")
    if file.name == FILE and file.exists():
        raise CopyError(f"{file} is a store, not a backup. Name another file.")
    if file.exists() and not copying.is_database(file):
        raise CopyError(f"{file} is something else and is not written over. Name another file.")


def _keep_newest(folder: Path, keep: int) -> tuple[Path, ...]:
    old = sorted(folder.glob(OURS))[:-keep]
    for file in old:
        file.unlink()
    sync_folder(folder)
    return tuple(old)


def restore(backup: Path, data: Path, *, replace: bool, progress: Progress) -> Restored:
    """Put a backup in place as the store of `data`, brought to this version's schema.

    A store that is there is kept beside it, and only replaced when told so.

    Raises:
        FolderInUseError: a process writes to the store.
        CopyError: the backup cannot be trusted, or a store is there.
        StoreError: the folder cannot hold a store.
    """
    if not backup.is_file():
        raise CopyError(f"There is no file {backup}.")
    with own_folder(data), _speaking_of(data):
        _refuse_to_replace(data, replace=replace)
        with new_store(data) as made:
            copying.copy_file(backup, made / FILE, progress)
            held = copying.examine(made / FILE)
            return Restored(held, *settle(made, data))


def _refuse_to_replace(data: Path, *, replace: bool) -> None:
    store = data / FILE
    if not store.exists() or replace:
        return
    try:
        articles = f"{copying.examine(store).articles:,} articles"
    except CopyError:
        articles = "damage in it"
    raise CopyError(
        f"There is a store in {data}, with {articles}. Name an empty folder, or say --replace: the store that is there "
        "is then kept beside the new one."
    )


@contextlib.contextmanager
def new_store(data: Path) -> Iterator[Path]:
    """Lend a folder on the disk of `data`, which the caller owns, to make a store in; what killed processes left goes."""
    for left in data.glob(f"{_WORK}*"):
        shutil.rmtree(left)
    made = Path(tempfile.mkdtemp(prefix=_WORK, dir=data))
    try:
        yield made
    finally:
        shutil.rmtree(made)


def settle(made: Path, data: Path) -> tuple[tuple[Finding, ...], Path | None]:
    """Bring the store in the folder `made` up to date, check it and put it in place; return findings, and the old one's place."""
    engine = writer_engine(made)
    try:
        migrate(engine)
        with engine.begin() as connection:
            findings = tuple(check_store(connection))
            # Above all that this folder has answered, whatever the clock says.
            tell_restored(connection, max(time.time_ns() // 1000, read_acknowledged(data) + 2))
    finally:
        engine.dispose()  # the last connection folds the log into the file
    aside = data / f"{FILE}.replaced-{datetime.now(tz=UTC):%Y%m%dT%H%M%S%fZ}"
    copying.set_aside(data, aside.name)
    put_in_place(made / FILE, data / FILE)
    return findings, aside if aside.exists() else None


@contextlib.contextmanager
def _speaking_of(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CopyError(f"{place} cannot be written ({error.strerror}).") from error
