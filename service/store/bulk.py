"""Many rows at the price of one statement, and long lists in parts that fit into one."""

from __future__ import annotations

import functools
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import insert

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Dialect, Table


T = TypeVar("T")

CHUNK = 500
"""Values in one statement: well below what any database takes."""


def chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut a list into parts that fit into one statement."""
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert `rows`, which all name the same columns and hold what the driver takes as it is."""
    if not rows:
        return
    statement, order = _compiled(connection.dialect, table, tuple(sorted(rows[0])))
    if order is None:
        connection.execute(insert(table), rows)
    else:
        # SQLAlchemy would look at every value of every row: for a wide table longer than the database takes.
        connection.exec_driver_sql(statement, list(map(itemgetter(*order), rows)))


@functools.lru_cache(maxsize=64)
def _compiled(dialect: Dialect, table: Table, names: tuple[str, ...]) -> tuple[str, tuple[str, ...] | None]:
    """Return the statement and the order of its values, None where the driver takes them by name, or there is one."""
    compiled = insert(table).compile(dialect=dialect, column_keys=list(names))
    order = compiled.positiontup
    return str(compiled), None if order is None or len(order) == 1 else tuple(order)
