"""A plan carried out on a store that went on meanwhile."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest
from places import settings_of
from told import assert_told
from wire import faults, look_alikes, proposal_of

from service.desk import Desk
from service.learned import load_models
from service.store.apply import foretell
from service.store.read import assignments
from service.store.redirect import current_id
from service.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from service.model import Article, Outcome

pytestmark = pytest.mark.usefixtures("database")

PATIENCE_S = 60
KNOWN = 200


def stream(seed: int) -> list[Article]:
    items = look_alikes(seed, 320)
    random.Random(seed).shuffle(items)
    return items


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk.open(settings_of(tmp_path), Metrics(), models=load_models("bundled")) as opened:
        yield opened
        assert faults(opened.reader) == []
        assert_told(opened.reader)


def post(desk: Desk, items: list[Article]) -> list[Outcome]:
    return list(desk.submit(items).result(PATIENCE_S))


def groups(desk: Desk) -> dict[str, tuple[str, str]]:
    with desk.reader.connect() as connection:
        return assignments(connection)


def test_late_articles_go_where_the_one_they_joined_goes(desk: Desk) -> None:
    """Also where that one is late itself and follows another: who joined whom stays together."""
    items = stream(10)
    post(desk, items[:KNOWN])
    proposal = proposal_of(desk)
    late = post(desk, items[KNOWN:])
    joined = {one.id: one.placement.reason.nearest for one in late if one.placement.copy_of is None}
    before = groups(desk)
    desk.carry_out(proposal, "run_1").result(PATIENCE_S)
    after = groups(desk)

    together = [(one, other) for one, other in joined.items() if other and before[one][0] == before[other][0]]
    assert [pair for pair in together if after[pair[0]][0] != after[pair[1]][0]] == []
    assert any(other in joined and before[one][0] != after[one][0] for one, other in together)


def test_what_is_foretold_is_what_happens(desk: Desk) -> None:
    """A dry run counts and names the copies that follow, as the night itself does."""
    post(desk, stream(10))
    proposal = proposal_of(desk)
    with desk.reader.connect() as connection:
        told = foretell(connection, proposal.plan)
    before = groups(desk)

    applied = desk.carry_out(proposal, "run_1").result(PATIENCE_S)

    moved = {one for one, place in groups(desk).items() if place[0] != before[one][0]}
    assert len(moved) > len(proposal.plan.moved), "no copy followed: nothing is shown"
    assert {one["id"] for one in told["articles_moved"]} == moved
    assert told["articles_unchanged"] == len(before) - len(moved)
    assert {key: value for key, value in told.items() if key != "articles_moved"} == {
        key: value for key, value in applied.diff().items() if key != "articles_moved"
    }


def test_a_story_that_nothing_stays_in_ends(desk: Desk) -> None:
    """Its clusters were to go elsewhere but for one, and that one is deleted meanwhile: its ID leads after them."""
    post(desk, stream(11)[:KNOWN])
    plan = proposal_of(desk).plan
    inside: dict[str, set[str]] = defaultdict(set)
    for cluster, story in groups(desk).values():
        inside[story].add(cluster)
    leaving = {move.id: move.old for move in plan.clusters_moved}
    coming = {move.new for move in plan.clusters_moved} | {one.story_id for one in plan.opened}
    left = [story for story in leaving.values() if story not in coming and story not in plan.stories_merged]
    stay = {one for story in left for one in inside[story] - {*leaving} - {*plan.merged}}
    proposal = proposal_of(desk)
    gone = [one for one, (cluster, _) in groups(desk).items() if cluster in stay]
    for one in gone:
        assert desk.delete(one).result(PATIENCE_S)
    still = {story for _, story in groups(desk).values()} & {*left}
    desk.carry_out(proposal, "run_1").result(PATIENCE_S)

    now = {story for _, story in groups(desk).values()}
    ended = still - now
    assert ended
    with desk.reader.connect() as connection:
        assert {current_id(connection, one) for one in still} <= now
