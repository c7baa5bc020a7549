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
from places import settings_of
from wire import (
    FIRE,
    FIRE_RETOLD,
    NOW,
    OUTLETS,
    article,
    cut,
    demo_articles,
    dump,
    look_alikes,
    models,
    proposal_of,
)

from service.check import check_store
from service.desk import Desk
from service.evaluate import after_a_night
from service.extract import PagePool
from service.gold import read_gold
from service.learned import load_models
from service.nightly import EmptyWindowError
from service.prepare import prepare
from service.schemas import ArticleIn
from service.store.read import assignments
from service.store.redirect import current_id, resolved
from service.telemetry import Metrics
from service.window import ALONE_LABELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from service.learned import Models
    from service.model import Article, Outcome

    Named = dict[str, tuple[str, str]]
    """By external ID: those of the first articles of cluster and story."""

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.slow_on_postgresql]

PATIENCE_S = 60
GOLD = Path(__file__).parent / "data" / "small_gold_id.ndjson"


@contextmanager
def opened(learned: Models | None = None) -> Iterator[Desk]:
    with (
        tempfile.TemporaryDirectory() as folder,
        Desk.open(
            settings_of(Path(folder), recluster_window_days=3650),
            Metrics(),
            models=learned or load_models("bundled"),
        ) as desk,
    ):
        yield desk


def post(desk: Desk, items: Sequence[Article], size: int) -> list[Outcome]:
    return [
        outcome
        for start in range(0, len(items), size)
        for outcome in desk.submit(items[start : start + size]).result(PATIENCE_S)
    ]


def night(desk: Desk, outcomes: Sequence[Outcome]) -> Named:
    """Run a night and name each group by its earliest original."""
    found = after_a_night(desk)
    first: dict[str, str] = {}
    originals = [one for one in outcomes if one.placement.copy_of is None and one.id in found]
    for one in sorted(originals, key=lambda one: (one.article.event_us, one.article.external_id)):
        for group in found[one.id]:
            first.setdefault(group, str(one.article.external_id))
    return {
        str(one.article.external_id): (first[found[one.id][0]], first[found[one.id][1]]) for one in originals
    }


def grouped(items: Sequence[Article], size: int, learned: Models | None = None) -> Named:
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
def answers(items: tuple[Article, ...]) -> tuple[list[Outcome], Named]:
    with opened() as desk:
        outcomes = post(desk, items, 64)
        return outcomes, night(desk, outcomes)


def test_every_original_is_labelled_and_no_copy(answers: tuple[list[Outcome], Named]) -> None:
    outcomes, found = answers
    originals = {one.article.external_id for one in outcomes if one.placement.copy_of is None}

    assert originals == set(found)
    assert len(originals) < len(outcomes)


def test_a_label_is_a_member_of_its_group(answers: tuple[list[Outcome], Named]) -> None:
    """The article that a group is named after is in the group, and everything of the group bears its name."""
    for cluster, story in answers[1].values():
        assert answers[1][cluster][0] == cluster
        assert answers[1][story][1] == story


def test_a_story_holds_whole_clusters(answers: tuple[list[Outcome], Named]) -> None:
    stories = defaultdict(set)
    for cluster, story in answers[1].values():
        stories[cluster].add(story)

    assert {cluster for cluster, inside in stories.items() if len(inside) > 1} == set()
    assert len({story for _, story in answers[1].values()}) < len(stories)


def test_round_ups_stay_alone(answers: tuple[list[Outcome], Named]) -> None:
    outcomes, found = answers
    alone = {str(one.article.external_id) for one in outcomes if ALONE_LABELS & set(one.article.labels)}
    alone &= found.keys()

    assert alone
    for name in alone:
        assert found[name] == (name, name)
        assert [cluster for cluster, _ in found.values()].count(name) == 1
        assert [story for _, story in found.values()].count(name) == 1


def test_events_of_several_reports_are_found(answers: tuple[list[Outcome], Named]) -> None:
    """The other tests must not pass because nothing is grouped at all."""
    clusters = [cluster for cluster, _ in answers[1].values()]

    assert max(map(clusters.count, clusters)) >= 3
    assert 0.3 * len(clusters) < len(set(clusters)) < 0.9 * len(clusters)


@pytest.mark.parametrize("size", [1, 7, 256])
def test_the_same_whatever_the_batches(
    items: tuple[Article, ...], answers: tuple[list[Outcome], Named], size: int
) -> None:
    """P4b: the night finds the same groups, under the same names, in what came one by one and in what came at once."""
    assert answers[1] == grouped(items, size)


def test_a_proposal_writes_nothing(items: tuple[Article, ...]) -> None:
    with opened() as desk:
        post(desk, items, 64)
        before = dump(desk.reader)

        assert not proposal_of(desk).plan.changes_nothing
        assert before == dump(desk.reader)


def test_a_second_night_changes_nothing(items: tuple[Article, ...]) -> None:
    """With nothing new the groups, their IDs and the feed stay as they are, and every article is settled."""
    with opened() as desk:
        post(desk, items, 64)
        assert len(dump(desk.reader)["unsettled"]) == len(dump(desk.reader)["articles"])
        desk.carry_out(proposal_of(desk), "run_1").result(PATIENCE_S)
        before = dump(desk.reader)
        again = proposal_of(desk)
        desk.carry_out(again, "run_2").result(PATIENCE_S)

        assert again.plan.changes_nothing
        after = dump(desk.reader)
        assert before == after
        assert after["unsettled"] == []


def test_ids_stay_where_the_group_is_the_same(items: tuple[Article, ...]) -> None:
    """A cluster that the night leaves as it was keeps its ID; every ID ever answered leads to one that is there."""
    with opened() as desk:
        outcomes = post(desk, items, 64)
        with desk.reader.connect() as connection:
            before = assignments(connection)
        applied = desk.carry_out(proposal_of(desk), "run_1").result(PATIENCE_S)
        with desk.reader.connect() as connection:
            after = assignments(connection)
            answered = {one.placement.cluster_id for one in outcomes} | {
                one.placement.story_id for one in outcomes
            }
            now = {one for pair in after.values() for one in pair}
            assert {current_id(connection, one) for one in answered} <= now
            assert set(resolved(connection, answered)) == answered
            found = check_store(connection)

        assert [one for one in found if not one.ok] == []
        for place in (0, 1):
            old, new = by_group(before, place), by_group(after, place)
            same = {group: members for group, members in old.items() if members in new.values()}
            assert {group: new[group] for group in same} == same
        assert {move.id for move in applied.moved} == {
            one for one in before if before[one][0] != after[one][0]
        }


def test_the_window_follows(items: tuple[Article, ...]) -> None:
    """What comes after a night is decided as by a desk that was opened anew after it."""
    half = len(items) // 2
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for number in range(2):
            own = settings_of(Path(folder) / str(number))
            with Desk.open(own, Metrics(), models=load_models("bundled")) as desk:
                post(desk, items[:half], 64)
                desk.carry_out(proposal_of(desk), "run_1").result(PATIENCE_S)
                if number == 0:
                    found.append(_partition(post(desk, items[half:], 64)))
            if number == 1:
                with Desk.open(own, Metrics(), models=load_models("bundled")) as desk:
                    found.append(_partition(post(desk, items[half:], 64)))
    assert found[0] == found[1]


def test_what_comes_meanwhile_is_neither_lost_nor_moved_back(items: tuple[Article, ...]) -> None:
    """Articles that arrive between proposal and change keep their place, or follow the article they joined."""
    half = len(items) // 2
    with opened() as desk:
        post(desk, items[:half], 64)
        proposal = proposal_of(desk)
        late = post(desk, items[half:], 64)
        desk.carry_out(proposal, "run_1").result(PATIENCE_S)
        with desk.reader.connect() as connection:
            after = assignments(connection)
            for one in late:
                expected = current_id(connection, one.placement.cluster_id)
                moved = {move.id: move.new for move in proposal.plan.moved}
                leader = one.placement.copy_of or one.placement.reason.nearest or ""
                follows = moved.get(leader, expected)
                assert after[one.id][0] in {expected, follows}
            assert [one for one in check_store(connection) if not one.ok] == []
        assert len(after) == len(items)


def test_what_is_deleted_meanwhile_stays_deleted(items: tuple[Article, ...]) -> None:
    """The half of a plan that speaks of deleted articles is dropped, whatever they were."""
    chance = random.Random(5)
    with opened() as desk:
        outcomes = post(desk, items, 64)
        proposal = proposal_of(desk)
        moved = [move.id for move in proposal.plan.moved]
        gone = {*chance.sample(moved, min(3, len(moved))), *(one.id for one in chance.sample(outcomes, 5))}
        for one in sorted(gone):
            assert desk.delete(one).result(PATIENCE_S)
        desk.carry_out(proposal, "run_1").result(PATIENCE_S)
        with desk.reader.connect() as connection:
            assert [one for one in check_store(connection) if not one.ok] == []
            assert set(assignments(connection)) == {one.id for one in outcomes} - gone


def by_group(found: dict[str, tuple[str, str]], place: int) -> dict[str, set[str]]:
    groups = defaultdict(set)
    for one, labels in found.items():
        groups[labels[place]].add(one)
    return groups


@settings(unhurried, max_examples=5)
@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_look_alikes_in_any_batches(seed: int, cuts: int) -> None:
    """P4b: repeats, edits, copies and round-ups by chance: the same night in any batches, and a restart sees it too."""
    stream = look_alikes(seed, 30, revise=True)
    expected = grouped(stream, 1, models())
    with tempfile.TemporaryDirectory() as folder:
        outcomes: list[Outcome] = []
        own = settings_of(Path(folder), recluster_window_days=3650)
        with Desk.open(own, Metrics(), models=models()) as desk:
            for part in cut(stream, cuts):
                outcomes += desk.submit(part).result(PATIENCE_S)
            assert night(desk, outcomes) == expected
        with Desk.open(own, Metrics(), models=models()) as desk:
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


def test_an_empty_store_has_no_night() -> None:
    with opened() as desk, pytest.raises(EmptyWindowError, match="nothing to cluster"):
        after_a_night(desk)


def _groups(found: Named, place: int) -> set[frozenset[str]]:
    groups = defaultdict(set)
    for name, labels in found.items():
        groups[labels[place]].add(name)
    return set(map(frozenset, groups.values()))


def _partition(outcomes: Sequence[Outcome]) -> set[frozenset[str | None]]:
    groups = defaultdict(set)
    for outcome in outcomes:
        groups[outcome.placement.cluster_id].add(outcome.article.external_id)
    return set(map(frozenset, groups.values()))
