"""Pairs to groups: agglomeration inside each connected part of the graph, as far as editors' bonds allow.  Pure.

Pairs that are alike enough form a graph; inside each of its connected parts, groups are merged, the most alike first,
until none is alike enough. How alike two groups are mixes their best pair with the mean over all their pairs
(single and average linkage): the mean alone splits an event whose reports tell it from many sides, the best pair alone
chains events into sagas.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from embeddings.compiled import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    Rows = npt.NDArray[np.intp]
    Floats = npt.NDArray[np.float64]
    Labels = npt.NDArray[np.int64]

EVENT_SHARE, STORY_SHARE = 0.8, 1.4
"""The night weighs every pair of two groups, the day the best few voices, so that one knob means two cuts."""
CERTAIN = 1e-6
MOST = 0.95
TIED, BARRED = 2.0, -1.0
"""Likeness of pairs that editors want together, and apart: beyond any probability."""


@dataclass(frozen=True, slots=True)
class Linkage:
    """`cut` in (0, 1): groups less alike stay apart; the best pair weighs `best_weight`, the mean of all the rest.

    Pairs below `floor` connect nothing. A part of more than `most` members is cut at a higher floor first, so that time
    and memory stay bounded.
    """

    cut: float
    best_weight: float
    floor: float = 0.1
    most: int = 3000


_NO_ROWS = np.zeros(0, dtype=np.intp)


@dataclass(frozen=True, slots=True)
class Bonds:
    """Pairs of rows that editors want in one group (`tied`) and in two (`barred`), whatever their likeness."""

    tied: tuple[Rows, Rows] = (_NO_ROWS, _NO_ROWS)
    barred: tuple[Rows, Rows] = (_NO_ROWS, _NO_ROWS)


FREE = Bonds()


def event_linkage(cut: float) -> Linkage:
    """Return how articles are linked to clusters, where one joins a cluster online from `cut`."""
    return Linkage(EVENT_SHARE * cut, best_weight=0.4)


def story_linkage(cut: float) -> Linkage:
    """Return how clusters are linked to stories, where one joins a story online from `cut`."""
    return Linkage(min(STORY_SHARE * cut, MOST), best_weight=0.4)


def both_ways(left: Rows, right: Rows, probability: Floats) -> tuple[Rows, Rows, Floats]:
    """Return each pair once (smaller row first), with the mean log-odds of what its two sides say, as a probability."""
    if not len(left):
        return left, right, probability
    size = int(max(left.max(), right.max())) + 1
    keys = np.minimum(left, right).astype(np.int64) * size + np.maximum(left, right)
    clipped = np.clip(probability, CERTAIN, 1 - CERTAIN)
    pairs, place = np.unique(keys, return_inverse=True)
    log_odds = np.bincount(place, np.log(clipped / (1 - clipped))) / np.bincount(place)
    return pairs // size, pairs % size, 1 / (1 + np.exp(-log_odds))


def partition(
    count: int, left: Rows, right: Rows, probability: Floats, linkage: Linkage, bonds: Bonds = FREE
) -> Labels:
    """Return for each of `count` rows the smallest row of its group.

    Each pair is given once, pairs not given are 0; `bonds` must not contradict one another.
    """
    labels = np.arange(count, dtype=np.int64)
    keys = np.minimum(left, right).astype(np.int64) * count + np.maximum(left, right)
    tied = np.minimum(*bonds.tied) * count + np.maximum(*bonds.tied)
    free = ~np.isin(keys, tied)
    pairs = (
        np.concatenate([left[free], tied // count]),
        np.concatenate([right[free], tied % count]),
        np.concatenate([probability[free], np.full(len(tied), TIED)]),
    )
    _split(labels, *pairs, linkage, linkage.floor, np.stack(bonds.barred))
    return labels


def _split(
    labels: Labels,
    left: Rows,
    right: Rows,
    probability: Floats,
    linkage: Linkage,
    floor: float,
    barred: Rows,
) -> None:
    """Cut the graph into connected parts and merge inside each; parts that are too large meet a higher floor."""
    strong = probability >= floor
    left, right, probability = left[strong], right[strong], probability[strong]
    if not len(left):
        return
    parts = connected_parts(left, right)
    part_of = np.full(len(labels), -1)
    for number, pairs in enumerate(parts):
        part_of[left[pairs]] = part_of[right[pairs]] = number
    # Bars are looked up part by part: most parts have none, and a word may bar very many pairs.
    inside = part_of[barred[0]]
    inside = np.where(inside == part_of[barred[1]], inside, -1)
    barred = barred[:, np.argsort(inside, kind="stable")]
    starts = np.searchsorted(np.sort(inside), np.arange(len(parts) + 1))
    for number, pairs in enumerate(parts):
        members, places = np.unique(np.stack([left[pairs], right[pairs]]), return_inverse=True)
        if floor == TIED:
            labels[members] = members[0]
            continue
        if len(members) > linkage.most:
            higher = floor + (1 - floor) / 4
            higher = higher if higher < 1 - CERTAIN else TIED
            _split(labels, left[pairs], right[pairs], probability[pairs], linkage, higher, barred)
            continue
        places = places.reshape(2, -1)
        likeness = np.zeros((len(members), len(members)))
        likeness[places[0], places[1]] = likeness[places[1], places[0]] = probability[pairs]
        apart = np.searchsorted(members, barred[:, starts[number] : starts[number + 1]])
        likeness[apart[0], apart[1]] = likeness[apart[1], apart[0]] = BARRED
        labels[members] = members[_merged(likeness, linkage.best_weight, linkage.cut)]


def connected_parts(left: Rows, right: Rows) -> list[Rows]:
    """Return the places of the pairs, by connected part of the graph they form, in order of its smallest row."""
    if not len(left):
        return []
    rows, ends = np.unique(np.concatenate([left, right]), return_inverse=True)
    ends = ends.reshape(2, -1)
    graph = coo_array((np.ones(len(left)), (ends[0], ends[1])), shape=(len(rows), len(rows)))
    _, part = connected_components(graph, directed=False)
    own = part[ends[0]]
    order = np.argsort(own, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(own[order])) + 1)


@compiled
def _merged(likeness: Floats, best_weight: float, cut: float) -> Labels:
    """Return for each member the first member of its group: agglomeration by the rule of Lance and Williams 1967.

    Groups that hold a tied pair are merged before all others; those that hold a barred pair never are.
    """
    count = len(likeness)
    best, mean = likeness.copy(), likeness.copy()
    sizes, groups = np.ones(count), np.arange(count)
    nearest, score = np.zeros(count, dtype=np.int64), np.full(count, -1.0)
    for one in range(count):
        _look_behind(one, groups, best, mean, best_weight, nearest, score)
    while score.max() >= cut:
        one = int(np.argmax(score))
        other = nearest[one]
        _join(one, other, groups, sizes, best, mean)
        score[other] = -1.0
        for third in range(other):
            if groups[third] != third:
                continue
            if third == one or nearest[third] == one or nearest[third] == other:
                _look_behind(third, groups, best, mean, best_weight, nearest, score)
            elif third < one:
                found = _alike(best[third, one], mean[third, one], best_weight)
                if found > score[third] or (found == score[third] and one < nearest[third]):
                    score[third], nearest[third] = found, one
    return groups


@compiled
def _join(one: int, other: int, groups: Labels, sizes: Floats, best: Floats, mean: Floats) -> None:
    """Put the group `other` into `one`, which stands before it."""
    both = sizes[one] + sizes[other]
    for third in range(len(groups)):
        if groups[third] == other:
            groups[third] = one
        if groups[third] == third and third != one:
            nearer = max(best[one, third], best[other, third])
            if min(best[one, third], best[other, third]) == BARRED:
                nearer = BARRED
            best[one, third] = best[third, one] = nearer
            mean[one, third] = mean[third, one] = (
                sizes[one] * mean[one, third] + sizes[other] * mean[other, third]
            ) / both
    sizes[one] = both


@compiled
def _alike(best: float, mean: float, best_weight: float) -> float:
    if best == BARRED or best == TIED:  # noqa: PLR1714, SIM109  compiled code knows no sets of floats
        return best
    return best_weight * best + (1 - best_weight) * mean


@compiled
def _look_behind(
    one: int,
    groups: Labels,
    best: Floats,
    mean: Floats,
    best_weight: float,
    nearest: Labels,
    score: Floats,
) -> None:
    """Find the group behind `one` that is most alike (ties: the first)."""
    score[one] = -1.0
    for other in range(one + 1, len(groups)):
        if groups[other] == other:
            found = _alike(best[one, other], mean[one, other], best_weight)
            if found > score[one]:
                score[one], nearest[one] = found, other
