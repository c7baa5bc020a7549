"""What the store answers, against oracles in plain Python over the same rows."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from newsroom import (
    NOW,
    SOURCES,
    START,
    Row,
    World,
    article_row,
    identity,
    microseconds,
    new_store,
    pages_of,
    random_world,
)
from sqlalchemy import Connection, Engine, event, insert

from service.errors import Gone, NotFound, StoreUnavailable
from service.store import groups, read
from service.store.groups import GroupFilter
from service.store.read import ArticleFilter, rfc3339
from service.store.tables import articles, revisions, tombstones
from service.timeline import title_terms

pytestmark = pytest.mark.usefixtures("database")

WIB = timezone(timedelta(hours=7))


@pytest.fixture(scope="module")
def world() -> World:
    return random_world(11)


@pytest.fixture(scope="module")
def engine(database: str, world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    made = new_store(tmp_path_factory.mktemp("store"))
    world.store(made)
    yield made
    made.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as opened:
        yield opened


def newest_first(rows: list[Row], world: World) -> list[str]:
    place = {row["id"]: number for number, row in enumerate(world.rows)}
    return [row["id"] for row in sorted(rows, key=lambda row: (-row["published_us"], -place[row["id"]]))]


@pytest.mark.parametrize(
    ("wanted", "keeps"),
    [
        (ArticleFilter(), lambda *_: True),
        (ArticleFilter(source="detik.com"), lambda row, _: row["source"] == "detik.com"),
        (
            ArticleFilter(cluster_id=identity("clu", 3)),
            lambda row, _: row["cluster_id"] == identity("clu", 3),
        ),
        (
            ArticleFilter(story_id=identity("sto", 3)),
            lambda row, w: w.story_of[row["cluster_id"]] == identity("sto", 3),
        ),
        (ArticleFilter(q="GEMPA"), lambda row, _: "gempa" in row["title"].lower()),
        (ArticleFilter(q="100%"), lambda row, _: "100%" in row["title"]),
        (ArticleFilter(q="a_b"), lambda row, _: "a_b" in row["title"].lower()),
        (ArticleFilter(q="%"), lambda row, _: "%" in row["title"]),
        (ArticleFilter(q="' OR 1=1 --"), lambda *_: False),
        (
            ArticleFilter(
                from_us=microseconds(START + timedelta(hours=40)),
                to_us=microseconds(START + timedelta(hours=90)),
            ),
            lambda row, _: (
                START + timedelta(hours=40)
                <= datetime.fromtimestamp(row["published_us"] / 1e6, tz=UTC)
                < START + timedelta(hours=90)
            ),
        ),
        (
            ArticleFilter(q="banjir", source="tempo.co", from_us=0),
            lambda row, _: "Banjir" in row["title"] and row["source"] == "tempo.co",
        ),
    ],
)
def test_list_of_articles_equals_the_oracle(
    connection: Connection, world: World, wanted: ArticleFilter, keeps: Any
) -> None:
    """Every filter keeps exactly what plain Python keeps, newest first, through cursors of every size."""
    expected = newest_first([row for row in world.rows if keeps(row, world)], world)
    for limit in (1, 7, 100):
        found = pages_of(
            lambda size, cursor: read.list_articles(connection, wanted, limit=size, cursor=cursor), limit
        )
        assert expected == [row["id"] for row in found]


def test_last_page_has_no_cursor(connection: Connection, world: World) -> None:
    _, following = read.list_articles(connection, ArticleFilter(), limit=len(world.rows))
    assert following is None
    _, following = read.list_articles(connection, ArticleFilter(), limit=len(world.rows) - 1)
    assert following is not None


def test_pages_stay_stable_while_articles_arrive(tmp_path: Path) -> None:
    """Whoever pages sees everything that was there at the start, once, whatever comes in between."""
    world = random_world(5, 120)
    engine = new_store(tmp_path)
    world.store(engine)
    expected = newest_first(world.rows, world)
    arrived = iter(range(1000, 2000))

    def page(size: int, cursor: str | None) -> Any:
        with engine.begin() as connection:
            for hours in (400, 0, 150):
                row = article_row(next(arrived), at=START + timedelta(hours=hours))
                connection.execute(insert(articles), row | {"cluster_id": identity("clu", 0)})
            return read.list_articles(connection, ArticleFilter(), limit=size, cursor=cursor)

    seen = [row["id"] for row in pages_of(page, 10)]
    old = set(expected)
    engine.dispose()

    assert expected == [one for one in seen if one in old]
    assert len(seen) == len(set(seen))


def test_article_comes_with_assignment_offset_and_revisions(engine: Engine, world: World) -> None:
    row = world.rows[17]
    with engine.connect() as connection:
        for number in range(30):
            old = {"article_id": row["id"], "revision": number, "title": f"lama {number}", "text": "t"}
            connection.execute(insert(revisions), old | {"received_us": microseconds(NOW)})
        found = read.get_article(connection, row["id"])
        connection.rollback()

    assert world.story_of[row["cluster_id"]] == found["story_id"]
    assert row["published_us"] == microseconds(datetime.fromisoformat(found["published_at"]))
    assert (
        timedelta(minutes=row["offset_minutes"]) == datetime.fromisoformat(found["published_at"]).utcoffset()
    )
    assert list(range(29, 9, -1)) == [old["revision"] for old in found["revisions"]]
    assert tuple(found[key] for key in ("probability", "metadata", "labels", "is_truncated")) == (
        0.9,
        {},
        [],
        False,
    )


def test_missing_and_deleted_articles_differ(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(insert(tombstones), {"id": "art_gone", "deleted_us": 1})
        for ask in (read.get_article, read.get_explanation):
            with pytest.raises(Gone):
                ask(connection, "art_gone")
            with pytest.raises(NotFound) as missing:
                ask(connection, "art_never")
            assert not isinstance(missing.value, Gone)
        connection.rollback()
    with engine.connect() as connection:
        for get in (groups.get_cluster, groups.get_story, groups.get_timeline):
            with pytest.raises(NotFound):
                get(connection, "nix")


# --- groups --------------------------------------------------------------------------------------------------------------


def check_group(found: dict[str, Any], members: list[Row]) -> None:
    counts = Counter(row["source"] for row in members)
    assert len(members) == found["article_count"]
    assert sum(row["relation"] != "original" for row in members) == found["copy_count"]
    assert len(counts) == found["source_count"]
    assert sorted(counts, key=lambda source: (-counts[source], source)) == found["sources"]
    assert rfc3339(min(row["published_us"] for row in members)) == found["first_published_at"]
    assert rfc3339(max(row["published_us"] for row in members)) == found["last_published_at"]


def test_every_cluster_equals_the_oracle(connection: Connection, world: World) -> None:
    for cluster_id, story_id in world.story_of.items():
        members = world.members(cluster_id)
        found = groups.get_cluster(connection, cluster_id)
        check_group(found, members)
        folded = [report["id"] for head in found["members"] for report in (head, *head["copies"])]
        assert sorted(row["id"] for row in members) == sorted(folded)
        assert found["members_complete"]
        assert story_id == found["story_id"]
        ordered = sorted(members, key=lambda row: row["published_us"])
        originals = [row for row in ordered if row["relation"] == "original"]
        assert originals[0]["published_us"] == microseconds(
            next(
                datetime.fromisoformat(head["published_at"])
                for head in found["members"]
                if head["id"] == found["representative_article_id"]
            )
        )


def test_every_story_equals_the_oracle(connection: Connection, world: World) -> None:
    for story_id in set(world.story_of.values()):
        found = groups.get_story(connection, story_id)
        check_group(found, world.of_story(story_id))
        inside = [cluster for cluster, story in world.story_of.items() if story == story_id]
        assert sorted(inside) == sorted(one["id"] for one in found["clusters"])
        assert len(inside) == found["cluster_count"]
        assert found["keywords"]


@pytest.mark.parametrize("ask", [groups.list_clusters, groups.list_stories])
@pytest.mark.parametrize("seed", range(6))
def test_lists_of_groups_equal_the_oracle(connection: Connection, world: World, ask: Any, seed: int) -> None:
    is_cluster = ask is groups.list_clusters
    start = microseconds(START + timedelta(hours=30 * seed))
    wanted = [
        GroupFilter(),
        GroupFilter(source=SOURCES[seed % 5]),
        GroupFilter(from_us=start, to_us=start + 3_600_000_000 * 20),
        GroupFilter(min_sources=seed),
        GroupFilter(updated_from_us=start),
        GroupFilter(q="gempa", min_sources=2),
    ][seed]
    everything: dict[str, list[Row]] = {}
    for row in world.rows:
        group = row["cluster_id"] if is_cluster else world.story_of[row["cluster_id"]]
        everything.setdefault(group, []).append(row)
    expected = {group for group, rows in everything.items() if keeps_group(wanted, rows)}
    for limit in (3, 100):
        found = list(pages_of(lambda size, cursor: ask(connection, wanted, limit=size, cursor=cursor), limit))
        assert expected == {one["id"] for one in found}
        assert len(expected) == len(found)
        times = [one["last_published_at"] for one in found]
        assert sorted(times, reverse=True) == times


def keeps_group(wanted: GroupFilter, rows: list[Row]) -> bool:
    """A story is found by the title of any of its events, a cluster by its own."""
    titles = {row["cluster_id"]: row["title"].lower() for row in reversed(rows)}.values()
    times = [row["published_us"] for row in rows]
    publishers = {row["publisher"] for row in rows if row["relation"] == "original"}
    return (
        (wanted.q is None or any(wanted.q in title for title in titles))
        and (wanted.source is None or any(row["source"] == wanted.source for row in rows))
        and (wanted.from_us is None or max(times) >= wanted.from_us)
        and (wanted.to_us is None or min(times) < wanted.to_us)
        and (
            wanted.updated_from_us is None
            or max(row["received_us"] for row in rows) >= wanted.updated_from_us
        )
        and len(publishers) >= (wanted.min_sources or 0)
    )


def test_a_story_has_one_title_everywhere(connection: Connection, world: World) -> None:
    """Lists, the story itself and its timeline choose alike: a headline of one of its events."""
    listed, _ = groups.list_stories(connection, GroupFilter(), limit=100)
    for one in listed:
        story = groups.get_story(connection, one["id"])
        assert one["title"] == story["title"] == groups.get_timeline(connection, one["id"])["title"]
        assert one["title"] in {cluster["title"] for cluster in story["clusters"]}
        assert one["id"] in {
            found["id"]
            for found in groups.list_stories(connection, GroupFilter(q=one["title"]), limit=100)[0]
        }


def test_clusters_of_one_story(connection: Connection, world: World) -> None:
    story = identity("sto", 2)
    found, _ = groups.list_clusters(connection, GroupFilter(story_id=story), limit=100)

    assert {cluster for cluster, other in world.story_of.items() if other == story} == {
        one["id"] for one in found
    }


def test_timeline_is_in_order_and_complete(connection: Connection, world: World) -> None:
    for story_id in set(world.story_of.values()):
        told = groups.get_timeline(connection, story_id)
        events = told["events"]
        firsts = [min(row["published_us"] for row in world.members(one["cluster_id"])) for one in events]
        assert sorted(firsts) == firsts
        assert told["events_complete"]
        seen: set[str] = set()
        told_before: set[str] = set()
        for one in events:
            members = world.members(one["cluster_id"])
            folded = [report["id"] for head in one["reports"] for report in (head, *head["copies"])]
            assert sorted(row["id"] for row in members) == sorted(folded)
            assert one["headline"] == one["representative"]["title"]
            assert one["representative"]["relation"] == "original"
            assert one["what_is_new"] == [] or set(one["what_is_new"]).isdisjoint(told_before)
            told_before |= set(one["what_is_new"])
            words = {word for row in members for word in title_terms(row["title"])}
            assert set(one["new_terms"]) <= words - seen
            seen |= words


def test_lists_need_few_statements(connection: Connection, engine: Engine) -> None:
    """No statement per row: a timeline takes five, lists of clusters two and of stories three."""
    counted: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith("BEGIN"):
            counted.append(statement)

    event.listen(engine, "before_cursor_execute", count)
    try:
        groups.get_timeline(connection, identity("sto", 1))
        timeline, counted[:] = len(counted), []
        groups.list_clusters(connection, GroupFilter(), limit=100)
        listed, counted[:] = len(counted), []
        groups.list_stories(connection, GroupFilter(), limit=100)
    finally:
        event.remove(engine, "before_cursor_execute", count)

    assert (timeline, listed, len(counted)) == (6, 2, 3)


def test_long_stories_are_told_from_some_of_their_texts(tmp_path: Path) -> None:
    """A story of any length costs a bounded number of texts, and every event has a say."""
    rows = [article_row(number) | {"cluster_id": identity("clu", number // 3)} for number in range(450)]
    engine = new_store(tmp_path)
    World(rows, {identity("clu", number): identity("sto", 0) for number in range(150)}).store(engine)
    asked: list[int] = []

    def count(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if "substr(articles.text" in statement:
            asked.append(len(parameters) - 2)

    event.listen(engine, "before_cursor_execute", count)
    with engine.connect() as connection:
        assert groups.get_story(connection, identity("sto", 0))["keywords"]
        told = groups.get_timeline(connection, identity("sto", 0))
    engine.dispose()

    assert len(told["events"]) == 150
    assert len(asked) == 2
    assert all(150 <= number <= groups.MAX_TEXTS for number in asked)


def test_big_groups_are_cut_and_say_so(tmp_path: Path) -> None:
    rows = [
        article_row(number) | {"cluster_id": identity("clu", 0)} for number in range(groups.MAX_MEMBERS + 1)
    ]
    world = World(rows, {identity("clu", 0): identity("sto", 0)})
    engine = new_store(tmp_path)
    world.store(engine)
    with engine.connect() as connection:
        cluster = groups.get_cluster(connection, identity("clu", 0))
        (told,) = groups.get_timeline(connection, identity("sto", 0))["events"]
    engine.dispose()

    assert (len(cluster["members"]), cluster["members_complete"]) == (groups.MAX_MEMBERS, False)
    assert (len(told["reports"]), told["reports_complete"]) == (groups.MAX_REPORTS, False)
    assert told["article_count"] == groups.MAX_MEMBERS + 1


def test_stats_count_what_is_there(connection: Connection, world: World) -> None:
    found = read.get_stats(connection)

    assert tuple(found[f"{name}_count"] for name in ("article", "cluster", "story", "source")) == (
        200,
        40,
        15,
        5,
    )
    assert Counter(row["relation"] for row in world.rows) == found["relations"]
    assert 200 - found["relations"]["original"] == found["copy_count"]
    counts = Counter(row["source"] for row in world.rows)
    assert counts == {one["source"]: one["article_count"] for one in found["sources"]}
    assert rfc3339(max(row["published_us"] for row in world.rows)) == found["last_published_at"]


def test_empty_store_answers(tmp_path: Path) -> None:
    engine = new_store(tmp_path)
    with engine.connect() as connection:
        assert read.list_articles(connection, ArticleFilter(), limit=5) == ([], None)
        assert groups.list_clusters(connection, GroupFilter(), limit=5) == ([], None)
        assert groups.list_stories(connection, GroupFilter(), limit=5) == ([], None)
        assert read.get_stats(connection)["last_published_at"] is None
    engine.dispose()


def test_broken_database_is_unavailable(tmp_path: Path) -> None:
    engine = new_store(tmp_path)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE articles RENAME TO other")
    with pytest.raises(StoreUnavailable), read.reading(engine) as connection:
        read.list_articles(connection, ArticleFilter(), limit=5)
    engine.dispose()
