"""What each group of features is worth: the event model refitted without it, on one file, and scored on the other."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from sklearn.metrics import average_precision_score

from benchmarks.road import decide, say
from embeddings.similarity import FEATURES, OF_THE_PAIR
from embeddings.training import pairs
from service.evaluate import Report, report

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Future

    from benchmarks.road import Labelled
    from embeddings.pair_model import PairModel
    from embeddings.training.pairs import Pairs
    from service.learned import Models
    from service.settings import Settings

GROUPS: Mapping[str, tuple[str, ...]] = {
    "words: lead, whole text, opening, headline": (
        "lead_cosine",
        "whole_cosine",
        "title_cosine",
        "opening_cosine",
        "rarest_lead",
        "rarest_title",
    ),
    "headline told": ("title_told_least", "title_told_most"),
    "names": ("name_cosine", "shared_names", "key_name", "names_told_least", "names_told_most"),
    "numbers and dates": ("number_cosine", "number_conflict", "shared_date", "date_conflict"),
    "time and outlet": ("log_days", "same_day", "same_outlet"),
    "dense": ("dense_cosine",),
    "company: local weights": (
        "local_lead",
        "local_title",
        "local_opening",
        "local_told_here",
        "local_told_there",
    ),
    "company: ranks and distances": (
        "rank_lead",
        "rank_dense",
        "below_best",
        "below_best_few",
        "rank_local",
        "local_below_best",
        "local_below_best_few",
        "crowd",
    ),
}
ALL = "all"
HEAD = (
    "features of the event model",
    "number",
    "average precision of pairs",
    "B³ F1, online",
    "pairwise F1, online",
    "B³ F1, nightly",
    "pairwise F1, nightly",
)


@dataclass(frozen=True, slots=True)
class Fold:
    """A labelled file to score, and the pairs of the other one to fit on."""

    scored: Labelled
    scored_pairs: Pairs
    learn: Pairs
    learn_stories: Pairs


@dataclass(frozen=True, slots=True)
class Reached:
    """What a model fitted on one file reached on the other."""

    precision: float
    report: Report

    def figures(self) -> list[float]:
        """Return the figures of a row of the table."""
        online, nightly = self.report.online, self.report.nightly
        return [
            self.precision,
            online.bcubed.f1,
            online.pairwise.f1,
            nightly.bcubed.f1,
            nightly.pairwise.f1,
        ]


def variants() -> dict[str, tuple[str, ...]]:
    """Return, by the name of its row, the features that a model is fitted on.

    Fitting draws features at random, so the same ones in another order say how much of a difference is chance.
    """
    without = {
        f"without {name}": tuple(one for one in FEATURES if one not in group)
        for name, group in GROUPS.items()
    }
    only = {"only the pair, no company": OF_THE_PAIR}
    return {ALL: FEATURES, "all, in another order (chance alone)": FEATURES[::-1], **without, **only}


def folds_of(one: Labelled, other: Labelled, models: Models) -> tuple[Fold, Fold]:
    """Return both folds of two labelled files; pairs are compared once."""
    of_events, of_stories = [], []
    for labelled in (one, other):
        of_events.append(event_pairs_of(labelled, models))
        rows = [asdict(article) for article in labelled.gold]
        of_stories.append(pairs.story_pairs(models.encoder, models.background, rows))
    return (
        Fold(one, of_events[0], of_events[1], of_stories[1]),
        Fold(other, of_events[1], of_events[0], of_stories[0]),
    )


def event_pairs_of(labelled: Labelled, models: Models) -> Pairs:
    """Return the pairs that a labelled file offers to the event model."""
    rows = [asdict(article) for article in labelled.gold]
    found = pairs.event_pairs(models.encoder, models.background, rows)
    say(f"{labelled.name}: {len(found.same):,} pairs compared")
    return found


def precision_of(model: PairModel, scored: Pairs) -> float:
    """Return the average precision of a model over pairs, weighted as in training."""
    probability = model.probability(scored.features)
    return float(average_precision_score(scored.same, probability, sample_weight=scored.weight))


def run(
    folds: Sequence[Fold], models: Models, settings: Settings, *, workers: int
) -> dict[str, list[Reached]]:
    """Fit every variant on every fold, and return by variant what each fold reached."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        stories = [
            pool.submit(pairs.fit, "story", pairs.STORY_FEATURES, [fold.learn_stories]) for fold in folds
        ]
        events = {
            name: [pool.submit(pairs.fit, "event", columns, [fold.learn]) for fold in folds]
            for name, columns in variants().items()
        }
        return {
            name: [
                _reached(name, fold, replace(models, story=story.result()), event, settings)
                for fold, story, event in zip(folds, stories, fitted, strict=True)
            ]
            for name, fitted in events.items()
        }


def _reached(name: str, fold: Fold, models: Models, event: Future[PairModel], settings: Settings) -> Reached:
    model = event.result()
    scored = report(fold.scored.gold, decide(fold.scored, settings, replace(models, event=model)))
    say(f"{fold.scored.name}, {name}: B³ F1 {scored.online.bcubed.f1:.3f} online")
    return Reached(precision_of(model, fold.scored_pairs), scored)


def rows(reached: Mapping[str, Sequence[Reached]]) -> list[list[str]]:
    """Return the rows of the table: the mean of the folds, and how far it is from that of all features."""
    means = {name: _means([one.figures() for one in found]) for name, found in reached.items()}
    columns = variants()
    return [
        [
            name,
            str(len(columns[name])),
            *(
                f"{value:.3f}" if name == ALL else f"{value:.3f} ({value - whole:+.3f})"
                for value, whole in zip(mean, means[ALL], strict=True)
            ),
        ]
        for name, mean in means.items()
    ]


def _means(figures: Sequence[Sequence[float]]) -> list[float]:
    return [sum(column) / len(column) for column in zip(*figures, strict=True)]
