"""Every row of a store as plain values, whichever database holds it, and such rows written into a new one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Float, Integer, LargeBinary, MetaData, func, select
from sqlalchemy.exc import DatabaseError

from service.store.bulk import insert_rows
from service.store.engine import last_number, set_last_number
from service.store.failures import StoreError
from service.store.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sqlalchemy import Column, Connection, Engine, Table

CHUNK = 500
_INT_BITS = 63
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Extent:
    """How many rows a table has, and the last number it gave out: numbers of deleted rows are not given out again."""

    rows: int
    last: int


def extents(connection: Connection) -> dict[str, Extent]:
    """Measure every table, in the order in which rows have to be written."""
    return {
        table.name: Extent(
            connection.execute(select(func.count()).select_from(table)).scalar_one(),
            last_number(connection, table.name) if "seq" in table.c else 0,
        )
        for table in metadata.sorted_tables
    }


def all_rows(connection: Connection) -> Iterator[tuple[str, Row]]:
    """Yield every row with the name of its table, in the order in which they have to be written."""
    for table in metadata.sorted_tables:
        for part in rows_of(connection, table):
            for row in part:
                yield table.name, row


def rows_of(connection: Connection, table: Table) -> Iterator[list[Row]]:
    """Yield the rows of a table in order, some hundreds at a time."""
    query = select(table).order_by(*table.primary_key).execution_options(yield_per=CHUNK)
    for part in connection.execute(query).mappings().partitions():
        yield [dict(row) for row in part]


def write_rows(engine: Engine, rows: Iterable[tuple[str, Row]], measured: Mapping[str, Extent]) -> None:
    """Write rows into a store that has the schema they were read from and holds nothing.

    Raises:
        StoreError: a row does not fit into its table, or their number is not the one `measured`.
    """
    with engine.connect() as connection:
        known = MetaData()
        known.reflect(connection)
    tables = {name: known.tables[name] for name in measured if name in known.tables}
    if missing := measured.keys() - tables.keys():
        raise StoreError(f"There is no table {min(missing)} in that schema.")
    for name, part in _parts(rows):
        if name not in tables:
            raise StoreError(f"There is no table {name} in that schema.")
        for row in part:
            _check(tables[name], row)
        try:
            with engine.begin() as connection:
                insert_rows(connection, tables[name], part)
        except DatabaseError as error:
            raise StoreError(f"Rows of {name} contradict each other, or name what is not there.") from error
    with engine.begin() as connection:
        for name, table in tables.items():
            found = connection.execute(select(func.count()).select_from(table)).scalar_one()
            if found != measured[name].rows:
                raise StoreError(f"{name} should have {measured[name].rows:,} rows, but {found:,} came.")
            if "seq" in table.c:
                set_last_number(connection, name, measured[name].last)


def _parts(rows: Iterable[tuple[str, Row]]) -> Iterator[tuple[str, list[Row]]]:
    name, part = "", list[Row]()
    for table, row in rows:
        if part and (table != name or len(part) == CHUNK):
            yield name, part
            part = []
        name = table
        part.append(row)
    if part:
        yield name, part


def _check(table: Table, row: Row) -> None:
    if row.keys() != set(table.c.keys()):
        raise StoreError(f"A row of {table.name} has other columns than that table.")
    for column in table.c:
        if not _fits(column, row[column.name]):
            raise StoreError(f"A row of {table.name} has a {column.name} that cannot be stored there.")


def _fits(column: Column[Any], value: Any) -> bool:
    if value is None:
        return bool(column.nullable)
    if isinstance(column.type, Integer):
        return type(value) is int and value.bit_length() <= _INT_BITS
    if isinstance(column.type, Float):
        return type(value) in {int, float}
    return type(value) is (bytes if isinstance(column.type, LargeBinary) else str)
