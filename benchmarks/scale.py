"""Time and memory from ten thousand articles to a million: `python -m benchmarks.scale 10000 100000 1000000`.

For each size a synthetic stream of 14 days (see `benchmarks.streams`) goes through `benang ingest` into a new store, then
`benang recluster` groups all of it anew, here and on a Dask cluster of two worker processes, each in processes of their
own, and there once more with one of the workers killed half-way. Memory is what all of them hold at one moment, shared pages counted once (PSS). `--publish` writes the table.
With `--folder`, streams and stores as ingest left them stay there, and the next run measures the nights alone.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.cluster import dask_cluster
from benchmarks.table import markdown, publish
from service.store.engine import reader_engine
from service.store.read import assignments

if TYPE_CHECKING:
    from collections.abc import Sequence

DAYS = 14
EVERY_S = 0.5
WORKERS = 2
DASK_UP_TO = 100_000
GIB = 2**30
HEAD = (
    "articles",
    "ingest",
    "articles/s",
    "peak memory",
    "night",
    "peak memory",
    "moved",
    "night, two Dask workers",
    "with one killed",
    "same groups",
)


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds that a command took, and the most bytes its processes held at one moment."""

    seconds: float
    peak: int


@dataclass(frozen=True, slots=True)
class Row:
    """What one size took."""

    articles: int
    ingest: Run
    night: Run
    moved: int
    dask: Run | None
    killed: Run | None
    same: bool | None


def measure(count: int, folder: Path, *, dask: bool, say: Any = print) -> Row:
    """Put a stream of `count` articles through ingest and a night."""
    ingest = ingested(count, folder, say=say)
    say(f"{count:,}: night ({ingest.seconds:,.0f} s of ingest, {ingest.peak / GIB:.2f} GiB)")
    here = ready(count, folder, "here")
    night, told = run("recluster", "--data", str(here), "--json")
    cluster = killed = same = None
    if dask:
        say(f"{count:,}: night on {WORKERS} Dask workers ({night.seconds:,.0f} s here)")
        there = ready(count, folder, "dask")
        cluster = on_dask(there, folder / f"{count}-workers")
        say(f"{count:,}: the same with a worker killed ({cluster.seconds:,.0f} s without)")
        again = ready(count, folder, "killed")
        killed = on_dask(again, folder / f"{count}-workers", cluster.seconds / 2)
        same = partition(here) == partition(there) == partition(again)
    row = Row(count, ingest, night, told["diff"]["counts"]["articles_moved"], cluster, killed, same)
    say(json.dumps(asdict(row)))
    return row


def ready(count: int, folder: Path, name: str) -> Path:
    """Return a copy of the store as ingest left it."""
    store = folder / f"{count}-{name}"
    shutil.rmtree(store, ignore_errors=True)
    shutil.copytree(folder / f"{count}-ingested", store)
    return store


def on_dask(store: Path, folder: Path, kill_after_s: float | None = None) -> Run:
    """Run a night on Dask workers; one of them is killed after so many seconds, and the night must be longer."""
    with dask_cluster(folder, WORKERS) as workers:
        victim = workers.workers[0]
        killer = threading.Timer(kill_after_s or 0, victim.kill)
        if kill_after_s is not None:
            killer.start()
        took, _ = run("recluster", "--data", str(store), "--scheduler", workers.address, "--json")
        killer.cancel()
        if kill_after_s is not None and victim.poll() != -signal.SIGKILL:
            raise RuntimeError("the night was over before its worker was killed")
    return took


def ingested(count: int, folder: Path, *, say: Any) -> Run:
    """Return what it took to ingest a stream of `count` articles, which is done once for each folder."""
    stream, store, kept = (folder / f"{count}{end}" for end in (".ndjson", "-ingested", "-ingest.json"))
    if kept.exists():
        return Run(**json.loads(kept.read_text()))
    shutil.rmtree(store, ignore_errors=True)
    if not stream.exists():
        say(f"{count:,}: making the stream")
        part = stream.with_suffix(".part")
        with part.open("w") as out:
            subprocess.run(
                [sys.executable, "-m", "benchmarks.streams", str(count), "--days", str(DAYS)],
                stdout=out,
                check=True,
            )
        part.rename(stream)
    say(f"{count:,}: ingest")
    took, _ = run("ingest", str(stream), "--data", str(store), "--json")
    kept.write_text(json.dumps(asdict(took)))
    return took


def run(*arguments: str) -> tuple[Run, dict[str, Any]]:
    """Run a `benang` command, watching what it and its children hold."""
    start = time.perf_counter()
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "BENANG_STORE": ""}
    with (
        tempfile.TemporaryFile("w+") as out,
        subprocess.Popen(
            [sys.executable, "-m", "service.cli", *arguments], stdout=out, env=environment
        ) as process,
    ):
        peak = 0
        while process.poll() is None:
            peak = max(peak, sum(map(proportional_size, family(process.pid))))
            time.sleep(EVERY_S)
        seconds = time.perf_counter() - start
        out.seek(0)
        answer = out.read()
    if process.returncode:
        raise RuntimeError(f"benang {' '.join(arguments)} ended with {process.returncode}: {answer[:500]}")
    return Run(round(seconds, 1), peak), json.loads(answer)


def family(pid: int) -> list[int]:
    """Return a process and all below it."""
    children: dict[int, list[int]] = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children[int(fields[1])].append(int(stat.parent.name))
    found = [pid]
    for one in found:
        found += children[one]
    return found


def proportional_size(pid: int) -> int:
    """Return the bytes a process holds, pages it shares divided by those who share them."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def partition(folder: Path) -> tuple[set[frozenset[str]], set[frozenset[str]]]:
    """Return clusters and stories of a store as sets of articles."""
    engine = reader_engine(folder)
    with engine.connect() as connection:
        found = assignments(connection)
    engine.dispose()
    groups: tuple[dict[str, set[str]], dict[str, set[str]]] = (defaultdict(set), defaultdict(set))
    for article, places in found.items():
        for level, place in zip(groups, places, strict=True):
            level[place].add(article)
    return set(map(frozenset, groups[0].values())), set(map(frozenset, groups[1].values()))


def exponent(rows: Sequence[Row]) -> float:
    """Return the slope of log(seconds of the night) over log(articles), by least squares."""
    points = [(math.log(row.articles), math.log(row.night.seconds)) for row in rows]
    middle = [sum(column) / len(points) for column in zip(*points, strict=True)]
    over = sum((x - middle[0]) * (y - middle[1]) for x, y in points)
    return float(over / sum((x - middle[0]) ** 2 for x, _ in points))


def table(rows: Sequence[Row]) -> str:
    """Return the table of all sizes, and how the night grows."""
    lines = [
        [
            f"{row.articles:,}",
            f"{row.ingest.seconds:,.0f} s",
            f"{row.articles / row.ingest.seconds:,.0f}",
            f"{row.ingest.peak / GIB:.2f} GiB",
            f"{row.night.seconds:,.0f} s",
            f"{row.night.peak / GIB:.2f} GiB",
            f"{row.moved:,}",
            "–" if row.dask is None else f"{row.dask.seconds:,.0f} s",
            "–" if row.killed is None else f"{row.killed.seconds:,.0f} s",
            "–" if row.same is None else "yes" if row.same else "**no**",
        ]
        for row in rows
    ]
    text = markdown(HEAD, lines)
    if len(rows) > 1:
        text += (
            f"\n\nTime of the night grows as the number of articles to the power of **{exponent(rows):.2f}**."
        )
    return text


def main() -> None:
    """Measure and show the sizes asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sizes", nargs="*", type=int, default=[10_000, 30_000, 100_000])
    parser.add_argument(
        "--dask-up-to", type=int, default=DASK_UP_TO, help="largest size that Dask workers do as well"
    )
    parser.add_argument(
        "--folder", type=Path, help="where stores and streams are left (default: thrown away)"
    )
    parser.add_argument("--publish", action="store_true", help="write the table into benchmarks/README.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benang-scale-") as own:
        folder = given.folder or Path(own)
        folder.mkdir(parents=True, exist_ok=True)
        rows = [measure(size, folder, dask=size <= given.dask_up_to) for size in sorted(given.sizes)]
    if given.publish:
        publish("scale", table(rows))
    else:
        print(table(rows))


if __name__ == "__main__":
    main()
