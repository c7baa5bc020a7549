"""Which rows hold a term: the lists behind a search by shared terms, kept and walked by compiled code.

A hash table of terms; a term that one row holds (two of three do) keeps that row in the table, every other a chain of
blocks of `BLOCK` rows, the newest first. About 100 bytes an article of eight terms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from embeddings.compiled import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    Numbers = npt.NDArray[np.int64]
    Ints = npt.NDArray[np.int32]

BLOCK = 15
"""With the number of the next block they fill one line of the processor's cache."""
_EMPTY = -1
_HASH = 0x9E3779B1
_TERMS, _BLOCKS, _FREE, _ROWS = 0, 1, 2, 3
"""In `state`: terms in the table, blocks ever used, the first of those given back (-1: none), and rows that joined."""
SEARCHES, JOINS = np.uint8(1), np.uint8(2)
"""What a row does in a `visit`: it is searched for, it is added, or first the one and then the other."""


class Chains(NamedTuple):
    """The table (`terms`, `counts`, `firsts`: the row of a single holder, else its newest block) and the blocks."""

    terms: Ints
    counts: Ints
    firsts: Ints
    blocks: Ints
    state: Numbers


class Cap(NamedTuple):
    """How many rows may hold a term that is followed: `least`, or one in `part` of all rows, but never more than `most`."""

    least: int
    part: int
    most: int


class Asked(NamedTuple):
    """Rows in the order they come, what each does, and their terms: `terms[starts[i]:ends[i]]` with weights >= 0."""

    rows: Numbers
    does: npt.NDArray[np.uint8]
    starts: Numbers
    ends: Numbers
    terms: Ints
    weights: Numbers


class Sharers(NamedTuple):
    """For each row asked, up to a limit of `rows` with their `scores`, best first; `counts` says how many."""

    counts: Numbers
    rows: Numbers
    scores: Numbers


class Postings:
    """The rows that hold each term."""

    def __init__(self) -> None:
        self._chains = _empty(64, 16)
        self._sums = np.zeros(0, dtype=np.int32)
        """By row, 0 between searches: rows of one list stand in order, so that adding up goes through memory once."""

    def visit(
        self, asked: Asked, hours: npt.NDArray[np.float64], horizon: float, limit: int, cap: Cap
    ) -> Sharers:
        """Let each row, in order, find those that share terms with it, and join; later ones find it.

        A row scores the sum of the weights of the terms it shares that no more rows hold than `cap` allows. Found are the `limit`
        best scores above 0 (ties: lower row) of rows at most `horizon` hours away, never the row itself.
        """
        joining = np.flatnonzero(asked.does & JOINS)
        needed = int(asked.rows[joining].max(initial=-1)) + 1
        if needed > len(self._sums):
            self._sums = np.zeros(max(needed, len(self._sums) * 5 // 4), dtype=np.int32)
        self._make_room(int((asked.ends[joining] - asked.starts[joining]).sum()))
        return _visit(self._chains, asked, self._sums, hours, horizon, limit, cap)

    def remove(self, terms: Ints, row: int) -> None:
        """Take back that `row` holds `terms`.

        Raises:
            ValueError: `row` does not hold one of them.
        """
        for term in terms:
            if not _remove(self._chains, term, row):
                raise ValueError(f"row {row} does not hold term {term}")
        self._chains.state[_ROWS] -= 1

    def _make_room(self, more: int) -> None:
        """Make sure that so many further terms or holders fit."""
        chains = self._chains
        table = len(chains.terms)
        while 3 * (int(chains.state[_TERMS]) + more) > 2 * table:
            table *= 2
        needed = int(chains.state[_BLOCKS]) + more
        blocks = chains.blocks
        if needed > len(blocks):
            blocks = np.empty((max(needed, len(blocks) * 5 // 4), BLOCK + 1), dtype=np.int32)
            blocks[: len(chains.blocks)] = chains.blocks
        if table > len(chains.terms):
            empty = _empty(table, 0)
            _copy_terms(chains, empty)
            chains = empty
        self._chains = Chains(chains.terms, chains.counts, chains.firsts, blocks, self._chains.state)


def _empty(table: int, blocks: int) -> Chains:
    return Chains(
        np.full(table, _EMPTY, dtype=np.int32),
        np.zeros(table, dtype=np.int32),
        np.zeros(table, dtype=np.int32),
        np.empty((blocks, BLOCK + 1), dtype=np.int32),
        np.array([0, 0, _EMPTY, 0], dtype=np.int64),
    )


@compiled
def _slot(terms: Ints, term: int) -> int:
    """Return where `term` stands in the table, or the empty slot where it would."""
    mask = len(terms) - 1
    hashed = np.int64(term) * _HASH
    slot = (hashed ^ (hashed >> 17)) & mask
    while terms[slot] != _EMPTY and terms[slot] != term:
        slot = (slot + 1) & mask
    return int(slot)


@compiled
def _copy_terms(old: Chains, new: Chains) -> None:
    for place in range(len(old.terms)):
        if old.terms[place] != _EMPTY:
            slot = _slot(new.terms, old.terms[place])
            new.terms[slot] = old.terms[place]
            new.counts[slot] = old.counts[place]
            new.firsts[slot] = old.firsts[place]


@compiled
def _new_block(chains: Chains, following: int) -> int:
    block = chains.state[_FREE]
    if block == _EMPTY:
        block = chains.state[_BLOCKS]
        chains.state[_BLOCKS] += 1
    else:
        chains.state[_FREE] = chains.blocks[block, BLOCK]
    chains.blocks[block, BLOCK] = following
    return int(block)


@compiled
def _add(chains: Chains, term: int, row: int) -> None:
    slot = _slot(chains.terms, term)
    if chains.terms[slot] == _EMPTY:
        chains.terms[slot] = term
        chains.state[_TERMS] += 1
    count = chains.counts[slot]
    if count == 0:
        chains.firsts[slot] = row
    else:
        if count == 1:
            block = _new_block(chains, _EMPTY)
            chains.blocks[block, 0] = chains.firsts[slot]
            chains.firsts[slot] = block
        elif count % BLOCK == 0:
            chains.firsts[slot] = _new_block(chains, chains.firsts[slot])
        chains.blocks[chains.firsts[slot], count % BLOCK] = row
    chains.counts[slot] = count + 1


@compiled
def _remove(chains: Chains, term: int, row: int) -> bool:
    """Put the newest holder of the term into the place of `row`; say whether `row` was there."""
    slot = _slot(chains.terms, term)
    count = chains.counts[slot]
    first = chains.firsts[slot]
    if count <= 1:
        if count == 0 or first != row:
            return False
        chains.counts[slot] = 0
        return True
    block, filled = first, (count - 1) % BLOCK + 1
    last = chains.blocks[first, filled - 1]
    while block != _EMPTY:
        for place in range(filled):
            if chains.blocks[block, place] == row:
                chains.blocks[block, place] = last
                chains.counts[slot] = count - 1
                alone = count - 1 == 1
                if (
                    alone or (count - 1) % BLOCK == 0
                ):  # a single holder needs no block; or the newest is empty
                    chains.firsts[slot] = chains.blocks[first, 0 if alone else BLOCK]
                    chains.blocks[first, BLOCK] = chains.state[_FREE]
                    chains.state[_FREE] = first
                return True
        block, filled = chains.blocks[block, BLOCK], BLOCK
    return False


@compiled
def _visit(
    chains: Chains,
    asked: Asked,
    sums: Ints,
    hours: npt.NDArray[np.float64],
    horizon: float,
    limit: int,
    cap: Cap,
) -> Sharers:
    counts = np.zeros(len(asked.rows), dtype=np.int64)
    rows = np.empty((len(asked.rows), limit), dtype=np.int64)
    scores = np.empty((len(asked.rows), limit), dtype=np.int64)
    found = np.empty(1024, dtype=np.int32)
    for place in range(len(asked.rows)):
        own = asked.rows[place]
        start, end = asked.starts[place], asked.ends[place]
        most = max(cap.least, min(chains.state[_ROWS] // cap.part, cap.most))
        if asked.does[place] & SEARCHES:
            total = 0
            for at in range(start, end):
                count = chains.counts[_slot(chains.terms, asked.terms[at])]
                total += count if count <= most else 0
            if total > len(found):
                found = np.empty(2 * total, dtype=np.int32)
            met = 0
            for at in range(start, end):
                slot = _slot(chains.terms, asked.terms[at])
                count = chains.counts[slot]
                if 0 < count <= most and asked.weights[at] > 0:
                    met = _gather(chains, slot, asked.weights[at], sums, found, met)
            counts[place] = _best(own, hours, horizon, sums, found[:met], rows[place], scores[place])
        if asked.does[place] & JOINS:
            for at in range(start, end):
                _add(chains, asked.terms[at], own)
            chains.state[_ROWS] += 1
    return Sharers(counts, rows, scores)


@compiled
def _gather(chains: Chains, slot: int, weight: int, sums: Ints, found: Ints, met: int) -> int:
    """Add `weight` to the sum of each holder of the term at `slot`; return how many rows have been found so far."""
    count = chains.counts[slot]
    if count == 1:
        return _note(chains.firsts[slot], weight, sums, found, met)
    block, filled = chains.firsts[slot], (count - 1) % BLOCK + 1
    while block != _EMPTY:
        for place in range(filled):
            met = _note(chains.blocks[block, place], weight, sums, found, met)
        block, filled = chains.blocks[block, BLOCK], BLOCK
    return met


@compiled
def _note(row: int, weight: int, sums: Ints, found: Ints, met: int) -> int:
    if sums[row] == 0:
        found[met] = row
        met += 1
    sums[row] += weight
    return met


@compiled
def _best(
    own: int,
    hours: npt.NDArray[np.float64],
    horizon: float,
    sums: Ints,
    found: Ints,
    rows: Numbers,
    scores: Numbers,
) -> int:
    """Write the best of the rows found and their scores, set their sums back, and return how many were written."""
    count = 0
    for one in found:
        row, score = np.int64(one), np.int64(sums[one])
        sums[one] = 0
        full = count == len(rows)
        if full and (score < scores[-1] or (score == scores[-1] and row > rows[-1])):
            continue
        if row == own or abs(hours[row] - hours[own]) > horizon:
            continue
        place = count - full
        while place > 0 and (
            scores[place - 1] < score or (scores[place - 1] == score and rows[place - 1] > row)
        ):
            rows[place], scores[place] = rows[place - 1], scores[place - 1]
            place -= 1
        rows[place], scores[place] = row, score
        count += not full
    return count
