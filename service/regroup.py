"""Groups of a night from its pairs and its past: what is settled stays, what is astir is grouped anew.  Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from service.recluster import FREE, Bonds, both_ways, partition

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from service.recluster import Floats, Labels, Linkage, Rows

    Pairs = tuple[Rows, Rows, Floats]

INERTIA = 0.5
"""Log-odds that a pair gains by having been settled together, and loses by having been settled apart."""
CERTAIN = 1e-6


@dataclass(frozen=True, slots=True)
class Past:
    """How an earlier night left each row: its group as a number, and whether that was settled."""

    groups: Labels
    settled: npt.NDArray[np.bool_]


def together(
    found: Iterable[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float32]]],
) -> Pairs:
    """Return the pairs of all searches, each pair once."""
    parts = list(found)
    if not parts:
        none = np.zeros(0, dtype=np.intp)
        return none, none, np.zeros(0)
    left, right, probability = (np.concatenate(part) for part in zip(*parts, strict=True))
    parts.clear()
    return both_ways(left.astype(np.intp), right.astype(np.intp), probability.astype(np.float64))


def regroup(
    count: int,
    pairs: Pairs,
    past: Past,
    linkage: Linkage,
    bonds: Bonds = FREE,
    outlets: Labels | None = None,
) -> Labels:
    """Return for each of `count` rows the first row of its group, from pairs that are given once.

    Every connected part of the graph in which something is not settled is grouped anew, pairs that were settled with
    some inertia; where all is settled the groups stay as they are.
    """
    left, right, probability = pairs
    strong = probability >= linkage.floor
    left, right, probability = left[strong], right[strong], probability[strong]
    links = ties(np.flatnonzero(past.settled).astype(np.intp), past.groups)
    ends = [np.concatenate(sides) for sides in zip((left, right), links, bonds.tied, strict=True)]
    graph = coo_array((np.ones(len(ends[0]), dtype=np.int8), (ends[0], ends[1])), shape=(count, count))
    _, part = connected_components(graph, directed=False)
    astir = np.zeros(part.max(initial=-1) + 1, dtype=bool)
    astir[part[~past.settled]] = True
    stays = ~astir[part]
    labels = np.arange(count, dtype=np.int64)
    labels[links[1]] = links[0]
    moves = ~stays[left]
    left, right, probability = left[moves], right[moves], probability[moves]
    shifted = _with_inertia(left, right, probability, past)
    found = partition(count, left, right, shifted, linkage, bonds, outlets)
    return np.where(stays, labels, found)


def ties(rows: Rows, groups: Labels) -> tuple[Rows, Rows]:
    """Return pairs that tie the rows of each group to the first of them."""
    order = rows[np.argsort(groups[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    first = np.repeat(order[starts], np.diff(np.append(starts, len(order))))
    others = first != order
    return first[others], order[others]


def _with_inertia(left: Rows, right: Rows, probability: Floats, past: Past) -> Floats:
    """Return the probabilities shifted towards what is settled, so that groups do not flicker from night to night."""
    both = past.settled[left] & past.settled[right]
    together = past.groups[left] == past.groups[right]
    clipped = np.clip(probability, CERTAIN, 1 - CERTAIN)
    log_odds = np.log(clipped / (1 - clipped)) + np.where(together, INERTIA, -INERTIA)
    return np.where(both, 1 / (1 + np.exp(-log_odds)), probability)
