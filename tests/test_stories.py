"""What a likeness is worth across days and weeks: bounds and directions that must hold for every value."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.stories import across_days, across_time

_PROBABILITY = st.floats(0, 1)
_DAYS = st.floats(0, 400)
_KEY = st.floats(0, 1)
_ROUNDING = 1e-6


def _one(probability: float, days: float, key_name: float) -> float:
    return float(across_time(np.array([probability]), np.array([days]), np.array([key_name]))[0])


def _expected(probability: float, days: float, key_name: float) -> float:
    """The docstring, in plain arithmetic: each doubling beyond three days costs 1.5, less 3 times the key name."""
    clipped = min(max(probability, 1e-6), 1 - 1e-6)
    doublings = math.log2(days / 3) if days > 3 else 0.0
    gain = min(3.0 * key_name - 1.5, 0.2)
    odds = math.log(clipped / (1 - clipped)) + gain * doublings
    return 1 / (1 + math.exp(-odds))


@given(_PROBABILITY, _DAYS, _KEY)
def test_equals_plain_arithmetic(probability: float, days: float, key_name: float) -> None:
    """The vectorised rule is the rule as written, to a millionth."""
    assert math.isclose(
        _expected(probability, days, key_name), _one(probability, days, key_name), abs_tol=_ROUNDING
    )


@given(_PROBABILITY, st.floats(0, 3), _KEY)
def test_unchanged_within_three_days(probability: float, days: float, key_name: float) -> None:
    """Clusters of one week keep their probability (but for 0 and 1, which stay a millionth off)."""
    kept = min(max(probability, 1e-6), 1 - 1e-6)

    assert math.isclose(kept, _one(probability, days, key_name), abs_tol=_ROUNDING)


@given(_PROBABILITY, _DAYS, _KEY, _KEY)
def test_monotone_in_the_key_name(probability: float, days: float, one: float, other: float) -> None:
    """A rarer shared name never lowers the probability."""
    low, high = sorted([one, other])

    assert _one(probability, days, low) <= _one(probability, days, high)


@given(_DAYS, _KEY, _PROBABILITY, _PROBABILITY)
def test_monotone_in_the_probability(days: float, key_name: float, one: float, other: float) -> None:
    """Time changes how much a likeness is worth, never which of two likenesses is the greater."""
    low, high = sorted([one, other])

    assert _one(low, days, key_name) <= _one(high, days, key_name)


@given(_PROBABILITY, st.floats(3, 400), _KEY)
def test_gain_is_capped(probability: float, days: float, key_name: float) -> None:
    """No name gains more than 0.2 of log-odds with each doubling, and none loses more than 1.5."""
    clipped = min(max(probability, 1e-6), 1 - 1e-6)
    odds, doublings = math.log(clipped / (1 - clipped)), math.log2(days / 3)

    most, least = (1 / (1 + math.exp(-(odds + change * doublings))) for change in (0.2, -1.5))

    assert least - _ROUNDING <= _one(probability, days, key_name) <= most + _ROUNDING


@given(_PROBABILITY, _DAYS, _KEY)
def test_stays_a_probability(probability: float, days: float, key_name: float) -> None:
    """Nothing leaves 0 to 1, and six decimals are kept, so that ties are ties everywhere."""
    found = _one(probability, days, key_name)

    assert 0 <= found <= 1
    assert round(found, 6) == found


@given(st.lists(st.tuples(_PROBABILITY, _DAYS, _KEY), max_size=8))
def test_pairs_do_not_see_each_other(pairs: list[tuple[float, float, float]]) -> None:
    """A pair's value is the same alone and in any company."""
    columns = np.array(pairs, dtype=np.float64).reshape(-1, 3).T

    assert [_one(*pair) for pair in pairs] == across_time(*columns).tolist()


# --- events -----------------------------------------------------------------------------------------------------------


def _event(probability: float, days: float) -> float:
    return float(across_days(np.array([probability]), np.array([days]))[0])


@given(_PROBABILITY, st.floats(0, 2))
def test_an_event_is_unchanged_within_two_days(probability: float, days: float) -> None:
    """Within what labels span the model's word stands, to the last digit."""
    assert _event(probability, days) == probability


@given(_PROBABILITY, st.floats(2.01, 30))
def test_an_event_across_days_is_plain_arithmetic(probability: float, days: float) -> None:
    """Beyond two days log(1 + days) costs 2.17 of log-odds; six decimals are kept."""
    clipped = min(max(probability, 1e-6), 1 - 1e-6)
    odds = math.log(clipped / (1 - clipped)) - 2.17 * (math.log1p(days) - math.log1p(2))

    assert math.isclose(1 / (1 + math.exp(-odds)), _event(probability, days), abs_tol=_ROUNDING)


@given(_PROBABILITY, _PROBABILITY, st.floats(0, 30), st.floats(0, 30))
def test_an_event_is_monotone(one: float, other: float, sooner: float, later: float) -> None:
    """A longer gap never raises the probability, and never turns the order of two likenesses."""
    low, high = sorted([one, other])
    near, far = sorted([sooner, later])

    assert _event(low, near) <= _event(high, near) + _ROUNDING
    assert _event(one, far) <= _event(one, near) + _ROUNDING
