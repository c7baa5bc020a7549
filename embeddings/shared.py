"""Terms that two sparse rows share: one pass over many pairs, without a matrix of all terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Rows = npt.NDArray[np.intp]
    Positions = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

SLOTS_A_TERM = 16
MIN_SLOT_BITS = 6
_NO_TERM = -1


@dataclass(frozen=True, slots=True)
class Shared:
    """What pairs of rows have in common, pair after pair, by term identity within a pair.

    `bounds` (pairs + 1) cut the parallel arrays: `ids` (int32), `products` (float32, never 0), the weight on the left
    times the weight on the right, and `mine` (float32), the weight on the left alone.
    """

    bounds: Positions
    ids: npt.NDArray[np.int32]
    products: npt.NDArray[np.float32]
    mine: npt.NDArray[np.float32]

    @property
    def counts(self) -> Positions:
        """How many terms each pair shares."""
        return np.diff(self.bounds)

    def sums(self) -> Floats:
        """Return the sum of each pair's products: the cosine, where the rows have length 1."""
        return self._reduced(np.add, self.products)

    def covered(self) -> Floats:
        """Return how much of each left row is shared: the sum of its shared squared weights, 1 for all of a unit row."""
        return self._reduced(np.add, np.square(self.mine))

    def maxima(self, values: npt.NDArray[np.floating[Any]]) -> Floats:
        """Return the largest of each pair's `values` (parallel to `products`), 0 for a pair that shares nothing."""
        return self._reduced(np.maximum, values)

    def _reduced(self, how: np.ufunc, values: npt.NDArray[np.floating[Any]]) -> Floats:
        result = np.zeros(len(self.bounds) - 1)
        filled = np.flatnonzero(self.counts)
        if len(filled):
            result[filled] = how.reduceat(values, self.bounds[filled])
        return result


def stretches(starts: Positions, lengths: Positions) -> tuple[Positions, Positions]:
    """Return the bounds of stretches laid end to end, and the positions `starts[i]`, `starts[i] + 1`, … they cover."""
    bounds = np.zeros(len(starts) + 1, dtype=np.int64)
    np.cumsum(lengths, out=bounds[1:])
    return bounds, np.arange(bounds[-1]) + np.repeat(starts - bounds[:-1], lengths)


def meetings(
    tables: npt.NDArray[np.int32],
    ids: npt.NDArray[np.int32],
    asked_tables: npt.NDArray[np.int32],
    asked_ids: npt.NDArray[np.int32],
) -> tuple[Positions, Positions]:
    """Return the positions of equal (table, identity) in `asked_*` (ascending) and beside them in `tables`, `ids`.

    No (table, identity) may occur twice in `tables`, `ids`; tables count up from 0.
    """
    # A small hash table for each left row: that of one row fits the nearest cache, where a search of sorted keys jumps
    # about.  Terms that lose their slot to another of their row take it in the next round.
    count = 1 + max(int(part.max(initial=-1)) for part in (tables, asked_tables))
    bits = max(MIN_SLOT_BITS, (SLOTS_A_TERM * len(ids) // max(count, 1)).bit_length())
    mask = np.int32((1 << bits) - 1)
    # A slot that nobody took points behind the last term, at an identity that no term has.
    known = np.append(ids, np.int32(_NO_TERM))
    table = np.full(count << bits, len(ids), dtype=np.int32)
    slots = (tables.astype(np.int64) << bits) | (ids & mask)
    asked_slots = (asked_tables.astype(np.int64) << bits) | (asked_ids & mask)
    waiting = np.arange(len(ids))
    asked: Positions = np.arange(len(asked_ids))
    found: list[tuple[Positions, Positions]] = []
    while len(waiting) and len(asked):
        table[slots[waiting]] = waiting
        waiting = waiting[table[slots[waiting]] != waiting]
        place = table.take(asked_slots)
        same = known.take(place) == asked_ids
        hits = np.flatnonzero(same)
        found.append((asked.take(hits), place.take(hits).astype(np.int64)))
        # Only a slot that others wait for can hold what was asked for and not found.
        again = np.flatnonzero(~same & (place < len(ids)))
        asked, asked_slots, asked_ids = asked.take(again), asked_slots.take(again), asked_ids.take(again)
    if not found:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    all_asked, places = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.argsort(all_asked, kind="stable")
    return all_asked[order], places[order]
