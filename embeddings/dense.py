"""Who is near by dense code: exact within what is looked at, which is everything while there is little.

Codes stand in slices of time. A slice of at most `flat_rows` rows is looked at whole. Of a larger one only the rows whose
nearest centroid is among those nearest to the query, more of them where the slice is near in time; the answer then
depends on how many rows the slice holds, but on nothing else: not on their order, on batches or on what was removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from embeddings.found import Found, best
from embeddings.slices import Slice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from embeddings.found import Numbers, Rows
    from embeddings.shelf import Shelf

    Bools = npt.NDArray[np.bool_]

SPARE = 8
"""Asked of a slice beyond what is wanted, so that a tie at the end or the row itself seldom needs a second look."""
NEAR_SLICES = 1
"""So many slices to either side of a row's own are near in time."""


@dataclass(frozen=True, slots=True)
class Width:
    """How far a dense search looks, in hours, and how closely.

    `limit` neighbours within `horizon` to either side; slices of `slice` hours; of those with more than `flat_rows` rows
    the `near_lists` lists nearest to the query, or `far_lists` where the slice is neither its own nor next to it.
    """

    horizon: float
    slice: float
    limit: int
    flat_rows: int
    near_lists: int
    far_lists: int


@dataclass(frozen=True, slots=True)
class _Questions:
    """Rows that ask, with codes and slices; rows to come by slice, in order; lists nearest to each code (None: not needed)."""

    own: Numbers
    codes: npt.NDArray[np.float32]
    slices: Numbers
    coming: dict[int, Numbers]
    lists: Numbers | None


class DenseSearch:
    """Rows of a shelf that can be found by code."""

    def __init__(self, shelf: Shelf, width: Width) -> None:
        self._shelf = shelf
        self._width = width
        self._slices: dict[int, Slice] = {}

    def add(self, rows: Numbers) -> None:
        """Add rows that have a code and are not there."""
        for number, members in self._by_slice(rows).items():
            if number not in self._slices:
                self._slices[number] = Slice(self._shelf.dimension, self._shelf.centroids)
            self._slices[number].add(self._shelf.codes.values[members].astype(np.float32), members)
            if len(self._slices[number]) > self._width.flat_rows:
                self._slices[number].make_lists()

    def remove(self, row: int) -> None:
        """Forget a row that is there."""
        number = int(self._numbers(np.array([row]))[0])
        self._slices[number].remove(row)
        if not len(self._slices[number]):  # FAISS refuses to search nothing
            del self._slices[number]

    def rows(self) -> Numbers:
        """Return every row, from slice to slice and list to list: who asks in this order seldom looks elsewhere anew."""
        parts = [self._slices[number].rows for number in sorted(self._slices)]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

    def nearest(self, rows: Sequence[int], also: Sequence[int] = ()) -> list[Rows]:
        """Return the best of each of `rows`, best first (ties: lower row), as if `also` had been added one by one.

        Of `also`, each row finds those before itself.
        """
        asked = self._questions(rows, also)
        hours, horizon, limit = self._shelf.hours.values, self._width.horizon, self._width.limit
        batch = self._among(asked, np.asarray(also, dtype=np.int64))
        parts = [batch]
        cut_off = np.full(len(rows), -np.inf)
        for number, positions in self._wanted(asked):
            for group, lists in self._views(asked, number, positions):
                found, last = self._search(number, asked, group, lists, limit + SPARE)
                parts.append(found)
                cut_off[group] = np.maximum(cut_off[group], last)
        nearest, worst = best(asked.own, Found.joined(parts), hours, horizon, limit)
        for position in np.flatnonzero(cut_off >= worst).tolist():
            mine = batch.query == position
            parts = [Found(batch.query[mine], batch.rows[mine], batch.scores[mine])]
            parts += self._second_look(asked, position, float(worst[position]))
            nearest[position] = best(asked.own, Found.joined(parts), hours, horizon, limit)[0][position]
        return nearest

    def _questions(self, rows: Sequence[int], also: Sequence[int]) -> _Questions:
        own, batch = np.asarray(rows, dtype=np.int64), np.asarray(also, dtype=np.int64)
        codes = self._shelf.codes.values[own].astype(np.float32)
        coming = self._by_slice(np.sort(batch[self._shelf.squares.values[batch] > 0]))
        counts = {number: len(held) for number, held in self._slices.items()}
        for number, members in coming.items():
            counts[number] = counts.get(number, 0) + len(members)
        lists = None
        if self._shelf.centroids is not None and max(counts.values(), default=0) > self._width.flat_rows:
            lists = self._shelf.centroids.nearest(codes, self._width.near_lists)
        return _Questions(own, codes, self._numbers(own), coming, lists)

    def _among(self, asked: _Questions, batch: Numbers) -> Found:
        """Return what the rows find among those of `batch` that come before them."""
        products = asked.codes @ self._shelf.codes.values[batch].astype(np.float32).T
        seen = (batch < asked.own[:, None]) & (products > 0)
        everyone = np.arange(len(asked.own))
        for number, members in asked.coming.items():
            if asked.lists is None or self._count(number) + len(members) <= self._width.flat_rows:
                continue
            assert self._shelf.centroids is not None
            columns = np.flatnonzero(np.isin(batch, members))
            own_lists = self._shelf.centroids.nearest(self._shelf.codes.values[batch[columns]], 1)[:, 0]
            for group, lists in self._views(asked, number, everyone):
                if lists is not None:
                    looked_at = np.zeros((len(group), len(self._shelf.centroids)), dtype=np.bool_)
                    np.put_along_axis(looked_at, lists, values=True, axis=1)
                    seen[np.ix_(group, columns)] &= looked_at[:, own_lists]
        query, column = np.nonzero(seen)
        return Found(query, batch[column], products[query, column].astype(np.float64))

    def _wanted(self, asked: _Questions) -> Iterator[tuple[int, Numbers]]:
        """Yield the slices in reach of the rows that have a code, each with the positions that ask."""
        hours = self._shelf.hours.values[asked.own]
        first = (hours - self._width.horizon) // self._width.slice
        last = (hours + self._width.horizon) // self._width.slice
        known = asked.codes.any(axis=1)
        for number in sorted(self._slices):
            positions = np.flatnonzero(known & (first <= number) & (number <= last))
            if len(positions):
                yield number, positions

    def _views(
        self, asked: _Questions, number: int, positions: Numbers
    ) -> Iterator[tuple[Numbers, Numbers | None]]:
        """Yield positions that look at a slice alike, and in which of its lists (None: everywhere)."""
        if asked.lists is None:
            if len(positions):
                yield positions, None
            return
        before = np.searchsorted(asked.coming.get(number, np.zeros(0)), asked.own[positions])
        many = self._count(number) + before > self._width.flat_rows
        near = np.abs(asked.slices[positions] - number) <= NEAR_SLICES
        for chosen, count in (
            (~many, None),
            (many & near, self._width.near_lists),
            (many & ~near, self._width.far_lists),
        ):
            group = positions[chosen]
            if len(group):
                yield group, None if count is None else asked.lists[group, :count]

    def _search(
        self, number: int, asked: _Questions, group: Numbers, lists: Numbers | None, limit: int
    ) -> tuple[Found, npt.NDArray[np.float64]]:
        """Return what a slice holds for a group of positions, and below which score each may have missed something."""
        if lists is not None:
            self._slices[number].make_lists()
        scores, rows = self._slices[number].search(asked.codes[group], limit, lists)
        known = rows >= 0
        found = Found(np.repeat(group, known.sum(axis=1)), rows[known], scores[known].astype(np.float64))
        return found, np.where(known.all(axis=1), scores[:, -1], -np.inf)

    def _second_look(self, asked: _Questions, position: int, worst: float) -> Iterator[Found]:
        """Yield every row that scores `worst` or more, and possibly others.

        A slice may have filled its list with rows beyond the horizon, and at a tie keeps whichever row it likes.
        """
        for number, positions in self._wanted(asked):
            for group, lists in self._views(asked, number, positions[positions == position]):
                limit = SPARE
                while (
                    True
                ):  # several searches for a few more take less time than a range search, a call a row
                    limit = min(4 * limit + 64, len(self._slices[number]))
                    found, last = self._search(number, asked, group, lists, limit)
                    if limit == len(self._slices[number]) or last[0] < worst:
                        yield found
                        break

    def _count(self, number: int) -> int:
        return len(self._slices[number]) if number in self._slices else 0

    def _by_slice(self, rows: Numbers) -> dict[int, Numbers]:
        numbers = self._numbers(rows)
        return {number: rows[numbers == number] for number in np.unique(numbers).tolist()}

    def _numbers(self, rows: Numbers) -> Numbers:
        return (self._shelf.hours.values[rows] // self._width.slice).astype(np.int64)
