"""A store copied into another, row by row, whichever databases the two are; and what it takes to see that they are equal."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from service.store.engine import checkpoint, exists, last_number, set_last_number, told
from service.store.failures import StoreError
from service.store.opening import owned_store
from service.store.rows import extents, rows_of
from service.store.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Table

    from service.store.engine import Place


@dataclass(frozen=True, slots=True)
class Content:
    """What a table holds: its rows counted, a digest of them all in order, and the last number it gave."""

    rows: int
    digest: str
    last_number: int


def carry_over(
    source: Place, target: Place, *, on_step: Callable[[str, int], Callable[[int], None]]
) -> dict[str, Content]:
    """Copy a store into an empty one, make sure that both hold the same, and return what that is by table.

    `on_step` is told what begins and of how many rows, and returns what hears of rows that are done. The copy becomes
    true at once at the end, or not at all; nobody writes to either store meanwhile.

    Raises:
        StoreInUseError: another process writes to one of them.
        StoreError: there is no store to copy, or something in the way of the copy, or the copy is not equal.
    """
    if not exists(source):
        raise StoreError(f"There is no store in {told(source)}.")
    with owned_store(source) as from_, owned_store(target) as to:
        with from_.connect() as there, to.begin() as here:
            if not is_empty(here):
                raise StoreError(
                    f"{told(target)} holds a store already. Name an empty database or a new folder."
                )
            rows = sum(one.rows for one in extents(there).values())
            copy_rows(there, here, progress=on_step("copying", rows))
            compared = on_step("comparing", 2 * rows)
            expected, found = contents(there, progress=compared), contents(here, progress=compared)
            if differing := [name for name in expected if expected[name] != found[name]]:
                raise StoreError(f"The copy differs in {', '.join(differing)}; nothing was written.")
        checkpoint(to)
    return found


def is_empty(connection: Connection) -> bool:
    """Say whether a store holds nothing yet."""
    return all(connection.execute(select(table).limit(1)).first() is None for table in metadata.sorted_tables)


def copy_rows(
    source: Connection, target: Connection, *, progress: Callable[[int], None] = lambda _rows: None
) -> None:
    """Write every row of `source` into `target`, which holds none; numbers given out once are not given out again."""
    for table in metadata.sorted_tables:
        for part in rows_of(source, table):
            target.execute(insert(table), part)
            progress(len(part))
        if "seq" in table.c:
            set_last_number(target, table.name, last_number(source, table.name))


def contents(
    connection: Connection, *, progress: Callable[[int], None] = lambda _rows: None
) -> dict[str, Content]:
    """Return by table what a store holds."""
    return {table.name: _content(connection, table, progress) for table in metadata.sorted_tables}


def _content(connection: Connection, table: Table, progress: Callable[[int], None]) -> Content:
    digest, rows = hashlib.sha256(), 0
    for part in rows_of(connection, table):
        for row in part:
            digest.update(repr(sorted(row.items())).encode("utf-8", "surrogatepass"))
        rows += len(part)
        progress(len(part))
    number = last_number(connection, table.name) if "seq" in table.c else 0
    return Content(rows, digest.hexdigest(), number)
