"""Labelled articles made ready to learn from: several files as one, and two sides that share no story."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.gold import GoldArticle

HELD_OUT = 0.25


class FitError(ValueError):
    """The labels cannot be learnt from; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Split:
    """The articles to learn from and those to choose the cuts on, each in order of time; no story is in both."""

    learn: list[GoldArticle]
    held_out: list[GoldArticle]


def together(files: Sequence[Sequence[GoldArticle]]) -> list[GoldArticle]:
    """Return the articles of several files in order of time; labels of one file mean nothing in another.

    Raises:
        FitError: a publication time cannot be read.
    """
    every = [
        replace(
            article,
            external_id=f"{number}:{article.external_id}",
            cluster=f"{number}:{article.cluster}",
            story=None if article.story is None else f"{number}:{article.story}",
            copy_of=None if article.copy_of is None else f"{number}:{article.copy_of}",
        )
        for number, articles in enumerate(files)
        for article in articles
    ]
    return sorted(every, key=_moment)


def split(articles: Sequence[GoldArticle], share: float = HELD_OUT) -> Split:
    """Hold out the stories (or, without one, events) that begin last, as many as hold `share` of the articles.

    Events joined by a story, and stories joined by an event, stay on one side as a whole.

    Raises:
        FitError: one of the sides would be empty.
    """
    side_of = _whole_groups(articles)
    sizes: dict[str, int] = {}
    for article in articles:  # in order of time: groups stand in the order in which they begin
        sizes[side_of[article.cluster]] = sizes.get(side_of[article.cluster], 0) + 1
    held: set[str] = set()
    taken = 0
    for group in reversed(sizes):
        if taken >= share * len(articles):
            break
        held.add(group)
        taken += sizes[group]
    learn = [article for article in articles if side_of[article.cluster] not in held]
    if not learn or not held:
        raise FitError(
            "The labels are one story: nothing would be left to learn from, or to check on. Add others."
        )
    return Split(learn, [article for article in articles if side_of[article.cluster] in held])


def _whole_groups(articles: Sequence[GoldArticle]) -> dict[str, str]:
    """Return for each event the first event of everything that hangs together with it by stories."""
    first_of_story: dict[str, str] = {}
    parent: dict[str, str] = {}

    def root(event: str) -> str:
        while parent[event] != event:
            event = parent[event]
        return event

    for article in articles:
        parent.setdefault(article.cluster, article.cluster)
        if article.story is not None:
            other = first_of_story.setdefault(article.story, article.cluster)
            parent[root(article.cluster)] = root(other)
    return {event: root(event) for event in parent}


def _moment(article: GoldArticle) -> tuple[float, str]:
    text = article.published_at
    try:
        moment = datetime.fromisoformat(text if "T" in text else f"{text}T00:00:00+07:00")
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        place = article.external_id.partition(":")[2]
        raise FitError(
            f"{place}: published_at is {text[:40]!r}; write an RFC 3339 time with an offset, or a date"
        )
    return moment.timestamp(), article.external_id
