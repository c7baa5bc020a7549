"""A Dask cluster on this machine: a real scheduler and real workers, each a process that can be watched and killed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_S = 60
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


@dataclass(frozen=True, slots=True)
class DaskCluster:
    """The address of the scheduler, and the processes of the workers."""

    address: str
    workers: list[subprocess.Popen[str]]


@contextmanager
def dask_cluster(folder: Path, workers: int) -> Iterator[DaskCluster]:
    """Start a scheduler on a free port and workers of one thread without a nanny; end them all at the end."""
    with ExitStack() as closing:
        options = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show")
        _, said = closing.enter_context(_started("Scheduler at:", "scheduler", *options))
        cluster = DaskCluster(said.split()[-1], [])
        for number in range(workers):
            place = str(folder / f"worker-{number}")
            options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", place)
            worker, _ = closing.enter_context(
                _started("Registered to", "worker", cluster.address, *options, "--memory-limit", "0")
            )
            cluster.workers.append(worker)
        yield cluster


@contextmanager
def _started(words: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a part of the cluster, and wait for the line in which it says `words`."""
    command = [sys.executable, "-m", f"distributed.cli.dask_{arguments[0]}", *arguments[1:]]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=os.environ | ENVIRONMENT
    ) as process:
        assert process.stderr is not None
        try:
            said = next((line for line in process.stderr if words in line), None)
            if said is None:
                raise RuntimeError(f"dask {arguments[0]} ended without saying {words!r}")
            # What nobody reads would fill the pipe and stop it.
            reading = threading.Thread(target=process.stderr.read, daemon=True)
            reading.start()
            yield process, said
        finally:
            process.kill()
            process.wait(PATIENCE_S)
            if said is not None:
                reading.join()
