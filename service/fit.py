"""Pair models and cuts from labels of your own: fit on one side, choose the cuts on the other.

The learning itself is `embeddings.training.pairs`; here is what makes it safe to use: figures before and after
from the same held-out articles, by the real road, and a refusal where labels are too few.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embeddings.training import pairs
from service import metrics
from service.batch import prepare_vectors
from service.desk import Desk
from service.fitted import Fitted, Scores
from service.intake import Record
from service.labels import FitError
from service.learned import load_models
from service.reading import Reader, Rejected
from service.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from embeddings.pair_model import PairModel
    from service.batch import Prepared
    from service.gold import GoldArticle
    from service.labels import Split
    from service.learned import Models
    from service.settings import Settings

MIN_PAIRS = 50
"""Pairs of one event among the candidates to learn from."""
MIN_STORY_PAIRS = 30
MIN_HELD_OUT_PAIRS = 20
EVENT_CUTS = tuple(round(0.16 + 0.04 * step, 2) for step in range(13))
STORY_CUTS = tuple(round(0.1 + 0.06 * step, 2) for step in range(10))
CHUNK = 256


def steps(parts: Split) -> int:
    """Return how many articles `fit` passes in all, for a progress bar."""
    return 2 * len(parts.learn) + len(parts.held_out) * (2 + len(EVENT_CUTS) + len(STORY_CUTS))


def fit(
    parts: Split,
    settings: Settings,
    *,
    models: Models | None = None,
    advance: Callable[[int], None] = lambda _articles: None,
) -> Fitted:
    """Fit both pair models on the one side and choose their cuts on the other, by the real road.

    The cut of events is the one with the best BCubed F1 among those that do not lower pairwise F1; that of stories the
    one with the best BCubed F1 of stories.

    Raises:
        FitError: there are too few pairs, or an article is refused.
    """
    start = time.perf_counter()
    models = models or load_models(settings.model, settings.pair_model)
    _check_held_out(parts.held_out)
    event, story, count, story_count = learn(models, parts.learn, advance)
    prepared = _prepared(parts.held_out, settings, models)
    advance(len(prepared))

    def scored(tried: Models, cut: float, story_cut: float) -> Scores:
        own = settings.model_copy(update={"cut": cut, "story_cut": story_cut})
        return _scores(parts.held_out, prepared, own, tried, advance)

    before = scored(models, settings.cut, settings.story_cut)
    fitted = replace(models, event=event)
    tried = [scored(fitted, cut, settings.story_cut) for cut in EVENT_CUTS]
    best = best_events(before, tried)
    kept, chosen = models.story, best
    if story is None:
        advance(len(prepared) * len(STORY_CUTS))
    else:
        told = [scored(replace(fitted, story=story), best.cut, cut) for cut in STORY_CUTS]
        chosen = max([best, *told], key=lambda one: one.stories_all.f1)
        kept = models.story if chosen is best else story
    every = [*parts.learn, *parts.held_out]
    return Fitted(
        event=event,
        story=kept,
        story_is_new=kept is story,
        before=before,
        after=chosen,
        encoder=models.encoder.name,
        learned_from=len(parts.learn),
        held_out=len(parts.held_out),
        pairs=count,
        story_pairs=story_count,
        first=min(article.published_at for article in every)[:10],
        last=max(article.published_at for article in every)[:10],
        seconds=round(time.perf_counter() - start, 1),
    )


def best_events(before: Scores, tried: Sequence[Scores]) -> Scores:
    """Choose among cuts: the best BCubed F1 of those whose pairwise F1 is no lower than `before`, else of all."""
    allowed = [one for one in tried if one.pairwise.f1 >= before.pairwise.f1]
    return max(allowed or tried, key=lambda one: (one.bcubed.f1, one.pairwise.f1))


def learn(
    models: Models, articles: Sequence[GoldArticle], advance: Callable[[int], None]
) -> tuple[PairModel, PairModel | None, int, int]:
    """Fit the event and the story model; return them with the number of positive pairs that each had.

    The story model is None where its pairs are too few, or of one story all.

    Raises:
        FitError: the pairs of one event are too few, or there are no others.
    """
    rows = [_row(article) for article in articles]
    of_events = pairs.event_pairs(models.encoder, models.background, rows)
    count = _together(of_events)
    advance(len(rows))
    if count < MIN_PAIRS:
        raise FitError(
            f"{len(rows):,} articles to learn from hold {count} pairs of one event that look alike at all; {MIN_PAIRS} are "
            "needed. Label more events that have several reports, or pass more files."
        )
    if of_events.same.all():
        raise FitError(
            f"The {len(rows):,} articles to learn from are one event: nothing says what sets two apart."
        )
    event = _named(pairs.fit("event", pairs.EVENT_FEATURES, [of_events]))
    of_stories = pairs.story_pairs(models.encoder, models.background, rows)
    story_count = _together(of_stories)
    advance(len(rows))
    if story_count < MIN_STORY_PAIRS or of_stories.same.all():
        return event, None, count, story_count
    return event, _named(pairs.fit("story", pairs.STORY_FEATURES, [of_stories])), count, story_count


def _together(found: pairs.Pairs) -> int:
    """Count the pairs that belong together, each once: it is compared on arrival and again from both sides."""
    return len(np.unique(np.sort(found.rows[found.same], axis=1), axis=0))


def _check_held_out(articles: Sequence[GoldArticle]) -> None:
    sizes: dict[str, int] = {}
    for article in articles:
        sizes[article.cluster] = sizes.get(article.cluster, 0) + 1
    count = sum(size * (size - 1) // 2 for size in sizes.values())
    if count < MIN_HELD_OUT_PAIRS:
        raise FitError(
            f"{len(articles):,} held-out articles hold {count} pairs of one event; {MIN_HELD_OUT_PAIRS} are needed to choose "
            "a cut. Label more events that have several reports, or hold out more with --held-out."
        )


def _prepared(articles: Sequence[GoldArticle], settings: Settings, models: Models) -> list[Prepared]:
    reader = Reader(settings.future_tolerance_s, settings.extraction_timeout_s)
    ready = []
    try:
        for article in articles:
            fields = {
                name: getattr(article, name)
                for name in ("external_id", "source", "title", "text", "published_at")
            }
            found = reader.read(Record(article.external_id, fields))
            if isinstance(found, Rejected):
                place = article.external_id.partition(":")[2]
                raise FitError(f"{place} is refused ({found.code}): {'; '.join(found.errors)}")
            ready.append(found)
    finally:
        reader.close()
    return prepare_vectors(models, ready)


def _scores(
    gold: Sequence[GoldArticle],
    prepared: Sequence[Prepared],
    settings: Settings,
    models: Models,
    advance: Callable[[int], None],
) -> Scores:
    """Decide the prepared articles in a new store, and score what came out."""
    clusters: list[str] = []
    stories: list[str] = []
    with tempfile.TemporaryDirectory(prefix="benang-fit-") as folder:
        own = settings.in_folder(Path(folder))
        with Desk.open(own, Metrics(), models=models) as desk:
            for start in range(0, len(prepared), CHUNK):
                outcomes = desk.submit_prepared(prepared[start : start + CHUNK]).result()
                clusters += [outcome.placement.cluster_id for outcome in outcomes]
                stories += [outcome.placement.story_id for outcome in outcomes]
                advance(len(outcomes))
    events = [article.cluster for article in gold]
    every, labelled = metrics.stories([article.story for article in gold], events, stories)
    return Scores(
        settings.cut,
        settings.story_cut,
        metrics.bcubed(events, clusters),
        metrics.pairwise(events, clusters),
        every,
        labelled,
    )


def _row(article: GoldArticle) -> dict[str, Any]:
    return {
        name: getattr(article, name)
        for name in ("title", "text", "source", "published_at", "cluster", "story")
    }


def _named(model: PairModel) -> PairModel:
    """Return the model under a name that says what is in it: decisions keep it."""
    content = json.dumps(model.as_dict(), sort_keys=True).encode()
    return replace(model, name=f"{model.name}-fit-{hashlib.sha256(content).hexdigest()[:8]}")
