"""Which new group is which old one: IDs that people hold stay with the groups they know.  Pure.

Old and new groups are matched so that as much weight as can be stays under its ID (a maximum-weight matching in each
connected part of the overlaps; ties go to the older ID). An old group left over was merged: it leaves a redirect to the
group that took most of it. A new group left over was split off the group it took most from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    import numpy.typing as npt

    Numbers = npt.NDArray[np.int64]

NONE = -1


@dataclass(frozen=True, slots=True)
class Match:
    """Who continues whom.

    `keeps[g]`: the old group whose ID new group g bears, or -1; `came_from[g]`: the old group it took most from.
    `went_to[o]`: the new group that took most of old group o, which for a kept ID is the one that bears it; -1 for a
    group without items.
    """

    keeps: Numbers
    came_from: Numbers
    went_to: Numbers


def match(old: Numbers, new: Numbers, weights: Numbers, old_count: int, new_count: int) -> Match:
    """Match groups by what they share: item i moves from group `old[i]` to group `new[i]` and weighs `weights[i]`.

    Lower numbers of `old` are older.
    """
    rows, columns, overlap = _overlaps(old, new, weights, new_count)
    keeps, went_to = np.full(new_count, NONE), np.full(old_count, NONE)
    for part in _parts(rows, columns, old_count, new_count):
        kept_old, kept_new = _assign(rows[part], columns[part], overlap[part])
        keeps[kept_new] = kept_old
    # Sorted by the lightest first, so that the heaviest (ties: the older or lower) is written last.
    came_from = np.full(new_count, NONE)
    order = np.lexsort((-rows, overlap))
    came_from[columns[order]] = rows[order]
    order = np.lexsort((-columns, overlap))
    went_to[rows[order]] = columns[order]
    kept = np.flatnonzero(keeps != NONE)
    went_to[keeps[kept]] = kept
    return Match(keeps, came_from, went_to)


def _overlaps(
    old: Numbers, new: Numbers, weights: Numbers, new_count: int
) -> tuple[Numbers, Numbers, Numbers]:
    """Return each pair of an old and a new group that share items, and the weight they share."""
    keys, place = np.unique(old * max(new_count, 1) + new, return_inverse=True)
    overlap = np.bincount(place, weights, minlength=len(keys)).astype(np.int64)
    return keys // max(new_count, 1), keys % max(new_count, 1), overlap


def _parts(rows: Numbers, columns: Numbers, old_count: int, new_count: int) -> list[Numbers]:
    """Return the places of the overlaps, by connected part."""
    if not len(rows):
        return []
    size = old_count + new_count
    graph = coo_array((np.ones(len(rows)), (rows, old_count + columns)), shape=(size, size))
    _, part = connected_components(graph, directed=False)
    own = part[rows]
    order = np.argsort(own, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(own[order])) + 1)


def _assign(rows: Numbers, columns: Numbers, overlap: Numbers) -> tuple[Numbers, Numbers]:
    """Match the groups of one connected part; which old ones keep their ID, and in which new group."""
    if len(rows) == 1:
        return rows, columns
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415  a sixth of every start, and only nights match

    olds, at_row = np.unique(rows, return_inverse=True)
    news, at_column = np.unique(columns, return_inverse=True)
    worth = np.zeros((len(olds), len(news)))
    # Age decides ties: all bonuses together stay below one item.
    worth[at_row, at_column] = overlap + (len(olds) - at_row) / (len(olds) * (len(olds) + 1))
    chosen_rows, chosen_columns = linear_sum_assignment(worth, maximize=True)
    shared = worth[chosen_rows, chosen_columns] > 0
    return olds[chosen_rows[shared]], news[chosen_columns[shared]]
