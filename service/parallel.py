"""The hands of one machine: a stage in memory, searched by processes forked off this one, which share it."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from service.stage import Stage, one_by_one

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from service.learned import Models
    from service.stage import Each, Found, Horizons, Level, Members, Numbers, Vectors
    from service.witness import Nearest

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")
AHEAD = 4
"""Items that each process may be ahead of whoever takes the results: none waits, and memory is bounded."""
_PR_SET_PDEATHSIG = 1
_shared: Any = None
"""What forked processes find in their memory."""


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
        each = partial(forked, self._jobs)
        yield _Searching(Stage(level, members, self._vectors, self._models, self._horizons, each), each)


class _Searching:
    def __init__(self, stage: Stage, each: Each) -> None:
        self._stage = stage
        self._each = each

    def pairs(self, asked: Numbers) -> Iterator[Found]:
        """Yield the pairs that the members at these places find, a batch after the other."""
        return self._each(Stage.search, self._stage, self._stage.batches(asked))

    def nearest(self, asked: Numbers, groups: Numbers) -> list[Nearest]:
        """Return the nearest member of its group for each member asked."""
        found = self._each(_nearest, (self._stage, groups), self._stage.batches(asked))
        return [one for part in found for one in part]


def _nearest(stage_and_groups: tuple[Stage, Numbers], batch: list[int]) -> list[Nearest]:
    stage, groups = stage_and_groups
    return stage.nearest(batch, groups)


def forked(jobs: int, work: Callable[[S, T], R], shared: S, items: Sequence[T]) -> Iterator[R]:
    """Yield what `work` makes of `shared` and each item, in order, in processes that share this one's memory."""
    global _shared  # noqa: PLW0603
    if jobs == 1 or len(items) <= 1:
        yield from one_by_one(work, shared, items)
        return
    _shared = shared
    context = multiprocessing.get_context("fork")
    try:
        with ProcessPoolExecutor(jobs, mp_context=context, initializer=die_with_parent) as pool:
            waiting: deque[Future[R]] = deque()
            for item in items:
                waiting.append(pool.submit(_call, work, item))
                if len(waiting) > AHEAD * jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    finally:
        _shared = None


def _call(work: Callable[[Any, T], R], item: T) -> R:
    return work(_shared, item)


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
