"""Postings against a dictionary of lists."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from helpers import unhurried
from hypothesis import given
from hypothesis import strategies as st

from embeddings.postings import BLOCK, JOINS, SEARCHES, Asked, Cap, Postings

HOURS = (np.arange(200) % 7).astype(np.float64)
HORIZON, LIMIT = 4.0, 5


class Oracle:
    """What `Postings` promises, term by term."""

    def __init__(self) -> None:
        self.held: dict[int, list[int]] = defaultdict(list)
        self.rows: set[int] = set()

    def search(self, row: int, terms: dict[int, int], cap: Cap) -> list[tuple[int, int]]:
        """Return the best rows and their scores."""
        sums: Counter[int] = Counter()
        most = max(cap.least, min(len(self.rows) // cap.part, cap.most))
        for term, weight in terms.items():
            if len(self.held[term]) <= most:
                for other in self.held[term]:
                    sums[other] += weight
        near = {
            other: score
            for other, score in sums.items()
            if score > 0 and other != row and abs(HOURS[other] - HOURS[row]) <= HORIZON
        }
        return sorted(near.items(), key=lambda item: (-item[1], item[0]))[:LIMIT]


def asked(steps: list[tuple[int, int, dict[int, int]]]) -> Asked:
    """Rows, what each does, and the weights of its terms."""
    ends = np.cumsum([len(terms) for _, _, terms in steps])
    lengths = np.array([len(terms) for _, _, terms in steps])
    return Asked(
        np.array([row for row, _, _ in steps]),
        np.array([does for _, does, _ in steps], dtype=np.uint8),
        ends - lengths,
        ends,
        np.array([term for _, _, terms in steps for term in terms], dtype=np.int32),
        np.array([weight for _, _, terms in steps for weight in terms.values()], dtype=np.int64),
    )


TERMS = st.dictionaries(st.integers(0, 5) | st.sampled_from([2**31 - 2, 77]), st.integers(0, 3), max_size=4)
VISITS = st.lists(st.tuples(st.sampled_from([1, 2, 3]), TERMS), min_size=1, max_size=40)


@unhurried
@given(
    st.lists(st.tuples(VISITS, st.data()), max_size=4),
    st.builds(Cap, st.integers(1, 30), st.integers(1, 5), st.integers(0, 30)),
)
def test_postings_equal_a_dictionary_of_lists(
    history: list[tuple[list[tuple[int, dict[int, int]]], st.DataObject]], cap: Cap
) -> None:
    """Any history of searching, joining and leaving, in visits of any size, gives the answers of plain lists."""
    postings, oracle = Postings(), Oracle()
    live: dict[int, dict[int, int]] = {}
    new = 0
    for visits, data in history:
        steps = [(new + place, does, terms) for place, (does, terms) in enumerate(visits)]
        new += len(visits)
        found = postings.visit(asked(steps), HOURS, HORIZON, LIMIT, cap)
        for place, (row, does, terms) in enumerate(steps):
            expected = oracle.search(row, terms, cap) if does & SEARCHES else []
            count = int(found.counts[place])
            assert expected == list(
                zip(found.rows[place, :count].tolist(), found.scores[place, :count].tolist(), strict=True)
            )
            if does & JOINS:
                live[row] = terms
                oracle.rows.add(row)
                for term in terms:
                    oracle.held[term].append(row)
        for row in data.draw(st.lists(st.sampled_from(sorted(live)), unique=True)) if live else []:
            gone = live.pop(row)
            oracle.rows.discard(row)
            postings.remove(np.array(list(gone), dtype=np.int32), row)
            for term in gone:
                oracle.held[term].remove(row)


@pytest.mark.parametrize("size", [1, 2, BLOCK, BLOCK + 1, 3 * BLOCK + 1])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_chain_grows_and_shrinks(size: int, *, backwards: bool) -> None:
    """Every holder can be taken out in either order, the others stay, and what is given back is used again."""
    postings = Postings()
    rows = list(range(size))
    for _ in range(3):
        postings.visit(asked([(row, 2, {9: 1}) for row in rows]), HOURS, 100, size, Cap(size, 1, 0))
        for left, row in enumerate(reversed(rows) if backwards else rows, start=1):
            postings.remove(np.array([9], dtype=np.int32), row)
            (found,) = postings.visit(asked([(199, 1, {9: 1})]), HOURS, 100, size, Cap(size, 1, 0)).counts
            assert found == size - left
    assert len(postings._chains.blocks) <= 16 + size


def test_a_row_that_was_not_noted_cannot_be_removed() -> None:
    """A wrong removal is told, not passed over: of a term nobody holds, one holds, and several hold."""
    postings = Postings()
    postings.visit(asked([(5, 2, {1: 1, 2: 1}), (6, 2, {2: 1})]), HOURS, 1, 1, Cap(1, 1, 0))

    for term in (1, 2, 3):
        with pytest.raises(ValueError, match="row 7"):
            postings.remove(np.array([term], dtype=np.int32), 7)
