"""Is this the same text again?  Pure: decided from the two texts, their days and their publishers alone.

Editors of another outlet cut, extend and touch up; the opening stays. So a copy is told by words kept *in order*: most
of the opening, and enough of the rest that an outlet's own opening, used again for another report, does not pass.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from embeddings.text import MIN_BODY_WORDS, kept_in_order, normalise, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.model import Relation

LEAD_WORDS = 80
MIN_LEAD = 0.81
MIN_WHOLE = 0.65
"""Shares of the shorter text's words: of the first 80, and of all."""
MIN_WORDS = 40
"""A text shorter than this is measured against so many words of a longer one: a few words occur anywhere by chance."""
MAX_WORDS = 1_000
"""Words of a text that are looked at: the work grows with the product of two lengths."""
_FIGURE = re.compile(r"\d+")
_HOUR_US = 3_600_000_000
_WIB_US, _DAY_US = 7 * _HOUR_US, 24 * _HOUR_US


@dataclass(frozen=True, slots=True)
class Copy:
    """A text found again: `similarity` is the share of the shorter text kept in order by the other, above 0 to 1."""

    similarity: float


@dataclass(frozen=True, slots=True)
class Wording:
    """An article as its copies are told by: words in order, figures without leading zeros, day number (UTC+7)."""

    words: tuple[str, ...]
    figures: frozenset[str]
    day: int


def wording(title: str, text: str, event_us: int) -> Wording:
    """Return what copies of an article are told by; the headline counts where the body is too short to stand alone."""
    title, text = normalise(title).lower(), normalise(text).lower()
    body = words(text)
    figures = _FIGURE.findall(f"{title} {text}")
    return Wording(
        tuple((body if len(body) >= MIN_BODY_WORDS else [*words(title), *body])[:MAX_WORDS]),
        frozenset(figure.lstrip("0") for figure in figures),
        (event_us + _WIB_US) // _DAY_US,
    )


def near_copy(a: Wording, b: Wording) -> Copy | None:
    """Return the copy that two articles are of one another, or None.

    Symmetric. Rates, forecasts and tables of another day keep their words and change their figures: articles of
    different days that each name a figure of their own are never copies.
    """
    if a.day != b.day and a.figures - b.figures and b.figures - a.figures:
        return None
    if _kept(a.words[:LEAD_WORDS], b.words[:LEAD_WORDS]) < MIN_LEAD:
        return None
    whole = _kept(a.words, b.words)
    return Copy(round(whole, 4)) if whole >= MIN_WHOLE else None


def _kept(a: Sequence[str], b: Sequence[str]) -> float:
    """Return the share of the shorter text, 0 to 1, that the other keeps in order."""
    shorter, longer = sorted((len(a), len(b)))
    return kept_in_order(a, b) / max(shorter, min(longer, MIN_WORDS)) if shorter else 0.0


def relation(*, exact: bool, same_publisher: bool) -> Relation:
    """Name the relation of a copy to its original: another publisher's copy is a reprint."""
    if not same_publisher:
        return "reprint"
    return "exact_copy" if exact else "near_copy"
