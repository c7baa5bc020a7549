"""The store: schema, durability, ownership, counts, deletion, and a check that finds every kind of damage."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from helpers import unhurried
from hypothesis import given, settings
from hypothesis import strategies as st
from places import place_of
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from wire import (
    FIRE,
    FIRE_RETOLD,
    FLOOD,
    NOW_US,
    OUTLETS,
    Room,
    article,
    copied,
    dump,
    faults,
    groups,
    look_alikes,
    room,
)

from service.store.engine import (
    MIGRATIONS,
    is_postgres,
    migrate,
    reader_engine,
    schema_is_current,
    writer_engine,
)
from service.store.failures import FolderInUseError, StoreError
from service.store.sqlite import FILE, own_folder
from service.store.tables import articles, clusters, meta, metadata, revisions, stories, tombstones, vectors
from service.store.write import get_meta, refresh_counts, set_meta

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

    from service.model import Outcome

BURNT = "Kebakaran Pasar Rengasdengkul Hanguskan Puluhan Kios"
BURNT_AGAIN = "Pasar Rengasdengkul Wanasegara Terbakar, Puluhan Kios Habis"
TOLD_ONCE_MORE = (
    "Gudang plastik di Pasar Rengasdengkul, Kabupaten Wanasegara, diduga menjadi asal kobaran yang menghanguskan "
    "puluhan kios sayur. Regu pimpinan Darmo Susanto membawa sembilan mobil pemadam dan baru selesai menjelang subuh. "
    "Saksi diperiksa polisi. Para pedagang berharap segera mendapat tempat penampungan."
)
ONE, TWO, THREE, _ = OUTLETS


@pytest.fixture
def desk(tmp_path: Path, database: str) -> Iterator[Room]:
    with room(tmp_path) as opened:
        yield opened


# --- schema and connections -------------------------------------------------------------------------------------------


def test_migrations_make_exactly_the_tables(tmp_path: Path) -> None:
    """P12: an empty file becomes what `tables.metadata` says, no more and no less, and a second run changes nothing."""
    engine = writer_engine(tmp_path)
    for _ in range(2):
        migrate(engine)

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        options = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
        kept_for_ever = {row.name for row in options if "AUTOINCREMENT" in row.sql}
    numbered = {table.name for table in metadata.tables.values() if "seq" in table.c}
    assert numbered == kept_for_ever
    assert {"articles", "changes"} < numbered
    assert schema_is_current(engine)
    engine.dispose()


def test_what_was_provisional_stays_so(tmp_path: Path) -> None:
    """P12: a store that kept it beside the text opens, and its next night looks at the same articles."""
    engine = writer_engine(tmp_path)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        names = connection.execute(text("SELECT name, type FROM pragma_table_info('articles')")).all()
        row = {name: 0 if kind.startswith(("BIG", "INT", "SMALL", "FLOAT")) else "x" for name, kind in names}
        connection.execute(text("PRAGMA defer_foreign_keys = 1"))
        for seq, provisional in ((3, 1), (5, 0), (8, 1)):
            own = dict.fromkeys(("id", "external_id", "url_key"), f"x{seq}")
            values = row | own | {"seq": seq, "provisional": provisional, "cluster_id": "clu_x"}
            connection.execute(
                text(f"INSERT INTO articles ({', '.join(values)}) VALUES (:{', :'.join(values)})"), values
            )
        connection.execute(
            text(
                "INSERT INTO stories (id, title, cluster_count, article_count, copy_count, "
                "independent_source_count, first_published_us, last_published_us, updated_us) "
                "VALUES ('sto_x', '', 1, 3, 0, 1, 0, 0, 0)"
            )
        )
        connection.execute(
            text(
                "INSERT INTO clusters (id, story_id, title, article_count, copy_count, story_reason, "
                "independent_source_count, first_published_us, last_published_us, updated_us) "
                "VALUES ('clu_x', 'sto_x', '', 3, 0, '{}', 1, 0, 0, 0)"
            )
        )

    migrate(engine)

    with engine.connect() as connection:
        waiting = connection.execute(text("SELECT article_seq FROM unsettled ORDER BY 1")).scalars()
        assert list(waiting) == [3, 8]
        columns = connection.execute(text("SELECT name FROM pragma_table_info('articles')")).scalars().all()
        assert "provisional" not in columns
        assert "text" in columns
    engine.dispose()


def test_a_failed_migration_leaves_nothing(tmp_path: Path) -> None:
    """P12: a migration is one transaction: when its last statement fails the file is as empty as before."""
    engine = writer_engine(tmp_path)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE vectors (other INTEGER)"))

    with pytest.raises(StoreError):
        migrate(engine)

    with engine.connect() as connection:
        names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars()
        assert list(names) == ["vectors"]
    assert not schema_is_current(engine)
    engine.dispose()


def test_the_writer_is_durable_at_every_commit(tmp_path: Path) -> None:
    """P1: write-ahead log, FULL synchronisation and foreign keys hold on every connection of the writer."""
    engine = writer_engine(tmp_path)
    for _ in range(2):
        with engine.connect() as connection:
            pragmas = [
                connection.execute(text(f"PRAGMA {name}")).scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            ]
            assert pragmas == ["wal", 2, 1, 10_000]
            connection.invalidate()
    engine.dispose()


def test_a_reader_cannot_write(desk: Room, tmp_path: Path) -> None:
    """Neither rows nor tables: the reader's connections refuse."""
    reader = reader_engine(place_of(tmp_path))
    for statement in (
        "INSERT INTO meta VALUES ('a', 'b')",
        "DELETE FROM meta",
        "CREATE TABLE other (a INTEGER)",
        "DROP TABLE meta",
    ):
        with reader.connect() as connection, pytest.raises(DBAPIError, match=r"read-?only"):
            connection.execute(text(statement))
    reader.dispose()


def test_a_reader_sees_one_state_for_all_its_statements(desk: Room, tmp_path: Path) -> None:
    """What is committed meanwhile shows in the next answer, not in the middle of this one."""
    reader = reader_engine(place_of(tmp_path))
    with reader.connect() as connection:
        before = connection.execute(select(articles.c.id)).all()
        desk.post(article("a", BURNT, FIRE))
        assert before == connection.execute(select(articles.c.id)).all()
    with reader.connect() as connection:
        assert len(connection.execute(select(articles.c.id)).all()) == 1
    reader.dispose()


def test_the_writer_locks_from_its_first_statement(tmp_path: Path) -> None:
    """A transaction that begins with a read can still write: no other writer comes between."""
    other = writer_engine(tmp_path)
    with room(tmp_path) as desk, desk.engine.begin() as connection:
        connection.execute(select(articles.c.id)).all()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            _impatient(other)
        connection.execute(insert(meta).values(key="a", value="b"))
    other.dispose()


def _impatient(engine: Any) -> None:
    raw = engine.raw_connection()
    try:
        raw.execute("PRAGMA busy_timeout=0")
        raw.execute("BEGIN IMMEDIATE")
    finally:
        raw.invalidate()
        raw.close()


def test_errors_do_not_tell_parameters(desk: Room) -> None:
    """An article's text never stands in an error message that may reach a log."""
    desk.post(article("a", BURNT, FIRE))
    with pytest.raises(IntegrityError) as caught, desk.engine.begin() as connection:
        connection.execute(update(articles).values(title="rahasia", cluster_id="clu_none"))

    assert "rahasia" not in str(caught.value)


def test_ids_in_order_are_never_used_again(desk: Room) -> None:
    """The number of a deleted last article is not given to the next one."""
    first = desk.post(article("a", BURNT, FIRE))[0]
    remove(desk, first)
    desk.post(article("a", BURNT, FIRE))

    assert [row["seq"] for row in _rows(desk, articles)] == [2]
    assert [row["seq"] for row in _rows(desk, vectors)] == [2]


def test_facts_about_the_store_are_replaced(desk: Room) -> None:
    """Setting a fact again replaces it and leaves the others."""
    with desk.engine.begin() as connection:
        set_meta(connection, {"a": "1", "b": "2"})
        set_meta(connection, {"b": "3"})

        assert get_meta(connection) == {"a": "1", "b": "3"}


# --- one owner --------------------------------------------------------------------------------------------------------

HOLD = (
    "import sys, time; from pathlib import Path; from service.store.sqlite import own_folder\n"
    "with own_folder(Path(sys.argv[1])):\n    print('mine', flush=True)\n    time.sleep(60)"
)


def test_a_second_owner_is_refused(tmp_path: Path) -> None:
    """P10: while one holds the folder nobody else gets it; afterwards it is free."""
    with own_folder(tmp_path), pytest.raises(FolderInUseError, match=str(tmp_path)), own_folder(tmp_path):
        pass

    with own_folder(tmp_path):
        pass


def test_a_killed_owner_leaves_the_folder_free(tmp_path: Path) -> None:
    """P10: another process is refused while the first lives, and not after its kill -9."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "mine\n"
        with pytest.raises(FolderInUseError), own_folder(tmp_path):
            pass
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

        with own_folder(tmp_path):
            pass


# --- counts -----------------------------------------------------------------------------------------------------------


def expected_counts(engine: Engine) -> dict[str, tuple[int, ...]]:
    """The counts of every cluster and story, from the articles alone, in Python."""
    story_of = {row["id"]: row["story_id"] for row in _rows_in(engine, clusters)}
    members: dict[str, list[Any]] = defaultdict(list)
    for row in _rows_in(engine, articles):
        members[row["cluster_id"]].append(row)
        members[story_of[row["cluster_id"]]].append(row)
    return {
        group: (
            len(rows),
            sum(row["copy_of"] is not None for row in rows),
            len({row["publisher"] for row in rows if row["copy_of"] is None}),
            min(row["published_us"] for row in rows),
            max(row["published_us"] for row in rows),
        )
        for group, rows in members.items()
    }


def stored_counts(engine: Engine) -> dict[str, tuple[int, ...]]:
    names = (
        "article_count",
        "copy_count",
        "independent_source_count",
        "first_published_us",
        "last_published_us",
    )
    rows = [*_rows_in(engine, clusters), *_rows_in(engine, stories)]
    return {row["id"]: tuple(row[name] for name in names) for row in rows}


def test_counts_equal_the_members(desk: Room) -> None:
    """Counts and spans of clusters and stories are those of their articles, copies folded for sources."""
    desk.post(*look_alikes(2, 60, revise=True))

    assert expected_counts(desk.engine) == stored_counts(desk.engine)
    per_story = Counter(row["story_id"] for row in _rows(desk, clusters))
    assert per_story == {row["id"]: row["cluster_count"] for row in _rows(desk, stories)}


def test_groups_carry_the_time_of_their_last_article(desk: Room) -> None:
    """What opens a group, and what joins one, leaves the time of the writing on it; other groups keep theirs."""

    def times() -> dict[str, int]:
        return {row["id"]: row["updated_us"] for table in (clusters, stories) for row in _rows(desk, table)}

    first, other = desk.post(
        article("a", BURNT, FIRE), article("b", "Banjir Marapalam", FLOOD), now_us=NOW_US + 1
    )
    opened = times()
    (joined,) = desk.post(article("c", BURNT, FIRE_RETOLD, hours=1), now_us=NOW_US + 5)

    assert set(opened.values()) == {NOW_US + 1}
    assert first.placement.cluster_id == joined.placement.cluster_id != other.placement.cluster_id
    touched = {joined.placement.cluster_id, joined.placement.story_id}
    assert times() == opened | dict.fromkeys(touched, NOW_US + 5)


def test_refresh_repairs_any_count_it_is_asked_for(desk: Room) -> None:
    """Whatever stood in the counts, a refresh brings the named clusters and their stories in line, and no others."""
    desk.post(*look_alikes(2, 40))
    right = stored_counts(desk.engine)
    ids = [row["id"] for row in _rows(desk, clusters)]
    with desk.engine.begin() as connection:
        for table in (clusters, stories):
            connection.execute(update(table).values(article_count=99, copy_count=7, last_published_us=0))
        refresh_counts(connection, ids[:1], NOW_US + 9)
    found = stored_counts(desk.engine)

    story = next(row["story_id"] for row in _rows(desk, clusters) if row["id"] == ids[0])
    assert {name for name in right if right[name] == found[name]} == {ids[0], story}
    touched = {
        row["id"] for table in (clusters, stories) for row in _rows(desk, table) if row["updated_us"] > NOW_US
    }
    assert {ids[0], story} == touched

    with desk.engine.begin() as connection:
        refresh_counts(connection, ids * 2, NOW_US)
    assert right == stored_counts(desk.engine)


# --- deletion ---------------------------------------------------------------------------------------------------------


def remove(desk: Room, outcome: Outcome) -> Any:
    """Remove an article and make the window anew, as after any change of roles."""
    removal = desk.remove(outcome.id, now_us=NOW_US + 1)
    desk.window = desk.rebuilt()
    return removal


def test_deleting_what_is_not_there(desk: Room) -> None:
    """An unknown ID removes nothing and leaves no tombstone."""
    before = dump(desk.engine)

    assert desk.remove("art_00000000000000000000000000") is None
    assert before == dump(desk.engine)


def test_the_last_article_takes_cluster_and_story_along(desk: Room) -> None:
    """All three leave tombstones, revisions go, and nothing else is left."""
    first, edited = desk.post(article("a", BURNT, FIRE), article("a", BURNT, FIRE_RETOLD))
    assert edited.status == "revised"

    remove(desk, first)

    gone = {first.id, first.placement.cluster_id, first.placement.story_id}
    assert {row["id"]: row["deleted_us"] for row in _rows(desk, tombstones)} == dict.fromkeys(
        gone, NOW_US + 1
    )
    assert [_rows(desk, table) for table in (articles, clusters, stories, vectors, revisions)] == [
        [],
        [],
        [],
        [],
        [],
    ]


def test_a_deleted_article_comes_again_under_a_new_id(desk: Room) -> None:
    """IDs are never used again, neither the article's nor its groups'."""
    (first,) = desk.post(article("a", BURNT, FIRE))
    remove(desk, first)

    (second,) = desk.post(article("a", BURNT, FIRE))

    old = {first.id, first.placement.cluster_id, first.placement.story_id}
    assert not old & {second.id, second.placement.cluster_id, second.placement.story_id}
    assert second.status == "created"


def test_the_earliest_copy_inherits(desk: Room) -> None:
    """Without its original the earliest copy becomes one, with the original's place and vectors, and the others follow it."""
    original, late, early = desk.post(
        article("a", BURNT, FIRE),
        article("b", BURNT, FIRE, source=TWO, hours=9),
        article("c", BURNT, FIRE, source=THREE, hours=5),
    )

    removal = remove(desk, original)

    assert (early.id, None) == (removal.heir, removal.new_head)
    rows = {row["id"]: row for row in _rows(desk, articles)}
    assert tuple(rows[early.id][name] for name in ("relation", "copy_of", "similarity")) == (
        "original",
        None,
        None,
    )
    assert early.id == rows[late.id]["copy_of"]
    assert {original.placement.cluster_id} == {row["cluster_id"] for row in rows.values()}
    (retold,) = desk.post(article("d", BURNT_AGAIN, FIRE_RETOLD, hours=6))
    assert early.id == retold.placement.reason.nearest
    assert original.placement.cluster_id == retold.placement.cluster_id
    assert faults(desk.engine) == []


def test_a_near_copy_inherits_with_vectors_of_its_own(desk: Room) -> None:
    """A near copy keeps its own vectors when it becomes the original, and represents the cluster."""
    original, near = desk.post(
        article("a", BURNT, FIRE), article("b", BURNT_AGAIN, f"{FIRE} Simak kabar lain.", source=TWO, hours=1)
    )
    own = [row["blob"] for row in _rows(desk, vectors)][1]

    removal = remove(desk, original)

    assert (near.id, False, near.id) == (removal.heir, removal.inherits_vectors, removal.new_head)
    assert [(own, 1)] == [(row["blob"], row["opens_cluster"]) for row in _rows(desk, vectors)]
    assert [row["title"] for row in _rows(desk, clusters)] == [BURNT_AGAIN]
    assert faults(desk.engine) == []


def test_the_next_report_represents_the_cluster(desk: Room) -> None:
    """When the report that opened a cluster goes, the earliest of the others heads it and gives it its title."""
    head, late, early = desk.post(
        article("a", BURNT, FIRE),
        article(
            "b", "Kios Pasar Rengasdengkul Terbakar, Pedagang Mengungsi", FIRE_RETOLD, source=TWO, hours=6
        ),
        article("c", BURNT_AGAIN, TOLD_ONCE_MORE, source=THREE, hours=3),
    )
    assert {head.placement.cluster_id} == {late.placement.cluster_id, early.placement.cluster_id}

    removal = remove(desk, head)

    assert (None, early.id) == (removal.heir, removal.new_head)
    assert [row["title"] for row in _rows(desk, clusters)] == [BURNT_AGAIN]
    seqs = {row["id"]: row["seq"] for row in _rows(desk, articles)}
    assert {row["article_seq"]: row["opens_cluster"] for row in _rows(desk, vectors)} == {
        seqs[early.id]: 1,
        seqs[late.id]: 0,
    }
    assert faults(desk.engine) == []


def test_a_story_outlives_one_of_its_clusters(desk: Room) -> None:
    """When a story loses a cluster but not its last one, the story's counts and span follow."""
    first, second = desk.post(
        article("a", BURNT, FIRE),
        article("b", BURNT_AGAIN, FIRE_RETOLD, source=TWO, hours=24 * 15),
    )
    assert first.placement.cluster_id != second.placement.cluster_id
    assert first.placement.story_id == second.placement.story_id

    remove(desk, second)

    assert expected_counts(desk.engine) == stored_counts(desk.engine)
    assert [row["cluster_count"] for row in _rows(desk, stories)] == [1]
    assert faults(desk.engine) == []


def test_a_title_that_was_deleted_is_shown_nowhere(desk: Room) -> None:
    """Cluster and story take the headline of an article that is still there."""
    head, copy = desk.post(
        article("a", BURNT, FIRE), article("b", "Pedagang Merugi Miliaran", FIRE, source=TWO, hours=1)
    )
    assert copy.placement.copy_of == head.id

    remove(desk, head)

    assert {row["title"] for table in (clusters, stories) for row in _rows(desk, table)} == {
        "Pedagang Merugi Miliaran"
    }


# --- histories and damage ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("database")
@settings(unhurried, max_examples=6)
@given(st.integers(0, 10**9))
def test_the_store_is_sound_after_any_history(seed: int) -> None:
    """P2: posts, edits and deletions in any order leave counts, references, heads and vectors in order."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, room(Path(folder)) as desk:
        stream = look_alikes(seed, 40, revise=True)
        ids: set[str] = set()
        while stream:
            size = chance.choice([2, 6, 12])
            ids |= {outcome.id for outcome in desk.post(*stream[:size])}
            stream = stream[size:]
            for gone in chance.sample(sorted(ids), min(len(ids), chance.choice([0, 0, 1, 3]))):
                ids.discard(gone)
                desk.remove(gone)
            desk.window = desk.rebuilt()

        assert faults(desk.engine) == []
        assert ids == {row["id"] for row in _rows(desk, articles)}
        assert expected_counts(desk.engine) == stored_counts(desk.engine)
        assert set(_heads(desk)) == {row["id"] for row in _rows(desk, clusters)}
        assert set(_heads(desk).values()) == {1}
        relations = {row["external_id"]: row["relation"] for row in _rows(desk, articles)}
        assert groups(desk.engine).copies.keys() == {
            name for name, relation in relations.items() if relation != "original"
        }


def _heads(desk: Room) -> Counter[str]:
    """How many vectors open each cluster."""
    query = (
        select(articles.c.cluster_id)
        .join(vectors, vectors.c.article_seq == articles.c.seq)
        .where(vectors.c.opens_cluster == 1)
    )
    with desk.engine.connect() as connection:
        return Counter(connection.execute(query).scalars())


def _flip(connection: Any, column: Any, place: int) -> None:
    row = connection.execute(select(vectors.c.seq, column)).first()
    blob = bytearray(row[1])
    blob[place] ^= 1
    connection.execute(update(vectors).where(vectors.c.seq == row.seq).values(blob=bytes(blob)))


def _first(connection: Any, table: Any, condition: Any = None) -> Any:
    query = select(table.c.seq)
    return connection.execute(query if condition is None else query.where(condition)).scalars().first()


def _set(table: Any, condition: Any = None, **values: Any) -> Callable[[Any], None]:
    def damage(connection: Any) -> None:
        row = _first(connection, table, condition)
        connection.execute(update(table).where(table.c.seq == row).values(**values))

    return damage


def _drop(table: Any, condition: Any = None) -> Callable[[Any], None]:
    def damage(connection: Any) -> None:
        connection.execute(delete(table).where(table.c.seq == _first(connection, table, condition)))

    return damage


CLUSTER_COUNTS = "the counts of clusters equal their members"
STORY_COUNTS = "the counts of stories equal their members"
COPIES = "every copy points to an original of its cluster"
IS_COPY = articles.c.copy_of.is_not(None)
DAMAGE: dict[str, tuple[Callable[[Any], None], set[str]]] = {
    "first bit of a vector": (lambda connection: _flip(connection, vectors.c.blob, 0), {"vectors"}),
    "last bit of a vector": (lambda connection: _flip(connection, vectors.c.blob, -1), {"vectors"}),
    "checksum": (_set(vectors, crc=7), {"vectors"}),
    "vector cut short": (_set(vectors, blob=b"\x00"), {"vectors"}),
    "vector lost": (_drop(vectors), {"every original has vectors"}),
    "vector of nobody": (
        _set(vectors, article_seq=99_999),
        {"every vector belongs to an article", "every original has vectors"},
    ),
    "cluster: articles": (_set(clusters, article_count=99), {CLUSTER_COUNTS}),
    "cluster: copies": (_set(clusters, copy_count=99), {CLUSTER_COUNTS}),
    "cluster: sources": (_set(clusters, independent_source_count=99), {CLUSTER_COUNTS}),
    "cluster: first": (_set(clusters, first_published_us=1), {CLUSTER_COUNTS}),
    "cluster: last": (_set(clusters, last_published_us=1), {CLUSTER_COUNTS}),
    "story: clusters": (_set(stories, cluster_count=99), {STORY_COUNTS}),
    "story: articles": (_set(stories, article_count=99), {STORY_COUNTS}),
    "story: copies": (_set(stories, copy_count=99), {STORY_COUNTS}),
    "story: sources": (_set(stories, independent_source_count=99), {STORY_COUNTS}),
    "story: first": (_set(stories, first_published_us=1), {STORY_COUNTS}),
    "story: last": (_set(stories, last_published_us=1), {STORY_COUNTS}),
    "copy of nobody": (_set(articles, IS_COPY, copy_of="art_none"), {COPIES}),
    "copy of itself": (_set(articles, IS_COPY, copy_of=articles.c.id), {COPIES}),
    "article of no cluster": (
        _set(articles, IS_COPY, cluster_id="clu_none"),
        {"every article is in a cluster that exists", COPIES, CLUSTER_COUNTS, STORY_COUNTS},
    ),
    "cluster of no story": (
        _set(clusters, story_id="sto_none"),
        {"every cluster is in a story that exists", STORY_COUNTS},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def sound(database: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one story of one cluster, an original and its copy, and some others."""
    folder = tmp_path_factory.mktemp("sound")
    with room(folder) as desk:
        desk.post(
            article("a", BURNT, FIRE),
            article("b", BURNT, FIRE, source=TWO),
            article("c", "Sungai Citamiang Meluap", FLOOD),
        )
        assert faults(desk.engine) == []
    return folder


@pytest.mark.parametrize("kind", DAMAGE)
def test_the_check_finds_damage(sound: Path, tmp_path: Path, kind: str) -> None:
    """P8: every kind of damage is found, and named for what it is."""
    damage, expected = DAMAGE[kind]
    with room(sound) as whole:
        copied(whole.engine, tmp_path)
    engine = writer_engine(place_of(tmp_path))
    with engine.connect() as connection:
        _ignore_references(connection)
        damage(connection)
        connection.commit()

    assert expected == set(faults(engine))
    engine.dispose()


def _ignore_references(connection: Any) -> None:
    """Let this connection break foreign keys from now on."""
    if is_postgres(connection):
        connection.exec_driver_sql("SET session_replication_role = replica")
    else:
        connection.exec_driver_sql("COMMIT")  # they cannot be switched off inside a transaction
        connection.exec_driver_sql("PRAGMA foreign_keys=0")
        connection.exec_driver_sql("BEGIN")


def test_a_copy_of_a_copy_is_damage(desk: Room) -> None:
    """P8: chains of copies are found."""
    _, second, third = desk.post(
        article("a", BURNT, FIRE),
        article("b", BURNT, FIRE, source=TWO),
        article("c", BURNT, FIRE, source=THREE),
    )
    with desk.engine.begin() as connection:
        connection.execute(update(articles).where(articles.c.id == third.id).values(copy_of=second.id))

    assert faults(desk.engine) == [COPIES]


def test_the_check_finds_a_damaged_page(tmp_path: Path) -> None:
    """P8: a page of the file overwritten with noise is found by the database's own check or refuses to be read."""
    with room(tmp_path / "sound") as desk:
        desk.post(article("a", BURNT, FIRE))
    data = bytearray((tmp_path / "sound" / FILE).read_bytes())
    size = int.from_bytes(data[16:18], "big")
    page = next(
        number
        for number in range(len(data) // size - 1, 1, -1)
        if FIRE[:40].encode() in data[number * size :][:size]
    )
    data[page * size : page * size + 64] = random.Random(1).randbytes(64)
    (tmp_path / FILE).write_bytes(data)
    engine = writer_engine(tmp_path)

    try:
        found = faults(engine)
    except Exception as error:  # noqa: BLE001
        found = [type(error).__name__]

    assert set(found) & {"database", "DatabaseError"}
    engine.dispose()


def _rows(desk: Room, table: Any) -> list[Any]:
    return _rows_in(desk.engine, table)


def _rows_in(engine: Engine, table: Any) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(select(table).order_by(*table.primary_key)).mappings())
