"""Editors' words: what they mean for pairs of rows, and which cannot hold together, against the closure by hand."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.bonds import bonds_of, contradicted_by, held_with, kept_apart, overdrawn

ARTICLES = tuple("abcdefgh")
LEVELS = ("cluster", "story")


@dataclass(frozen=True)
class Said:
    id: str
    level: str
    kind: str
    these: tuple[str, ...]
    those: tuple[str, ...]


Words = list[Said]


@st.composite
def words(draw: st.DrawFn) -> Words:
    found = []
    for number in range(draw(st.integers(0, 5))):
        sides = draw(st.lists(st.sampled_from(ARTICLES), min_size=2, max_size=5, unique=True))
        middle = draw(st.integers(1, len(sides) - 1))
        level, kind = draw(st.sampled_from(LEVELS)), draw(st.sampled_from(["merge", "split"]))
        found.append(Said(f"edt_{number}", level, kind, tuple(sides[:middle]), tuple(sides[middle:])))
    return found


def merges(said: Words, level: str) -> list[set[str]]:
    """What must be together: on the level of stories also what must be one cluster."""
    levels = {"cluster"} if level == "cluster" else {"cluster", "story"}
    return [{*one.these, *one.those} for one in said if one.kind == "merge" and one.level in levels]


def splits(said: Words, level: str) -> Words:
    """What must be apart: on the level of clusters also what must be two stories."""
    levels = {"story"} if level == "story" else {"cluster", "story"}
    return [one for one in said if one.kind == "split" and one.level in levels]


def closure(said: Words, level: str, start: set[str]) -> set[str]:
    """Everything that hangs together with `start`, from scratch."""
    grown = start | {one for group in merges(said, level) if group & start for one in group}
    return start if grown == start else closure(said, level, grown)


# --- rows -------------------------------------------------------------------------------------------------------------


@given(words(), st.dictionaries(st.sampled_from(ARTICLES), st.integers(0, 4)), st.sampled_from(LEVELS))
def test_bonds_tie_and_bar_rows(said: Words, row_of: dict[str, int], level: str) -> None:
    """Rows hang together over ties as their articles do over merges; a pair is barred for each pair of a split's sides."""
    bonds = bonds_of(said, level, row_of)

    expected = [{row_of[one] for one in group if one in row_of} for group in merges(said, level)]
    tied = [{*pair} for pair in zip(*(side.tolist() for side in bonds.tied), strict=True)]
    for row in range(5):
        assert together(expected, row) == together(tied, row)
    barred = {
        (min(pair), max(pair))
        for one in splits(said, level)
        for pair in product(
            *([row_of[name] for name in side if name in row_of] for side in (one.these, one.those))
        )
        if pair[0] != pair[1]
    }
    assert barred == set(zip(*(side.tolist() for side in bonds.barred), strict=True))


def together(groups: list[set[int]], row: int) -> set[int]:
    found, grown = set[int](), {row}
    while grown != found:
        found = grown
        grown = found.union(*(group for group in groups if group & found))
    return found


@given(words(), st.sampled_from(LEVELS))
def test_bonds_are_pairs_in_order(said: Words, level: str) -> None:
    """Each pair once, the smaller row first, so that the same words give the same bonds."""
    bonds = bonds_of(said, level, {one: row for row, one in enumerate(ARTICLES)})

    for left, right in (bonds.tied, bonds.barred):
        pairs = list(zip(left.tolist(), right.tolist(), strict=True))
        assert pairs == sorted(set(pairs))
        assert bool((left < right).all())
        assert left.dtype == np.intp


def test_bonds_without_words() -> None:
    bonds = bonds_of([], "cluster", {})

    assert [len(side) for pair in (bonds.tied, bonds.barred) for side in pair] == [0, 0, 0, 0]


# --- contradictions ---------------------------------------------------------------------------------------------------


@given(words())
def test_contradictions_are_splits_whose_sides_hang_together(said: Words) -> None:
    """A split of clusters is broken by merges of clusters, one of stories by merges of either, directly or through others."""
    expected = {
        one.id
        for one in said
        if one.kind == "split" and closure(said, one.level, {*one.these}) & {*one.those}
    }

    found = contradicted_by(said)

    assert expected == set(found)
    assert len(found) == len(set(found))


@given(words())
def test_words_without_contradiction_can_be_obeyed(said: Words) -> None:
    """Then groups that hang together break no split: the closure itself is one way to obey every word."""
    if contradicted_by(said):
        return
    for level in LEVELS:
        groups = {one: frozenset(closure(said, level, {one})) for one in ARTICLES}
        for one in splits(said, level):
            # Articles of a split of stories are in two clusters too, for clusters hang together over less.
            assert all(groups[here] != groups[there] for here, there in product(one.these, one.those))


def test_a_word_speaks_of_the_other_level() -> None:
    """By hand: one cluster is one story, two stories are two clusters, and not the other way round."""
    merged = Said("edt_1", "cluster", "merge", ("a",), ("b",))
    apart = Said("edt_2", "story", "split", ("b",), ("c",))
    row_of = {"a": 0, "b": 1, "c": 2}

    for level in LEVELS:
        bonds = bonds_of([merged, apart], level, row_of)
        assert [side.tolist() for side in bonds.tied] == [[0], [1]]
        assert [side.tolist() for side in bonds.barred] == [[1], [2]]
    assert len(bonds_of([Said("", "story", "merge", ("a",), ("b",))], "cluster", row_of).tied[0]) == 0
    assert len(bonds_of([Said("", "cluster", "split", ("a",), ("b",))], "story", row_of).barred[0]) == 0


# --- clusters that stories cannot bear --------------------------------------------------------------------------------


ROWS = {one: row for row, one in enumerate(ARTICLES)}


def whole(labels: list[int]) -> Words:
    return [
        Said("", "cluster", "merge", tuple(one for one in ARTICLES if labels[ROWS[one]] == label), ())
        for label in {*labels}
    ]


@given(
    words(),
    st.lists(st.integers(0, 3), min_size=8, max_size=8),
    st.lists(st.integers(0, 7), min_size=8, max_size=8),
)
def test_overdrawn_pairs_are_why_words_break(said: Words, new: list[int], old: list[int]) -> None:
    """Pairs are named exactly when new clusters break a word; without meetings of what was apart there are none."""
    if contradicted_by([*said, *whole(old)]):
        return  # no state of a store in which every word holds
    pairs = list(
        zip(*(side.tolist() for side in overdrawn(said, ROWS, np.array(old), np.array(new))), strict=True)
    )

    assert bool(pairs) == bool(contradicted_by([*said, *whole(new)]))
    assert all(new[one] == new[other] and old[one] != old[other] for one, other in pairs)
    # Where all that are named stay apart, what is left can be borne: the night ends.
    labels = [label * 8 + (old[row] if pairs else 0) for row, label in enumerate(new)]
    assert not contradicted_by([*said, *whole(labels)])


def test_a_chain_of_stories_by_hand() -> None:
    """ "a" goes with "b", "c" with "d", and "b" may not be with "c": "a" and "d" must not meet, though no word says so."""
    said = [
        Said("edt_1", "story", "merge", ("a",), ("b",)),
        Said("edt_2", "story", "merge", ("c",), ("d",)),
        Said("edt_3", "story", "split", ("b",), ("c",)),
    ]

    found = overdrawn(said, ROWS, np.arange(8), np.array([0, 1, 2, 0, 4, 5, 6, 7]))

    assert [side.tolist() for side in found] == [[0], [3]]
    assert len(overdrawn(said, ROWS, np.arange(8), np.array([0, 0, 2, 2, 4, 4, 4, 4]))[0]) == 0


# --- what hangs together ----------------------------------------------------------------------------------------------


@given(words(), st.sampled_from(LEVELS), st.sets(st.sampled_from(ARTICLES), min_size=1))
def test_held_with_is_the_closure(said: Words, level: str, start: set[str]) -> None:
    assert closure(said, level, start) == held_with(said, level, sorted(start))


@given(
    words(), st.sampled_from(LEVELS), st.sets(st.sampled_from(ARTICLES)), st.sets(st.sampled_from(ARTICLES))
)
def test_kept_apart_is_any_split_between(said: Words, level: str, here: set[str], there: set[str]) -> None:
    expected = any(
        {(a, b), (b, a)} & {*product(one.these, one.those)}
        for one in splits(said, level)
        for a, b in product(here, there)
    )

    assert expected == kept_apart(said, level, here, there) == kept_apart(said, level, there, here)


def test_every_pair_of_a_merge_is_tied() -> None:
    said = [Said("edt_1", "story", "merge", ("a", "b", "c"), ("d", "e"))]

    for one, other in combinations("abcde", 2):
        assert {*"abcde"} == held_with(said, "story", [one]) == held_with(said, "story", [one, other])
