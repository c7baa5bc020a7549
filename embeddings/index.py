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
class _Found:
    """What a search turned up: parallel arrays of the query's position, the row found, and its score."""

    query: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]


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

    def by_terms(self, rows: Sequence[int], *, add: bool = False) -> list[Rows]:
        """Return, for each of `rows`, those that share the most and rarest terms with it, best first (ties: lower row).

        With `add`, each row joins the index once its own search is done: the later ones find it.
        """
        shared: list[bytes] = []
        scores: list[npt.NDArray[np.float64]] = []
        for row in rows:
            members, thousandths = self._sharing(row)
            shared.append(members)
            scores.append(thousandths)
            if add:
                self.add_terms(row)
        found = np.frombuffer(b"".join(shared), dtype=np.int32).astype(np.int64)
        query = np.repeat(np.arange(len(rows)), [len(part) for part in scores])
        # One key for query and row; whole thousandths add up exactly, so the order of the postings cannot change a tie.
        keys, place = np.unique(query << 32 | found, return_inverse=True)
        weights = np.concatenate([*scores, np.zeros(0)])
        total = np.bincount(place, weights=weights, minlength=len(keys)).astype(np.float64)
        return self._best(rows, _Found(keys >> 32, keys & 0xFFFFFFFF, total), self._reach.term_k)[0]

    def by_dense(self, rows: Sequence[int], also: Sequence[int] = ()) -> list[Rows]:
        """Return, for each of `rows`, its nearest rows by dense code, best first (ties: lower row).

        `also` are rows on the shelf but not yet in the index (the batch being decided): each of `rows` finds those
        before itself, exactly as if they had been added one by one.
        """
        codes = self._shelf.codes.values
        queries = np.asarray(codes[list(rows)], dtype=np.float32)
        own = np.asarray(rows, dtype=np.int64)
        batch = np.asarray(also, dtype=np.int64)
        products = queries @ np.asarray(codes[batch], dtype=np.float32).T
        query, column = np.nonzero((batch < own[:, None]) & (products > 0))
        parts = [_Found(query, batch[column], products[query, column].astype(np.float64))]
        cut_off = np.full(len(rows), -np.inf)
        for partition, asked in self._wanted(rows, queries):
            scores, ids = self._dense[partition].search(queries[asked], self._reach.dense_k + SPARE)
            known = ids >= 0  # FAISS pads with -1
            parts.append(
                _Found(np.repeat(asked, known.sum(axis=1)), ids[known], scores[known].astype(np.float64))
            )
            cut_off[asked] = np.maximum(cut_off[asked], np.where(known.all(axis=1), scores[:, -1], -np.inf))
        nearest, worst = self._best(rows, _joined(parts), self._reach.dense_k)
        for position in np.flatnonzero(cut_off >= worst).tolist():
            nearest[position] = self._second_look(
                rows[position], queries[position], float(worst[position]), parts[0], position
            )
        return nearest

    def _sharing(self, row: int) -> tuple[bytes, npt.NDArray[np.float64]]:
        """Return the rows (int32) that share a heavy term with `row`, once a term, and the term's weight in thousandths."""
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
        thousandths = np.rint(weights.astype(np.float64) * 1000)[asked]
        return b"".join(found), np.repeat(thousandths, [len(members) for members in found])

    def _wanted(
        self, rows: Sequence[int], queries: npt.NDArray[np.float32]
    ) -> list[tuple[int, npt.NDArray[np.int64]]]:
        """Return the partitions in reach of the rows that have a dense code, each with the positions that ask."""
        wanted: dict[int, list[int]] = defaultdict(list)
        hours = self._shelf.hours.values
        for position in np.flatnonzero(queries.any(axis=1)).tolist():
            for partition in self._touched(float(hours[rows[position]])):
                if partition in self._dense:
                    wanted[partition].append(position)
        return [(partition, np.asarray(asked, dtype=np.int64)) for partition, asked in sorted(wanted.items())]

    def _second_look(
        self, row: int, query: npt.NDArray[np.float32], worst: float, batch: _Found, position: int
    ) -> Rows:
        """Return the nearest of every row that scores `worst` or more.

        FAISS may have filled its list with rows beyond the horizon, and at a tie keeps whichever row it likes.
        """
        mine = batch.query == position
        parts = [_Found(np.zeros(mine.sum(), dtype=np.int64), batch.rows[mine], batch.scores[mine])]
        for partition in self._touched(float(self._shelf.hours.values[row])):
            if partition in self._dense:
                _, scores, ids = self._dense[partition].range_search(query[None, :], worst - 1)
                parts.append(_Found(np.zeros(len(ids), dtype=np.int64), ids, scores.astype(np.float64)))
        return self._best([row], _joined(parts), self._reach.dense_k)[0][0]

    def _best(
        self, rows: Sequence[int], found: _Found, limit: int
    ) -> tuple[list[Rows], npt.NDArray[np.float64]]:
        """Return the best `limit` within the horizon of each row, and the score another row needs to be among them."""
        hours = self._shelf.hours.values
        own = np.asarray(rows, dtype=np.int64)[found.query]
        horizon = self._reach.horizon_days * HOURS_A_DAY
        near = (np.abs(hours[found.rows] - hours[own]) <= horizon) & (found.rows != own) & (found.scores > 0)
        query, members, scores = found.query[near], found.rows[near], found.scores[near]
        order = np.lexsort((members, -scores, query))
        query, members, scores = query[order], members[order], scores[order]
        starts = np.searchsorted(query, np.arange(len(rows) + 1))
        worst = np.ones(len(rows))
        full = np.flatnonzero(np.diff(starts) >= limit)
        worst[full] = scores[starts[full] + limit - 1]
        pairs = zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
        return [members[start : min(end, start + limit)].astype(np.intp) for start, end in pairs], worst

    def _heaviest(self, row: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        ids, weights = self._shelf.terms[self._reach.field].row(row)
        best = np.argsort(-weights, kind="stable")[: self._reach.query_terms]
        return ids[best], weights[best]

    def _partition(self, row: int) -> int:
        return int(self._shelf.hours.values[row] // (self._reach.partition_days * HOURS_A_DAY))

    def _touched(self, hour: float) -> Iterator[int]:
        width = self._reach.partition_days * HOURS_A_DAY
        horizon = self._reach.horizon_days * HOURS_A_DAY
        yield from range(int((hour - horizon) // width), int((hour + horizon) // width) + 1)


def _joined(parts: Sequence[_Found]) -> _Found:
    return _Found(
        np.concatenate([part.query for part in parts]),
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )
