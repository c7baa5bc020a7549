"""The hands of one machine: a stage in memory, searched by processes forked off this one, which share it."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from service.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from service.ingest import Models
    from service.stage import Horizons, Level, Members, Nearest, Numbers, Pairs, Vectors

_PR_SET_PDEATHSIG = 1
_stage: Stage | None = None


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
        global _stage  # noqa: PLW0603  the forked processes find it in their memory
        if self._jobs == 1:
            yield from map(self._stage.search, self._stage.batches(asked))
            return
        _stage = self._stage
        context = multiprocessing.get_context("fork")
        try:
            with ProcessPoolExecutor(self._jobs, mp_context=context, initializer=die_with_parent) as pool:
                yield from pool.map(_search, self._stage.batches(asked))
        finally:
            _stage = None

    def nearest(self, asked: Numbers, groups: Numbers) -> list[Nearest]:
        """Return the nearest member of its group for each member asked."""
        return self._stage.nearest(asked, groups)


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


def _search(batch: Sequence[int]) -> Pairs:
    assert _stage is not None
    return _stage.search(batch)
