"""Copies against sets of word runs written out in Python."""

from __future__ import annotations

import random

import numpy as np
import pytest
from helpers import unhurried
from hypothesis import given
from hypothesis import strategies as st

from service.copies import MIN_SHINGLES, Copy, near_copy, relation, text_shingles


def _runs(text: str) -> set[tuple[str, ...]]:
    tokens = text.lower().split()
    width = min(5, len(tokens))
    return {tuple(tokens[start : start + width]) for start in range(len(tokens) - width + 1)} - {()}


def _expected(a: str, b: str) -> Copy | None:
    left, right = _runs(a), _runs(b)
    if not left or not right:
        return None
    shared = len(left & right)
    jaccard, containment = shared / len(left | right), shared / min(len(left), len(right))
    counts = min(len(left), len(right)) >= 40
    if jaccard >= 0.5 or (counts and containment >= 0.8):
        return Copy(round(max(jaccard, containment if counts else 0), 4))
    return None


def _edited(text: list[str], chance: random.Random) -> list[str]:
    """Shorten, extend, or replace some words."""
    start = chance.choice([0, 0, chance.randrange(len(text))])
    kept = text[start : chance.choice([len(text), len(text), chance.randrange(len(text) + 1)])]
    rate = chance.choice([0, 0, 0.02, 0.05, 0.1, 0.2])
    words = [f"ganti{chance.randrange(50)}" if chance.random() < rate else word for word in kept]
    return words + [f"tambah{number}" for number in range(chance.choice([0, 0, 5, 20, 60]))]


@unhurried
@given(st.integers(0, 10**9), st.integers(1, 120), st.sampled_from([3, 30, 400]))
def test_near_copy_equals_sets_of_runs(seed: int, length: int, vocabulary: int) -> None:
    """Jaccard and counted containment are those of the sets of five-word runs, and so is the verdict."""
    chance = random.Random(seed)
    text = [f"kata{chance.randrange(vocabulary)}" for _ in range(length)]
    a, b = " ".join(text), " ".join(_edited(text, chance))

    assert _expected(a, b) == near_copy(text_shingles(a), text_shingles(b))
    assert _expected(a, b) == near_copy(text_shingles(b), text_shingles(a))


@pytest.mark.parametrize(
    ("size_a", "size_b", "shared", "expected"),
    [
        (30, 30, 20, Copy(0.5)),
        (30, 30, 19, None),
        (50, 200, 40, Copy(0.8)),
        (50, 200, 39, None),
        (MIN_SHINGLES, 200, MIN_SHINGLES, Copy(1.0)),
        (MIN_SHINGLES - 1, 200, MIN_SHINGLES - 1, None),
        (MIN_SHINGLES - 1, 70, MIN_SHINGLES - 1, Copy(0.5571)),
        (0, 0, 0, None),
        (0, 50, 0, None),
        (50, 50, 50, Copy(1.0)),
    ],
)
def test_thresholds(size_a: int, size_b: int, shared: int, expected: Copy | None) -> None:
    """Half in common, or four fifths of a long text within another, and not one run less."""
    a = np.arange(size_a, dtype=np.uint64)
    b = np.arange(size_a - shared, size_a - shared + size_b, dtype=np.uint64)

    assert expected == near_copy(a, b)


def test_truncated_capture_is_a_copy_only_when_long() -> None:
    """The first quarter of a long report is a copy of it; eight of its words are a quotation."""
    text = [f"kata{number}" for number in range(400)]
    whole = text_shingles(" ".join(text))

    assert Copy(1.0) == near_copy(text_shingles(" ".join(text[:100])), whole)
    assert near_copy(text_shingles(" ".join(text[:8])), whole) is None


@pytest.mark.parametrize(
    ("exact", "same_publisher", "expected"),
    [
        (True, True, "exact_copy"),
        (False, True, "near_copy"),
        (True, False, "reprint"),
        (False, False, "reprint"),
    ],
)
def test_relation(*, exact: bool, same_publisher: bool, expected: str) -> None:
    """Another publisher's copy is a reprint, word for word or not."""
    assert expected == relation(exact=exact, same_publisher=same_publisher)
