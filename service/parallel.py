"""The hands of one machine: a stage in memory, searched by processes forked off this one, which share it."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from service.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from service.ingest import Models
    from service.stage import Horizons, Level, Members, Nearest, Numbers, Pairs, Vectors

T = TypeVar("T")
NO_GROUPS = np.zeros(0, dtype=np.int64)
_PR_SET_PDEATHSIG = 1
_shared: tuple[Stage, Numbers] | None = None
"""What forked processes find in their memory: the stage, and the groups of its members."""


class Local:
    """This machine, with `jobs` processes; one process, or a system where forking is not safe: all happens here.

    The process that opens a stage must run no other thread when it is searched.
    """

    def __init__(self, models: Models, vectors: Vectors, horizons: Horizons, jobs: int = 1) -> None:
        self._models = models
        self._vectors = vectors
        self._horizons = horizons
        self._jobs = jobs if sys.platform == "linux" else 1

    @contextmanager
    def open(self, level: Level, members: Members) -> Iterator[_Searching]:
        """Read the members into memory."""
        yield _Searching(Stage(level, members, self._vectors, self._models, self._horizons), self._jobs)


class _Searching:
    def __init__(self, stage: Stage, jobs: int) -> None:
        self._stage = stage
        self._jobs = jobs

    def pairs(self, asked: Numbers) -> Iterator[Pairs]:
        """Yield the pairs that the members at these places find, a batch after the other."""
        yield from self._each(_search, self._stage.batches(asked))

    def nearest(self, asked: Numbers, groups: Numbers) -> list[Nearest]:
        """Return the nearest member of its group for each member asked."""
        return [one for part in self._each(_nearest, self._stage.batches(asked), groups) for one in part]

    def _each(
        self, work: Callable[[list[int]], T], batches: Sequence[list[int]], groups: Numbers = NO_GROUPS
    ) -> Iterator[T]:
        """Yield what `work` makes of each batch, in order."""
        global _shared  # noqa: PLW0603
        _shared = self._stage, groups
        try:
            if self._jobs == 1 or len(batches) <= 1:
                yield from map(work, batches)
                return
            context = multiprocessing.get_context("fork")
            with ProcessPoolExecutor(self._jobs, mp_context=context, initializer=die_with_parent) as pool:
                yield from pool.map(work, batches)
        finally:
            _shared = None


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def die_with_parent() -> None:
    """Let the system end this process when the one that started it ends, however it ends; end now if it has."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:
        os.kill(os.getpid(), signal.SIGKILL)


def _search(batch: list[int]) -> Pairs:
    assert _shared is not None
    return _shared[0].search(batch)


def _nearest(batch: list[int]) -> list[Nearest]:
    assert _shared is not None
    stage, groups = _shared
    return stage.nearest(batch, groups)
