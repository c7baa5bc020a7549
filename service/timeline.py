"""How a story is told: which article speaks for an event, what each event adds, what a story is about."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from embeddings.text import normalise, words
from service.telling import COMMON_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_TERMS = 8
EARLIEST_ORIGINAL = "earliest_original"
EARLIEST = "earliest"

_MIN_LENGTH = 3


def title_terms(title: str) -> list[str]:
    """List the words of a title that say something, in order."""
    found = words(normalise(title).lower())
    return [
        word for word in found if len(word) >= _MIN_LENGTH and word not in COMMON_WORDS and not word.isdigit()
    ]


def top_terms(titles: Iterable[str], *, known: Iterable[str] = (), limit: int = MAX_TERMS) -> list[str]:
    """List the words that most of `titles` have and `known` lacks; ties stand in order of appearance."""
    counts: Counter[str] = Counter()
    for title in titles:
        counts.update(list(dict.fromkeys(title_terms(title))))
    for word in known:
        counts.pop(word, None)
    return [word for word, _ in counts.most_common(limit)]


def new_terms(events: Sequence[Sequence[str]], *, limit: int = MAX_TERMS) -> list[list[str]]:
    """For each event, given as the titles of its articles in order of time, list the words no earlier one had."""
    known: set[str] = set()
    found = []
    for titles in events:
        found.append(top_terms(titles, known=known, limit=limit))
        known.update(word for title in titles for word in title_terms(title))
    return found


def representative(relations: Sequence[str]) -> tuple[int, str]:
    """Choose the article that speaks for an event: the earliest original, else the earliest.

    `relations` stand in order of time; the answer is a position and the reason.
    """
    for position, relation in enumerate(relations):
        if relation == "original":
            return position, EARLIEST_ORIGINAL
    return 0, EARLIEST
