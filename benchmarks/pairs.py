"""Pairs on labelled news: `python -m benchmarks.pairs GOLD.ndjson.gz`.

Who is compared at all (recall of the company), what the probability of the event model is worth (calibration), and what a
million pairs cost. `--publish` writes the table into `benchmarks/README.md`.
"""

from __future__ import annotations

import argparse
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import average_precision_score

from benchmarks.table import markdown, publish
from embeddings.company import EVENT, earlier_company
from embeddings.index import NeighbourIndex
from embeddings.shelf import Shelf
from embeddings.similarity import compare
from embeddings.text import normalise
from embeddings.vectors import vectorise
from service.gold import read_gold
from service.labels import together
from service.learned import load_models
from service.window import outlet_id

if TYPE_CHECKING:
    import numpy.typing as npt

    from service.gold import GoldArticle
    from service.learned import Models

    Rows = npt.NDArray[np.intp]

BATCH = 256
MILLION = 1_000_000
BINS = (0.05, 0.2, 0.4, 0.6, 0.8, 1.0)


def shelved(models: Models, gold: list[GoldArticle]) -> tuple[Shelf, Rows, Rows]:
    """Return the articles on a shelf, and every pair of an article with its company on arrival."""
    shelf = Shelf(models.encoder.dimension, models.background.rarity)
    index = NeighbourIndex(shelf, EVENT.reach)
    pairs: list[tuple[Rows, Rows]] = []
    for start in range(0, len(gold), BATCH):
        part = gold[start : start + BATCH]
        texts = [(normalise(one.title), normalise(one.text)) for one in part]
        rows = shelf.extend(
            vectorise(models.encoder, models.background, texts),
            [datetime.fromisoformat(one.published_at).timestamp() / 3600 for one in part],
            [outlet_id(one.source) for one in part],
        )
        pairs.append(earlier_company(index, rows))
        index.add_dense(rows)
    left, right = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return shelf, left, right


def recall(events: npt.NDArray[np.int64], left: Rows, right: Rows) -> tuple[float, float]:
    """Return the share of later reports that meet an earlier one of their event, and of all such pairs that are met."""
    met = left[events[left] == events[right]]
    _, position = np.unique(events, return_inverse=True)
    seen: dict[int, int] = {}
    later = pairs = 0
    for event in position.tolist():
        before = seen.get(event, 0)
        later += before > 0
        pairs += before
        seen[event] = before + 1
    return len(np.unique(met)) / later, len(met) / pairs


def calibration(same: npt.NDArray[np.bool_], probability: npt.NDArray[np.float64]) -> list[str]:
    """Return for each band of probability how many pairs it holds, what was said on average, and what was so."""
    shown = []
    for low, high in pairwise(BINS):
        inside = (probability >= low) & (probability < high)
        if inside.any():
            said, so = probability[inside].mean(), same[inside].mean()
            shown.append(f"{low:.2f} to {high:.2f}: {inside.sum():,} pairs, said {said:.2f}, so {so:.2f}")
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("gold", type=Path)
    parser.add_argument("--publish", action="store_true")
    arguments = parser.parse_args()
    models = load_models("bundled")
    gold = together([read_gold(arguments.gold)])
    shelf, left, right = shelved(models, gold)
    _, events = np.unique([one.cluster for one in gold], return_inverse=True)
    one, pairs = recall(events, left, right)
    compared = compare(shelf, left, right, EVENT.min_likeness)
    same = events[left[compared.kept]] == events[right[compared.kept]]
    probability = models.event.probability(compared.features)

    start = time.perf_counter()
    compare(shelf, left, right)  # every pair in full
    per_pair = (time.perf_counter() - start) / len(left)
    start = time.perf_counter()
    models.event.probability(compared.features)
    per_probability = (time.perf_counter() - start) / len(compared.features)
    rows = [
        ["later reports that meet an earlier one of their event", f"{one:.1%}"],
        ["pairs of one event that are compared", f"{pairs:.1%}"],
        [
            "average precision of the event model on the pairs compared",
            f"{average_precision_score(same, probability):.3f}",
        ],
        ["a million pairs, 34 features each", f"{per_pair * MILLION:.1f} s"],
        ["a million probabilities", f"{per_probability * MILLION:.1f} s"],
        *(
            [f"probability {line.partition(':')[0]}", line.partition(": ")[2]]
            for line in calibration(same, probability)
        ),
    ]
    text = markdown(("what", "measured"), rows)
    if arguments.publish:
        publish("pairs", text)
    else:
        print(text)


if __name__ == "__main__":
    main()
