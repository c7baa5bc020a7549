"""A database file copied whole beside its writer, looked at before it is trusted, and kept before it is migrated or replaced."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.placing import part_in, put_in_place, sync_folder
from service.store.engine import known_schemas
from service.store.failures import StoreError
from service.store.sqlite import FILE, disk_free

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Progress = Callable[[int, int], None]
    """Hears bytes done and bytes in all."""

PAGES = 2048
"""Copied in one step; the writer and the bar move between steps."""
KEPT = "before-{}.db"
"""In the data folder: the store as it was before it was brought to a schema."""
MAGIC = b"SQLite format 3\0"
_BUSY_S = 10.0


class CopyError(StoreError):
    """A file cannot be copied or trusted; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a database file holds; `newest_us` is when its last article was received, None where there is none."""

    schema: str
    articles: int
    clusters: int
    stories: int
    newest_us: int | None


def copy_store(folder: Path, target: Path, progress: Progress) -> None:
    """Copy the store in `folder`, as it is at one moment, to the file `target`; its writer may go on.

    Raises:
        CopyError: it cannot be read, or there is no room for the copy.
    """
    with _speaking_of(folder / FILE):
        live = sqlite3.connect(folder / FILE, timeout=_BUSY_S, isolation_level=None)
        with closing(live):
            live.execute("PRAGMA query_only=1")
            _copy(live, target, progress)


def keep_before_migration(folder: Path) -> Path:
    """Copy the store in `folder` beside itself before it is brought to this version's schema, and return the copy's place.

    The copy is checked, and replaces one that was made before the same step.

    Raises:
        CopyError: there is no room for the copy, or it cannot be made.
    """
    schema = known_schemas()[-1]
    kept = folder / KEPT.format(schema)
    needed = sum(one.stat().st_size for one in (folder / FILE, folder / f"{FILE}-wal") if one.exists())
    if disk_free(folder) < needed:
        raise CopyError(
            f"{folder / FILE} is of an earlier schema and is copied to {kept} before it is brought to {schema}, but there is no "
            f"room for {needed:,} bytes on that disk. Make room; nothing was changed."
        )
    try:
        with part_in(folder) as part:
            copy_store(folder, part, lambda _done, _total: None)
            examine(part)
            put_in_place(part, kept)
    except OSError as error:
        raise CopyError(f"{kept} cannot be written ({error.strerror}); nothing was changed.") from error
    return kept


def copy_file(source: Path, target: Path, progress: Progress) -> None:
    """Copy a database that nobody writes to; `source` and what lies beside it stay as they are.

    Raises:
        CopyError: it cannot be read, or there is no room for the copy.
    """
    with _speaking_of(source), closing(_still(source)) as connection:
        _copy(connection, target, progress)


def examine(file: Path) -> Held:
    """Return what a database file holds that nobody writes to, read to its last page.

    Raises:
        CopyError: it is damaged, no store of ours, or of a later version.
    """
    with _speaking_of(file), closing(_still(file)) as connection:
        damage = [row[0] for row in connection.execute("PRAGMA integrity_check(3)") if row[0] != "ok"]
        if damage:
            raise CopyError(f"{file} is damaged ({damage[0].splitlines()[0]}). Take another backup.")
        try:
            (schema,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except (sqlite3.OperationalError, TypeError) as error:
            raise CopyError(f"{file} is no store of benang.") from error
        if schema not in known_schemas():
            raise CopyError(
                f"{file} was written by a later version of benang (schema {schema}; this one knows up to "
                f"{known_schemas()[-1]}). Install that version, or take another backup."
            )
        counts = connection.execute(
            "SELECT (SELECT count(*) FROM articles), (SELECT count(*) FROM clusters), "
            "(SELECT count(*) FROM stories), (SELECT max(received_us) FROM articles)"
        ).fetchone()
        return Held(schema, *counts)


def is_blank(file: Path) -> bool:
    """Say whether a store that nobody writes to holds nothing, and never did.

    Raises:
        CopyError: it cannot be read.
    """
    with _speaking_of(file), closing(_still(file)) as connection:
        query = "SELECT EXISTS (SELECT 1 FROM articles) OR EXISTS (SELECT 1 FROM tombstones)"
        return not connection.execute(query).fetchone()[0]


def is_database(file: Path) -> bool:
    """Say whether a file begins as SQLite's do."""
    with file.open("rb") as begin:
        return begin.read(len(MAGIC)) == MAGIC


def set_aside(folder: Path, aside: str) -> None:
    """Keep the store of `folder`, or what is left of it, under the name `aside` too; its own name is free to be replaced.

    A log that can be folded into its file is, any other goes aside: beside a new file it would be taken for a part of
    that. There is no moment in which the store is under neither name.

    Raises:
        OSError: the disk cannot hold one file under two names.
    """
    store = folder / FILE
    if store.exists():
        # It may be damaged, which may be why it is replaced: then file and log are kept as they are.
        with suppress(sqlite3.Error), closing(sqlite3.connect(store, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE").fetchone()
        os.link(store, folder / aside)
    log, index = (store.with_name(f"{FILE}{end}") for end in ("-wal", "-shm"))
    if log.exists():
        log.rename(folder / f"{aside}-wal")
    index.unlink(missing_ok=True)
    sync_folder(folder)


def _still(file: Path) -> sqlite3.Connection:
    """Open a file that nobody writes to, without leaving anything beside it."""
    # Immutable: no log is made in a folder that may be read-only. With a log beside it the file alone is not all.
    log = file.with_name(f"{file.name}-wal")
    mode = "mode=ro" if log.exists() else "mode=ro&immutable=1"
    return sqlite3.connect(f"{file.resolve().as_uri()}?{mode}", uri=True, isolation_level=None)


def _copy(source: sqlite3.Connection, target: Path, progress: Progress) -> None:
    # Inside one transaction: the copy is of one moment, and a busy writer does not make it begin again and again.
    source.execute("BEGIN")
    source.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (size,) = source.execute("PRAGMA page_size").fetchone()

    def copied(_status: int, left: int, total: int) -> None:
        progress((total - left) * size, total * size)

    with closing(sqlite3.connect(target, isolation_level=None)) as copy:
        copy.execute("PRAGMA synchronous=0")  # synced as a whole when it is put in place
        source.backup(copy, pages=PAGES, progress=copied)
        copy.execute("PRAGMA journal_mode=DELETE").fetchone()  # one file, that needs nothing beside it
    source.execute("ROLLBACK")


@contextmanager
def _speaking_of(file: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE}:
            raise CopyError(
                "There is no room for the copy on that disk. Make room, or name another."
            ) from error
        if code == sqlite3.SQLITE_CANTOPEN:
            raise CopyError(f"{file} cannot be opened.") from error
        raise CopyError(
            f"{file} cannot be read: it is damaged, or no store of benang. Take a backup that is whole."
        ) from error
