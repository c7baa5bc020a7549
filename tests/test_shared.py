"""What pairs share, reduced: against lists."""

from itertools import pairwise

import numpy as np
from helpers import unhurried
from hypothesis import given
from hypothesis import strategies as st

from embeddings.shared import Shared, meetings, stretches

PRODUCTS = st.lists(st.lists(st.integers(1, 64).map(lambda part: part / 64), max_size=5), max_size=8)


@unhurried
@given(PRODUCTS)
def test_sums_and_maxima_are_those_of_lists(pairs: list[list[float]]) -> None:
    """A pair that shares nothing has 0, wherever it stands."""
    flat = np.array([product for pair in pairs for product in pair], dtype=np.float32)
    bounds = np.cumsum([0, *map(len, pairs)])
    shared = Shared(bounds, np.zeros(len(flat), dtype=np.int32), flat)

    assert [len(pair) for pair in pairs] == shared.counts.tolist()
    assert [sum(pair) for pair in pairs] == shared.sums().tolist()
    assert [max(pair, default=0.0) for pair in pairs] == shared.maxima(shared.products).tolist()


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
@given(
    st.sets(st.tuples(st.integers(0, 3), st.integers(0, 4).map(lambda part: part << 12)), max_size=12),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5).map(lambda part: part << 12)), max_size=12),
)
def test_meetings_are_those_of_a_dictionary(
    known: set[tuple[int, int]], asked: list[tuple[int, int]]
) -> None:
    """Identities whose low bits are all alike want one slot, and are still told apart."""
    rows = sorted(known)
    places = {row: place for place, row in enumerate(rows)}
    columns = [
        np.array([row[side] for row in part], dtype=np.int32) for part in (rows, asked) for side in (0, 1)
    ]
    found = [(number, places[row]) for number, row in enumerate(asked) if row in places]

    assert found == list(zip(*(part.tolist() for part in meetings(*columns)), strict=True))
