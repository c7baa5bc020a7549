"""Who could be alike: nearest neighbours by dense code, and articles that share rare terms.

The index is a cache over a `Shelf`; it is rebuilt, never stored. Both searches look only a bounded time to either
side, so the index is cut by time. It is not safe to use from two threads at once (a FAISS `add` beside a `search` ends the
process).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from embeddings.dense import DenseSearch, Width
from embeddings.found import Found, best
from embeddings.postings import JOINS, SEARCHES, Asked, Cap, Postings
from embeddings.shelf import Column

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from embeddings.found import Numbers, Rows
    from embeddings.shelf import Shelf

HOURS_A_DAY = 24.0
_BY_TERMS, _BY_DENSE = np.uint8(1), np.uint8(2)


@dataclass(frozen=True, slots=True)
class Reach:
    """How far and how wide an index looks.

    `horizon_days` to either side of an article; at most `dense_k` neighbours by dense code and `term_k` by shared
    terms, counted over the `query_terms` heaviest terms of `field` that few articles of one partition of `partition_days`
    share: at most `posting_cap`, or one in `posting_part` of the partition where that is more, never over
    `posting_most`. `slice_days`, `flat_rows`, `near_lists` and `far_lists` say how dense search saves
    time among many (see `embeddings.dense`).
    """

    field: str
    horizon_days: float
    partition_days: float
    slice_days: float = 2
    dense_k: int = 16
    term_k: int = 12
    query_terms: int = 8
    posting_cap: int = 256
    posting_part: int = 200
    posting_most: int = 4096
    flat_rows: int = 6_000
    near_lists: int = 24
    far_lists: int = 4

    def whole(self, first: float, last: float) -> tuple[float, float]:
        """Return the bounds, in hours, of all partitions that articles of the hours `first` to `last` look into.

        Partitions hold whole slices, so who has all articles between these bounds finds what an index of all finds.
        """
        width, horizon = self.partition_days * HOURS_A_DAY, self.horizon_days * HOURS_A_DAY
        return (first - horizon) // width * width, ((last + horizon) // width + 1) * width


class NeighbourIndex:
    """Rows of one `Shelf` that can be found by likeness."""

    def __init__(self, shelf: Shelf, reach: Reach) -> None:
        self._shelf = shelf
        self._reach = reach
        self._width = reach.partition_days * HOURS_A_DAY
        self._horizon = reach.horizon_days * HOURS_A_DAY
        self._cap = Cap(reach.posting_cap, reach.posting_part, reach.posting_most)
        self._dense = DenseSearch(
            shelf,
            Width(
                self._horizon,
                reach.slice_days * HOURS_A_DAY,
                reach.dense_k,
                reach.flat_rows,
                reach.near_lists,
                reach.far_lists,
            ),
        )
        self._postings: dict[int, Postings] = {}
        self._found_by: Column[np.uint8] = Column(np.uint8)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __contains__(self, row: int) -> bool:
        return self._is_found(row, _BY_TERMS)

    @property
    def reach(self) -> Reach:
        """How far and how wide it looks."""
        return self._reach

    def rows(self) -> Rows:
        """Return the rows that term searches can find, in order."""
        return np.flatnonzero(self._found_by.values & _BY_TERMS)

    def in_turn(self, rows: Numbers) -> Numbers:
        """Return `rows`, each once, those that look at the same part of the index next to each other.

        Answers do not depend on it; the processor's caches do. Rows that have no dense code come last.
        """
        near = self._dense.rows()
        near = near[np.isin(near, rows)]
        return np.concatenate([near, np.setdiff1d(rows, near)])

    def add_terms(self, row: int) -> None:
        """Let term searches find `row` from now on.

        Raises:
            ValueError: the row is there already.
        """
        self._visit([row], search=False, add=True)

    def add(self, rows: Sequence[int]) -> None:
        """Let both searches find `rows` from now on; terms of 500 at once take a twentieth of the time of one by one.

        Raises:
            ValueError: a row is there already, or comes twice.
        """
        self._visit(rows, search=False, add=True)
        self.add_dense(rows)

    def add_dense(self, rows: Sequence[int]) -> None:
        """Let dense searches find `rows` from now on; rows without a dense code are passed over.

        Raises:
            ValueError: a row is there already; then none is added.
        """
        new = np.asarray(rows, dtype=np.int64)
        self._demand_new(new, _BY_DENSE, "rows added twice to the dense index")
        new = new[self._shelf.squares.values[new] > 0]
        self._found_by.values[new] |= _BY_DENSE
        self._dense.add(new)

    def remove(self, row: int) -> None:
        """Forget `row`; nothing happens when it is not there."""
        if self._is_found(row, _BY_TERMS):
            _, terms, _ = self._heaviest([row])
            self._postings[int(self._partitions(np.array([row]))[0])].remove(terms, row)
            self._length -= 1
        if self._is_found(row, _BY_DENSE):
            self._dense.remove(row)
        if row < len(self._found_by):
            self._found_by.values[row] = 0

    def by_terms(self, rows: Sequence[int], *, add: bool = False) -> list[Rows]:
        """Return, for each of `rows`, those that share the most and rarest terms with it, best first (ties: lower row).

        With `add`, each row joins the index once its own search is done: the later ones find it.

        Raises:
            ValueError: a row to be added is there already; then none is added.
        """
        found = self._visit(rows, search=True, add=add)
        own = np.asarray(rows, dtype=np.int64)
        return best(own, found, self._shelf.hours.values, self._horizon, self._reach.term_k)[0]

    def by_dense(self, rows: Sequence[int], also: Sequence[int] = ()) -> list[Rows]:
        """Return, for each of `rows`, its nearest rows by dense code, best first (ties: lower row).

        `also` are rows on the shelf but not yet in the index (the batch being decided): each of `rows` finds those
        before itself, exactly as if they had been added one by one.
        """
        return self._dense.nearest(rows, also)

    def _visit(self, rows: Sequence[int], *, search: bool, add: bool) -> Found:
        """Let `rows`, one after the other, search the partitions in their reach and join their own."""
        own = np.asarray(rows, dtype=np.int64)
        if add:
            self._demand_new(own, _BY_TERMS, "rows are in the index already")
        bounds, terms, weights = self._heaviest(rows)
        # Whole thousandths add up exactly, so the order of the postings cannot change a tie.
        thousandths = np.rint(weights.astype(np.float64) * 1000).astype(np.int64)
        hours, homes = self._shelf.hours.values, self._partitions(own)
        first = (hours[own] - self._horizon) // self._width
        last = (hours[own] + self._horizon) // self._width
        parts: list[Found] = []
        for partition in sorted({*self._postings, *(homes.tolist() if add else ())}):
            does = np.where(search & (first <= partition) & (partition <= last), SEARCHES, 0)
            does = (does | np.where(add & (homes == partition), JOINS, 0)).astype(np.uint8)
            positions = np.flatnonzero(does)
            if not len(positions):
                continue
            asked = Asked(
                own[positions], does[positions], bounds[positions], bounds[positions + 1], terms, thousandths
            )
            counts, others, scores = self._postings.setdefault(partition, Postings()).visit(
                asked, hours, self._horizon, self._reach.term_k, self._cap
            )
            kept = np.arange(self._reach.term_k) < counts[:, None]
            parts.append(Found(np.repeat(positions, counts), others[kept], scores[kept].astype(np.float64)))
        if add:
            self._found_by.values[own] |= _BY_TERMS
            self._length += len(own)
        return Found.joined(parts)

    def _heaviest(
        self, rows: Sequence[int]
    ) -> tuple[Numbers, npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        terms = self._shelf.terms[self._reach.field]
        return terms.heaviest(np.asarray(rows, dtype=np.intp), self._reach.query_terms)

    def _demand_new(self, rows: Numbers, how: np.uint8, problem: str) -> None:
        """Make room for marks of `rows`, and refuse those marked already and those that come twice."""
        missing = int(rows.max(initial=-1)) + 1 - len(self._found_by)
        if missing > 0:
            self._found_by.extend(np.zeros(missing, dtype=np.uint8))
        known = rows[self._found_by.values[rows] & how > 0].tolist()
        if known or len(np.unique(rows)) != len(rows):
            raise ValueError(f"{problem}: {known[:5]}")

    def _is_found(self, row: int, how: np.uint8) -> bool:
        return row < len(self._found_by) and bool(self._found_by.values[row] & how)

    def _partitions(self, rows: Numbers) -> Numbers:
        return (self._shelf.hours.values[rows] // self._width).astype(np.int64)
