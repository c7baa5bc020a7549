"""Whom a new article is compared with: the pairs that either search proposes, their features and probabilities."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from embeddings.company import EVENT, STORY, earlier_company
from embeddings.similarity import FEATURES, compare
from service.stories import across_days, across_time
from service.window import ONE_DAY_ONLY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from embeddings.pair_model import PairModel
    from embeddings.shelf import Rows
    from embeddings.similarity import Floats
    from service.window import Window

NEAR_HALF = 1e-6
"""So near the middle between two steps a product, itself rounded, may fall on the wrong side."""
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
    left, right = may_meet(window, *earlier_company(window.articles, rows))
    return _pairs(
        window,
        rows,
        left,
        right,
        EVENT.min_likeness,
        lambda features: event_probability(model, features),
    )


def story_candidates(window: Window, model: PairModel, rows: Sequence[int]) -> Candidates:
    """Compare each row with the earlier clusters whose story it may continue; the rows join the term index."""
    left, right = earlier_company(window.heads, rows)
    return _pairs(
        window,
        rows,
        left,
        right,
        STORY.min_likeness,
        lambda features: story_probability(model, features),
    )


def event_probability(model: PairModel, features: Floats) -> Floats:
    """Return P(same event) of compared articles, however many days apart."""
    return across_days(model.probability(features), np.expm1(features[:, _LOG_DAYS]))


def story_probability(model: PairModel, features: Floats) -> Floats:
    """Return P(same story) of compared clusters, however far apart."""
    days = np.expm1(features[:, _LOG_DAYS])
    return across_time(model.probability(features), days, features[:, _KEY_NAME])


def _pairs(
    window: Window,
    rows: Sequence[int],
    left: Rows,
    right: Rows,
    min_likeness: float,
    probability: Callable[[Floats], Floats],
) -> Candidates:
    """Keep the pairs worth hearing: alike at a first look, and not improbable at the second."""
    compared = compare(window.shelf, left, right, min_likeness)
    chance = probability(compared.features)
    heard = chance >= MIN_VOICE
    kept = compared.kept[heard]
    left = left[kept]
    starts, ends = np.searchsorted(left, rows), np.searchsorted(left, rows, side="right")
    bounds = {row: slice(int(start), int(end)) for row, start, end in zip(rows, starts, ends, strict=True)}
    return Candidates(right[kept], compared.features[heard], chance[heard], bounds)


def may_meet(window: Window, left: Rows, right: Rows) -> tuple[Rows, Rows]:
    """Drop the pairs of different days where one of the two is a rate, a schedule or a forecast."""
    one_day = (window.flags[left] | window.flags[right]) & ONE_DAY_ONLY > 0
    keep = ~one_day | (window.days(left) == window.days(right))
    return left[keep], right[keep]


def evidence_of(candidates: Candidates, found: slice, row: int) -> dict[str, float]:
    """Return the features of the pair that `row` forms in `found`, by name."""
    place = found.start + int((candidates.rows[found] == row).argmax())
    return named(candidates.features[place])


def named(features: Floats) -> dict[str, float]:
    """Return the features of one pair by name, rounded for the record."""
    return dict(zip(FEATURES, rounded(features), strict=True))


def rounded(values: Floats) -> list[float]:
    """Return `round(value, 4)` of each value."""
    scaled = values * 10_000
    whole = np.rint(scaled)
    if (np.abs(np.abs(scaled - whole) - 0.5) < NEAR_HALF).any():
        return [round(value, 4) for value in values.tolist()]
    return (whole / 10_000).tolist()  # type: ignore[no-any-return]
