"""Further labels, of another year: `python -m benchmarks.further GOLD_FOLDER CORPUS.ndjson.gz`, some minutes on two cores.

Scores the bundled models, which have learnt from the middle of September 2019, on June 2025 and on the first days of that
September, also by several cuts: labels of `benchmarks/labelled`, texts of the corpus. Then fits the event model on each
training file with and without these further labels and scores its pairs on the other one. Last, compares a second reading
of 500 articles of train_b with their labels. `--publish` writes the tables into `benchmarks/README.md`.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.ablation import event_pairs_of, folds_of, precision_of
from benchmarks.quality import GOLD, HEAD, choose_thresholds, rows_of_baselines, rows_of_models, shown
from benchmarks.road import decide, load, prepared, say
from benchmarks.table import markdown, show
from benchmarks.textless import FOLDER, LabelsError, event_of, joined, read_corpus, read_labels, story_of
from embeddings.similarity import FEATURES
from embeddings.training.pairs import fit
from service import metrics
from service.evaluate import report
from service.learned import load_models
from service.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.road import Labelled
    from benchmarks.textless import Label
    from service.gold import GoldArticle
    from service.learned import Models

CORPUS = GOLD.with_name("corpus") / "articles.ndjson.gz"
FURTHER = ("june_2025", "september_2019")
AGAIN = "train_b_again"
LEARN_HEAD = ("fitted on", "scored on", "average precision of pairs", "with the further labels as well")
CUTS = (0.3, 0.35, 0.4, 0.45, 0.5)
CUTS_HEAD = (
    "file",
    "cut",
    "B³ P / R / **F1**, online",
    "pairwise F1, online",
    "B³ P / R / **F1**, nightly",
    "pairwise F1, nightly",
)
AGAIN_HEAD = ("groups", "B³ P / R / **F1**", "pairwise P / R / **F1**")


def rows_of_further(
    further: Sequence[Labelled], training: Sequence[Labelled], models: Models
) -> list[list[str]]:
    """Return the rows of labelled files on which nothing was chosen; thresholds come from the training files."""
    settings = Settings()
    thresholds = choose_thresholds(training)
    rows = []
    for labelled in further:
        found = report(labelled.gold, decide(labelled, settings, models))
        say(
            f"{labelled.name}: B³ F1 {found.online.bcubed.f1:.3f} online, {found.nightly.bcubed.f1:.3f} nightly"
        )
        rows += rows_of_models(labelled.name, labelled.gold, found)
        rows += rows_of_baselines(labelled, thresholds, stories=True)
    return rows


def rows_of_cuts(further: Sequence[Labelled], models: Models) -> list[list[str]]:
    """Return what the one knob of granularity does to labels of another hand."""
    rows = []
    for labelled in further:
        for cut in CUTS:
            asked = Settings().model_copy(update={"cut": cut})
            found = report(labelled.gold, decide(labelled, asked, models))
            both = [(shown(one.bcubed), f"{one.pairwise.f1:.3f}") for one in (found.online, found.nightly)]
            rows.append([labelled.name, f"{cut:.2f}", *(cell for cells in both for cell in cells)])
        say(f"{labelled.name}: {len(CUTS)} cuts tried")
    return rows


def rows_of_learning(
    further: Sequence[Labelled], training: tuple[Labelled, Labelled], models: Models, *, workers: int
) -> list[list[str]]:
    """Return what the event model reaches on each training file, fitted on the other without and with further labels."""
    more = [event_pairs_of(labelled, models) for labelled in further]
    folds = folds_of(*training, models)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        fitted = [
            [pool.submit(fit, "event", FEATURES, parts) for parts in ([fold.learn], [fold.learn, *more])]
            for fold in folds
        ]
        return [
            [
                learnt.name,
                fold.scored.name,
                *(f"{precision_of(model.result(), fold.scored_pairs):.3f}" for model in both),
            ]
            for learnt, fold, both in zip(reversed(training), folds, fitted, strict=True)
        ]


def rows_of_agreement(again: Sequence[Label], gold: Sequence[GoldArticle]) -> list[list[str]]:
    """Return how far a second reading agrees with the labels of the same articles."""
    labelled = {article.external_id: article for article in gold}
    first = [labelled[label.article] for label in again]
    events = [article.cluster for article in first], [event_of(label) for label in again]
    stories = (
        [article.story or article.cluster for article in first],
        [story_of(label) or event_of(label) for label in again],
    )
    return [
        [name, shown(metrics.bcubed(*both)), shown(metrics.pairwise(*both))]
        for name, both in (("events", events), ("stories", stories))
    ]


def _further(corpus: Path, settings: Settings, models: Models) -> list[Labelled]:
    articles = list(read_corpus(corpus))
    return [
        prepared(name, joined(read_labels(FOLDER / f"{name}.tsv"), articles), settings, models)
        for name in FURTHER
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("gold", type=Path, nargs="?", default=GOLD, metavar="GOLD_FOLDER")
    parser.add_argument("corpus", type=Path, nargs="?", default=CORPUS, metavar="CORPUS.ndjson.gz")
    parser.add_argument("--workers", type=int, default=2, help="processes that fit models")
    parser.add_argument("--publish", action="store_true", help="write the tables into the README")
    asked = parser.parse_args()
    settings = Settings()
    models = load_models(settings.model, settings.pair_model)
    train_a, train_b = (
        load(asked.gold / f"{name}.ndjson.gz", settings, models) for name in ("train_a", "train_b")
    )
    training = (train_a, train_b)
    try:
        further = _further(asked.corpus, settings, models)
    except LabelsError as error:
        raise SystemExit(str(error)) from None
    tables = {
        "second reading": markdown(
            AGAIN_HEAD, rows_of_agreement(read_labels(FOLDER / f"{AGAIN}.tsv"), train_b.gold)
        ),
        "further": markdown(HEAD, rows_of_further(further, training, models)),
        "cuts": markdown(CUTS_HEAD, rows_of_cuts(further, models)),
        "more labels": markdown(
            LEARN_HEAD, rows_of_learning(further, training, models, workers=asked.workers)
        ),
    }
    show(tables, published=asked.publish)


if __name__ == "__main__":
    main()
