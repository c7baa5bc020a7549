"""Batches searched in several processes that share what is in memory."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

from service.regroup import one_by_one

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from service.regroup import Pairs, Run, Search

_PR_SET_PDEATHSIG = 1
_search: Search | None = None


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_processes(jobs: int) -> Run:
    """Return how to search batches in `jobs` processes forked off this one, which must run no other thread.

    They share its memory and change none of it. One process, or a system where forking is not safe: all happens here.
    """
    if jobs == 1 or sys.platform != "linux":
        return one_by_one

    def run(search: Search, batches: Sequence[Sequence[int]]) -> Iterator[Pairs]:
        global _search  # noqa: PLW0603  the forked processes find it in their memory
        _search = search
        context = multiprocessing.get_context("fork")
        try:
            with ProcessPoolExecutor(jobs, mp_context=context, initializer=die_with_parent) as pool:
                yield from pool.map(_searched, batches)
        finally:
            _search = None

    return run


def die_with_parent() -> None:
    """Let the system end this process when the one that started it ends, however it ends; end now if it has."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:
        os.kill(os.getpid(), signal.SIGKILL)


def _searched(batch: Sequence[int]) -> Pairs:
    assert _search is not None
    return _search(batch)
