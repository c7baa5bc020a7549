"""Processes to be killed, forked off a server that has imported and compiled everything once (see `warmed`)."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection as Pipe
    from multiprocessing.process import BaseProcess

HERE = Path(__file__).parent
PATIENCE_S = 60


def start(work: Callable[..., None], *given: Any) -> tuple[BaseProcess, Pipe]:
    """Start a process that does `work` with a pipe to speak into and what is `given`; return it and the pipe's other end.

    Its environment is that of the first one started, so settings have to be given.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["warmed"])
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(theirs, *given))
    with theirs, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(HERE.parent), str(HERE)]))  # 3.11 forgets `sys.path`
        patch.setenv("OPENBLAS_NUM_THREADS", "1")
        process.start()
    return process, ours


def words(pipe: Pipe) -> Iterator[tuple[Any, ...]]:
    """Yield what a process says until it ends; half a message was heard by nobody."""
    with pipe, contextlib.suppress(EOFError, OSError):
        while True:  # one that hangs is ended by the time limit of the test
            yield pipe.recv()
