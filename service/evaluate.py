"""A gold file through the real road: replayed into a new store, then scored."""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service import metrics
from service.desk import Desk
from service.feed import feed
from service.intake import Record
from service.nightly import propose
from service.openings import openings_for
from service.parallel import Local
from service.reading import Rejected
from service.shift import night_of
from service.store.read import assignments, reading
from service.stored_vectors import StoreVectors
from service.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from service.gold import GoldArticle
    from service.learned import Models
    from service.model import Outcome
    from service.settings import Settings


class EvaluationError(ValueError):
    """The gold file cannot be replayed; the message says which article and why."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What one way of grouping reached; the field's definitions, see `service.metrics`."""

    events: int
    singletons: float
    bcubed: metrics.Score
    pairwise: metrics.Score
    ceaf_e: metrics.Score
    ami: float
    stories_all: metrics.Score
    stories_labelled: metrics.Score


@dataclass(frozen=True, slots=True)
class Report:
    """Scores of one replay: of the groups as they were answered, and of what a night makes of them."""

    articles: int
    articles_per_second: float
    events: int
    singletons: float
    bcubed_all_singletons: float
    online: Scores
    nightly: Scores
    copies: metrics.Score

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Grouping:
    """Cluster and story of each article, in order."""

    clusters: list[str]
    stories: list[str]


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay answered, how long it took, and how a night would group the same articles."""

    outcomes: list[Outcome]
    seconds: float
    nightly: Grouping

    @property
    def online(self) -> Grouping:
        """The groups as they were answered."""
        placed = [outcome.placement for outcome in self.outcomes]
        return Grouping([one.cluster_id for one in placed], [one.story_id for one in placed])


def evaluate(
    gold: Sequence[GoldArticle],
    settings: Settings,
    *,
    models: Models | None = None,
    on_chunk: Callable[[int], None] = lambda _articles: None,
) -> Report:
    """Replay `gold` in its order into a new store and score what came out.

    Raises:
        EvaluationError: an article of the file is refused.
    """
    return report(gold, replay(gold, settings, models=models, on_chunk=on_chunk))


def replay(
    gold: Sequence[GoldArticle],
    settings: Settings,
    *,
    models: Models | None = None,
    on_chunk: Callable[[int], None] = lambda _articles: None,
) -> Replay:
    """Post `gold` in its order into a new store, then ask what a night would make of it.

    Raises:
        EvaluationError: an article of the file is refused.
    """
    outcomes: list[Outcome] = []

    def keep(_records: list[Record], results: list[Outcome | Rejected]) -> None:
        for result in results:
            if isinstance(result, Rejected):
                raise EvaluationError(
                    f"{result.place} is refused ({result.code}): {'; '.join(result.errors)}"
                )
            outcomes.append(result)
        on_chunk(len(results))

    with tempfile.TemporaryDirectory(prefix="benang-evaluate-") as folder:
        own = settings.in_folder(Path(folder))
        with Desk.open(own, Metrics(), models=models) as desk:
            start = time.perf_counter()
            feed(desk, [record_of(article) for article in gold], on_chunk=keep)
            seconds = time.perf_counter() - start
            regrouped = after_a_night(desk)
    labels = [regrouped[outcome.id] for outcome in outcomes]
    return Replay(outcomes, seconds, Grouping([one for one, _ in labels], [one for _, one in labels]))


def after_a_night(desk: Desk) -> dict[str, tuple[str, str]]:
    """Run a night over all that was received, here, and return cluster and story of every article."""
    night = night_of(desk.settings, desk.settings.recluster_window_days, time.time_ns() // 1000)
    hands = Local(desk.models, StoreVectors(desk.reader, desk.models), night.horizons)
    openings = openings_for(desk.settings, desk.reader, jobs=1)
    proposal = propose(desk.reader, hands, desk.cuts, night, model=desk.models.name, openings=openings)
    desk.carry_out(proposal, "run_evaluation").result()
    with reading(desk.reader) as connection:
        return assignments(connection)


def copies_found(gold: Sequence[GoldArticle], outcomes: Sequence[Outcome]) -> dict[str, str | None]:
    """Return for each article of `gold` the one it was found to repeat, or None, by external ID."""
    external = {outcome.id: article.external_id for outcome, article in zip(outcomes, gold, strict=True)}
    return {
        article.external_id: external.get(outcome.placement.copy_of or "")
        for outcome, article in zip(outcomes, gold, strict=True)
    }


def record_of(article: GoldArticle) -> Record:
    """Return a labelled article as a record that is fed."""
    # Identity is the gold file's own ID alone: two of its articles may share an address.
    return Record(
        article.external_id,
        {
            "external_id": article.external_id,
            "source": article.source,
            "title": article.title,
            "text": article.text,
            "published_at": article.published_at,
        },
    )


def report(gold: Sequence[GoldArticle], replayed: Replay) -> Report:
    """Score a replay of `gold`."""
    events = [article.cluster for article in gold]
    copies = copies_found(gold, replayed.outcomes)
    return Report(
        articles=len(gold),
        articles_per_second=round(len(gold) / replayed.seconds, 1),
        events=len(set(events)),
        singletons=metrics.singleton_rate(events),
        bcubed_all_singletons=metrics.bcubed(events, [article.external_id for article in gold]).f1,
        online=score(gold, replayed.online),
        nightly=score(gold, replayed.nightly),
        copies=metrics.copy_pairs({article.external_id: article.copy_of for article in gold}, copies),
    )


def score(gold: Sequence[GoldArticle], grouping: Grouping) -> Scores:
    """Score one way of grouping the articles of `gold`."""
    events, predicted = [article.cluster for article in gold], grouping.clusters
    every, labelled = metrics.stories([article.story for article in gold], events, grouping.stories)
    return Scores(
        events=len(set(predicted)),
        singletons=metrics.singleton_rate(predicted),
        bcubed=metrics.bcubed(events, predicted),
        pairwise=metrics.pairwise(events, predicted),
        ceaf_e=metrics.ceaf_e(events, predicted),
        ami=metrics.ami(events, predicted),
        stories_all=every,
        stories_labelled=labelled,
    )
