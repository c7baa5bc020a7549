"""What is kept of a compared pair as evidence."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.candidates import rounded

VALUES = st.floats(-100, 100) | st.integers(-2_000_000, 2_000_000).map(lambda half: half / 20_000)


@given(st.lists(VALUES, max_size=40))
def test_values_are_rounded_as_one_by_one(values: list[float]) -> None:
    """The same numbers, sign of zero included, that `round` gives, halves of a step among them."""
    assert [repr(round(value, 4)) for value in values] == [repr(value) for value in rounded(np.array(values))]
