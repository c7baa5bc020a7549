"""Rows written in bulk against rows written by SQLAlchemy's own statement."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import (
    Column,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    create_engine,
    insert,
    select,
)

from service.store.bulk import insert_rows

TABLE = Table(
    "rows",
    MetaData(),
    Column("seq", Integer, primary_key=True),
    Column("text", Text),
    Column("share", Float),
    Column("blob", LargeBinary),
    Column("order", Integer, nullable=False),  # a word of the language itself
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "text": st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
            "share": st.none() | st.floats(allow_nan=False),
            "blob": st.none() | st.binary(),
            "order": st.integers(-(2**62), 2**62),
        }
    ),
    max_size=5,
)


def written(rows: list[dict[str, Any]], *, in_bulk: bool) -> list[tuple[Any, ...]]:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        TABLE.create(connection)
        if in_bulk:
            insert_rows(connection, TABLE, rows)
        elif rows:
            connection.execute(insert(TABLE), rows)
        return [tuple(row) for row in connection.execute(select(TABLE).order_by(TABLE.c.seq))]


@given(ROWS)
def test_rows_are_those_that_one_statement_writes(rows: list[dict[str, Any]]) -> None:
    """Every kind of value, none included, and columns left to the database; order of names does not matter."""
    turned = [dict(reversed(row.items())) for row in rows]

    assert written(rows, in_bulk=False) == written(rows, in_bulk=True) == written(turned, in_bulk=True)


def test_rows_of_unlike_columns_are_refused() -> None:
    """A value that is missing in a later row is an error, not somebody else's value."""
    with pytest.raises(KeyError):
        written([{"order": 1, "text": "a"}, {"order": 2}], in_bulk=True)
