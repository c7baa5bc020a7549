"""Groups from all pairs at once: the compiled agglomeration is the one written out by hand, whatever the order of pairs."""

from __future__ import annotations

import math
import random
import time
from itertools import combinations

import numpy as np
import pytest
from helpers import unhurried
from hypothesis import given
from hypothesis import strategies as st

from service.recluster import FREE, TIED, Bonds, Linkage, both_ways, event_linkage, partition, story_linkage

Pair = tuple[int, int]
Graph = dict[Pair, float]

_EIGHTHS = st.integers(1, 8).map(lambda part: part / 8)
"""Eighths, weighed by halves: their sums are exact, so that equal likenesses of small groups are true ties."""
HALF = 0.5


def given_to(
    graph: Graph,
    count: int,
    linkage: Linkage,
    order: list[Pair] | None = None,
    *,
    turned: bool = False,
    bonds: Bonds = FREE,
    outlets: list[int] | None = None,
) -> list[int]:
    pairs = list(graph) if order is None else order
    left, right = (np.array([pair[side] for pair in pairs], dtype=np.intp) for side in (0, 1))
    if turned:
        left, right = right, left
    labels: list[int] = partition(
        count,
        left,
        right,
        np.array([graph[pair] for pair in pairs]),
        linkage,
        bonds,
        None if outlets is None else np.array(outlets, dtype=np.int64),
    ).tolist()
    return labels


def by_hand(
    graph: Graph,
    count: int,
    linkage: Linkage,
    floor: float | None = None,
    barred: frozenset[Pair] = frozenset(),
    outlets: list[int] | None = None,
) -> list[int]:
    """The module's words, without matrices: merge the two groups most alike until none is alike enough.

    The likeness of two groups is looked up pair by pair every time; equal ones go to the group that began first, and
    then to the first of its partners. Only pairs at the floor exist. Tied pairs stand in the graph as more than certain.
    """
    strong = {pair: chance for pair, chance in graph.items() if chance >= (floor or linkage.floor)}
    labels = list(range(count))
    for part in parts(strong, count):
        inside = {pair: chance for pair, chance in strong.items() if pair[0] in part}
        lowest = floor or linkage.floor
        if lowest >= TIED:
            found = [min(part) if row in part else row for row in range(count)]
        elif len(part) > linkage.most:
            higher = lowest + (1 - lowest) / 4
            found = by_hand(inside, count, linkage, higher if higher < 1 - 1e-6 else TIED, barred, outlets)
        else:
            found = merged(inside, part, linkage, barred, outlets or [0] * count)
        for row in part:
            labels[row] = found[row]
    return labels


def parts(graph: Graph, count: int) -> list[set[int]]:
    """The connected parts of more than one row."""
    found: list[set[int]] = []
    for row in range(count):
        if any(row in part for part in found):
            continue
        part, grown = set[int](), {row}
        while grown != part:
            part = grown
            grown = part | {end for pair in graph for end in pair if set(pair) & part}
        if len(part) > 1:
            found.append(part)
    return found


def merged(
    graph: Graph, part: set[int], linkage: Linkage, barred: frozenset[Pair], outlets: list[int]
) -> list[int]:
    groups = {row: [row] for row in sorted(part)}
    while True:
        best = (-1.0, 0, 0)
        for one, other in combinations(groups, 2):
            alike = likeness(graph, groups[one], groups[other], linkage, barred, outlets)
            if alike > best[0]:
                best = (alike, one, other)
        if best[0] < linkage.cut:
            break
        _, one, other = best
        groups[one] += groups.pop(other)
    labels = list(range(len(outlets)))
    for first, members in groups.items():
        for row in members:
            labels[row] = first
    return labels


def likeness(
    graph: Graph,
    one: list[int],
    other: list[int],
    linkage: Linkage,
    barred: frozenset[Pair],
    outlets: list[int],
) -> float:
    pairs = {(min(a, b), max(a, b)) for a in one for b in other}
    found = [graph[pair] for pair in pairs if pair in graph]
    if barred & pairs:
        return -1.0
    if TIED in found:
        return TIED
    if not found:
        return 0.0
    best, mean = max(found), math.fsum(found) / len(pairs)
    if not linkage.weights:
        return linkage.best_weight * best + (1 - linkage.best_weight) * mean
    large, small = sorted((one, other), key=len, reverse=True)
    here, there = ({outlets[row] for row in group} for group in (one, other))
    evidence = [
        log_odds(best),
        log_odds(mean),
        math.log(len(large)),
        math.log(len(small)),
        len(here & there),
        len(here | there),
        mean_within(graph, large),
        mean_within(graph, small),
    ]
    constant, *weights = linkage.weights
    return 1 / (1 + math.exp(-constant - math.fsum(map(math.prod, zip(weights, evidence, strict=True)))))


def log_odds(chance: float) -> float:
    clipped = min(max(chance, 0.01), 0.99)
    return math.log(clipped / (1 - clipped))


def mean_within(graph: Graph, group: list[int]) -> float:
    pairs = list(combinations(sorted(group), 2))
    return math.fsum(min(graph.get(pair, 0.0), 1.0) for pair in pairs) / len(pairs) if pairs else 1.0


@st.composite
def graphs(draw: st.DrawFn, most: int = 9, chances: st.SearchStrategy[float] = _EIGHTHS) -> tuple[int, Graph]:
    count = draw(st.integers(0, most))
    pairs = list(combinations(range(count), 2))
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    return count, {pair: draw(chances) for pair in chosen}


def linkages() -> st.SearchStrategy[Linkage]:
    return st.builds(
        Linkage, st.sampled_from([1 / 3, 0.55, 0.7]), best_weight=st.sampled_from([0.0, HALF, 1.0])
    )


def is_fair(graph: Graph, count: int, found: list[int], linkage: Linkage) -> None:
    """A partition into groups that hang together, labelled by their first rows."""
    assert len(found) == count
    for row, label in enumerate(found):
        assert label <= row
        assert found[label] == label
    strong = {
        pair: chance
        for pair, chance in graph.items()
        if chance >= linkage.floor and found[pair[0]] == found[pair[1]]
    }
    groups = {label: {row for row in range(count) if found[row] == label} for label in set(found)}
    assert sorted(map(sorted, parts(strong, count))) == sorted(
        sorted(members) for members in groups.values() if len(members) > 1
    )


# --- partition --------------------------------------------------------------------------------------------------------


@unhurried
@given(graphs(), linkages())
def test_is_the_agglomeration_by_hand(drawn: tuple[int, Graph], linkage: Linkage) -> None:
    """Every merge is the one that a search over all pairs of all groups makes, ties included."""
    count, graph = drawn
    found = given_to(graph, count, linkage)

    is_fair(graph, count, found, linkage)
    if count <= 4 or linkage.best_weight == 1.0:
        # Then no mean of thirds stands against another one: what is equal on paper is equal in the machine.
        assert by_hand(graph, count, linkage) == found


@unhurried
@given(st.integers(0, 10**9), st.sampled_from([0.2, 0.36, 0.6]), st.sampled_from([0.0, 0.4, 1.0]))
def test_is_the_agglomeration_by_hand_without_ties(seed: int, cut: float, best_weight: float) -> None:
    """The same on larger graphs of blocks, where no two likenesses are equal."""
    chance = random.Random(seed)
    count = chance.randint(2, 24)
    kind = [chance.randrange(4) for _ in range(count)]
    graph = {
        (one, other): chance.uniform(0.3, 1) if kind[one] == kind[other] else chance.uniform(0, 0.6)
        for one, other in combinations(range(count), 2)
        if chance.random() < 0.6
    }
    linkage = Linkage(cut, best_weight)

    found = given_to(graph, count, linkage)

    assert by_hand(graph, count, linkage) == found
    is_fair(graph, count, found, linkage)


@unhurried
@given(st.integers(0, 10**9), st.booleans())
def test_the_learnt_likeness_is_that_by_hand(seed: int, bonded: bool) -> None:
    """With weights for all that is known of two groups, sizes, outlets and what holds each together among it."""
    chance = random.Random(seed)
    count = chance.randint(2, 20)
    graph = blocks(chance, count)
    outlets = [chance.choice([3, 70, 8_000_000_000]) for _ in range(count)]
    weights = tuple(chance.uniform(-1, 1) for _ in range(9))
    linkage = Linkage(chance.choice([0.3, 0.5, 0.7]), weights=weights, most=chance.choice([5, 3000]))
    tied, barred = some_bonds(chance, count) if bonded else (set(), set())

    found = given_to(graph, count, linkage, bonds=bonds_between(tied, barred), outlets=outlets)

    with_ties = graph | dict.fromkeys(tied, TIED)
    assert by_hand(with_ties, count, linkage, barred=frozenset(barred), outlets=outlets) == found


@unhurried
@given(st.integers(0, 10**9))
def test_names_of_outlets_say_nothing(seed: int) -> None:
    """Other numbers for the same outlets give the same groups."""
    chance = random.Random(seed)
    count = chance.randint(2, 20)
    graph, outlets = blocks(chance, count), [chance.randrange(4) for _ in range(count)]
    others = chance.sample(range(1000), 4)

    found = given_to(graph, count, event_linkage(0.45), outlets=outlets)

    assert found == given_to(graph, count, event_linkage(0.45), outlets=[others[one] for one in outlets])


@pytest.mark.parametrize("count", [2, 3, 4, 8])
@pytest.mark.parametrize("shape", ["all", "ring", "path", "star"])
def test_ties_go_to_the_first(count: int, shape: str) -> None:
    """Where every likeness is the same the rows that came first are merged first, as by hand."""
    shapes = {
        "all": list(combinations(range(count), 2)),
        "ring": [(row, row + 1) for row in range(count - 1)] + ([(0, count - 1)] if count > 2 else []),
        "path": [(row, row + 1) for row in range(count - 1)],
        "star": [(0, row) for row in range(1, count)],
    }
    graph = dict.fromkeys(shapes[shape], HALF)
    for best_weight in (0.0, HALF, 1.0):
        linkage = Linkage(0.3, best_weight)
        assert by_hand(graph, count, linkage) == given_to(graph, count, linkage)


@unhurried
@given(graphs(), linkages(), st.randoms(use_true_random=False), st.booleans())
def test_the_order_of_the_pairs_says_nothing(
    drawn: tuple[int, Graph], linkage: Linkage, chance: random.Random, turned: bool
) -> None:
    """Pairs in any order, and either way round, give the same groups, ties or not."""
    count, graph = drawn
    order = chance.sample(list(graph), len(graph))

    assert given_to(graph, count, linkage) == given_to(graph, count, linkage, order, turned=turned)


@unhurried
@given(graphs(), graphs(), linkages())
def test_what_is_not_connected_says_nothing(
    drawn: tuple[int, Graph], beside: tuple[int, Graph], linkage: Linkage
) -> None:
    """Two graphs side by side fall apart as each does alone."""
    (count, graph), (more, other) = drawn, beside
    both = graph | {(one + count, two + count): chance for (one, two), chance in other.items()}

    alone = given_to(graph, count, linkage)
    alone += [label + count for label in given_to(other, more, linkage)]

    assert alone == given_to(both, count + more, linkage)


@unhurried
@given(graphs(chances=st.floats(0, 1)), st.floats(0.05, 0.95))
def test_pairs_below_the_floor_are_not_there(drawn: tuple[int, Graph], floor: float) -> None:
    """What is less alike than the floor connects nothing and pulls no mean up."""
    count, graph = drawn
    linkage = Linkage(0.2, 0.4, floor=floor)
    strong = {pair: chance for pair, chance in graph.items() if chance >= floor}

    assert given_to(strong, count, linkage) == given_to(graph, count, linkage)
    assert given_to({}, count, linkage) == list(range(count))


@unhurried
@given(st.integers(0, 10**9), st.integers(2, 8))
def test_a_part_too_large_is_cut_at_a_higher_floor(seed: int, most: int) -> None:
    """Beyond `most` rows the weak pairs go, a quarter of the way to 1 at a time; what comes out is still a partition."""
    chance = random.Random(seed)
    count = chance.randint(most + 1, 20)
    graph = {pair: chance.uniform(0.1, 1) for pair in combinations(range(count), 2) if chance.random() < 0.5}
    linkage = Linkage(0.3, 0.4, most=most)

    found = given_to(graph, count, linkage)

    assert by_hand(graph, count, linkage) == found
    is_fair(graph, count, found, linkage)
    assert max(found.count(label) for label in found) <= most


def test_a_chain_is_cut_at_its_weakest_pairs() -> None:
    """By hand: of six rows in a chain, allowed to be four, the one pair below the next floor (0.325) is cut."""
    graph = {(0, 1): 0.9, (1, 2): 0.9, (2, 3): 0.3, (3, 4): 0.9, (4, 5): 0.9}

    assert given_to(graph, 6, Linkage(0.2, 1.0)) == [0] * 6
    assert given_to(graph, 6, Linkage(0.2, 1.0, most=4)) == [0, 0, 0, 3, 3, 3]
    assert given_to(graph, 6, Linkage(0.2, 1.0, most=1)) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("certain", [1.0 - 1e-6, 1.0])
def test_pairs_that_are_certain_end(certain: float) -> None:
    """Rows that no floor parts are left apart in the end, rather than tried for ever."""
    graph = dict.fromkeys(combinations(range(5), 2), certain)

    assert given_to(graph, 5, Linkage(0.2, 1.0, most=4)) == [0, 1, 2, 3, 4]


def test_the_mean_and_the_best_pair() -> None:
    """By hand: 0.9 between two pairs of certain rows is a mean of 0.225, so that the best pair's weight decides."""
    graph = {(0, 1): 1.0, (2, 3): 1.0, (1, 2): 0.9}

    assert given_to(graph, 4, Linkage(0.5, 0.0)) == [0, 0, 2, 2]
    assert given_to(graph, 4, Linkage(0.5, 0.4)) == [0, 0, 2, 2]  # 0.4 * 0.9 + 0.6 * 0.225 = 0.495
    assert given_to(graph, 4, Linkage(0.49, 0.4)) == [0, 0, 0, 0]
    assert given_to(graph, 4, Linkage(0.5, 1.0)) == [0, 0, 0, 0]


@pytest.mark.parametrize("count", [0, 1, 5])
def test_without_pairs_everything_stays_alone(count: int) -> None:
    assert given_to({}, count, event_linkage(0.45)) == list(range(count))


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_the_knob_turns_both(one: float, other: float) -> None:
    """A higher cut by day is no lower cut by night, and every cut can be reached and missed."""
    low, high = sorted([one, other])
    for linkage in (event_linkage, story_linkage):
        assert 0 < linkage(low).cut <= linkage(high).cut < 1


# --- bonds ------------------------------------------------------------------------------------------------------------


def bonds_between(tied: set[Pair], barred: set[Pair]) -> Bonds:
    sides = [
        [np.array([pair[side] for pair in sorted(pairs)], dtype=np.intp) for side in (0, 1)]
        for pairs in (tied, barred)
    ]
    return Bonds((sides[0][0], sides[0][1]), (sides[1][0], sides[1][1]))


def some_bonds(chance: random.Random, count: int, most: int = 6) -> tuple[set[Pair], set[Pair]]:
    """Ties by chance, and bars between rows that they do not hold together."""
    pairs = list(combinations(range(count), 2))
    tied = {*chance.sample(pairs, min(len(pairs), chance.randrange(most)))}
    held = parts(dict.fromkeys(tied, 1.0), count)
    loose = [pair for pair in pairs if not any({*pair} <= part for part in held)]
    return tied, {*chance.sample(loose, min(len(loose), chance.randrange(most)))}


def blocks(chance: random.Random, count: int) -> Graph:
    kind = [chance.randrange(4) for _ in range(count)]
    return {
        (one, other): chance.uniform(0.3, 1) if kind[one] == kind[other] else chance.uniform(0, 0.6)
        for one, other in combinations(range(count), 2)
        if chance.random() < 0.6
    }


@unhurried
@given(
    st.integers(0, 10**9),
    st.sampled_from([0.2, 0.36, 0.6]),
    st.sampled_from([0.0, 0.4, 1.0]),
    st.sampled_from([2, 5, 3000]),
)
def test_bonds_are_obeyed_as_by_hand(seed: int, cut: float, best_weight: float, most: int) -> None:
    """Tied rows end together and barred ones apart, in parts of any size; all else is the agglomeration by hand."""
    chance = random.Random(seed)
    count = chance.randint(2, 20)
    graph, linkage = blocks(chance, count), Linkage(cut, best_weight, most=most)
    tied, barred = some_bonds(chance, count)

    found = given_to(graph, count, linkage, bonds=bonds_between(tied, barred))

    assert all(found[one] == found[other] for one, other in tied)
    assert all(found[one] != found[other] for one, other in barred)
    with_ties = graph | dict.fromkeys(tied, TIED)
    is_fair(with_ties, count, found, linkage)
    assert by_hand(with_ties, count, linkage, barred=frozenset(barred)) == found


@unhurried
@given(st.integers(0, 10**9))
def test_bonds_say_nothing_elsewhere(seed: int) -> None:
    """A graph without bonds falls apart as ever beside one with bonds."""
    chance = random.Random(seed)
    count, more = chance.randint(2, 12), chance.randint(2, 12)
    graph, other = blocks(chance, count), blocks(chance, more)
    bonds = bonds_between(*some_bonds(chance, count))
    linkage = Linkage(0.36, 0.4)
    both = graph | {(one + count, two + count): value for (one, two), value in other.items()}

    found = given_to(both, count + more, linkage, bonds=bonds)

    assert found[count:] == [label + count for label in given_to(other, more, linkage)]
    assert found[:count] == given_to(graph, count, linkage, bonds=bonds)


@unhurried
@given(st.integers(0, 10**9), st.booleans())
def test_the_order_of_the_pairs_says_nothing_beside_bonds(seed: int, turned: bool) -> None:
    """Pairs in any order and either way round, those that are tied or barred among them."""
    chance = random.Random(seed)
    count = chance.randint(2, 12)
    graph = blocks(chance, count)
    bonds = bonds_between(*some_bonds(chance, count))
    linkage = Linkage(0.36, 0.4)
    order = chance.sample(list(graph), len(graph))

    assert given_to(graph, count, linkage, bonds=bonds) == given_to(
        graph, count, linkage, order, turned=turned, bonds=bonds
    )


def test_bars_between_rows_that_would_never_meet() -> None:
    """What no pair connects is apart already, and bars change nothing."""
    graph = {(0, 1): 0.9, (2, 3): 0.9}

    found = given_to(graph, 6, Linkage(0.2, 1.0), bonds=bonds_between(set(), {(0, 2), (1, 5), (4, 5)}))

    assert found == [0, 0, 2, 2, 4, 5]


def test_a_tie_larger_than_a_part_may_be() -> None:
    """By hand: eight rows tied in a chain stay one group where five are allowed; what only likeness joins to them leaves."""
    tied = {(row, row + 1) for row in range(7)}
    graph = {(7, 8): 0.99, (8, 9): 0.99}

    found = given_to(graph, 10, Linkage(0.2, 1.0, most=5), bonds=bonds_between(tied, {(0, 9)}))

    assert found[:8] == [0] * 8
    assert 0 not in found[8:]


def test_many_bars_in_many_parts() -> None:
    """A word that bars a hundred thousand pairs costs no time in each of ten thousand parts it does not speak of."""
    count = 20_000
    rows = np.arange(0, count, 2)
    chance = np.random.default_rng(1)
    barred = chance.integers(0, count, 100_000)
    other = (barred + chance.integers(2, count - 2, 100_000)) % count
    far = barred // 2 != other // 2

    started = time.process_time()
    found = partition(
        count,
        rows,
        rows + 1,
        np.full(len(rows), 0.9),
        Linkage(0.36, 0.4),
        Bonds(barred=(barred[far], other[far])),
    )

    assert found.tolist() == np.repeat(rows, 2).tolist()
    assert time.process_time() - started < 10


# --- both ways --------------------------------------------------------------------------------------------------------


_SAID = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.floats(0, 1)), max_size=30)


@given(_SAID)
def test_both_ways_is_the_mean_of_what_is_said(said: list[tuple[int, int, float]]) -> None:
    """Each pair once, the smaller row first, in order, with the mean of the log-odds of all that was said of it."""
    told: dict[Pair, list[float]] = {}
    for one, other, chance in said:
        sure = min(max(chance, 1e-6), 1 - 1e-6)
        told.setdefault((min(one, other), max(one, other)), []).append(math.log(sure / (1 - sure)))
    expected = {pair: 1 / (1 + math.exp(-math.fsum(odds) / len(odds))) for pair, odds in told.items()}

    left, right, probability = both_ways(
        np.array([one for one, _, _ in said], dtype=np.intp),
        np.array([other for _, other, _ in said], dtype=np.intp),
        np.array([chance for _, _, chance in said], dtype=np.float64),
    )

    assert sorted(expected) == list(zip(left.tolist(), right.tolist(), strict=True))
    assert probability.tolist() == pytest.approx([expected[pair] for pair in sorted(expected)], abs=1e-9)


@given(_SAID, st.randoms(use_true_random=False))
def test_both_ways_in_any_order(said: list[tuple[int, int, float]], chance: random.Random) -> None:
    """Said in another order, the same pairs come out; two sides of a pair weigh the same to the last digit."""
    told = {(one, other): value for one, other, value in said}
    items = [(one, other, value) for (one, other), value in told.items() if one != other]

    def columns(rows: list[tuple[int, int, float]]) -> list[list[float]]:
        found = both_ways(
            np.array([row[0] for row in rows], dtype=np.intp),
            np.array([row[1] for row in rows], dtype=np.intp),
            np.array([row[2] for row in rows], dtype=np.float64),
        )
        return [part.tolist() for part in found]

    assert columns(items) == columns(chance.sample(items, len(items)))


def test_both_ways_of_nothing() -> None:
    none = np.zeros(0, dtype=np.intp)

    assert [len(part) for part in both_ways(none, none, np.zeros(0))] == [0, 0, 0]
