"""What is settled stays: parts without anything new keep their groups, pairs that were settled pull a little, and no more."""

from __future__ import annotations

import math
import random
from itertools import combinations

import numpy as np
import pytest
from helpers import unhurried
from hypothesis import given
from hypothesis import strategies as st

from service.recluster import Bonds, Linkage, partition
from service.regroup import INERTIA, Past, regroup, ties, together

Pair = tuple[int, int]
Graph = dict[Pair, float]
LINKAGE = Linkage(0.36, 0.4)
_NONE = np.zeros(0, dtype=np.intp)


def columns(pairs: list[Pair]) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.array([one for one, _ in pairs], dtype=np.intp),
        np.array([other for _, other in pairs], dtype=np.intp),
    )


def regrouped(
    graph: Graph,
    groups: list[int],
    settled: list[bool],
    *,
    tied: list[Pair] | None = None,
    barred: list[Pair] | None = None,
    linkage: Linkage = LINKAGE,
) -> list[int]:
    found: list[int] = regroup(
        len(groups),
        (*columns(list(graph)), np.array(list(graph.values()))),
        Past(np.array(groups), np.array(settled, dtype=bool)),
        linkage,
        Bonds(columns(tied or []), columns(barred or [])),
    ).tolist()
    return found


def parted(graph: Graph, count: int, tied: list[Pair], barred: list[Pair], linkage: Linkage) -> list[int]:
    found: list[int] = partition(
        count,
        *columns(list(graph)),
        np.array(list(graph.values())),
        linkage,
        Bonds(columns(tied), columns(barred)),
    ).tolist()
    return found


def shifted(chance: float, by: float) -> float:
    odds = math.log(chance / (1 - chance)) + by
    return 1 / (1 + math.exp(-odds))


def parts(pairs: list[Pair], count: int) -> list[set[int]]:
    """The connected parts, rows without a pair among them."""
    found = [{row} for row in range(count)]
    for pair in pairs:
        joined = [part for part in found if part & {*pair}]
        found = [part for part in found if part not in joined] + [set[int]().union(*joined)]
    return found


@unhurried
@given(st.integers(0, 10**9))
def test_what_has_nothing_new_stays_and_the_rest_is_grouped_anew(seed: int) -> None:
    """Part by part of the graph that likeness at the floor, old groups and ties make, from scratch."""
    chance = random.Random(seed)
    count = chance.randint(1, 14)
    pairs = list(combinations(range(count), 2))
    graph = {
        pair: chance.uniform(0.01, 0.99)
        for pair in chance.sample(pairs, min(len(pairs), chance.randrange(12)))
    }
    groups = [chance.randrange(6) for _ in range(count)]
    settled = [chance.random() < 0.8 for _ in range(count)]
    tied = chance.sample(pairs, min(len(pairs), chance.randrange(3)))

    found = regrouped(graph, groups, settled, tied=tied)

    old = [
        (one, other)
        for one, other in pairs
        if groups[one] == groups[other] and settled[one] and settled[other]
    ]
    strong = [pair for pair, value in graph.items() if value >= LINKAGE.floor]
    weighed = {
        (one, other): shifted(value, INERTIA if groups[one] == groups[other] else -INERTIA)
        if settled[one] and settled[other]
        else value
        for (one, other), value in graph.items()
        if value >= LINKAGE.floor
    }
    anew = parted(weighed, count, tied, [], LINKAGE)
    for part in parts([*old, *strong, *tied], count):
        if all(settled[row] for row in part):
            first = {
                group: min(row for row in part if groups[row] == group)
                for group in {groups[row] for row in part}
            }
            assert [found[row] for row in sorted(part)] == [first[groups[row]] for row in sorted(part)]
        else:
            assert [found[row] for row in sorted(part)] == [anew[row] for row in sorted(part)]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12))
def test_a_settled_night_again(groups: list[int]) -> None:
    """All settled, all alike: nothing moves, though every pair says one group."""
    count = len(groups)
    graph = dict.fromkeys(combinations(range(count), 2), 0.99)

    found = regrouped(graph, groups, [True] * count)

    assert found == [groups.index(group) for group in groups]


@pytest.mark.parametrize(
    ("settled", "groups", "chance", "joined"),
    [
        ((True, True), (0, 0), 0.3, True),  # 0.3 and half a log-odds are 0.41
        ((True, True), (0, 0), 0.25, False),  # 0.35
        ((True, True), (0, 1), 0.45, False),  # 0.45 less half a log-odds are 0.33
        ((True, True), (0, 1), 0.5, True),  # 0.38
        ((True, False), (0, 0), 0.3, False),
        ((False, True), (0, 1), 0.45, True),
        ((False, False), (0, 0), 0.3, False),
    ],
)
def test_inertia_by_hand(
    settled: tuple[bool, bool], groups: tuple[int, int], chance: float, joined: bool
) -> None:
    """A cut of 0.36; a third row that is new, and that hangs on by less than the cut, has the part grouped anew."""
    graph = {(0, 1): chance, (1, 2): 0.15}

    found = regrouped(graph, [*groups, 9], [*settled, False], linkage=Linkage(0.36, 1.0))

    assert found == [0, 0 if joined else 1, 2]


def test_the_floor_is_met_before_inertia() -> None:
    """A pair below the floor is none, settled together or not: it neither ties a part nor lets one be grouped anew."""
    graph = {(0, 1): 0.09, (1, 2): 0.09}

    assert regrouped(graph, [0, 0, 1], [True, True, False]) == [0, 0, 2]
    assert regrouped(graph | {(1, 2): 0.2}, [0, 0, 1], [True, True, False]) == [0, 1, 2]


def test_ties_stir_a_settled_part() -> None:
    """A tie to something new has a settled part grouped anew, and what is tied comes together."""
    assert regrouped({}, [0, 1, 2], [True, True, False], tied=[(0, 2)]) == [0, 1, 0]


def test_bars_part_what_was_not_settled() -> None:
    graph = {(0, 1): 0.9, (1, 2): 0.9}

    assert regrouped(graph, [0, 0, 0], [True, True, False]) == [0, 0, 0]
    assert regrouped(graph, [0, 0, 0], [True, True, False], barred=[(0, 1)]) in ([0, 1, 1], [0, 1, 0])


# --- what only answers ------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**9))
def test_what_is_tied_by_its_story_stays_together(seed: int) -> None:
    """Rows that only answer are tied to the first of their story: whatever joins, they end in one group."""
    chance = random.Random(seed)
    count = chance.randint(2, 14)
    groups = [chance.randrange(4) for _ in range(count)]
    silent = sorted(chance.sample(range(count), chance.randint(1, count)))
    pairs = [
        (one, other)
        for one, other in combinations(range(count), 2)
        if one not in silent or other not in silent
    ]
    graph = {pair: chance.random() for pair in pairs if chance.random() < 0.5}
    held = ties(np.array(silent, dtype=np.intp), np.array(groups))

    found = regrouped(
        graph,
        groups,
        [row in silent or chance.random() < 0.5 for row in range(count)],
        tied=list(zip(held[0].tolist(), held[1].tolist(), strict=True)),
    )

    for one, other in combinations(silent, 2):
        if groups[one] == groups[other]:
            assert found[one] == found[other]


@given(st.lists(st.integers(0, 5), max_size=12), st.data())
def test_ties_are_a_star_around_the_first(groups: list[int], data: st.DataObject) -> None:
    rows = sorted(data.draw(st.sets(st.sampled_from(range(len(groups)))))) if groups else []

    first, others = ties(np.array(rows, dtype=np.intp), np.array(groups, dtype=np.int64))

    expected = [
        (min(one for one in rows if groups[one] == groups[row]), row)
        for row in rows
        if row != min(one for one in rows if groups[one] == groups[row])
    ]
    assert sorted(expected) == sorted(zip(first.tolist(), others.tolist(), strict=True))


# --- searches ---------------------------------------------------------------------------------------------------------


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.floats(0.125, 0.875)), max_size=8),
        max_size=4,
    )
)
def test_searches_come_together_in_any_parts(found: list[list[tuple[int, int, float]]]) -> None:
    """However the searches are cut, the same pairs come out, each once."""
    whole = [one for part in found for one in part]

    one, other = (
        together(
            (
                np.array([pair[0] for pair in part], dtype=np.int32),
                np.array([pair[1] for pair in part], dtype=np.int32),
                np.array([pair[2] for pair in part], dtype=np.float32),
            )
            for part in parts
        )
        for parts in (found, [whole])
    )

    assert [side.tolist() for side in one[:2]] == [side.tolist() for side in other[:2]]
    assert one[2].tolist() == pytest.approx(other[2].tolist())
    assert {(min(a, b), max(a, b)) for a, b, _ in whole} == set(
        zip(one[0].tolist(), one[1].tolist(), strict=True)
    )


def test_nothing_to_regroup() -> None:
    assert regrouped({}, [], []) == []
    assert regrouped({}, [3, 3, 4], [False, False, False]) == [0, 1, 2]
    assert [len(side) for side in together([])] == [0, 0, 0]
