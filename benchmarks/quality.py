"""Quality on labelled news: `python -m benchmarks.quality GOLD_FOLDER`, a quarter of an hour on two cores.

The folder holds train_a, train_b and dev (.ndjson.gz). Scores the bundled models on dev beside simple baselines, models
fitted on one training file on the other, the event model without each group of its features, and the bundled models on
small sets in Indonesian and English. `--publish` writes the tables into `benchmarks/README.md`.

With `--gate` only dev is scored, in about a minute, and the command fails where a figure falls below
`benchmarks/floors.json`; `--update` raises the floors to what is measured.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import ablation, baselines, gate
from benchmarks.road import Labelled, decide, load, say
from benchmarks.table import markdown, show
from service import metrics
from service.evaluate import Grouping, evaluate, report, score
from service.gold import read_gold
from service.learned import load_models
from service.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.evaluate import Report, Scores
    from service.gold import GoldArticle
    from service.learned import Models

GOLD = Path(__file__).resolve().parents[2] / "shared" / "gold"
SMALL = Path(__file__).resolve().parents[1] / "tests" / "data"
HEAD = (
    "file",
    "how",
    "events B³ P / R / **F1**",
    "pairwise P / R / **F1**",
    "CEAF-e F1",
    "AMI",
    "clusters, found / labelled",
    "alone, found / labelled",
    "stories B³ F1, all",
    "stories B³ F1, labelled",
    "copies F1",
)
NOTHING = "–"
LIKENESSES: Mapping[str, baselines.Likeness] = {
    "term cosine": baselines.term_likeness,
    "dense cosine": baselines.dense_likeness,
}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The threshold of each cosine baseline, by name."""

    of: Mapping[str, float]

    def groupings(self, labelled: Labelled) -> dict[str, list[str]]:
        """Return the groups that each baseline makes of a file, by a name that says how."""
        return {
            f"{name} ≥ {cut:.2f}, average link": baselines.tree_of(labelled, LIKENESSES[name]).cut(cut)
            for name, cut in self.of.items()
        }


def choose_thresholds(files: Sequence[Labelled]) -> Thresholds:
    """Choose the threshold of each cosine baseline on `files`."""
    chosen = {}
    for name, likeness in LIKENESSES.items():
        trees = [baselines.tree_of(labelled, likeness) for labelled in files]
        chosen[name] = baselines.best_threshold(trees, [labelled.gold for labelled in files])
        say(f"{name}: threshold {chosen[name]:.2f}")
    return Thresholds(chosen)


def row(
    file: str, how: str, gold: Sequence[GoldArticle], scores: Scores, *, stories: bool = True, copies: str
) -> list[str]:
    """Return a row of a table of quality; without `stories` their columns stay empty."""
    events = [article.cluster for article in gold]
    return [
        file,
        how,
        shown(scores.bcubed),
        shown(scores.pairwise),
        f"{scores.ceaf_e.f1:.3f}",
        f"{round(scores.ami, 3) + 0:.3f}",  # adding 0 turns -0.0 round
        f"{scores.events:,} / {len(set(events)):,}",
        f"{scores.singletons:.3f} / {metrics.singleton_rate(events):.3f}",
        f"{scores.stories_all.f1:.3f}" if stories else NOTHING,
        f"{scores.stories_labelled.f1:.3f}" if stories else NOTHING,
        copies,
    ]


def shown(one: metrics.Score) -> str:
    """Return precision, recall and F1 as a cell."""
    return f"{one.precision:.3f} / {one.recall:.3f} / **{one.f1:.3f}**"


def rows_of_models(file: str, gold: Sequence[GoldArticle], found: Report) -> list[list[str]]:
    """Return the rows of a replay: as answered, and as a night would group."""
    return [
        row(file, "online", gold, found.online, copies=f"{found.copies.f1:.3f}"),
        row(file, "nightly", gold, found.nightly, copies=NOTHING),
    ]


def rows_of_baselines(labelled: Labelled, thresholds: Thresholds, *, stories: bool) -> list[list[str]]:
    """Return the rows of the baselines; with `stories` also that of whole stories taken for events."""
    gold = labelled.gold

    def of(how: str, grouping: Grouping, *, makes_stories: bool = False) -> list[str]:
        scores = score(gold, grouping)
        return row(labelled.name, how, gold, scores, stories=makes_stories, copies=NOTHING)

    rows = [of("all singletons", baselines.all_singletons(gold), makes_stories=True)]
    if stories:
        rows.append(of("labelled stories as events", baselines.whole_stories(gold)))
    for how, groups in thresholds.groupings(labelled).items():
        rows.append(of(how, Grouping(groups, groups)))
    say(f"{labelled.name}: baselines scored")
    return rows


def measure(folder: Path, small: Path, *, workers: int) -> dict[str, str]:
    """Return every table, by the name of its place in the README."""
    settings = Settings()
    models = load_models(settings.model, settings.pair_model)
    train_a, train_b, dev = (
        load(folder / f"{name}.ndjson.gz", settings, models) for name in ("train_a", "train_b", "dev")
    )
    thresholds = choose_thresholds([train_a, train_b])
    second = second_language(small, settings, models, thresholds)
    rows = rows_of_models("dev", dev.gold, report(dev.gold, decide(dev, settings, models)))
    say("dev: decided")
    rows += rows_of_baselines(dev, thresholds, stories=True)
    reached = ablation.run(ablation.folds_of(train_a, train_b, models), models, settings, workers=workers)
    for labelled, other, found in zip(
        (train_a, train_b), (train_b, train_a), reached[ablation.ALL], strict=True
    ):
        rows += rows_of_models(f"{labelled.name}, fitted on {other.name}", labelled.gold, found.report)
    return {
        "quality": markdown(HEAD, rows),
        "ablation": markdown(ablation.HEAD, ablation.rows(reached)),
        "second language": markdown(HEAD, second),
    }


def second_language(
    small: Path, settings: Settings, models: Models, thresholds: Thresholds
) -> list[list[str]]:
    """Return the rows of the small sets in English and Indonesian."""
    rows = []
    for name in ("small_gold_en", "small_gold_id"):
        labelled = load(small / f"{name}.ndjson", settings, models)
        found = report(labelled.gold, decide(labelled, settings, models))
        rows += rows_of_models(name, labelled.gold, found)
        rows += rows_of_baselines(labelled, thresholds, stories=False)
    return rows


def pass_gate(gold: Path, *, update: bool, allow_regression: bool) -> None:
    """Score `gold` with the bundled models and compare with the floors, or raise these.

    Raises:
        GateError: a figure fell, a floor would, or the file is another.
    """
    floors = gate.read()
    if not update:
        gate.demand_same_gold(floors, gold)
    measured = gate.figures(evaluate(read_gold(gold), Settings()))
    if update:
        new = gate.raised(floors, measured, gate.digest(gold), allow_regression=allow_regression)
        gate.write(new)
        floors = new
    assert floors is not None
    print(markdown(("figure", "measured", "floor"), rows_of_gate(floors, measured)))
    gate.demand_no_fall(floors, measured)


def rows_of_gate(floors: gate.Floors, measured: Mapping[str, float]) -> list[list[str]]:
    """Return the rows of the gate's table."""
    return [
        [name, f"{value:.4f}", f"{floors.floors[name]:.4f}" if name in floors.floors else NOTHING]
        for name, value in measured.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("gold", type=Path, nargs="?", default=GOLD, metavar="GOLD_FOLDER")
    parser.add_argument("--workers", type=int, default=2, help="processes that fit models")
    parser.add_argument("--publish", action="store_true", help="write the tables into the README")
    parser.add_argument("--gate", action="store_true", help="only compare dev with its floors")
    parser.add_argument("--update", action="store_true", help="with --gate: raise the floors")
    parser.add_argument("--allow-regression", action="store_true", help="with --update: lower them too")
    options = parser.parse_args()
    if options.gate:
        try:
            pass_gate(
                options.gold / "dev.ndjson.gz",
                update=options.update,
                allow_regression=options.allow_regression,
            )
        except gate.GateError as error:
            raise SystemExit(str(error)) from None
        return
    if options.update or options.allow_regression:
        parser.error("--update and --allow-regression go with --gate")
    show(measure(options.gold, SMALL, workers=options.workers), published=options.publish)


if __name__ == "__main__":
    main()
