"""The change feed: numbered, in order, complete; a mirror built from it alone equals the store after every step."""

from __future__ import annotations

import contextlib
import random
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from mirror import Mirror, apply
from newsroom import FakeDesk, identity
from places import settings_of
from sqlalchemy import select
from test_api import assert_problem
from test_desk import PATIENCE_S, opened
from wire import faults, look_alikes, proposal_of

from service import editing
from service.app import create_app
from service.editing import Editor
from service.errors import Refused
from service.model import KINDS
from service.nightly import EmptyWindowError
from service.store import edits
from service.store.changes import RESTORED, Change, read_page, tell, tell_restored
from service.store.tables import articles, clusters, stories

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Engine

    from service.desk import Desk
    from service.editing import Edited
    from service.model import Article
    from service.plan import Proposal
    from service.store.edits import Level

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[FakeDesk]:
    made = FakeDesk(settings_of(tmp_path))
    yield made
    made.close()


@pytest.fixture
def client(desk: FakeDesk) -> Iterator[TestClient]:
    with TestClient(create_app(desk.settings, desk), raise_server_exceptions=False) as opened_client:
        yield opened_client


def random_changes(seed: int, count: int) -> list[Change]:
    chance = random.Random(seed)
    return [
        Change(
            chance.choice(KINDS), cluster_id=identity("clu", number), other_id=chance.choice([None, "clu_x"])
        )
        for number in range(count)
    ]


def told(desk: FakeDesk, found: list[Change], cause: str | None = None) -> None:
    with desk.writer.begin() as connection:
        tell(connection, found, 1_770_000_000_000_000, cause)


# --- the mirror -------------------------------------------------------------------------------------------------------


@dataclass
class History:
    """A desk, the articles still to come, and those that are stored, by external ID."""

    desk: Desk
    coming: list[Article]
    stored: dict[str, tuple[str, Article]] = field(default_factory=dict)

    def post(self, *items: Article) -> None:
        for outcome, item in zip(self.desk.submit(items).result(PATIENCE_S), items, strict=True):
            assert item.external_id is not None
            self.stored[item.external_id] = (outcome.id, item)

    def pick(self, chance: random.Random) -> Article | None:
        return chance.choice(list(self.stored.values()))[1] if self.stored else None


def post_news(history: History, chance: random.Random) -> None:
    count = chance.choice([1, 2, 5])
    history.post(*[history.coming.pop() for _ in range(min(count, len(history.coming)))])


def post_again(history: History, chance: random.Random) -> None:
    if (item := history.pick(chance)) is not None:
        history.post(item, *history.coming[-1:], item)


def edit(history: History, chance: random.Random) -> None:
    if (item := history.pick(chance)) is not None:
        other = history.pick(chance)
        assert other is not None
        history.post(replace(item, title=f"{item.title} Lagi", text=f"{other.text} {item.text[:200]}"))


def delete(history: History, chance: random.Random) -> None:
    for name in chance.sample(sorted(history.stored), min(len(history.stored), chance.choice([1, 1, 4]))):
        article_id, _ = history.stored.pop(name)
        assert history.desk.delete(article_id).result(PATIENCE_S)
        assert not history.desk.delete(article_id).result(PATIENCE_S)


def proposed(desk: Desk) -> Proposal | None:
    try:
        return proposal_of(desk)
    except EmptyWindowError:
        return None


def night(history: History, _chance: random.Random) -> None:
    proposal = proposed(history.desk)
    if proposal is not None:
        history.desk.carry_out(proposal, "run_test").result(PATIENCE_S)


def night_with_work_meanwhile(history: History, chance: random.Random) -> None:
    """Between what a night saw and what it changes, articles come, are edited and go, and editors speak."""
    proposal = proposed(history.desk)
    for act in chance.sample([post_news, post_again, edit, delete, merge_groups, split_group], 3):
        act(history, chance)
    if proposal is not None:
        history.desk.carry_out(proposal, "run_test").result(PATIENCE_S)


def merge_groups(history: History, chance: random.Random) -> None:
    level: Level = chance.choice(["cluster", "story"])
    groups = groups_of(history.desk.reader, level)
    if len(groups) > 1:
        one, other = chance.sample(groups, 2)
        say(history, lambda connection, editor: editing.merge(connection, level, one, other, editor))


def split_group(history: History, chance: random.Random) -> None:
    level: Level = chance.choice(["cluster", "story"])
    with history.desk.reader.connect() as connection:
        found = {
            group: sorted(
                {
                    one.cluster_id if level == "story" else one.copy_of or one.id
                    for one in edits.members_of(connection, level, group)
                }
            )
            for group in groups_of(history.desk.reader, level)
        }
    large = [group for group, parts in found.items() if len(parts) > 1]
    if large:
        group = chance.choice(large)
        leaving = chance.sample(found[group], chance.randint(1, len(found[group]) - 1))
        say(history, lambda connection, editor: editing.split(connection, level, group, leaving, editor))


def undo_a_word(history: History, chance: random.Random) -> None:
    with history.desk.reader.connect() as connection:
        words = [one["id"] for one in edits.list_edits(connection, 100) if one["undone_at"] is None]
    if words:
        word = chance.choice(words)
        say(history, lambda connection, editor: editing.undo(connection, word, editor))


def groups_of(engine: Engine, level: Level) -> list[str]:
    table = clusters if level == "cluster" else stories
    with engine.connect() as connection:
        return list(connection.execute(select(table.c.id).order_by(table.c.seq)).scalars())


def say(history: History, word: Callable[[Connection, Editor], Edited]) -> None:
    """Say an editor's word; one that contradicts another is refused, and changes nothing."""
    with contextlib.suppress(Refused):
        history.desk.edit(lambda connection, now: word(connection, Editor("test", "", now))).result(
            PATIENCE_S
        )


ACTIONS: tuple[Callable[[History, random.Random], None], ...] = (
    post_news,
    post_news,
    post_again,
    edit,
    delete,
    night,
    night_with_work_meanwhile,
    merge_groups,
    split_group,
    undo_a_word,
)
"""What may befall a store. Whatever else changes a group belongs here."""


def truth(engine: Engine) -> Mirror:
    with engine.connect() as connection:
        return Mirror(
            {
                row.id: row.cluster_id
                for row in connection.execute(select(articles.c.id, articles.c.cluster_id))
            },
            {row.id: row.story_id for row in connection.execute(select(clusters.c.id, clusters.c.story_id))},
        )


def follow(mirror: Mirror, engine: Engine, after: int, limit: int) -> int:
    """Bring a mirror up to date, a page at a time, and return its new place."""
    while True:
        with engine.connect() as connection:
            page = read_page(connection, after, limit)
        for change in page.items:
            assert change["seq"] > after
            after = change["seq"]
            apply(mirror, change)
        after = page.next_after
        if not page.has_more:
            return after


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    steps=st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 2**16)), min_size=1, max_size=10),
    limit=st.integers(1, 7),
)
def test_a_mirror_built_from_the_feed_equals_the_store(
    seed: int, steps: list[tuple[Callable[[History, random.Random], None], int]], limit: int
) -> None:
    """After every step of a random history, every article's cluster and every cluster's story."""
    mirror, after = Mirror(), 0
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder)) as desk:
        history = History(desk, look_alikes(seed, 60))
        for act, luck in steps:
            act(history, random.Random(luck))
            after = follow(mirror, desk.reader, after, limit)
            assert mirror == truth(desk.reader)
        assert faults(desk.reader) == []


def test_a_mirror_begun_late_ends_with_the_same(tmp_path: Path) -> None:
    """Articles and groups that are gone by then are told of and taken back."""
    with opened(tmp_path) as desk:
        history = History(desk, look_alikes(7, 30))
        history.post(*history.coming)
        for luck in range(4):
            delete(history, random.Random(luck))
        mirror = Mirror()
        follow(mirror, desk.reader, 0, 1000)
        assert mirror == truth(desk.reader)
        assert mirror.cluster_of


# --- the route --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kinds", [(), ("cluster.merged",), ("article.moved", "story.split", "story.deleted")]
)
@pytest.mark.parametrize("limit", [1, 7, 100, 1000])
def test_pages_of_any_size_give_every_change_once(
    client: TestClient, desk: FakeDesk, kinds: tuple[str, ...], limit: int
) -> None:
    """Following `next_after` gives the changes of the wanted kinds, in order, and ends at the newest number."""
    expected = random_changes(3, 120)
    told(desk, expected, cause="run_1")
    found: list[dict[str, Any]] = []
    after = 0
    while True:
        answer = client.get(
            "/v1/changes", params={"after": after, "limit": limit, "kind": list(kinds)}
        ).json()
        assert len(answer["items"]) <= limit
        assert answer["last"] == 120
        found += answer["items"]
        after = answer["next_after"]
        if after == answer["last"]:
            break

    wanted = [
        (seq, one) for seq, one in enumerate(expected, 1) if not kinds or one.kind in {*kinds, RESTORED}
    ]
    assert found == [
        {"seq": seq, "at": "2026-02-02T02:40:00+00:00", "kind": one.kind, "cluster_id": one.cluster_id}
        | ({"other_id": one.other_id} if one.other_id else {})
        | {"cause": "run_1"}
        for seq, one in wanted
    ]


def test_an_empty_feed_has_an_end(client: TestClient) -> None:
    assert client.get("/v1/changes").json() == {"items": [], "next_after": 0, "last": 0}


def test_other_kinds_are_passed_over_once(client: TestClient, desk: FakeDesk) -> None:
    """`next_after` is the newest number although no change of the kind was found up to there."""
    told(desk, [Change("story.created", story_id="sto_x")] * 50)

    answer = client.get("/v1/changes?kind=story.deleted&limit=5").json()

    assert answer == {"items": [], "next_after": 50, "last": 50}


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ("after=-1", "/query/after", "out_of_range"),
        ("after=9223372036854775808", "/query/after", "out_of_range"),
        ("after=" + "9" * 400, "/query/after", "out_of_range"),
        ("after=x", "/query/after", "wrong_type"),
        ("after=1", "/query/after", "after_ahead"),
        ("limit=0", "/query/limit", "out_of_range"),
        ("limit=1001", "/query/limit", "out_of_range"),
        ("kind=article.assigned&kind=article", "/query/kind/1", "unknown_value"),
        ("since=1", "/query/since", "unknown_field"),
    ],
)
def test_parameters_are_strict(client: TestClient, query: str, pointer: str, code: str) -> None:
    problem = assert_problem(client.get(f"/v1/changes?{query}"), "invalid")

    (error,) = problem["errors"]
    assert (error["pointer"], error["code"]) == (pointer, code)


def test_an_unknown_kind_is_answered_with_the_known_ones(client: TestClient) -> None:
    problem = assert_problem(client.get("/v1/changes?kind=rahasia"), "invalid")

    assert all(kind in problem["errors"][0]["message"] for kind in KINDS)
    assert "rahasia" not in problem["errors"][0]["message"]


# --- a store that goes on from a backup -------------------------------------------------------------------------------

BACK_US = 1_800_000_000_000_000


def restored(desk: FakeDesk, now_us: int) -> int:
    with desk.writer.begin() as connection:
        return tell_restored(connection, now_us)


def test_a_consumer_sees_whether_its_numbers_are_still_true(client: TestClient, desk: FakeDesk) -> None:
    """P9: who has only what the backup holds goes on; who has more is refused on every road; who begins begins."""
    told(desk, random_changes(1, 100))
    marked = restored(desk, BACK_US)
    told(desk, random_changes(2, 20))

    assert marked == BACK_US
    for after, first in ((0, 1), (40, 41), (99, 100), (100, marked), (marked, marked + 1)):
        answer = client.get("/v1/changes", params={"after": after, "limit": 1})
        assert [one["seq"] for one in answer.json()["items"]] == [first]
    for after in (101, 180, marked - 1):
        for path, pointer in (("/v1/changes", "/query/after"), ("/v1/changes/stream", "/query/after")):
            problem = assert_problem(client.get(path, params={"after": after}), "invalid")
            assert [(one["pointer"], one["code"]) for one in problem["errors"]] == [(pointer, "after_ahead")]
        resumed = client.get("/v1/changes/stream", headers={"Last-Event-ID": str(after)})
        assert assert_problem(resumed, "invalid")["errors"][0]["pointer"] == "/header/Last-Event-ID"


def test_whoever_asks_for_some_kinds_hears_that_the_store_was_restored(
    client: TestClient, desk: FakeDesk
) -> None:
    told(desk, [Change("story.created", story_id="sto_x")] * 3)
    marked = restored(desk, BACK_US)

    answer = client.get("/v1/changes?kind=story.deleted").json()

    assert answer["items"] == [{"seq": marked, "at": "2027-01-15T08:00:00+00:00", "kind": RESTORED}]


def test_no_two_lives_of_a_store_give_out_one_number(client: TestClient, desk: FakeDesk) -> None:
    """P9: also where the clock has not moved, or has gone back, since the last restore."""
    first = restored(desk, BACK_US)
    told(desk, random_changes(1, 5))
    again, earlier = restored(desk, BACK_US), restored(desk, BACK_US - 1)

    assert (again, earlier) == (first + 7, first + 9)
    for lost in (first + 6, first + 8):
        assert_problem(client.get(f"/v1/changes?after={lost}"), "invalid")
