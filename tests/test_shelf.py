"""The shelf against plain lists, and its sparse rows against dictionaries."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from helpers import article_vectors, term_vector, term_weights, unhurried, weights_by_term
from hypothesis import given
from hypothesis import strategies as st

from embeddings.meeting import HALVES, meet
from embeddings.shelf import Column, Shelf, SparseColumn, stretches
from embeddings.terms import FIELDS, TermVector
from embeddings.text import TERM_BITS

# Positive: append so many rows (more than the first room of 1,024 at times); negative: take so many back.
STEPS = st.lists(st.integers(0, 9) | st.integers(900, 1500) | st.integers(-1200, -1), max_size=8)
RARITY = np.array([0.5, 0.5, 0.5, 1.0], dtype=np.float32)
SPARSE_ROWS = st.lists(term_weights(max_id=30), min_size=1, max_size=6)


def rows_of(column: SparseColumn, count: int) -> list[dict[int, float]]:
    return [weights_by_term(TermVector(*column.row(row))) for row in range(count)]


def column_of(rows: Sequence[dict[int, float]]) -> SparseColumn:
    column = SparseColumn()
    extend(column, rows)
    return column


def extend(column: SparseColumn, rows: Sequence[dict[int, float]]) -> None:
    vectors = [term_vector(weights) for weights in rows]
    column.extend(
        np.concatenate([np.zeros(0, dtype=np.int32), *(vector.ids for vector in vectors)]),
        np.concatenate([np.zeros(0), *(vector.weights for vector in vectors)]).astype(np.float16),
        np.array([len(vector.ids) for vector in vectors], dtype=np.int64),
    )


@unhurried
@given(STEPS, st.sampled_from([None, 1, 3]))
def test_column_equals_a_list(steps: list[int], width: int | None) -> None:
    """Any history of appending and taking back leaves the rows that a list would hold."""
    column: Column[np.int64] = Column(np.int64, width)
    expected: list[Any] = []
    for step in steps:
        if step >= 0:
            numbers = np.arange(step * (width or 1)) + 1000 * len(expected)
            new = numbers if width is None else numbers.reshape(step, width)
            column.extend(new)
            expected += new.tolist()
        else:
            length = max(0, len(expected) + step)
            column.truncate(length)
            del expected[length:]

        assert expected == column.values.tolist()
        assert len(expected) == len(column)


@unhurried
@given(st.lists(SPARSE_ROWS | st.integers(0, 12), max_size=8))
def test_sparse_column_equals_a_list_of_dictionaries(steps: list[list[dict[int, float]] | int]) -> None:
    """Any history of appending (a list) and cutting (a length) leaves the rows that a list would hold."""
    column, expected = SparseColumn(), list[dict[int, float]]()
    for step in steps:
        if isinstance(step, int):
            column.truncate(step)
            del expected[step:]
        else:
            extend(column, step)
            expected += [dict(sorted(weights.items())) for weights in step]

        assert expected == rows_of(column, len(expected))


@unhurried
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 4)), max_size=9))
def test_stretches_cover_the_positions_of_ranges(parts: list[tuple[int, int]]) -> None:
    """Positions follow part by part, and the bounds say where each part lies."""
    starts, lengths = (np.array([part[side] for part in parts], dtype=np.int64) for side in (0, 1))
    bounds, positions = stretches(starts, lengths)

    assert [list(range(start, start + length)) for start, length in parts] == [
        positions[start:end].tolist() for start, end in pairwise(bounds.tolist())
    ]


@unhurried
@given(SPARSE_ROWS, st.data())
def test_lengths_are_those_of_dictionaries(rows: list[dict[int, float]], data: st.DataObject) -> None:
    """Rows in any order and number, repeated or empty."""
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=12))
    lengths = column_of(rows).lengths(np.array(chosen, dtype=np.intp))

    assert [len(rows[row]) for row in chosen] == lengths.tolist()


@unhurried
@given(st.lists(SPARSE_ROWS | st.integers(0, 12), max_size=5))
def test_compiled_code_reads_the_rows_that_are_there(steps: list[list[dict[int, float]] | int]) -> None:
    """After any history of appending and cutting: identities, the bits of the weights, and where each row ends."""
    column, expected = SparseColumn(), list[dict[int, float]]()
    for step in steps:
        if isinstance(step, int):
            column.truncate(step)
            del expected[step:]
        else:
            extend(column, step)
            expected += step
    ids, bits, ends = column.compiled
    weights = bits.view(np.float16).astype(np.float64)

    assert [dict(sorted(row.items())) for row in expected] == [
        dict(zip(ids[start:end].tolist(), weights[start:end].tolist(), strict=True))
        for start, end in pairwise(ends.tolist())
    ]
    assert ends[-1] == len(ids) == len(bits)


@unhurried
@given(SPARSE_ROWS, st.integers(1, 7), st.data())
def test_heaviest_terms_are_those_of_sorted_dictionaries(
    rows: list[dict[int, float]], limit: int, data: st.DataObject
) -> None:
    """Heaviest first, at equal weight the lower identity; rows may be repeated and empty."""
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=8))
    bounds, ids, weights = column_of(rows).heaviest(np.array(chosen, dtype=np.intp), limit)
    expected = [sorted(rows[row].items(), key=lambda item: (-item[1], item[0]))[:limit] for row in chosen]

    assert expected == [
        list(zip(ids[start:end].tolist(), weights[start:end].tolist(), strict=True))
        for start, end in pairwise(bounds.tolist())
    ]


def test_the_largest_term_identity_fits() -> None:
    """Identities use all of their 31 bits; the smallest is no sign of an empty slot."""
    column = column_of([{0: 0.5, TERM_BITS: 1.0}, {}, {TERM_BITS: 0.5}])
    rows = column.compiled
    pairs = [(0, 0), (0, 2), (1, 0), (2, 0)]

    assert rows_of(column, 1)[0] == {0: 0.5, TERM_BITS: 1.0}
    assert [meet(rows, one, rows, other, HALVES, RARITY).cosine for one, other in pairs] == [
        1.25,
        0.5,
        0,
        0.5,
    ]
    assert meet(rows, 0, rows, 0, HALVES, RARITY).terms == 2


def test_a_weight_that_storing_loses_is_no_shared_term() -> None:
    """A weight below what two bytes hold counts neither as a name nor in a sum, nor for its rarity."""
    rows = column_of([{3: 1e-9, 4: 0.5}]).compiled

    assert meet(rows, 0, rows, 0, HALVES, RARITY) == (0.25, 1, 0.25, 0.25, 0.5, 0.25)


def test_shelf_gives_each_article_its_row() -> None:
    """Rows count up; codes, hours, outlets and terms of a row are those of its article."""
    shelf = Shelf(2)
    vectors = [article_vectors([row, -row], lead={row: 0.5}, names={7: 1.0}) for row in range(5)]

    assert shelf.extend(vectors[:2], [1.5, -3.25], [2**62, -1]) == range(2)
    assert shelf.extend([], [], []) == range(2, 2)
    assert shelf.extend(vectors[2:], [0, 0, 1e6], [3, 4, 5]) == range(2, 5)
    assert [[row, -row] for row in range(5)] == shelf.codes.values.tolist()
    assert [2 * row * row for row in range(5)] == shelf.squares.values.tolist()
    assert shelf.hours.values.tolist() == [1.5, -3.25, 0, 0, 1e6]
    assert shelf.outlets.values.tolist() == [2**62, -1, 3, 4, 5]
    assert [{row: 0.5} for row in range(5)] == rows_of(shelf.terms["lead"], 5)
    assert rows_of(shelf.terms["names"], 5) == [{7: 1.0}] * 5
    assert rows_of(shelf.terms["title"], 5) == [{}] * 5


@pytest.mark.parametrize("length", [0, 1, 3, 4, 9])
def test_a_truncated_shelf_goes_on_as_if_nothing_had_been(length: int) -> None:
    """After taking rows back, new ones get their numbers and nothing of the old shows."""
    old = [article_vectors([row], **{name: {row: 0.25, 9: 1.0} for name in FIELDS}) for row in range(4)]
    new = [article_vectors([50], lead={3: 0.75})]
    shelf, fresh = Shelf(1), Shelf(1)
    shelf.extend(old, range(4), range(4))
    shelf.truncate(length)
    fresh.extend(old[:length], range(min(length, 4)), range(min(length, 4)))
    rows = [part.extend(new, [8], [8]) for part in (shelf, fresh)]

    assert rows[0] == rows[1] == range(min(length, 4), min(length, 4) + 1)
    for name in ("codes", "squares", "hours", "outlets"):
        np.testing.assert_array_equal(getattr(fresh, name).values, getattr(shelf, name).values)
    for name in FIELDS:
        assert rows_of(fresh.terms[name], len(fresh)) == rows_of(shelf.terms[name], len(shelf))


def test_rarity_is_one_unless_given() -> None:
    """Without a background every name counts in full."""
    rarity = np.array([0.25, 0.5], dtype=np.float32)

    assert Shelf(1).rarity.tolist() == [1.0]
    assert Shelf(1, rarity).rarity.tolist() == [0.25, 0.5]
