"""Is this the same text again?  Pure: decided from the two texts and the publishers alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from embeddings.text import normalise, overlap, shingles

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from service.model import Relation

MIN_JACCARD = 0.5
MIN_CONTAINMENT = 0.8
MIN_SHINGLES = 40
"""Containment counts only for texts of at least this many five-word runs: short ones are contained by chance."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A text found again: `similarity` is the larger of Jaccard and counted containment, 0 to 1."""

    similarity: float


def text_shingles(text: str) -> npt.NDArray[np.uint64]:
    """Return the five-word runs of an article's text."""
    return shingles(normalise(text))


def near_copy(a: npt.NDArray[np.uint64], b: npt.NDArray[np.uint64]) -> Copy | None:
    """Return the copy that two texts are of one another, by their shingles (Broder 1997), or None."""
    jaccard, containment = overlap(a, b)
    if min(len(a), len(b)) < MIN_SHINGLES:
        containment = 0.0
    if jaccard >= MIN_JACCARD or containment >= MIN_CONTAINMENT:
        return Copy(round(max(jaccard, containment), 4))
    return None


def relation(*, exact: bool, same_publisher: bool) -> Relation:
    """Name the relation of a copy to its original: another publisher's copy is a reprint."""
    if not same_publisher:
        return "reprint"
    return "exact_copy" if exact else "near_copy"
