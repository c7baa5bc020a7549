"""IDs stay where most of a group is: the matching is the best of all matchings, whatever the order and the numbers."""

from __future__ import annotations

import random
from collections import Counter
from itertools import permutations
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.reconcile import NONE, Match, match


class Item(NamedTuple):
    """Something that weighs, with the group it was in and the group it is in."""

    old: int
    new: int
    weight: int


Items = list[Item]
ITEMS = st.lists(
    st.builds(Item, st.integers(0, 4), st.integers(0, 4), st.integers(1, 3)), min_size=1, max_size=14
)
COUNT = 5


def matched(items: Items, old_count: int = COUNT, new_count: int = COUNT) -> Match:
    columns = np.array(items, dtype=np.int64).reshape(-1, 3)
    return match(columns[:, 0], columns[:, 1], columns[:, 2], old_count, new_count)


def shared(items: Items) -> Counter[tuple[int, int]]:
    """What each old group shares with each new one."""
    found: Counter[tuple[int, int]] = Counter()
    for item in items:
        found[item.old, item.new] += item.weight
    return found


def kept(found: Match) -> dict[int, int]:
    """The new group of every old ID that stays."""
    return {old: new for new, old in enumerate(found.keeps.tolist()) if old != NONE}


def matchings(items: Items) -> list[dict[int, int]]:
    """Every way to let old IDs stay with new groups they share something with, by brute force."""
    weights = shared(items)
    olds = sorted({item.old for item in items})
    found = {
        frozenset((old, new) for old, new in zip(olds, chosen, strict=True) if (old, new) in weights)
        for chosen in permutations([*range(COUNT), *[NONE] * len(olds)], len(olds))
    }
    return [dict(one) for one in found]


def weight(items: Items, keeps: dict[int, int]) -> int:
    return sum(shared(items)[pair] for pair in keeps.items())


def parts(items: Items) -> list[set[int]]:
    """The old groups that hang together over new ones."""
    found: list[set[int]] = []
    for item in items:
        beside = {item.old} | {other.old for other in items if other.new == item.new}
        joined = [part for part in found if part & beside]
        found = [part for part in found if not part & beside] + [beside.union(*joined)]
    return found


def age(items: Items, keeps: dict[int, int]) -> int:
    """How old the IDs are that stay: in each part the oldest of n counts n, the next n - 1, and so on."""
    return sum(
        len(part) - place for part in parts(items) for place, old in enumerate(sorted(part)) if old in keeps
    )


SMALL = st.lists(
    st.builds(Item, st.integers(0, 3), st.integers(0, 4), st.integers(1, 3)), min_size=1, max_size=10
)


@given(SMALL)
def test_as_much_as_can_be_stays_under_its_id(items: Items) -> None:
    """No other matching lets more weight stay; of those that let as much stay, none lets older IDs stay."""
    found = kept(matched(items))
    every = matchings(items)
    most = max(weight(items, one) for one in every)

    assert len(found) == len(set(found.values()))
    assert most == weight(items, found)
    assert set(found.items()) <= set(shared(items))
    best = [one for one in every if weight(items, one) == most]
    # Parts do not reach into one another, so that what is oldest in each is oldest in all.
    assert max(age(items, one) for one in best) == age(items, found)


@given(ITEMS)
def test_where_groups_came_from_and_went_to(items: Items) -> None:
    """A new group came from the old one it took most from, an old one went to the one that took most, unless it stayed."""
    found, weights = matched(items), shared(items)

    for new, old in enumerate(found.came_from.tolist()):
        offers = {one: weights[one, new] for one in range(COUNT) if (one, new) in weights}
        # Ties: the older.
        assert old == (max(offers, key=lambda one: (offers[one], -one)) if offers else NONE)
    stays = kept(found)
    for old, new in enumerate(found.went_to.tolist()):
        offers = {one: weights[old, one] for one in range(COUNT) if (old, one) in weights}
        most = max(offers, key=lambda one: (offers[one], -one)) if offers else NONE
        assert new == stays.get(old, most)


@given(ITEMS, st.integers(0, 10**9))
def test_unchanged_groups_keep_their_id(items: Items, seed: int) -> None:
    """A group that is what it was keeps its ID, whatever happens beside it and whatever its new number is."""
    chance = random.Random(seed)
    stays = [
        (old, new)
        for old, new in zip(range(COUNT, COUNT + 3), chance.sample(range(COUNT, COUNT + 3), 3), strict=True)
    ]
    every = [
        *items,
        *(Item(*pair, chance.randint(1, 3)) for pair in stays for _ in range(chance.randint(1, 3))),
    ]
    chance.shuffle(every)

    found = kept(matched(every, COUNT + 3, COUNT + 3))

    assert set(stays) <= set(found.items())
    assert {old: new for old, new in found.items() if old < COUNT} == kept(matched(items))


@given(ITEMS, st.randoms(use_true_random=False))
def test_the_order_of_items_says_nothing(items: Items, chance: random.Random) -> None:
    one, other = matched(items), matched(chance.sample(items, len(items)))

    assert one.keeps.tolist() == other.keeps.tolist()
    assert one.came_from.tolist() == other.came_from.tolist()
    assert one.went_to.tolist() == other.went_to.tolist()


@given(SMALL, st.permutations(range(COUNT)))
def test_the_numbers_of_new_groups_say_nothing(items: Items, numbers: list[int]) -> None:
    """Numbered otherwise, the same IDs stay; and with the same groups, where the best matching is the only one."""
    renumbered = [item._replace(new=numbers[item.new]) for item in items]
    one, other = kept(matched(items)), kept(matched(renumbered))

    assert weight(items, one) == weight(renumbered, other)
    assert age(items, one) == age(items, other)
    best = [
        found
        for found in matchings(items)
        if (weight(items, found), age(items, found)) == (weight(items, one), age(items, one))
    ]
    if len(best) == 1:
        assert {old: numbers[new] for old, new in one.items()} == other


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_what_splits_off_never_takes_the_id(sizes: list[int]) -> None:
    """A group that falls apart leaves its ID to its largest piece, of equal ones to the first."""
    found = matched([Item(0, new, size) for new, size in enumerate(sizes)])

    assert kept(found) == {0: sizes.index(max(sizes))}
    assert set(found.came_from[: len(sizes)].tolist()) == {0}


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_what_is_merged_bears_the_id_of_the_largest(sizes: list[int]) -> None:
    """Groups that become one bear the ID of the largest, of equal ones the oldest; the others lead there."""
    found = matched([Item(old, 0, size) for old, size in enumerate(sizes)])

    assert kept(found) == {sizes.index(max(sizes)): 0}
    assert found.went_to[: len(sizes)].tolist() == [0] * len(sizes)


def test_an_id_may_follow_the_smaller_piece() -> None:
    """By hand: 6 of 10 join a group of 7, which stays itself; the 4 left bear the ID, so that 11 of 17 keep theirs."""
    found = matched([Item(0, 0, 6), Item(0, 1, 4), Item(1, 0, 7)])

    assert kept(found) == {0: 1, 1: 0}
    assert found.went_to[:2].tolist() == [1, 0]
    assert found.came_from[:2].tolist() == [1, 0]


@pytest.mark.parametrize("count", [0, 3])
def test_groups_without_items(count: int) -> None:
    found = matched([], count, count)

    for part in (found.keeps, found.came_from, found.went_to):
        assert part.tolist() == [NONE] * count


def test_many_groups_at_once() -> None:
    """A large shift in one part and thousands of groups that stay: found in no time, and nothing that stays is touched."""
    chance = random.Random(3)
    items = [Item(group, group, 1) for group in range(20_000) for _ in range(2)]
    items += [Item(20_000 + chance.randrange(60), 20_000 + chance.randrange(60), 1) for _ in range(2000)]

    found = kept(matched(items, 20_060, 20_060))

    assert {old: new for old, new in found.items() if old < 20_000} == {one: one for one in range(20_000)}
    assert len(found) == 20_060
