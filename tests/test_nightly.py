"""The night on real articles: everything grouped anew, the same however it came in, and nothing in the store changed."""

from __future__ import annotations

import random
import tempfile
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from helpers import unhurried
from hypothesis import given, settings
from hypothesis import strategies as st
from wire import FIRE, FIRE_RETOLD, NOW, OUTLETS, article, cut, demo_articles, dump, look_alikes, models

from service.desk import Desk, load_models
from service.extract import PagePool
from service.gold import read_gold
from service.ingest import ALONE_LABELS
from service.prepare import prepare
from service.schemas import ArticleIn
from service.settings import Settings
from service.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from service.ingest import Models
    from service.model import Article, Outcome

    Night = dict[str, tuple[str, str]]
    """By external ID: those of the first articles of cluster and story."""

PATIENCE_S = 60
GOLD = Path(__file__).parent / "data" / "small_gold_id.ndjson"


@contextmanager
def opened(learned: Models | None = None) -> Iterator[Desk]:
    with (
        tempfile.TemporaryDirectory() as folder,
        Desk.open(Settings(data=Path(folder)), Metrics(), models=learned or load_models("bundled")) as desk,
    ):
        yield desk


def post(desk: Desk, items: Sequence[Article], size: int) -> list[Outcome]:
    return [
        outcome
        for start in range(0, len(items), size)
        for outcome in desk.submit(items[start : start + size]).result(PATIENCE_S)
    ]


def night(desk: Desk, outcomes: Sequence[Outcome]) -> Night:
    names = {outcome.id: str(outcome.article.external_id) for outcome in outcomes}
    return {
        names[one]: (names[cluster], names[story])
        for one, (cluster, story) in desk.regroup().result(PATIENCE_S).items()
    }


def grouped(items: Sequence[Article], size: int, learned: Models | None = None) -> Night:
    with opened(learned) as desk:
        return night(desk, post(desk, items, size))


def gold_articles() -> tuple[Article, ...]:
    names = ("external_id", "source", "title", "text", "published_at")
    with PagePool() as pages:
        return tuple(
            prepare(
                ArticleIn.model_validate({name: getattr(one, name) for name in names}),
                now=NOW,
                future_tolerance_s=600,
                pages=pages,
            )
            for one in read_gold(GOLD)
        )


@pytest.fixture(scope="module", params=["demo", "gold"])
def items(request: pytest.FixtureRequest) -> tuple[Article, ...]:
    return demo_articles() if request.param == "demo" else gold_articles()


@pytest.fixture(scope="module")
def answers(items: tuple[Article, ...]) -> tuple[list[Outcome], Night]:
    with opened() as desk:
        outcomes = post(desk, items, 64)
        return outcomes, night(desk, outcomes)


def test_every_original_is_labelled_and_no_copy(answers: tuple[list[Outcome], Night]) -> None:
    outcomes, found = answers
    originals = {one.article.external_id for one in outcomes if one.placement.copy_of is None}

    assert originals == set(found)
    assert len(originals) < len(outcomes)


def test_a_label_is_a_member_of_its_group(answers: tuple[list[Outcome], Night]) -> None:
    """The article that a group is named after is in the group, and everything of the group bears its name."""
    for cluster, story in answers[1].values():
        assert answers[1][cluster][0] == cluster
        assert answers[1][story][1] == story


def test_a_story_holds_whole_clusters(answers: tuple[list[Outcome], Night]) -> None:
    stories = defaultdict(set)
    for cluster, story in answers[1].values():
        stories[cluster].add(story)

    assert {cluster for cluster, inside in stories.items() if len(inside) > 1} == set()
    assert len({story for _, story in answers[1].values()}) < len(stories)


def test_round_ups_stay_alone(answers: tuple[list[Outcome], Night]) -> None:
    outcomes, found = answers
    alone = {str(one.article.external_id) for one in outcomes if ALONE_LABELS & set(one.article.labels)}
    alone &= found.keys()

    assert alone
    for name in alone:
        assert found[name] == (name, name)
        assert [cluster for cluster, _ in found.values()].count(name) == 1
        assert [story for _, story in found.values()].count(name) == 1


def test_events_of_several_reports_are_found(answers: tuple[list[Outcome], Night]) -> None:
    """The other tests must not pass because nothing is grouped at all."""
    clusters = [cluster for cluster, _ in answers[1].values()]

    assert max(map(clusters.count, clusters)) >= 3
    assert 0.3 * len(clusters) < len(set(clusters)) < 0.9 * len(clusters)


@pytest.mark.parametrize("size", [1, 7, 256])
def test_the_same_whatever_the_batches(
    items: tuple[Article, ...], answers: tuple[list[Outcome], Night], size: int
) -> None:
    """P4b: the night finds the same groups, under the same names, in what came one by one and in what came at once."""
    assert answers[1] == grouped(items, size)


def test_the_night_changes_nothing(items: tuple[Article, ...], answers: tuple[list[Outcome], Night]) -> None:
    """Asked in the middle and twice at the end, it moves no column of the store, itself, or what comes after it."""
    half = len(items) // 2
    with opened() as desk:
        outcomes = post(desk, items[:half], 64)
        night(desk, outcomes)
        outcomes += post(desk, items[half:], 64)
        before = dump(desk.reader)
        first, second = night(desk, outcomes), night(desk, outcomes)

        assert first == second == answers[1]
        assert before == dump(desk.reader)
        assert all(desk.ready().values())
    expected, _ = answers
    assert _partition(expected) == _partition(outcomes)


@settings(unhurried, max_examples=5)
@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_look_alikes_in_any_batches(seed: int, cuts: int) -> None:
    """P4b: repeats, edits, copies and round-ups by chance: the same night in any batches, and a restart sees it too."""
    stream = look_alikes(seed, 30, revise=True)
    expected = grouped(stream, 1, models())
    with tempfile.TemporaryDirectory() as folder:
        outcomes: list[Outcome] = []
        with Desk.open(Settings(data=Path(folder)), Metrics(), models=models()) as desk:
            for part in cut(stream, cuts):
                outcomes += desk.submit(part).result(PATIENCE_S)
            assert night(desk, outcomes) == expected
        with Desk.open(Settings(data=Path(folder)), Metrics(), models=models()) as desk:
            again = night(desk, outcomes)

    assert {name: again[name] for name in expected}.keys() == again.keys()
    for place in (0, 1):
        assert _groups(expected, place) == _groups(again, place)


def test_out_of_order_labels_are_members_too() -> None:
    """What comes late but happened first opens its cluster; labels stay members, stories whole."""
    stream = list(demo_articles())
    random.Random(4).shuffle(stream)

    found = grouped(stream, 16)

    assert {name for name, (cluster, _) in found.items() if found[cluster][0] != cluster} == set()
    assert {name for name, (_, story) in found.items() if found[story][1] != story} == set()
    assert len({cluster for cluster, _ in found.values()}) == len(set(found.values()))


def test_what_is_deleted_is_grouped_no_more() -> None:
    with opened() as desk:
        first, second = post(
            desk,
            [
                article("a", "Kebakaran Pasar Rengasdengkul Hanguskan Puluhan Kios", FIRE),
                article(
                    "b",
                    "Pasar Rengasdengkul Wanasegara Terbakar, Puluhan Kios Habis",
                    FIRE_RETOLD,
                    source=OUTLETS[1],
                    hours=1,
                ),
            ],
            2,
        )
        assert night(desk, [first, second]) == {"a": ("a", "a"), "b": ("a", "a")}

        assert desk.delete(first.id).result(PATIENCE_S)

        assert night(desk, [second]) == {"b": ("b", "b")}


def test_an_empty_store_has_no_groups() -> None:
    with opened() as desk:
        assert desk.regroup().result(PATIENCE_S) == {}


def _groups(found: Night, place: int) -> set[frozenset[str]]:
    groups = defaultdict(set)
    for name, labels in found.items():
        groups[labels[place]].add(name)
    return set(map(frozenset, groups.values()))


def _partition(outcomes: Sequence[Outcome]) -> set[frozenset[str | None]]:
    groups = defaultdict(set)
    for outcome in outcomes:
        groups[outcome.placement.cluster_id].add(outcome.article.external_id)
    return set(map(frozenset, groups.values()))
