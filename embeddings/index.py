"""Who could be alike: exact nearest neighbours by dense code, and articles that share rare terms.

The index is a cache over a `Shelf`; it is rebuilt, never stored. Both searches look only a bounded time to either
side, so the index is cut into partitions by time. It is not safe to use from two threads at once (a FAISS `add` beside
a `search` ends the process).
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import faiss
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from embeddings.shelf import Shelf

    Rows = npt.NDArray[np.intp]

HOURS_A_DAY = 24.0
SPARE = 8
"""Asked of FAISS beyond `dense_k`, so that a tie at the end or the row itself seldom needs a second look."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far and how wide an index looks.

    `horizon_days` to either side of an article; at most `dense_k` neighbours by dense code and `term_k` by shared
    terms, counted over the `query_terms` heaviest terms of `field` that at most `posting_cap` articles of one
    partition share.
    """

    field: str
    horizon_days: float
    partition_days: float
    dense_k: int = 16
    term_k: int = 12
    query_terms: int = 8
    posting_cap: int = 256


@dataclass(frozen=True, slots=True)
class _Hits:
    """Rows found in one partition; when the list was cut off, `last` is its lowest score."""

    rows: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    partition: int = 0
    last: float = -np.inf


class NeighbourIndex:
    """Rows of one `Shelf` that can be found by likeness."""

    def __init__(self, shelf: Shelf, reach: Reach) -> None:
        self._shelf = shelf
        self._reach = reach
        self._dense: dict[int, faiss.IndexIDMap] = {}
        self._postings: dict[int, dict[int, array[int]]] = defaultdict(dict)
        self._rows: set[int] = set()
        self._dense_rows: set[int] = set()

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, row: int) -> bool:
        return row in self._rows

    def add_terms(self, row: int) -> None:
        """Let term searches find `row` from now on.

        Raises:
            ValueError: the row is there already.
        """
        if row in self._rows:
            raise ValueError(f"row {row} is in the index already")
        self._rows.add(row)
        postings = self._postings[self._partition(row)]
        for term in self._heaviest(row)[0]:
            postings.setdefault(int(term), array("i")).append(row)

    def add_dense(self, rows: Sequence[int]) -> None:
        """Let dense searches find `rows` from now on; rows without a dense code are passed over.

        Raises:
            ValueError: a row is there already; then none is added.
        """
        codes = self._shelf.codes.values
        known = self._dense_rows.intersection(rows)
        if known or len(set(rows)) != len(rows):
            raise ValueError(f"rows added twice to the dense index: {sorted(known)[:5]}")
        by_partition: dict[int, list[int]] = defaultdict(list)
        for row in rows:
            if codes[row].any():
                by_partition[self._partition(row)].append(row)
        for partition, members in by_partition.items():
            if partition not in self._dense:
                self._dense[partition] = faiss.IndexIDMap(faiss.IndexFlatIP(self._shelf.dimension))
            self._dense[partition].add_with_ids(
                np.ascontiguousarray(codes[members], dtype=np.float32), np.asarray(members, dtype=np.int64)
            )
            self._dense_rows.update(members)

    def remove(self, row: int) -> None:
        """Forget `row`; nothing happens when it is not there."""
        partition = self._partition(row)
        if row in self._rows:
            self._rows.remove(row)
            postings = self._postings[partition]
            for term in self._heaviest(row)[0]:
                members = postings[int(term)]
                members.remove(row)
                if not members:
                    del postings[int(term)]
        if row in self._dense_rows:
            self._dense_rows.remove(row)
            self._dense[partition].remove_ids(faiss.IDSelectorRange(row, row + 1))

    def by_terms(self, row: int) -> Rows:
        """Return the rows that share the most, and the rarest, terms with `row`, best first (ties: lower row)."""
        terms, weights = self._heaviest(row)
        found: list[array[int]] = []
        asked: list[int] = []
        for partition in self._touched(float(self._shelf.hours.values[row])):
            postings = self._postings.get(partition)
            if postings is None:
                continue
            for position, term in enumerate(terms.tolist()):
                members = postings.get(term)
                if members is not None and len(members) <= self._reach.posting_cap:
                    found.append(members)
                    asked.append(position)
        if not found:
            return np.zeros(0, dtype=np.intp)
        rows, place = np.unique(np.frombuffer(b"".join(found), dtype=np.int32), return_inverse=True)
        # Whole thousandths add up exactly, so the order of the postings cannot change a tie.
        thousandths = np.rint(weights * 1000)[asked]
        total = np.bincount(place, weights=np.repeat(thousandths, [len(members) for members in found]))
        keep = self._near(row, rows) & (rows != row)
        rows, total = rows[keep], total[keep]
        best = np.argsort(-total, kind="stable")[: self._reach.term_k]
        return np.asarray(rows[best], dtype=np.intp)

    def by_dense(self, rows: Sequence[int], also: Sequence[int] = ()) -> list[Rows]:
        """Return, for each of `rows`, its nearest rows by dense code, best first (ties: lower row).

        `also` are rows on the shelf but not yet in the index (the batch being decided): each of `rows` finds those
        before itself, exactly as if they had been added one by one.
        """
        codes = self._shelf.codes.values
        queries = np.asarray(codes[list(rows)], dtype=np.float32)
        batch = np.asarray(also, dtype=np.int64)
        products = queries @ np.asarray(codes[batch], dtype=np.float32).T
        found = self._search(rows, queries)
        nearest: list[Rows] = []
        for position, row in enumerate(rows):
            earlier = batch < row
            hits = found[position]
            hits.append(_Hits(batch[earlier], products[position][earlier]))
            best, worst = self._nearest(row, hits)
            if any(part.last >= worst for part in hits):
                best, _ = self._nearest(row, [self._all(queries[position], part, worst) for part in hits])
            nearest.append(best)
        return nearest

    def _search(self, rows: Sequence[int], queries: npt.NDArray[np.float32]) -> list[list[_Hits]]:
        """Return the best of each partition in reach of each row, whether within the horizon or not."""
        hours = self._shelf.hours.values
        wanted: dict[int, list[int]] = defaultdict(list)
        for position, row in enumerate(rows):
            if queries[position].any():
                for partition in self._touched(float(hours[row])):
                    if partition in self._dense:
                        wanted[partition].append(position)
        found: list[list[_Hits]] = [[] for _ in rows]
        for partition, positions in sorted(wanted.items()):
            scores, ids = self._dense[partition].search(queries[positions], self._reach.dense_k + SPARE)
            for position, score, members in zip(positions, scores, ids, strict=True):
                known = members >= 0  # FAISS pads with -1
                last = float(score[-1]) if known.all() else -np.inf
                found[position].append(_Hits(members[known], score[known], partition, last))
        return found

    def _all(self, query: npt.NDArray[np.float32], part: _Hits, worst: float) -> _Hits:
        """Return every row of a cut-off partition that scores `worst` or more.

        FAISS may have filled its list with rows beyond the horizon, and at a tie keeps whichever row it likes.
        """
        if part.last < worst:
            return part
        _, scores, ids = self._dense[part.partition].range_search(query[None, :], worst - 0.5)
        return _Hits(ids, scores)

    def _nearest(self, row: int, hits: list[_Hits]) -> tuple[Rows, float]:
        """Return the nearest of `hits`, and the score another row must have to be among them."""
        rows = np.concatenate([part.rows for part in hits])
        scores = np.concatenate([part.scores for part in hits])
        keep = (scores > 0) & (rows != row) & self._near(row, rows)
        rows, scores = rows[keep], scores[keep]
        best = np.lexsort((rows, -scores))[: self._reach.dense_k]
        worst = float(scores[best[-1]]) if len(best) == self._reach.dense_k else 1.0
        return rows[best].astype(np.intp), worst

    def _heaviest(self, row: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        ids, weights = self._shelf.terms[self._reach.field].row(row)
        best = np.argsort(-weights, kind="stable")[: self._reach.query_terms]
        return ids[best], weights[best]

    def _near(self, row: int, rows: npt.NDArray[np.int64] | npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        hours = self._shelf.hours.values
        return np.asarray(np.abs(hours[rows] - hours[row]) <= self._reach.horizon_days * HOURS_A_DAY)

    def _partition(self, row: int) -> int:
        return int(self._shelf.hours.values[row] // (self._reach.partition_days * HOURS_A_DAY))

    def _touched(self, hour: float) -> Iterator[int]:
        width = self._reach.partition_days * HOURS_A_DAY
        horizon = self._reach.horizon_days * HOURS_A_DAY
        yield from range(int((hour - horizon) // width), int((hour + horizon) // width) + 1)
