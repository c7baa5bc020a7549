"""Rows met term by term against plain dictionaries."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from helpers import article_vectors, unhurried
from hypothesis import given
from hypothesis import strategies as st

from embeddings.meeting import (
    HALVES,
    LEAST_LOCAL,
    LOCAL_CROWD,
    Sparse,
    count_terms,
    local_cosine,
    meet,
    table_size,
    told,
    weigh_locally,
)
from embeddings.shelf import Shelf
from embeddings.text import TERM_BITS

RARITY = np.array([0.25, 0.5, 1.0, 0.125], dtype=np.float32)
Weights = dict[int, float]

# Identities whose low bits are all alike want one slot of a table.
TERMS = st.integers(0, 7) | st.integers(1, 7).map(lambda part: part << 24) | st.just(TERM_BITS)
# Weights in 64ths add up exactly; one that storing has lost is 0.
ROW = st.dictionaries(TERMS, st.integers(0, 64).map(lambda part: part / 64), max_size=9)
ROWS = st.lists(ROW, min_size=1, max_size=6)


def shelved(rows: list[Weights], field: str = "lead") -> Sparse:
    shelf = Shelf(1)
    shelf.extend([article_vectors([0], **{field: row}) for row in rows], [0] * len(rows), [0] * len(rows))
    return shelf.terms[field].compiled


def counted(column: Sparse, rows: list[int], dirt: int = 0) -> tuple[Any, Any]:
    asked = np.array(rows, dtype=np.int64)
    size = table_size(column, asked, np.array([0, len(rows)]))
    keys, counts = np.full(size, dirt, dtype=np.int64), np.full(size, dirt, dtype=np.int64)
    count_terms(column, asked, keys, counts)
    return keys, counts


def weighed(column: Sparse, row: int, table: tuple[Any, Any]) -> tuple[Any, float]:
    into = np.zeros(int(column.ends[row + 1] - column.ends[row]))
    squares = weigh_locally(column, row, *table, HALVES, into)
    return into, squares


def plainly_local(row: Weights, holders: Counter[int]) -> Weights:
    def kept(term: int) -> float:
        return math.log((1 + LOCAL_CROWD) / (1 + holders[term])) / math.log(1 + LOCAL_CROWD)

    return {term: row[term] * max(kept(term), LEAST_LOCAL) for term in sorted(row)}


@unhurried
@given(ROWS, ROWS, st.data())
def test_rows_share_what_dictionaries_share(
    ones: list[Weights], others: list[Weights], data: st.DataObject
) -> None:
    """Cosine, count, what either side shares, the rarest term and the key term are those of the common keys."""
    row = data.draw(st.integers(0, len(ones) - 1))
    other_row = data.draw(st.integers(0, len(others) - 1))
    one, other = ones[row], others[other_row]
    common = [term for term in one if one[term] * other.get(term, 0) > 0]
    met = meet(shelved(ones), row, shelved(others), other_row, HALVES, RARITY)

    assert met.cosine == sum(one[term] * other[term] for term in common)
    assert met.terms == len(common)
    assert met.here == sum(one[term] ** 2 for term in common)
    assert met.there == sum(other[term] ** 2 for term in common)
    assert met.rarest == max((float(RARITY[term % 4]) for term in common), default=0)
    assert met.key == max(
        (math.sqrt(one[term] * other[term]) * float(RARITY[term % 4]) for term in common), default=0
    )


@unhurried
@given(ROWS, st.data())
def test_meeting_turned_round_is_the_same_bit_for_bit(rows: list[Weights], data: st.DataObject) -> None:
    """Who asks whom changes nothing but the sides of `here` and `there`."""
    number = st.integers(0, len(rows) - 1)
    one, other = data.draw(number), data.draw(number)
    column = shelved(rows)
    met = meet(column, one, column, other, HALVES, RARITY)
    turned = meet(column, other, column, one, HALVES, RARITY)

    assert met == turned._replace(here=turned.there, there=turned.here)


def test_long_rows_meet_as_their_sets_do() -> None:
    """Rows of hundreds of wide identities: the same as one pair of sets at a time."""
    chance = np.random.default_rng(5)
    words = np.unique(chance.integers(0, TERM_BITS + 1, 900))
    rows = [
        {int(term): 0.5 for term in chance.choice(words, size, replace=False)}
        for size in chance.integers(0, 400, 40)
    ]
    column = shelved(rows)
    for one, other in chance.integers(0, 40, (500, 2)).tolist():
        met = meet(column, one, column, other, HALVES, RARITY)
        common = len(rows[one].keys() & rows[other].keys())
        assert met[:4] == (common / 4, common, common / 4, common / 4)


def test_every_half_has_its_value() -> None:
    """All bit patterns give the number they stand for; what is no finite number gives 0."""
    patterns = np.arange(1 << 16, dtype=np.uint16)
    with np.errstate(invalid="ignore"):
        values = patterns.view(np.float16).astype(np.float64)
    finite = np.isfinite(values)

    assert values[finite].tolist() == HALVES[patterns[finite]].tolist()
    assert not HALVES[~finite].any()


@unhurried
@given(ROWS, st.lists(st.lists(st.integers(0, 5), max_size=9), max_size=5))
def test_a_table_holds_any_stretch_at_most_half_full(rows: list[Weights], stretches: list[list[int]]) -> None:
    """The size is the least power of two, from 16 on, that is twice the terms of the longest stretch."""
    chosen = [[row % len(rows) for row in stretch] for stretch in stretches]
    bounds = np.cumsum([0, *map(len, chosen)])
    flat = np.array([row for stretch in chosen for row in stretch], dtype=np.int64)
    most = max((sum(len(rows[row]) for row in stretch) for stretch in chosen), default=0)
    expected = next(1 << bits for bits in range(4, 20) if 1 << bits >= 2 * most)

    assert expected == table_size(shelved(rows), flat, bounds)


@unhurried
@given(ROWS, st.lists(st.integers(0, 5), max_size=45), st.integers(0, 7))
def test_terms_are_counted_as_a_counter_counts(rows: list[Weights], chosen: list[int], dirt: int) -> None:
    """Each term once with the number of rows that hold it, whatever the table held before."""
    chosen = [row % len(rows) for row in chosen]
    keys, counts = counted(shelved(rows), chosen, dirt)
    held = [(key, count) for key, count in zip(keys.tolist(), counts.tolist(), strict=True) if key >= 0]
    expected = Counter(term for row in chosen for term in rows[row])

    assert expected == dict(held)
    assert len(expected) == len(held)


@unhurried
@given(ROWS, st.lists(st.integers(0, 5), max_size=45), st.data())
def test_local_weights_are_those_of_the_formula(
    rows: list[Weights], chosen: list[int], data: st.DataObject
) -> None:
    """A weight keeps the less of itself the more rows hold its term, but never less than a fiftieth."""
    chosen = [row % len(rows) for row in chosen]
    column = shelved(rows)
    row = data.draw(st.integers(0, len(rows) - 1))
    weights, squares = weighed(column, row, counted(column, chosen))
    expected = plainly_local(rows[row], Counter(term for held in chosen for term in rows[held]))

    assert pytest.approx(list(expected.values()), rel=1e-12) == weights.tolist()
    assert pytest.approx(sum(weight**2 for weight in expected.values()), rel=1e-12) == squares


@pytest.mark.parametrize(("holders", "kept"), [(0, 1.0), (1, 0.79815), (30, 0.02), (45, 0.02)])
def test_a_term_loses_what_its_holders_take(holders: int, kept: float) -> None:
    """Worked by hand: one holder takes a fifth, thirty take all but a fiftieth."""
    column = shelved([{3: 0.5}])

    assert pytest.approx(kept / 2, abs=1e-5) == weighed(column, 0, counted(column, [0] * holders))[0][0]


@unhurried
@given(ROWS, st.lists(st.integers(0, 5), max_size=45), st.data())
def test_local_cosine_is_that_of_reweighed_dictionaries(
    rows: list[Weights], chosen: list[int], data: st.DataObject
) -> None:
    """The cosine of both rows once their weights are local; 0 where either has none."""
    chosen = [row % len(rows) for row in chosen]
    column = shelved(rows)
    number = st.integers(0, len(rows) - 1)
    row, other = data.draw(number), data.draw(number)
    table = counted(column, chosen)
    (mine, squares), (theirs, other_squares) = weighed(column, row, table), weighed(column, other, table)
    cosine = local_cosine(column, row, mine, squares, other, theirs, other_squares)
    holders = Counter(term for held in chosen for term in rows[held])
    a, b = plainly_local(rows[row], holders), plainly_local(rows[other], holders)
    norm = math.sqrt(sum(x * x for x in a.values()) * sum(x * x for x in b.values()))
    product = sum(a[term] * b[term] for term in a.keys() & b.keys())

    assert pytest.approx(product / norm if norm else 0.0, rel=1e-9) == cosine
    assert cosine == local_cosine(column, other, theirs, other_squares, row, mine, squares)


@unhurried
@given(ROWS, ROWS, st.data())
def test_told_is_the_share_that_the_other_holds(
    heads: list[Weights], leads: list[Weights], data: st.DataObject
) -> None:
    """Of the squared weights of a headline, those whose terms the other lead holds; half where there are none."""
    row = data.draw(st.integers(0, len(heads) - 1))
    other = data.draw(st.integers(0, len(leads) - 1))
    titles, column = shelved(heads, "title"), shelved(leads)
    weights, squares = weighed(titles, row, counted(column, list(range(len(leads)))))
    local = plainly_local(heads[row], Counter(term for lead in leads for term in lead))
    whole = sum(weight**2 for weight in local.values())
    found = sum(weight**2 for term, weight in local.items() if term in leads[other])

    assert pytest.approx(found / whole if whole else 0.5, rel=1e-9) == told(
        titles, row, weights, squares, column, other
    )
