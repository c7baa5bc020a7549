"""Pairs to groups: agglomeration inside each connected part of the graph, as far as editors' bonds allow.  Pure.

Pairs that are alike enough form a graph; inside each of its connected parts, groups are merged, the most alike first,
until none is alike enough. How alike two clusters are is learnt from labelled events (`service/likeness.py`). For stories
it mixes their best pair with the mean over all their pairs (single and average linkage): the mean alone splits a saga
that is told from many sides, the best pair alone chains sagas into one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from embeddings.compiled import compiled
from service.likeness import EVENT_WEIGHTS, evidence, weighed

if TYPE_CHECKING:
    import numpy.typing as npt

    Rows = npt.NDArray[np.intp]
    Floats = npt.NDArray[np.float64]
    Labels = npt.NDArray[np.int64]
    Known = tuple[Labels, Floats, Floats, Floats, Floats, npt.NDArray[np.bool_], Floats, float]
    """Of all groups: first members, sizes, sums within; of all pairs of groups: best and sum; of all
    groups and outlets: whether it printed; and how the linkage weighs them."""

STORY_SHARE = 1.3
"""The night weighs every pair of two stories, the day the best voice, so that one knob means two cuts."""
CERTAIN = 1e-6
MOST = 0.95
TIED, BARRED = 2.0, -1.0
"""Likeness of pairs that editors want together, and apart: beyond any probability."""


@dataclass(frozen=True, slots=True)
class Linkage:
    """`cut` in (0, 1): groups less alike stay apart; the best pair weighs `best_weight`, the mean of all the rest.

    Where `weights` are given they decide instead: a constant, and a weight for each of `likeness.EVIDENCE`. Pairs below `floor` connect nothing. A part of more than `most` members is cut at a higher floor first, so that time
    and memory stay bounded.
    """

    cut: float
    best_weight: float = 0.0
    weights: tuple[float, ...] = ()
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
    return Linkage(cut, weights=EVENT_WEIGHTS)


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
    count: int,
    left: Rows,
    right: Rows,
    probability: Floats,
    linkage: Linkage,
    bonds: Bonds = FREE,
    outlets: Labels | None = None,
) -> Labels:
    """Return for each of `count` rows the smallest row of its group.

    Each pair is given once, pairs not given are 0; `bonds` must not contradict one another. `outlets` (count,) holds a
    number for the outlet of each row; without it all are of one.
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
    of_rows = np.zeros(count, dtype=np.int64) if outlets is None else outlets
    _split(labels, *pairs, linkage, linkage.floor, np.stack(bonds.barred), of_rows)
    return labels


def _split(
    labels: Labels,
    left: Rows,
    right: Rows,
    probability: Floats,
    linkage: Linkage,
    floor: float,
    barred: Rows,
    outlets: Labels,
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
            _split(labels, left[pairs], right[pairs], probability[pairs], linkage, higher, barred, outlets)
            continue
        places = places.reshape(2, -1)
        likeness = np.zeros((len(members), len(members)))
        likeness[places[0], places[1]] = likeness[places[1], places[0]] = probability[pairs]
        apart = np.searchsorted(members, barred[:, starts[number] : starts[number + 1]])
        likeness[apart[0], apart[1]] = likeness[apart[1], apart[0]] = BARRED
        numbers = np.unique(outlets[members], return_inverse=True)[1].astype(np.int64)
        weights = np.array(linkage.weights)
        groups, _ = agglomerate(likeness, numbers, weights, linkage.best_weight, linkage.cut)
        labels[members] = members[groups]


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
def agglomerate(
    likeness: Floats, outlets: Labels, weights: Floats, best_weight: float, cut: float
) -> tuple[Labels, Labels]:
    """Return for each member the first of its group, and the merges in their order, as pairs of first members.

    Groups that hold a tied pair are merged before all others; those that hold a barred pair never are. Without `weights`
    the best pair and the mean over all pairs are mixed.
    """
    count = len(likeness)
    groups, sizes, within = np.arange(count), np.ones(count), np.zeros(count)
    best = likeness.copy()
    total = np.clip(likeness, 0.0, 1.0)
    printed = np.zeros((count, outlets.max() + 1 if len(weights) else 0), dtype=np.bool_)
    if len(weights):
        for one in range(count):
            printed[one, outlets[one]] = True
    known = (groups, sizes, within, best, total, printed, weights, best_weight)
    nearest, score = np.zeros(count, dtype=np.int64), np.full(count, -1.0)
    for one in range(count):
        _look_behind(one, known, nearest, score)
    steps = np.zeros((count, 2), dtype=np.int64)
    done = 0
    while score.max() >= cut:
        one = int(np.argmax(score))
        other = nearest[one]
        steps[done] = one, other
        done += 1
        _join(one, other, known)
        score[other] = -1.0
        for third in range(other):
            if groups[third] != third:
                continue
            if third == one or nearest[third] == one or nearest[third] == other:
                _look_behind(third, known, nearest, score)
            elif third < one:
                found = _alike(third, one, known)
                if found > score[third] or (found == score[third] and one < nearest[third]):
                    score[third], nearest[third] = found, one
    return groups, steps[:done]


@compiled
def _join(one: int, other: int, known: Known) -> None:
    """Put the group `other` into `one`, which stands before it."""
    groups, sizes, within, best, total, printed, _, _ = known
    within[one] += within[other] + total[one, other]
    sizes[one] += sizes[other]
    printed[one] |= printed[other]
    for third in range(len(groups)):
        if groups[third] == other:
            groups[third] = one
        if groups[third] == third and third != one:
            nearer = max(best[one, third], best[other, third])
            if min(best[one, third], best[other, third]) == BARRED:
                nearer = BARRED
            best[one, third] = best[third, one] = nearer
            total[one, third] = total[third, one] = total[one, third] + total[other, third]


@compiled
def _alike(one: int, other: int, known: Known) -> float:
    _, sizes, within, best, total, printed, weights, best_weight = known
    nearest: float = best[one, other]
    if nearest == BARRED or nearest == TIED or nearest == 0:  # noqa: PLR1714, SIM109  compiled code knows no sets of floats
        return nearest
    if len(weights) == 0:
        mean: float = total[one, other] / (sizes[one] * sizes[other])
        return best_weight * nearest + (1 - best_weight) * mean
    shared = float((printed[one] & printed[other]).sum())
    outlets = float((printed[one] | printed[other]).sum())
    likely: float = weighed(
        weights,
        evidence(
            (sizes[one], sizes[other]),
            (within[one], within[other]),
            nearest,
            total[one, other],
            shared,
            outlets,
        ),
    )
    return likely


@compiled
def _look_behind(one: int, known: Known, nearest: Labels, score: Floats) -> None:
    """Find the group behind `one` that is most alike (ties: the first)."""
    groups = known[0]
    score[one] = -1.0
    for other in range(one + 1, len(groups)):
        if groups[other] == other:
            found = _alike(one, other, known)
            if found > score[one]:
                score[one], nearest[one] = found, other
