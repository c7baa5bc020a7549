"""Editors' words as bonds between rows, and which of them cannot hold together.  Pure."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Protocol

import numpy as np

from service.recluster import Bonds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    Rows = npt.NDArray[np.intp]


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


def bonds_of(words: Iterable[Word], level: str, row_of: Mapping[str, int]) -> Bonds:
    """Return the bonds that `words` of one level mean between rows; articles without a row are passed over."""
    tied: set[tuple[int, int]] = set()
    barred: set[tuple[int, int]] = set()
    for word in words:
        if word.level != level:
            continue
        here = sorted({row_of[one] for one in word.these if one in row_of})
        there = sorted({row_of[one] for one in word.those if one in row_of})
        if word.kind == "merge":
            together = sorted({*here, *there})
            tied |= {(together[0], other) for other in together[1:]}
        else:
            barred |= {(min(pair), max(pair)) for pair in product(here, there) if pair[0] != pair[1]}
    return Bonds(_columns(tied), _columns(barred))


def contradicted_by(words: Sequence[Word]) -> list[str]:
    """Return the IDs of the splits whose two sides merges hold together, directly or through others.

    What is one cluster is also one story: merges of clusters hold stories together as well.
    """
    found = []
    for level in ("cluster", "story"):
        root: dict[str, str] = {}
        for word in words:
            if word.kind == "merge" and word.level in {level, "cluster"}:
                _join(root, [*word.these, *word.those])
        for word in words:
            if word.kind == "split" and word.level == level:
                here, there = ({_root(root, one) for one in side} for side in (word.these, word.those))
                if here & there:
                    found.append(word.id)
    return found


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
