"""What reading openings brings to a night: `python -m benchmarks.openings GOLD_FOLDER`, about ten minutes on two cores.

Puts dev (.ndjson.gz) and the small sets in Indonesian and English through the service, and lets a night group them without and
with the openings read by the bundled transformer, which has learnt on train_a and train_b. Then reads a thousand for
the clock, in one process and in one a core. `--publish` writes the tables into `benchmarks/README.md`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.quality import GOLD, HEAD, NOTHING, SMALL, row
from benchmarks.road import decide, load, say
from benchmarks.table import markdown, show
from embeddings.transformer import Transformer, opening_of
from service.evaluate import report
from service.learned import load_models
from service.openings import AT_ONCE
from service.parallel import cores, forked
from service.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from service.gold import GoldArticle

ALL = 1_000_000
TIMED = 1000
"""Openings that are read for the clock."""


def rows_of(path: Path) -> tuple[list[GoldArticle], list[list[str]]]:
    """Return the labelled articles of a file, and what a night makes of them without and with openings."""
    settings = Settings()
    models = load_models(settings.model, settings.pair_model)
    labelled = load(path, settings, models)
    rows = []
    for how, asked in (("nightly", settings), ("nightly, openings read", _reading(settings))):
        found = report(labelled.gold, decide(labelled, asked, models)).nightly
        rows.append(row(labelled.name, how, labelled.gold, found, copies=NOTHING))
        say(f"{labelled.name}, {how}: BCubed F1 {found.bcubed.f1:.4f}, pairwise F1 {found.pairwise.f1:.4f}")
    return labelled.gold, rows


def _reading(settings: Settings) -> Settings:
    return settings.model_copy(update={"night_openings": ALL})


def speed(gold: Sequence[GoldArticle]) -> list[list[str]]:
    """Return what reading costs."""
    transformer = Transformer()
    texts = [opening_of(one.title, one.text, transformer.lead_words) for one in gold[:TIMED]]
    parts = [texts[start : start + AT_ONCE] for start in range(0, len(texts), AT_ONCE)]
    transformer.encode(parts[0])
    rows = []
    for jobs in sorted({1, cores()}):
        start = time.perf_counter()
        for _ in forked(jobs, _read, transformer, parts):
            pass
        rows.append(
            [f"openings a second, processes: {jobs}", f"{len(texts) / (time.perf_counter() - start):.0f}"]
        )
    return rows


def _read(transformer: Transformer, texts: list[str]) -> npt.NDArray[np.float32]:
    return transformer.encode(texts)


def main() -> None:
    """Measure, and show."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", default=GOLD, metavar="GOLD_FOLDER")
    parser.add_argument("--publish", action="store_true", help="write the tables into benchmarks/README.md")
    given = parser.parse_args()
    gold, rows = rows_of(given.folder / "dev.ndjson.gz")
    for name in ("small_gold_id", "small_gold_en"):
        rows += rows_of(SMALL / f"{name}.ndjson")[1]
    # In a process that has loaded nothing yet: what is forked off must not find the threads of a library.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
        cost = fresh.submit(speed, gold).result()
    tables = {
        "openings": markdown(HEAD[:-1], [one[:-1] for one in rows]),
        "openings cost": markdown(("what", "measured"), cost),
    }
    show(tables, published=given.publish)


if __name__ == "__main__":
    main()
