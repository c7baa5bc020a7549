"""Many rows into a table at the price of one statement."""

from __future__ import annotations

import functools
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Dialect, Table


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert `rows`, which all name the same columns, two or more, and hold what the driver takes as it is."""
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
    """Return the statement and the order of its values, None where the driver takes them by name."""
    compiled = insert(table).compile(dialect=dialect, column_keys=list(names))
    order = compiled.positiontup
    return str(compiled), None if order is None else tuple(order)
