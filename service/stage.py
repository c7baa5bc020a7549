"""One stage of a night on its own: articles, or clusters by the article that stands for each, compared with one another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeVar

import numpy as np

from embeddings.centroids import centroids_for
from embeddings.company import EVENT, STORY, whole_company
from embeddings.similarity import compare
from embeddings.vectors import ArticleVectors
from service.candidates import event_probability, may_meet, story_probability
from service.window import STANDS_ALONE, Entry, Window, stacked
from service.witness import Nearest, Witnesses, witnesses_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    import numpy.typing as npt

    from embeddings.index import Reach
    from embeddings.similarity import Floats
    from service.learned import Models
    from service.window import Stacked

    Numbers = npt.NDArray[np.int64]

Level = Literal["cluster", "story"]
S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")
CHUNK = 2000
BATCH = 512
"""Members that look for others in one call: many enough for bulk work, few enough to show progress."""


class HandsError(RuntimeError):
    """Whoever should do the work of a stage cannot; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Members:
    """The articles a stage compares, in order of time: `seq`, ID, time of event, outlet and flags of each."""

    seqs: Numbers
    ids: Sequence[str]
    event_us: Numbers
    outlets: Numbers
    flags: Numbers

    def __len__(self) -> int:
        return len(self.seqs)

    def part(self, start: int, end: int) -> Members:
        """Return the members from place `start` to before `end`."""
        return Members(
            self.seqs[start:end],
            self.ids[start:end],
            self.event_us[start:end],
            self.outlets[start:end],
            self.flags[start:end],
        )


class Found(NamedTuple):
    """What members found: pairs with their probability, and the best of each member with all likenesses."""

    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    probability: npt.NDArray[np.float32]
    witnesses: Witnesses

    def moved(self, by: int) -> Found:
        """Return the same where places are counted from `by` places earlier."""
        return Found(
            self.left + np.int32(by),
            self.right + np.int32(by),
            self.probability,
            self.witnesses.moved(by),
        )


class Vectors(Protocol):
    """Where stored vectors are read, in whatever process."""

    def read(self, seqs: Numbers) -> Iterator[bytes | None]:
        """Yield the vectors of articles in the order asked; None for what is damaged or no longer there."""


class Each(Protocol):
    """Whoever does the same to many items."""

    def __call__(self, work: Callable[[S, T], R], shared: S, items: Sequence[T]) -> Iterator[R]:
        """Yield what `work` makes of `shared` and each item, in order."""


class Searching(Protocol):
    """Members that can be asked for their pairs; places count from 0."""

    def pairs(self, asked: Numbers) -> Iterable[Found]:
        """Yield the pairs that the members at these places find, a batch of members after the other."""

    def nearest(self, asked: Numbers, groups: Numbers) -> list[Nearest]:
        """Return for members at these places the nearest of their group; `groups` labels every member."""


class Hands(Protocol):
    """Whoever does the work of a stage: this process, several, or a cluster of machines."""

    def open(self, level: Level, members: Members) -> AbstractContextManager[Searching]:
        """Make members ready to be searched."""


@dataclass(frozen=True, slots=True)
class Horizons:
    """How many days apart two reports of one event, and two chapters of one story, may lie."""

    event_days: float
    story_days: float


def one_by_one(work: Callable[[S, T], R], shared: S, items: Sequence[T]) -> Iterator[R]:
    """Yield what `work` makes of `shared` and each item, in order, here."""
    return (work(shared, item) for item in items)


class Stage:
    """Members of one level in memory, searched here; `each` is who reads them."""

    def __init__(
        self,
        level: Level,
        members: Members,
        vectors: Vectors,
        models: Models,
        horizons: Horizons,
        each: Each = one_by_one,
    ) -> None:
        self._level = level
        self._models = models
        self.window = Window(
            models.encoder.dimension,
            window_days=horizons.event_days,
            story_horizon_days=horizons.story_days,
            rarity=models.background.rarity,
            centroids=centroids_for(models.encoder.name),
        )
        self._index = self.window.articles if level == "cluster" else self.window.heads
        parts = [members.part(start, start + CHUNK) for start in range(0, len(members), CHUNK)]
        for part in each(_read, (vectors, models.encoder.dimension), parts):
            self._index.add(self.window.append(part))

    def batches(self, asked: Numbers) -> list[list[int]]:
        """Cut places into batches, those together that look at the same part of the index."""
        order = self._index.in_turn(asked)
        return [order[start : start + BATCH].tolist() for start in range(0, len(order), BATCH)]

    def search(self, batch: Sequence[int]) -> Found:
        """Return the pairs that the members at these places find, but those with a round-up on a side."""
        left, right, chance, features = self._compared(batch)
        return Found(
            left.astype(np.int32),
            right.astype(np.int32),
            chance.astype(np.float32),
            witnesses_of(left, right, chance, features),
        )

    def nearest(self, batch: Sequence[int], groups: Numbers) -> list[Nearest]:
        """Return for each member at these places the nearest of its group (see `Searching`)."""
        left, right, chance, features = self._compared(batch)
        near = groups[left] == groups[right]
        known = witnesses_of(left[near], right[near], chance[near], features[near], most=1)
        found, alone = known.nearest(np.asarray(batch, dtype=np.int64), groups)
        return [*found, *(Nearest(place, -1, 0.0, {}) for place in alone.tolist())]

    def _compared(self, batch: Sequence[int]) -> tuple[Numbers, Numbers, Floats, Floats]:
        window, models = self.window, self._models
        if self._level == "cluster":
            left, right = may_meet(window, *whole_company(window.articles, batch))
            found = compare(window.shelf, left, right, EVENT.min_likeness)
            chance = event_probability(models.event, found.features)
        else:
            left, right = whole_company(window.heads, batch)
            found = compare(window.shelf, left, right, STORY.min_likeness)
            chance = story_probability(models.story, found.features)
        left, right = left[found.kept], right[found.kept]
        heard = (window.flags[left] | window.flags[right]) & STANDS_ALONE == 0
        return left[heard], right[heard], chance[heard], found.features[heard]


def _read(source: tuple[Vectors, int], members: Members) -> Stacked:
    vectors, dimension = source
    missing = ArticleVectors.none(dimension)
    return stacked(
        [
            Entry(
                members.ids[place],
                missing if blob is None else ArticleVectors.from_bytes(blob, dimension),
                int(members.event_us[place]),
                int(members.outlets[place]),
                int(members.flags[place]),
            )
            for place, blob in enumerate(vectors.read(members.seqs))
        ]
    )


def reach_of(level: Level, horizons: Horizons) -> Reach:
    """Return how far and how wide a stage of this level looks."""
    if level == "cluster":
        return replace(EVENT.reach, horizon_days=horizons.event_days)
    return replace(STORY.reach, horizon_days=horizons.story_days)
