"""Whom an article is compared with: its company, proposed by likeness and by shared rare terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from embeddings.index import Reach

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from embeddings.index import NeighbourIndex

    Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Company:
    """How company is chosen: by which search, and from which likeness (lead plus dense cosine) it is looked at closer."""

    reach: Reach
    min_likeness: float


EVENT = Company(Reach("lead", horizon_days=14, partition_days=14), min_likeness=0.6)
"""For 'same event', between articles."""
# A saga's chapters share its names; fewer neighbours are enough than for an event.
STORY = Company(
    Reach(
        "names",
        horizon_days=180,
        partition_days=90,
        slice_days=15,
        dense_k=12,
        term_k=8,
        query_terms=6,
        near_lists=12,
    ),
    min_likeness=0.4,
)
"""For 'same story', between the articles that opened two clusters."""


def earlier_company(index: NeighbourIndex, rows: Sequence[int]) -> tuple[Rows, Rows]:
    """Return the pairs (row, other) of each of `rows` and those before it, each once, in order of both.

    The rows join the term index on the way; `index.add_dense` must follow.
    """
    return _pairs(rows, [*index.by_dense(rows, rows), *index.by_terms(rows, add=True)])


def whole_company(index: NeighbourIndex, rows: Sequence[int]) -> tuple[Rows, Rows]:
    """Return the pairs (row, other) of each of `rows` and any in the index, each once, in order of both."""
    return _pairs(rows, [*index.by_dense(rows), *index.by_terms(rows)])


def _pairs(rows: Sequence[int], proposals: Sequence[Rows]) -> tuple[Rows, Rows]:
    if not proposals:
        return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
    asked = np.tile(np.asarray(rows, dtype=np.int64), len(proposals) // len(rows))
    left = np.repeat(asked, [len(part) for part in proposals])
    keys = np.unique(left << 32 | np.concatenate(proposals))
    return (keys >> 32).astype(np.intp), (keys & 0xFFFFFFFF).astype(np.intp)
