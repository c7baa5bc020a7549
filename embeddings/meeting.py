"""Sparse rows met term by term: the compiled part of comparing articles.

A row is a stretch of sorted identities with a weight each. Weights are kept in half precision, which compiled code
cannot read; it looks their bits up in `HALVES`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from embeddings.compiled import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

HALVES = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float64)
HALVES[~np.isfinite(HALVES)] = 0
"""The value of each bit pattern of a half; no weight is infinite."""

LOCAL_CROWD = 30
"""A term that so many of an article's candidates hold says nothing about which of them report its event."""
LEAST_LOCAL = 0.02
_LOCAL_WORTH = np.maximum(1 - np.log1p(np.arange(LOCAL_CROWD + 1)) / np.log1p(LOCAL_CROWD), LEAST_LOCAL)
"""By how many candidates hold a term."""
_HASH = 0x9E3779B1
_EMPTY = -1


class Sparse(NamedTuple):
    """Sparse rows: row i holds `ids[ends[i]:ends[i + 1]]` (sorted), with the bits of their weights."""

    ids: npt.NDArray[np.int32]
    bits: npt.NDArray[np.uint16]
    ends: npt.NDArray[np.int64]


class Met(NamedTuple):
    """What two rows share.

    `cosine` (of unit rows), the number of shared `terms`, the share of either row's squared weight that the other holds
    (`here`, `there`), the largest rarity of a shared term, and the largest product of rarity and (geometric) mean weight.
    """

    cosine: float
    terms: int
    here: float
    there: float
    rarest: float
    key: float


@compiled
def meet(
    one: Sparse, row: int, other: Sparse, other_row: int, halves: Floats, rarity: npt.NDArray[np.float32]
) -> Met:
    """Return what `row` of one column shares with `other_row` of another; a term of weight 0 is not shared."""
    cosine = here = there = rarest = key = 0.0
    count = 0
    i, end = one.ends[row], one.ends[row + 1]
    j, other_end = other.ends[other_row], other.ends[other_row + 1]
    while i < end and j < other_end:
        term, other_term = one.ids[i], other.ids[j]
        if term == other_term:
            a, b = halves[one.bits[i]], halves[other.bits[j]]
            if a * b != 0:
                cosine += a * b
                here += a * a
                there += b * b
                count += 1
                rare = np.float64(rarity[term % len(rarity)])
                rarest = max(rarest, rare)
                key = max(key, np.sqrt(a * b) * rare)
        i += term <= other_term
        j += other_term <= term
    return Met(cosine, count, here, there, rarest, key)


@compiled
def table_size(column: Sparse, rows: npt.NDArray[np.int64], bounds: npt.NDArray[np.int64]) -> int:
    """Return the power of two that holds the terms of any stretch of `rows` in a table at most half full."""
    most = 0
    for stretch in range(len(bounds) - 1):
        terms = 0
        for place in range(bounds[stretch], bounds[stretch + 1]):
            terms += column.ends[rows[place] + 1] - column.ends[rows[place]]
        most = max(most, terms)
    size = 16
    while size < 2 * most:
        size *= 2
    return size


@compiled
def count_terms(
    column: Sparse, rows: npt.NDArray[np.int64], keys: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]
) -> None:
    """Count in how many of `rows` each term stands, in a table of `table_size`, emptied first."""
    keys[:] = _EMPTY
    counts[:] = 0
    for row in rows:
        for place in range(column.ends[row], column.ends[row + 1]):
            slot = _slot(keys, column.ids[place])
            keys[slot] = column.ids[place]
            counts[slot] += 1


@compiled
def weigh_locally(
    column: Sparse,
    row: int,
    keys: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    halves: Floats,
    into: Floats,
) -> float:
    """Write the weights of a row, less what its terms are worth less here; return the sum of their squares.

    A term that c candidates hold keeps log((1 + m) / (1 + c)) / log(1 + m) of its weight, m being `LOCAL_CROWD`: inverse
    document frequency among the look-alikes, so that the words of a saga do not decide between its events.
    """
    start = column.ends[row]
    squares = 0.0
    for place in range(start, column.ends[row + 1]):
        count = counts[_slot(keys, column.ids[place])]
        into[place - start] = halves[column.bits[place]] * _LOCAL_WORTH[min(count, LOCAL_CROWD)]
        squares += into[place - start] ** 2
    return squares


@compiled
def local_cosine(
    column: Sparse,
    row: int,
    weights: Floats,
    squares: float,
    other: int,
    others: Floats,
    other_squares: float,
) -> float:
    """Return the cosine of two rows of a column under weights that `weigh_locally` wrote."""
    if squares * other_squares == 0:
        return 0.0
    product = 0.0
    start, other_start = column.ends[row], column.ends[other]
    i, j = start, other_start
    while i < column.ends[row + 1] and j < column.ends[other + 1]:
        term, other_term = column.ids[i], column.ids[j]
        if term == other_term:
            product += weights[i - start] * others[j - other_start]
        i += term <= other_term
        j += other_term <= term
    return float(product / np.sqrt(squares * other_squares))


@compiled
def told(column: Sparse, row: int, weights: Floats, squares: float, other: Sparse, other_row: int) -> float:
    """Return the share of a row's squared `weights` whose terms `other_row` holds; half of nothing is told."""
    if squares == 0:
        return 0.5
    found = 0.0
    start = column.ends[row]
    i, j = start, other.ends[other_row]
    while i < column.ends[row + 1] and j < other.ends[other_row + 1]:
        term, other_term = column.ids[i], other.ids[j]
        if term == other_term:
            found += weights[i - start] ** 2
        i += term <= other_term
        j += other_term <= term
    return found / squares


@compiled
def _slot(keys: npt.NDArray[np.int64], term: int) -> int:
    """Return where `term` stands in a table, or the empty slot where it would."""
    mask = len(keys) - 1
    slot = int((np.int64(term) * _HASH) & mask)
    while keys[slot] != _EMPTY and keys[slot] != term:
        slot = (slot + 1) & mask
    return slot
