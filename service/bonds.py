"""Editors' words as bonds between rows, and which of them cannot hold together.  Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product
from typing import TYPE_CHECKING, Protocol

import numpy as np

from service.recluster import Bonds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from service.recluster import Labels, Rows


class Word(Protocol):
    """An editor's word: the articles of both sides belong together (`merge`) or apart (`split`)."""

    @property
    def id(self) -> str:
        """Its ID."""

    @property
    def level(self) -> str:
        """`cluster` or `story`."""

    @property
    def kind(self) -> str:
        """`merge` or `split`."""

    @property
    def these(self) -> Sequence[str]:
        """The articles of one side."""

    @property
    def those(self) -> Sequence[str]:
        """The articles of the other side."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A cluster as it stands, in the form of a word that holds its articles together."""

    these: tuple[str, ...]
    those: tuple[str, ...] = ()
    id: str = ""
    level: str = "cluster"
    kind: str = "merge"


def bonds_of(words: Iterable[Word], level: str, row_of: Mapping[str, int]) -> Bonds:
    """Return the bonds that `words` mean between rows of one level; articles without a row are passed over.

    What is one cluster is one story, and what is two stories is two clusters.
    """
    tied: set[tuple[int, int]] = set()
    barred: set[tuple[int, int]] = set()
    for word in words:
        if not _speaks_of(word, level):
            continue
        here = sorted({row_of[one] for one in word.these if one in row_of})
        there = sorted({row_of[one] for one in word.those if one in row_of})
        if word.kind == "merge":
            together = sorted({*here, *there})
            tied |= {(together[0], other) for other in together[1:]}
        else:
            barred |= {(min(pair), max(pair)) for pair in product(here, there) if pair[0] != pair[1]}
    return Bonds(_columns(tied), _columns(barred))


def overdrawn(
    words: Sequence[Word], row_of: Mapping[str, int], old: Labels, new: Labels
) -> tuple[Rows, Rows]:
    """Return pairs of rows that must not come together as in the clusters `new`, lest words about stories break.

    Clusters tie stories: two that words tie to others on both sides of a split must not meet, directly or through a chain.
    `old` are clusters in which every word holds; what was together there may stay so.
    """
    inside: dict[int, list[str]] = {}
    for one, row in row_of.items():
        inside.setdefault(int(new[row]), []).append(one)
    said: list[Word] = [*words, *(Whole(tuple(members)) for members in inside.values())]
    broken = {*contradicted_by(said)}
    barred: set[tuple[int, int]] = set()
    for word in words:
        if word.id in broken:
            held = held_with(said, "story", word.these)
            rows = sorted({row_of[one] for one in held if one in row_of})
            barred |= {
                (one, other)
                for one, other in combinations(rows, 2)
                if new[one] == new[other] and old[one] != old[other]
            }
    return _columns(barred)


def contradicted_by(words: Sequence[Word]) -> list[str]:
    """Return the IDs of the splits whose two sides merges hold together, directly or through others.

    What is one cluster is also one story: merges of clusters hold stories together as well.
    """
    found = []
    for level in ("cluster", "story"):
        root = _held([word for word in words if _speaks_of(word, level)])
        for word in words:
            if word.kind == "split" and word.level == level:
                here, there = ({_root(root, one) for one in side} for side in (word.these, word.those))
                if here & there:
                    found.append(word.id)
    return found


def held_with(words: Iterable[Word], level: str, start: Sequence[str]) -> set[str]:
    """Return the articles that merges hold together with those of `start`, which count as one group."""
    root = _held([word for word in words if _speaks_of(word, level)])
    _join(root, start)
    return {one for one in [*root] if _root(root, one) == _root(root, start[0])}


def kept_apart(words: Iterable[Word], level: str, here: AbstractSet[str], there: AbstractSet[str]) -> bool:
    """Say whether a split keeps an article of `here` from one of `there`."""
    return any(
        (not here.isdisjoint(word.these) and not there.isdisjoint(word.those))
        or (not here.isdisjoint(word.those) and not there.isdisjoint(word.these))
        for word in words
        if word.kind == "split" and _speaks_of(word, level)
    )


def _speaks_of(word: Word, level: str) -> bool:
    return word.level in {level, "cluster" if word.kind == "merge" else "story"}


def _held(words: Iterable[Word]) -> dict[str, str]:
    root: dict[str, str] = {}
    for word in words:
        if word.kind == "merge":
            _join(root, [*word.these, *word.those])
    return root


def _join(root: dict[str, str], members: Sequence[str]) -> None:
    first = _root(root, members[0])
    for one in members[1:]:
        root[_root(root, one)] = first


def _root(root: dict[str, str], one: str) -> str:
    while root.setdefault(one, one) != one:
        root[one] = root[root[one]]
        one = root[one]
    return one


def _columns(pairs: set[tuple[int, int]]) -> tuple[Rows, Rows]:
    columns = np.array(sorted(pairs), dtype=np.intp).reshape(-1, 2)
    return columns[:, 0], columns[:, 1]
