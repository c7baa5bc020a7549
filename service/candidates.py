"""Whom a new article is compared with: the pairs that either search proposes, their features and probabilities."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from embeddings.similarity import FEATURES, first_look, pair_features
from service.stories import across_time
from service.window import ONE_DAY_ONLY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from embeddings.index import NeighbourIndex
    from embeddings.shelf import Rows
    from embeddings.similarity import Floats, PairModel
    from service.window import Window

MIN_EVENT_LIKENESS = 0.7
MIN_STORY_LIKENESS = 0.45
"""Lead cosine plus dense cosine below which a pair is not compared further."""
MIN_VOICE = 0.05
"""Candidates less likely than this are not heard: they could not carry a decision."""
_KEY_NAME = FEATURES.index("key_name")
_LOG_DAYS = FEATURES.index("log_days")


@dataclass(slots=True)
class Candidates:
    """The candidate pairs of a batch: for each row a slice of these parallel arrays."""

    rows: Rows
    features: Floats
    probability: Floats
    bounds: dict[int, slice] = field(default_factory=dict)


def event_candidates(window: Window, model: PairModel, rows: Sequence[int]) -> Candidates:
    """Compare each row with the earlier articles it may share an event with; the rows join the term index."""
    left, right = _found(window.articles, rows)
    left, right = _may_meet(window, left, right)
    return _pairs(window, rows, left, right, MIN_EVENT_LIKENESS, model.probability)


def story_candidates(window: Window, model: PairModel, rows: Sequence[int]) -> Candidates:
    """Compare each row with the earlier clusters whose story it may continue; the rows join the term index."""

    def probability(features: Floats) -> Floats:
        days = np.expm1(features[:, _LOG_DAYS])
        return across_time(model.probability(features), days, features[:, _KEY_NAME])

    left, right = _found(window.heads, rows)
    return _pairs(window, rows, left, right, MIN_STORY_LIKENESS, probability)


def _found(index: NeighbourIndex, rows: Sequence[int]) -> tuple[Rows, Rows]:
    """Return the pairs (row, other) that either search of `index` proposes, each once, in order."""
    if not rows:
        return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
    proposals = [*index.by_dense(rows, rows), *index.by_terms(rows, add=True)]
    left = np.repeat(np.tile(np.asarray(rows, dtype=np.int64), 2), [len(part) for part in proposals])
    keys = np.unique(left << 32 | np.concatenate(proposals))
    return (keys >> 32).astype(np.intp), (keys & 0xFFFFFFFF).astype(np.intp)


def _pairs(
    window: Window,
    rows: Sequence[int],
    left: Rows,
    right: Rows,
    min_likeness: float,
    probability: Callable[[Floats], Floats],
) -> Candidates:
    """Keep the pairs worth hearing: alike at a first look, and not improbable at the second."""
    look = first_look(window.shelf, left, right)
    alike = look.likeness >= min_likeness
    left, right = left[alike], right[alike]
    features = pair_features(window.shelf, left, right, look.of(alike))
    chance = probability(features)
    heard = chance >= MIN_VOICE
    left = left[heard]
    starts, ends = np.searchsorted(left, rows), np.searchsorted(left, rows, side="right")
    bounds = {row: slice(int(start), int(end)) for row, start, end in zip(rows, starts, ends, strict=True)}
    return Candidates(right[heard], features[heard], chance[heard], bounds)


def _may_meet(window: Window, left: Rows, right: Rows) -> tuple[Rows, Rows]:
    """Drop the pairs of different days where one of the two is a rate, a schedule or a forecast."""
    one_day = (window.flags[left] | window.flags[right]) & ONE_DAY_ONLY > 0
    keep = ~one_day | (window.days(left) == window.days(right))
    return left[keep], right[keep]


def evidence_of(candidates: Candidates, found: slice, row: int) -> dict[str, float]:
    """Return the features of the pair that `row` forms in `found`, by name."""
    place = found.start + int((candidates.rows[found] == row).argmax())
    values = candidates.features[place].tolist()
    return {name: round(value, 4) for name, value in zip(FEATURES, values, strict=True)}
