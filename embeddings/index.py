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

from embeddings.postings import ROW_CODE, Postings
from embeddings.shelf import Column

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from embeddings.shelf import Shelf

    Rows = npt.NDArray[np.intp]

HOURS_A_DAY = 24.0
SPARE = 8
"""Asked of FAISS beyond `dense_k`, so that a tie at the end or the row itself seldom needs a second look."""
KEY_BITS = 63
"""What a sort key of one number may hold: query, score and row."""
_BY_TERMS, _BY_DENSE = np.uint8(1), np.uint8(2)


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

    def whole(self, first: float, last: float) -> tuple[float, float]:
        """Return the bounds, in hours, of all partitions that articles of the hours `first` to `last` look into."""
        width, horizon = self.partition_days * HOURS_A_DAY, self.horizon_days * HOURS_A_DAY
        return (first - horizon) // width * width, ((last + horizon) // width + 1) * width


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
        self._width = reach.partition_days * HOURS_A_DAY
        self._dense: dict[int, faiss.IndexIDMap] = {}
        self._postings: dict[int, Postings] = defaultdict(Postings)
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

    def add_terms(self, row: int) -> None:
        """Let term searches find `row` from now on.

        Raises:
            ValueError: the row is there already.
        """
        _, terms, _ = self._heaviest([row])
        self._join(row, terms.tolist())

    def add_dense(self, rows: Sequence[int]) -> None:
        """Let dense searches find `rows` from now on; rows without a dense code are passed over.

        Raises:
            ValueError: a row is there already; then none is added.
        """
        new = np.asarray(rows, dtype=np.int64)
        self._make_room(int(new.max(initial=-1)))
        marks = self._found_by.values
        known = new[marks[new] & _BY_DENSE > 0].tolist()
        if known or len(np.unique(new)) != len(new):
            raise ValueError(f"rows added twice to the dense index: {known[:5]}")
        new = new[self._shelf.squares.values[new] > 0]
        marks[new] |= _BY_DENSE
        partitions = self._partitions(new)
        for partition in np.unique(partitions).tolist():
            members = new[partitions == partition]
            if partition not in self._dense:
                self._dense[partition] = _empty(self._shelf.dimension)
            self._dense[partition].add_with_ids(self._shelf.codes.values[members].astype(np.float32), members)

    def remove(self, row: int) -> None:
        """Forget `row`; nothing happens when it is not there."""
        partition = self._partition(row)
        if self._is_found(row, _BY_TERMS):
            _, terms, _ = self._heaviest([row])
            self._postings[partition].remove(terms.tolist(), row)
            self._length -= 1
        if self._is_found(row, _BY_DENSE):
            self._dense[partition].remove_ids(faiss.IDSelectorRange(row, row + 1))
            if not self._dense[partition].ntotal:  # FAISS refuses to search nothing
                del self._dense[partition]
        if row < len(self._found_by):
            self._found_by.values[row] = 0

    def by_terms(self, rows: Sequence[int], *, add: bool = False) -> list[Rows]:
        """Return, for each of `rows`, those that share the most and rarest terms with it, best first (ties: lower row).

        With `add`, each row joins the index once its own search is done: the later ones find it.
        """
        bounds, ids, weights = self._heaviest(rows)
        terms, cuts = ids.tolist(), bounds.tolist()
        found: array[int] = array(ROW_CODE)
        places: list[int] = []
        counts: list[int] = []
        for position, row in enumerate(rows):
            own = range(cuts[position], cuts[position + 1])
            for partition in self._touched(float(self._shelf.hours.values[row])):
                if partition not in self._postings:
                    continue
                share = self._postings[partition].share
                for place in own:
                    count = share(terms[place], self._reach.posting_cap, found)
                    if count:
                        places.append(place)
                        counts.append(count)
            if add:
                self._join(row, terms[own.start : own.stop])
        query = np.repeat(np.arange(len(rows)), np.diff(bounds))
        by = np.repeat(np.asarray(places, dtype=np.intp), counts)
        # Whole thousandths add up exactly, so the order of the postings cannot change a tie.
        thousandths = np.rint(weights.astype(np.float64) * 1000)[by]
        shared = _Found(query[by], np.asarray(found, dtype=np.int64), thousandths)
        return self._best(rows, _added_up(shared), self._reach.term_k)[0]

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
                ids, scores = _from(self._dense[partition], query, worst)
                parts.append(_Found(np.zeros(len(ids), dtype=np.int64), ids, scores))
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
        query, members, scores = _ordered(query, members, scores)
        starts = np.searchsorted(query, np.arange(len(rows) + 1))
        worst = np.ones(len(rows))
        full = np.flatnonzero(np.diff(starts) >= limit)
        worst[full] = scores[starts[full] + limit - 1]
        pairs = zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
        return [members[start : min(end, start + limit)].astype(np.intp) for start, end in pairs], worst

    def _heaviest(
        self, rows: Sequence[int]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        terms = self._shelf.terms[self._reach.field]
        return terms.heaviest(np.asarray(rows, dtype=np.intp), self._reach.query_terms)

    def _join(self, row: int, terms: Sequence[int]) -> None:
        if row in self:
            raise ValueError(f"row {row} is in the index already")
        self._postings[self._partition(row)].add(terms, row)
        self._mark(row, _BY_TERMS)
        self._length += 1

    def _is_found(self, row: int, how: np.uint8) -> bool:
        return row < len(self._found_by) and bool(self._found_by.values[row] & how)

    def _mark(self, row: int, how: np.uint8) -> None:
        self._make_room(row)
        self._found_by.values[row] |= how

    def _make_room(self, row: int) -> None:
        missing = row + 1 - len(self._found_by)
        if missing > 0:
            self._found_by.extend(np.zeros(missing, dtype=np.uint8))

    def _partition(self, row: int) -> int:
        return int(self._shelf.hours.values[row] // self._width)

    def _partitions(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return (self._shelf.hours.values[rows] // self._width).astype(np.int64)

    def _touched(self, hour: float) -> Iterator[int]:
        horizon = self._reach.horizon_days * HOURS_A_DAY
        yield from range(int((hour - horizon) // self._width), int((hour + horizon) // self._width) + 1)


def _joined(parts: Sequence[_Found]) -> _Found:
    return _Found(
        np.concatenate([part.query for part in parts]),
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )


def _empty(dimension: int) -> faiss.IndexIDMap:
    """Return an index that keeps codes as the bytes they are and compares them exactly."""
    codes = faiss.ScalarQuantizer.QT_8bit_direct_signed
    index = faiss.IndexScalarQuantizer(dimension, codes, faiss.METRIC_INNER_PRODUCT)
    index.is_trained = True  # bytes taken as they are need no learnt range
    return faiss.IndexIDMap(index)


def _from(
    index: faiss.IndexIDMap, query: npt.NDArray[np.float32], worst: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the rows that score `worst` or more, and possibly others, with their scores."""
    limit = SPARE
    while True:  # several searches for a few more take less time than one range search, which scores every row by a call
        limit = min(4 * limit + 64, index.ntotal)
        scores, ids = index.search(query[None, :], limit)
        if limit == index.ntotal or scores[0, -1] < worst:
            return ids[0], scores[0].astype(np.float64)


def _added_up(found: _Found) -> _Found:
    """Add up the scores of each query and row, in the order of both."""
    keys = found.query << 32 | found.rows
    order = np.argsort(keys)
    keys = keys[order]
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    scores = np.add.reduceat(found.scores[order], first) if len(first) else found.scores
    return _Found(keys[first] >> 32, keys[first] & 0xFFFFFFFF, scores)


def _ordered(
    query: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], scores: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Sort by query, then the higher score, then the lower row; scores are whole numbers, none negative."""
    if not len(query):
        return query, rows, scores
    top = int(scores.max())
    row_bits, score_bits = int(rows.max()).bit_length(), top.bit_length()
    if int(query.max()).bit_length() + score_bits + row_bits > KEY_BITS:
        order = np.lexsort((rows, -scores, query))
        return query[order], rows[order], scores[order]
    # One whole number sorts several times faster than three columns.
    keys = np.sort(((query << score_bits) + (top - scores.astype(np.int64)) << row_bits) + rows)
    missing = keys >> row_bits & ((1 << score_bits) - 1)
    return keys >> (score_bits + row_bits), keys & ((1 << row_bits) - 1), (top - missing).astype(np.float64)
