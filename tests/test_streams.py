"""Synthetic streams: the same for the same seed, as long and as mixed as they were asked to be."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from benchmarks import streams
from embeddings.text import words
from service.copies import near_copy, wording
from service.gold import read_gold

if TYPE_CHECKING:
    from collections.abc import Sequence

GOLD = Path(__file__).parents[1] / ".." / "shared" / "gold"
MANY = 60_000


@pytest.fixture(scope="module")
def articles() -> list[dict[str, Any]]:
    return list(streams.stream(1_500, 3, seed=7))


@pytest.fixture(scope="module")
def planned() -> streams.Plan:
    return streams.plan(MANY, 14, streams.MEASURED, seed=1)


def test_the_same_seed_gives_the_same_stream(articles: list[dict[str, Any]]) -> None:
    """Word for word, however much of it is read; another seed tells something else."""
    assert list(islice(streams.stream(1_500, 3, seed=7), 60)) == articles[:60]
    assert next(streams.stream(1_500, 3, seed=8))["text"] != articles[0]["text"]


def test_a_stream_is_as_long_as_asked_and_in_order_of_time(articles: list[dict[str, Any]]) -> None:
    """Every article lies within the days, none before another that it follows, and no ID comes twice."""
    times = [datetime.fromisoformat(article["published_at"]) for article in articles]

    assert len(articles) == 1_500
    assert times == sorted(times)
    assert times[0] >= streams.BEGIN
    assert times[-1] <= streams.BEGIN + timedelta(days=3)
    assert len({article["external_id"] for article in articles}) == 1_500


@pytest.mark.parametrize("count", [1, 2, 37])
def test_short_streams_are_complete(count: int) -> None:
    """Down to a single article, and where the days are fewer than an event takes."""
    assert len(list(streams.stream(count, 0.1))) == count


def test_a_stream_is_a_labelled_file(articles: list[dict[str, Any]], tmp_path: Path) -> None:
    """It can be scored like one, and a copy is one of an earlier report of its event."""
    file = tmp_path / "stream.ndjson"
    file.write_text("\n".join(map(json.dumps, articles)), encoding="utf-8")

    gold = {article.external_id: article for article in read_gold(file)}

    copies = [article for article in gold.values() if article.copy_of]
    assert copies
    for copy in copies:
        assert copy.copy_of is not None
        original = gold[copy.copy_of]
        assert original.cluster == copy.cluster
        assert original.published_at <= copy.published_at
        assert original.copy_of is None


def test_copies_are_told_as_copies(articles: list[dict[str, Any]]) -> None:
    """Nine of ten are near copies by the rule of the service, and no two other reports of an event are."""
    by_id = {article["external_id"]: article for article in articles}
    events: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for article in articles:
        if article["copy_of"] is None:
            events[article["cluster"]].append(article)

    def copied(one: dict[str, Any], other: dict[str, Any]) -> bool:
        return near_copy(_wording(one), _wording(other)) is not None

    told = [copied(one, by_id[one["copy_of"]]) for one in articles if one["copy_of"]]
    others = [copied(one, other) for event in events.values() for one, other in pairwise(event)]
    assert sum(told) >= 0.9 * len(told)
    assert not any(others)


def _wording(article: dict[str, Any]) -> Any:
    at = datetime.fromisoformat(article["published_at"])
    return wording(article["title"], article["text"], round(at.timestamp() * 1_000_000))


def test_sizes_are_those_measured(planned: streams.Plan) -> None:
    """Shares of events alone, of two and of more than ten reports, and the mean, within sampling error."""
    sizes = np.bincount(planned.events)
    expected = np.repeat(*np.array(streams.MEASURED.event_sizes).T)

    assert sizes.sum() == MANY
    assert sizes.mean() == pytest.approx(expected.mean(), rel=0.05)
    for low, high in ((1, 1), (2, 2), (3, 10), (11, 1000)):
        share = np.mean((expected >= low) & (expected <= high))
        assert np.mean((sizes >= low) & (sizes <= high)) == pytest.approx(share, abs=0.01)


def test_stories_are_those_measured(planned: streams.Plan) -> None:
    """As many events belong to a story as measured, and the median story has as many events."""
    chapters = np.bincount(planned.story_of[planned.story_of >= 0])
    expected = np.repeat(*np.array(streams.MEASURED.story_sizes).T)

    assert np.mean(planned.story_of >= 0) == pytest.approx(streams.MEASURED.told_in_stories, abs=0.001)
    assert np.median(chapters) == np.median(expected)
    assert chapters.mean() == pytest.approx(expected.mean(), rel=0.25)


def test_reports_come_as_fast_as_measured(planned: streams.Plan) -> None:
    """Quantiles of the hours from an event's first report to each other one."""
    first = planned.hours[planned.reports == 0][np.argsort(planned.events[planned.reports == 0])]
    later = planned.reports > 0
    since = planned.hours[later] - first[planned.events[later]]

    assert since.min() >= 0
    for place in (5, 10, 15):
        assert np.quantile(since, place / 20) == pytest.approx(streams.MEASURED.report_hours[place], rel=0.1)


def test_reports_of_an_event_are_counted_in_order_of_time(planned: streams.Plan) -> None:
    """Each has its place, by hand for every event."""
    places: Counter[int] = Counter()
    for event, report in zip(planned.events.tolist(), planned.reports.tolist(), strict=True):
        assert report == places[event]
        places[event] += 1
    assert (np.diff(planned.hours) >= 0).all()
    assert 0 <= planned.hours[0] <= planned.hours[-1] <= 14 * 24


def test_texts_are_as_long_and_outlets_as_frequent_as_measured(articles: list[dict[str, Any]]) -> None:
    """Medians of words, the share of the largest outlet, and the share of copies."""
    own = [article for article in articles if article["copy_of"] is None]
    shape = streams.MEASURED

    assert _median([article["text"] for article in own]) == pytest.approx(shape.body_words[10], rel=0.05)
    assert _median([article["title"] for article in own]) == pytest.approx(shape.title_words[10], abs=1)
    largest = Counter(article["source"] for article in articles)["outlet-0.example"]
    assert largest / len(articles) == pytest.approx(shape.outlets[0] / sum(shape.outlets), abs=0.05)
    later = len(articles) - len({article["cluster"] for article in articles})
    assert (len(articles) - len(own)) / later == pytest.approx(shape.copies, abs=0.03)


def _median(texts: Sequence[str]) -> float:
    return float(np.median([len(words(text)) for text in texts]))


@pytest.mark.skipif(not GOLD.exists(), reason="the labelled news is not here")
def test_what_is_measured_is_what_is_written_down() -> None:
    """The constants come from the two training files and nothing else."""
    files = [read_gold(GOLD / f"{name}.ndjson.gz") for name in ("train_a", "train_b")]

    assert streams.measured(files) == streams.MEASURED
