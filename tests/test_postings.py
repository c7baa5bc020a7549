"""Postings against a dictionary of lists."""

from array import array
from collections import defaultdict

import pytest
from helpers import unhurried
from hypothesis import given
from hypothesis import strategies as st

from embeddings.postings import ROW_CODE, Postings

STEPS = st.lists(
    st.tuples(st.booleans(), st.integers(0, 6), st.sets(st.integers(0, 3), max_size=3)), max_size=30
)


@unhurried
@given(STEPS, st.integers(0, 4))
def test_postings_equal_a_dictionary_of_lists(steps: list[tuple[bool, int, set[int]]], cap: int) -> None:
    """Any history of adding and removing leaves the rows that lists would hold, in their order."""
    postings, expected = Postings(), defaultdict[int, list[int]](list)
    for adds, row, terms in steps:
        if adds:
            new = {term for term in terms if row not in expected[term]}
            postings.add(new, row)
            for term in new:
                expected[term].append(row)
        else:
            old = {term for term in terms if row in expected[term]}
            postings.remove(old, row)
            for term in old:
                expected[term].remove(row)

        for term in range(4):
            into = array(ROW_CODE, [99])
            held = expected[term] if len(expected[term]) <= max(cap, 1) else []
            assert len(held) == postings.share(term, max(cap, 1), into)
            assert [99, *held] == into.tolist()


def test_a_row_that_was_not_noted_cannot_be_removed() -> None:
    """A wrong removal is told, not passed over."""
    postings = Postings()
    postings.add([1], 5)

    with pytest.raises(ValueError, match="row 6"):
        postings.remove([1], 6)
    with pytest.raises(KeyError):
        postings.remove([2], 5)
