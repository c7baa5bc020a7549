"""Pair models and cuts from labels of your own: split, fit, choose the cuts on what was held out, write a model folder.

The learning itself is `embeddings.training.pairs`; here is what makes it safe to use: nothing of one story on both
sides of the split, figures before and after from the same held-out articles, and a refusal where labels are too few.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embeddings.training import pairs
from service import metrics
from service.desk import Desk
from service.ingest import prepare_vectors
from service.intake import Record
from service.learned import load_models
from service.reading import Reader, Rejected
from service.settings import CUTS_FILE
from service.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from embeddings.pair_model import PairModel
    from service.gold import GoldArticle
    from service.ingest import Models, Prepared
    from service.settings import Settings

HELD_OUT = 0.25
MIN_PAIRS = 50
"""Pairs of one event among the candidates to learn from."""
MIN_STORY_PAIRS = 30
MIN_HELD_OUT_PAIRS = 20
EVENT_CUTS = tuple(round(0.16 + 0.04 * step, 2) for step in range(13))
STORY_CUTS = tuple(round(0.1 + 0.06 * step, 2) for step in range(10))
CHUNK = 256


class FitError(ValueError):
    """The labels cannot be learnt from; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Split:
    """The articles to learn from and those to choose the cuts on, each in order of time; no story is in both."""

    learn: list[GoldArticle]
    held_out: list[GoldArticle]


@dataclass(frozen=True, slots=True)
class Scores:
    """What one pair of models and cuts reached on the held-out articles."""

    cut: float
    story_cut: float
    bcubed: metrics.Score
    pairwise: metrics.Score
    stories_all: metrics.Score
    stories_labelled: metrics.Score


@dataclass(frozen=True, slots=True)
class Fitted:
    """New models with their cuts, and what speaks for them.

    `story_is_new` is False where labels were too few, or the model in use did better: it then stays.
    """

    event: PairModel
    story: PairModel
    story_is_new: bool
    before: Scores
    after: Scores
    encoder: str
    learned_from: int
    held_out: int
    pairs: int
    story_pairs: int
    first: str
    last: str
    seconds: float

    @property
    def is_better(self) -> bool:
        """Whether BCubed F1 of events rose and their pairwise F1 did not fall."""
        before, after = self.before, self.after
        return after.bcubed.f1 > before.bcubed.f1 and after.pairwise.f1 >= before.pairwise.f1

    def as_dict(self) -> dict[str, Any]:
        """Return what was learnt as JSON values."""
        learnt = {"event": self.event.as_dict(), "story": self.story.as_dict()}
        return {**asdict(self), **learnt, "is_better": self.is_better}


def together(files: Sequence[Sequence[GoldArticle]]) -> list[GoldArticle]:
    """Return the articles of several files in order of time; labels of one file mean nothing in another.

    Raises:
        FitError: a publication time cannot be read.
    """
    every = [
        replace(
            article,
            external_id=f"{number}:{article.external_id}",
            cluster=f"{number}:{article.cluster}",
            story=None if article.story is None else f"{number}:{article.story}",
            copy_of=None if article.copy_of is None else f"{number}:{article.copy_of}",
        )
        for number, articles in enumerate(files)
        for article in articles
    ]
    return sorted(every, key=_moment)


def split(articles: Sequence[GoldArticle], share: float = HELD_OUT) -> Split:
    """Hold out the stories (or, without one, events) that begin last, as many as hold `share` of the articles.

    Events joined by a story, and stories joined by an event, stay on one side as a whole.

    Raises:
        FitError: one of the sides would be empty.
    """
    side_of = _whole_groups(articles)
    sizes: dict[str, int] = {}
    for article in articles:  # in order of time: groups stand in the order in which they begin
        sizes[side_of[article.cluster]] = sizes.get(side_of[article.cluster], 0) + 1
    held: set[str] = set()
    taken = 0
    for group in reversed(sizes):
        if taken >= share * len(articles):
            break
        held.add(group)
        taken += sizes[group]
    learn = [article for article in articles if side_of[article.cluster] not in held]
    if not learn or not held:
        raise FitError(
            "The labels are one story: nothing would be left to learn from, or to check on. Add others."
        )
    return Split(learn, [article for article in articles if side_of[article.cluster] in held])


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


def write_model(folder: Path, fitted: Fitted, sources: Sequence[str]) -> None:
    """Write the models, the cuts and a model card; `sources` are the names of the labelled files.

    Raises:
        FitError: the folder holds something already.
        OSError: it cannot be written.
    """
    check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    fitted.event.save(folder / "event.json")
    fitted.story.save(folder / "story.json")
    cuts = {"cut": fitted.after.cut, "story_cut": fitted.after.story_cut}
    (folder / CUTS_FILE).write_text(json.dumps(cuts, indent=2) + "\n", encoding="utf-8")
    (folder / "MODEL_CARD.md").write_text(model_card(fitted, sources), encoding="utf-8")


def check_folder(folder: Path) -> None:
    """Make sure that nothing would be overwritten.

    Raises:
        FitError: the folder holds something already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FitError(f"{folder} is not empty; name a new folder with --out.")


def model_card(fitted: Fitted, sources: Sequence[str]) -> str:
    """Return the card: what the models were made from, and how they did before and after."""
    files = ", ".join(f"`{name}`" for name in sources)
    story = (
        f"fitted on {fitted.story_pairs:,} pairs of one story"
        if fitted.story_is_new
        else f"not fitted: {fitted.story_pairs:,} pairs of one story, and the one in use did no worse"
    )
    sizes = (
        f"learnt from {fitted.learned_from:,} articles, cuts chosen on {fitted.held_out:,} held-out ones that begin later and "
        "share no story with them"
    )
    use = (
        f"set `BENANG_PAIR_MODEL` to this folder; its cuts ({fitted.after.cut} for events, {fitted.after.story_cut} for "
        "stories) hold unless `BENANG_CUT` or `BENANG_STORY_CUT` is set"
    )
    caution = (
        "On the held-out articles, by the whole road of the service. The cuts were chosen on the same articles, so expect "
        "a little less elsewhere."
    )
    lines = [
        "# Pair models fitted with `benang fit`",
        "",
        f"* **Labels**: {files}; articles of {fitted.first} to {fitted.last}.",
        f"* **Sizes**: {sizes}.",
        f"* **Event model** `{fitted.event.name}`: fitted on {fitted.pairs:,} pairs of one event.",
        f"* **Story model** `{fitted.story.name}`: {story}.",
        f"* **Encoder**: `{fitted.encoder}`. With another encoder these models mean nothing.",
        f"* **Use**: {use}.",
        "",
        caution,
        "",
        "| | before | after |",
        "| --- | --- | --- |",
        *(f"| {name} | {before} | {after} |" for name, before, after in table(fitted)),
        "",
    ]
    return "\n".join(lines)


def table(fitted: Fitted) -> Iterator[tuple[str, str, str]]:
    """Yield the rows of the comparison: name, before, after."""
    before, after = fitted.before, fitted.after
    yield "cut of events", f"{before.cut:.2f}", f"{after.cut:.2f}"
    for label, name in (("events, BCubed", "bcubed"), ("events, pairwise", "pairwise")):
        for part, title in (("precision", "precision"), ("recall", "recall"), ("f1", "F1")):
            old, new = (getattr(getattr(one, name), part) for one in (before, after))
            yield f"{label} {title}", f"{old:.3f}", f"{new:.3f}"
    yield "cut of stories", f"{before.story_cut:.2f}", f"{after.story_cut:.2f}"
    yield "stories, BCubed F1, all articles", f"{before.stories_all.f1:.3f}", f"{after.stories_all.f1:.3f}"
    yield (
        "stories, BCubed F1, articles with a story",
        f"{before.stories_labelled.f1:.3f}",
        f"{after.stories_labelled.f1:.3f}",
    )


def _whole_groups(articles: Sequence[GoldArticle]) -> dict[str, str]:
    """Return for each event the first event of everything that hangs together with it by stories."""
    first_of_story: dict[str, str] = {}
    parent: dict[str, str] = {}

    def root(event: str) -> str:
        while parent[event] != event:
            event = parent[event]
        return event

    for article in articles:
        parent.setdefault(article.cluster, article.cluster)
        if article.story is not None:
            other = first_of_story.setdefault(article.story, article.cluster)
            parent[root(article.cluster)] = root(other)
    return {event: root(event) for event in parent}


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


def _moment(article: GoldArticle) -> tuple[float, str]:
    text = article.published_at
    try:
        moment = datetime.fromisoformat(text if "T" in text else f"{text}T00:00:00+07:00")
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        place = article.external_id.partition(":")[2]
        raise FitError(
            f"{place}: published_at is {text[:40]!r}; write an RFC 3339 time with an offset, or a date"
        )
    return moment.timestamp(), article.external_id
