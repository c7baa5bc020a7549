"""A Dask cluster for the tests: a real scheduler and real workers, each a process that can be killed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_S = 60


@dataclass(slots=True)
class DaskCluster:
    """The address of the scheduler, and the processes of the workers."""

    address: str
    workers: list[subprocess.Popen[str]] = field(default_factory=list)


@contextmanager
def dask_cluster(folder: Path, workers: int) -> Iterator[DaskCluster]:
    """Start a scheduler on a free port and workers of one thread without a nanny; end them all at the end."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "DASK_DISTRIBUTED__WORKER__USE_FILE_LOCKING": "false"}
    scheduler = _start(
        ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show"], environment
    )
    try:
        cluster = DaskCluster(_address(scheduler))
        for number in range(workers):
            place = folder / f"worker-{number}"
            place.mkdir(parents=True)
            options = ("--no-nanny", "--nthreads", "1", "--no-dashboard", "--local-directory", str(place))
            cluster.workers.append(_start(["worker", cluster.address, *options], environment))
        for worker in cluster.workers:
            _said(worker, "Registered to")
        yield cluster
        for worker in cluster.workers:
            _end(worker)
    finally:
        _end(scheduler)


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait(PATIENCE_S)
    assert process.stderr is not None
    process.stderr.close()


def _start(arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_" + arguments[0], *arguments[1:]],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _address(scheduler: subprocess.Popen[str]) -> str:
    found = re.search(r"tcp://[0-9.]+:[0-9]+", _said(scheduler, "Scheduler at:"))
    assert found is not None
    return found[0]


def _said(process: subprocess.Popen[str], words: str) -> str:
    """Read what a process says until it says `words`, and return that line."""
    assert process.stderr is not None
    end = time.monotonic() + PATIENCE_S
    for line in process.stderr:
        if words in line:
            return line
        assert time.monotonic() < end
    raise AssertionError(f"the process ended without saying {words!r}")
