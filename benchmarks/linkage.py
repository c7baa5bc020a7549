"""How a night joins groups: `python -m benchmarks.linkage GOLD_FOLDER`, some minutes on two cores.

Puts train_a and train_b (.ndjson.gz) through the service, each under an event model fitted on the other one, and lets a night
merge from the pairs it finds. Whether each of its merges was right, by the labels, is what a logistic model over
`service.likeness.EVIDENCE` learns. Prints what the model reaches on the other file by its cut, beside best pair and mean
mixed, and the weights fitted on both files, which stand in `service/likeness.py`. `--publish` writes the table into
`benchmarks/README.md`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.ablation import folds_of
from benchmarks.quality import GOLD
from benchmarks.road import CHUNK, load, say
from benchmarks.table import markdown, publish
from embeddings.training import pairs
from service import metrics
from service.desk import Desk
from service.learned import load_models
from service.likeness import EVIDENCE, evidence
from service.nightly import read_view
from service.parallel import Local
from service.recluster import Linkage, agglomerate, partition
from service.regroup import together
from service.settings import Settings
from service.shift import night_of
from service.stored_vectors import StoreVectors
from service.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.road import Labelled
    from service.learned import Models
    from service.recluster import Floats, Labels, Rows

MIXED = Linkage(0.36, best_weight=0.4)
"""The rule that the learned one replaced; its merges are what is learnt from."""
LEARNT_FROM = (0.3, 0.4)
"""Cuts of that rule, whose merges are all looked at."""
CUTS = (0.35, 0.4, 0.45, 0.5, 0.55)
STRENGTH = 10.0
HEAD = ("linkage", "cut", "B³ F1, train_a", "pairwise F1, train_a", "B³ F1, train_b", "pairwise F1, train_b")


@dataclass(frozen=True, slots=True)
class Graph:
    """What a night sees of a labelled file: its originals by event and outlet, and the pairs it found."""

    events: list[str]
    outlets: Labels
    left: Rows
    right: Rows
    probability: Floats


def graph_of(labelled: Labelled, settings: Settings, models: Models) -> Graph:
    """Put the articles into a new store and compare them as a night does."""
    event_of: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="benang-benchmark-") as folder:
        own = settings.in_folder(Path(folder))
        with Desk.open(own, Metrics(), models=models) as desk:
            for first in range(0, len(labelled.prepared), CHUNK):
                outcomes = desk.submit_prepared(labelled.prepared[first : first + CHUNK]).result()
                gold = labelled.gold[first : first + CHUNK]
                event_of |= {one.id: article.cluster for one, article in zip(outcomes, gold, strict=True)}
            night = night_of(own, own.recluster_window_days, time.time_ns() // 1000)
            hands = Local(models, StoreVectors(desk.reader, models), night.horizons)
            with desk.reader.connect() as connection:
                view = read_view(connection, night, lambda _stage, _done, _total: None)
            with hands.open("cluster", view.members) as searching:
                every = np.arange(len(view.members))
                found = together((one.left, one.right, one.probability) for one in searching.pairs(every))
    say(f"{labelled.name}: {len(found[0]):,} pairs")
    return Graph([event_of[one] for one in view.members.ids], view.members.outlets, *found)


def merges(graph: Graph, cut: float) -> tuple[Floats, Labels]:
    """Return the evidence of each merge that best pair and mean make down to `cut`, and whether it was right.

    It was where most of either group are of one event.
    """
    count = len(graph.events)
    likeness = np.zeros((count, count))
    strong = graph.probability >= MIXED.floor
    left, right = graph.left[strong], graph.right[strong]
    likeness[left, right] = likeness[right, left] = graph.probability[strong]
    nothing = np.zeros(0)
    _, steps = agglomerate(likeness, graph.outlets, nothing, MIXED.best_weight, cut)
    members = {row: [row] for row in range(count)}
    known, right_ones = [], []
    for one, other in steps.tolist():
        both = members[one], members.pop(other)
        known.append(_evidence(likeness, graph.outlets, *both))
        right_ones.append(len({_event(graph, group) for group in both}) == 1)
        members[one] = both[0] + both[1]
    return np.array(known), np.array(right_ones)


def _evidence(likeness: Floats, outlets: Labels, one: list[int], other: list[int]) -> Floats:
    between = likeness[np.ix_(one, other)]
    here, there = ({*outlets[group].tolist()} for group in (one, other))
    within = tuple(float(likeness[np.ix_(group, group)].sum() / 2) for group in (one, other))
    known: Floats = evidence(
        (float(len(one)), float(len(other))),
        (within[0], within[1]),
        float(between.max()),
        float(between.sum()),
        float(len(here & there)),
        float(len(here | there)),
    )
    return known


def _event(graph: Graph, group: list[int]) -> str:
    return Counter(graph.events[row] for row in group).most_common(1)[0][0]


def fit(graphs: Sequence[Graph]) -> tuple[float, ...]:
    """Return the constant and the weights that tell right merges from wrong ones."""
    seen = [merges(graph, cut) for graph in graphs for cut in LEARNT_FROM]
    known, right = (np.concatenate(part) for part in zip(*seen, strict=True))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=1000)).fit(known, right)
    scaler, logistic = model[0], model[1]
    weights = logistic.coef_[0] / scaler.scale_
    constant = logistic.intercept_[0] - (weights * scaler.mean_).sum()
    return tuple(round(float(one), 3) for one in (constant, *weights))


def reached(graph: Graph, linkage: Linkage) -> list[float]:
    """Return BCubed F1 and pairwise F1 of what a linkage makes of a graph."""
    count = len(graph.events)
    labels = partition(
        count, graph.left, graph.right, graph.probability, linkage, outlets=graph.outlets
    ).tolist()
    return [metrics.bcubed(graph.events, labels).f1, metrics.pairwise(graph.events, labels).f1]


def measure(folder: Path) -> tuple[str, tuple[float, ...]]:
    """Return the table, and the weights fitted on both files."""
    settings = Settings()
    models = load_models(settings.model, settings.pair_model)
    one, other = (load(folder / f"{name}.ndjson.gz", settings, models) for name in ("train_a", "train_b"))
    graphs = [
        graph_of(
            fold.scored,
            settings,
            replace(models, event=pairs.fit("event", pairs.EVENT_FEATURES, [fold.learn])),
        )
        for fold in folds_of(one, other, models)
    ]
    learnt = [fit([graph]) for graph in reversed(graphs)]
    rows = [_row("best pair and mean", [MIXED, MIXED], graphs)]
    rows += [_row("learnt", [Linkage(cut, weights=weights) for weights in learnt], graphs) for cut in CUTS]
    return markdown(HEAD, rows), fit(graphs)


def _row(name: str, linkages: Sequence[Linkage], graphs: Sequence[Graph]) -> list[str]:
    figures = [
        one for linkage, graph in zip(linkages, graphs, strict=True) for one in reached(graph, linkage)
    ]
    return [name, f"{linkages[0].cut:.2f}", *(f"{one:.3f}" for one in figures)]


def main() -> None:
    """Fit, score on the other file, and show."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", default=GOLD)
    parser.add_argument("--publish", action="store_true", help="write the table into benchmarks/README.md")
    given = parser.parse_args()
    table, weights = measure(given.folder)
    if given.publish:
        publish("linkage", table)
    else:
        print(table)
    for name, weight in zip(("constant", *EVIDENCE), weights, strict=True):
        print(f"{name:24s} {weight:8.3f}")


if __name__ == "__main__":
    main()
