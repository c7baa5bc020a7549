"""Memory of an article in the live window: `python -m benchmarks.memory CORPUS.ndjson.gz`.

Puts the first 20,000 lines of the corpus into a new store, makes the window anew from it in a process that has done
nothing else, adds up the arrays behind it, and compares them with what the process grew by. `--publish` writes the
table into `benchmarks/README.md`.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import itertools
import multiprocessing
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import faiss
import numpy as np

from benchmarks.table import markdown, publish
from embeddings.shelf import Column
from service.learned import load_models
from service.rebuild import rebuild
from service.settings import Settings
from service.store.engine import migrate, writer_engine
from service.store.sqlite import FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

    from service.learned import Models
    from service.window import Window

LINES = 20_000
FAISS_ID_BYTES = 8
NOT_OURS = (type, FunctionType, ModuleType)
HEAD = ("what", "bytes an article, filled", "with room to grow")


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes of a part of the window: what is written, and what is set aside; untouched room takes no memory yet."""

    part: str
    filled: int
    room: int


@dataclass(frozen=True, slots=True)
class Measured:
    """The parts of a window, and bytes in memory before it was made and after each step, by rows there were."""

    rows: int
    sizes: list[Size]
    resident: dict[int, int]

    def grown(self, since: int) -> float:
        """Return the bytes a row by which the process grew once there were `since` rows."""
        return (self.resident[self.rows] - self.resident[since]) / (self.rows - since)

    @property
    def half(self) -> int:
        """The rows at the last step at which no more than half of them were there."""
        return max(rows for rows in self.resident if 2 * rows <= self.rows)


def reached_from(root: object, seen: set[int]) -> Iterator[Any]:
    """Yield every object that hangs on `root` and is not in `seen` yet; modules, classes and functions are not ours."""
    waiting = [root]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, NOT_OURS):
            continue
        seen.add(id(one))
        yield one
        waiting += gc.get_referents(one)


def size_of(part: str, root: object, seen: set[int]) -> Size:
    """Add up the objects that hang on `root` alone, the bytes that FAISS keeps beside them included."""
    room = spare = 0
    for one in reached_from(root, seen):
        room += sys.getsizeof(one)
        if isinstance(one, Column):
            spare += _spare(one)
        elif isinstance(one, (faiss.IndexIDMap, faiss.IndexIVFScalarQuantizer)):
            room += one.ntotal * (one.d + FAISS_ID_BYTES)
    return Size(part, room - spare, room)


def _spare(column: Column[Any]) -> int:
    values = column.values
    whole = values.base
    assert isinstance(whole, np.ndarray)
    return whole.nbytes - values.nbytes


def sizes_of(window: Window) -> list[Size]:
    """Return the size of each part of a window; what two parts share counts for the first."""
    # The table of rarities is the model's, whatever the number of articles.
    seen = {id(window.shelf.rarity)}
    shelf = window.shelf
    return [
        size_of("term vectors of eight fields", shelf.terms, seen),
        size_of("dense codes, squares, times, outlets", shelf, seen),
        size_of("index of articles: postings and codes", window.articles, seen),
        size_of("index of clusters' first articles", window.heads, seen),
        size_of("IDs, flags, clusters and stories", window, seen),
    ]


def resident() -> int:
    """Return the bytes this process has in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


def measure(folder: Path) -> Measured:
    """Make the window of a store anew and measure it; for a process of its own."""
    settings = Settings().in_folder(folder)
    models = load_models(settings.model, settings.pair_model)
    with tempfile.TemporaryDirectory(prefix="benang-memory-empty-") as empty:
        # What is loaded and compiled once, whatever the number of articles, is there before we look.
        warm = writer_engine(Path(empty))
        migrate(warm)
        _window_of(warm, models, settings)
        warm.dispose()
    engine = writer_engine(folder)
    gc.collect()
    there = 0
    memory = {0: resident()}

    def step(more: int) -> None:
        nonlocal there
        there += more
        memory[there] = resident()

    window = _window_of(engine, models, settings, step)
    engine.dispose()
    gc.collect()
    memory[len(window.shelf)] = resident()
    return Measured(len(window.shelf), sizes_of(window), memory)


def _window_of(
    engine: Engine, models: Models, settings: Settings, step: Callable[[int], None] = lambda _rows: None
) -> Window:
    return rebuild(
        engine,
        models,
        window_days=settings.window_days,
        story_horizon_days=settings.story_horizon_days,
        progress=step,
    )


def cut(corpus: Path, lines: int, target: Path) -> None:
    """Write the first `lines` of a gzipped file."""
    with gzip.open(corpus, "rb") as whole, target.open("wb") as part:
        part.writelines(itertools.islice(whole, lines))


def rows(measured: Measured) -> list[list[str]]:
    """Return the rows of the table."""
    filled, room = (sum(getattr(size, name) for size in measured.sizes) for name in ("filled", "room"))
    sizes = [*measured.sizes, Size("**computed, all**", filled, room)]
    shown = [
        [size.part, f"{size.filled / measured.rows:,.0f}", f"{size.room / measured.rows:,.0f}"]
        for size in sizes
    ]
    whole = (measured.resident[measured.rows] - measured.resident[0]) / 2**20
    return [
        *shown,
        [
            f"growth of the process, {measured.rows:,} articles with vectors, {whole:,.0f} MiB",
            f"{measured.grown(0):,.0f}",
            "",
        ],
        [f"the same, beyond the first {measured.half:,}", f"{measured.grown(measured.half):,.0f}", ""],
    ]


def run(corpus: Path, lines: int) -> Measured:
    """Put the first `lines` of the corpus into a new store and measure its window."""
    with tempfile.TemporaryDirectory(prefix="benang-memory-") as folder:
        part, store = Path(folder) / "part.ndjson", Path(folder) / "data"
        cut(corpus, lines, part)
        command = (sys.executable, "-m", "service.cli", "ingest", str(part), "--data", str(store), "--json")
        # Exit status 1 says that some lines were refused; the rest is stored.
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not (store / FILE).exists():
            raise SystemExit(done.stderr)
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as alone:
            return alone.submit(measure, store).result()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--lines", type=int, default=LINES)
    parser.add_argument("--publish", action="store_true")
    options = parser.parse_args()
    text = markdown(HEAD, rows(run(options.corpus, options.lines)))
    if options.publish:
        publish("memory", text)
    else:
        print(text)


if __name__ == "__main__":
    main()
