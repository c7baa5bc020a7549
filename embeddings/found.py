"""What searches turn up, put together: the best of each query, in one order whoever found them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Rows = npt.NDArray[np.intp]
    Numbers = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

KEY_BITS = 63
"""What a sort key of one number may hold: query, score and row."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search turned up: parallel arrays of the query's position, the row found, and its score, a whole number."""

    query: Numbers
    rows: Numbers
    scores: Floats

    @classmethod
    def joined(cls, parts: Sequence[Found]) -> Found:
        """Put `parts` one behind the other."""
        none: list[Numbers] = [np.zeros(0, dtype=np.int64)]
        return cls(
            np.concatenate(none + [part.query for part in parts]),
            np.concatenate(none + [part.rows for part in parts]),
            np.concatenate([np.zeros(0), *(part.scores for part in parts)]),
        )


def best(own: Numbers, found: Found, hours: Floats, horizon: float, limit: int) -> tuple[list[Rows], Floats]:
    """Return the best `limit` of each of the rows `own`, and the score another row needs to be among them.

    Higher scores first (ties: lower row); only scores above 0, only rows at most `horizon` hours away, never the row itself.
    """
    asking = own[found.query]
    near = (
        (np.abs(hours[found.rows] - hours[asking]) <= horizon) & (found.rows != asking) & (found.scores > 0)
    )
    query, members, scores = _ordered(found.query[near], found.rows[near], found.scores[near])
    starts = np.searchsorted(query, np.arange(len(own) + 1))
    worst = np.ones(len(own))
    full = np.flatnonzero(np.diff(starts) >= limit)
    worst[full] = scores[starts[full] + limit - 1]
    pairs = zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    return [members[start : min(end, start + limit)].astype(np.intp) for start, end in pairs], worst


def _ordered(query: Numbers, rows: Numbers, scores: Floats) -> tuple[Numbers, Numbers, Floats]:
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
