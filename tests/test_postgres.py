"""PostgreSQL: one writer by a lock on its own connection, durable at every commit, the same answers as SQLite."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from newsroom import pages_of
from places import NO_SERVER, Server, has_server, own_server, place_of, programs, using
from psycopg import Error, errors
from pydantic import SecretStr
from sqlalchemy import MetaData, create_engine, event, insert, inspect, select, text, update
from sqlalchemy.exc import DBAPIError
from test_desk import PATIENCE_S, held, opened, post, wait_until_ready
from typer.testing import CliRunner
from wire import FIRE, NOW_US, Room, article, cut, faults, look_alikes, room

from service.cli import app
from service.errors import StorageFull, StoreUnavailable
from service.nightly import propose
from service.parallel import Local
from service.settings import Settings
from service.shift import night_of
from service.store import carrying, changes, groups, postgres, read
from service.store.apply import apply_plan
from service.store.carrying import contents, copy_rows
from service.store.engine import (
    is_owned,
    migrate,
    reader_engine,
    schema_is_current,
    told,
    writer_engine,
)
from service.store.failures import StoreError, StoreInUseError
from service.store.groups import GroupFilter
from service.store.opening import owned_store
from service.store.read import ArticleFilter
from service.store.tables import meta, metadata
from service.stored_vectors import StoreVectors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from service.desk import Desk

ID = re.compile(r"\b(?:art|clu|sto)_[0-9A-Z]{26}\b")
HOLD = (
    "import sys, time; from service.store.opening import owned_store\n"
    "with owned_store(sys.argv[1]):\n    print('mine', flush=True)\n    time.sleep(60)"
)
pytestmark = pytest.mark.skipif(not has_server(), reason=NO_SERVER)


@pytest.fixture
def url(server: Server, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    yield server.place_of(tmp_path)
    server.drop({*server.made})


# --- schema -----------------------------------------------------------------------------------------------------------


def test_a_new_database_has_the_schema_of_a_migrated_file(tmp_path: Path) -> None:
    """P12: PostgreSQL begins with the tables as they are; on SQLite that and all migrations give the same."""
    migrated = writer_engine(tmp_path)
    migrate(migrated)
    made = create_engine(f"sqlite:///{tmp_path / 'made.db'}")
    metadata.create_all(made)

    assert described(made) == {
        name: told for name, told in described(migrated).items() if name != "alembic_version"
    }
    migrated.dispose()
    made.dispose()


def described(engine: Engine) -> dict[str, Any]:
    """Columns, keys and indexes of every table."""
    found = inspect(engine)
    return {
        name: (
            sorted((one["name"], str(one["type"]), one["nullable"]) for one in found.get_columns(name)),
            found.get_pk_constraint(name)["constrained_columns"],
            sorted(one["column_names"] for one in found.get_unique_constraints(name)),
            sorted(
                (one["constrained_columns"], one["referred_table"]) for one in found.get_foreign_keys(name)
            ),
            sorted(
                (one["name"], one["column_names"], str(one.get("dialect_options", {}).get("sqlite_where")))
                for one in found.get_indexes(name)
            ),
        )
        for name in found.get_table_names()
    }


def test_a_new_database_has_every_table(url: str) -> None:
    """P12: and a second start changes nothing; text compares byte by byte whatever the database's collation."""
    for _ in range(2):
        with owned_store(url) as engine:
            assert schema_is_current(engine)
            found = MetaData()
            found.reflect(engine)
            assert {*metadata.tables} == {*found.tables} - {"alembic_version"}
            for name, table in metadata.tables.items():
                assert {*table.c.keys()} == {*found.tables[name].c.keys()}
                assert {one.name for one in table.indexes} == {one.name for one in found.tables[name].indexes}
            with engine.connect() as connection:
                collations = connection.execute(
                    text(
                        "SELECT DISTINCT collation_name FROM information_schema.columns "
                        "WHERE table_schema = 'public' AND data_type IN ('character varying', 'text') "
                        "AND table_name <> 'alembic_version'"
                    )
                ).scalars()
                assert list(collations) == ["C"]


def test_a_failed_start_leaves_nothing(url: str) -> None:
    """P12: the tables come in one transaction: where one is in the way, none is made."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE webhooks (other INTEGER)"))

    with pytest.raises(StoreError, match="not written by this version"), owned_store(url):
        pass

    assert inspect(engine).get_table_names() == ["webhooks"]
    engine.dispose()


# --- one owner --------------------------------------------------------------------------------------------------------


def test_a_second_owner_is_refused(url: str) -> None:
    """P10: while one owns the database nobody else does, readers read, and afterwards it is free."""
    with owned_store(url):
        assert is_owned(url)
        with pytest.raises(StoreInUseError, match="Another benang process"), owned_store(url):
            pass
        reader = reader_engine(url)
        with reader.connect() as connection:
            assert connection.execute(select(meta)).all() == []
        reader.dispose()

    assert not is_owned(url)
    with owned_store(url):
        pass


def test_an_owner_that_lost_its_connection_cannot_commit(url: str, server: Server) -> None:
    """P10: the lock goes with the connection, and so does what was not committed; the next connection locks again."""
    with owned_store(url) as engine:
        with engine.connect() as connection:
            connection.execute(insert(meta).values(key="a", value="lost"))
            end_writer(server, url)
            with pytest.raises(DBAPIError):
                connection.commit()
        assert not is_owned(url)

        with engine.connect() as connection:
            assert connection.execute(select(meta)).all() == []
            assert is_owned(url)

        end_writer(server, url)
        with owned_store(url), pytest.raises(StoreInUseError):
            try_again(engine)


def try_again(engine: Engine) -> None:
    """The first statement finds the connection gone, the second one makes another."""
    with pytest.raises(DBAPIError), engine.connect() as connection:
        connection.execute(select(meta))
    with engine.connect() as connection:
        connection.execute(select(meta))


def end_writer(server: Server, url: str) -> None:
    reader = reader_engine(url)
    with reader.connect() as connection:
        owner = postgres.owner(connection)
    reader.dispose()
    assert owner is not None
    assert owner.name == postgres.writer_name()
    server.execute(f"SELECT pg_terminate_backend({owner.pid}, 5000)")


# --- connections ------------------------------------------------------------------------------------------------------


def test_the_writer_is_durable_at_every_commit(url: str) -> None:
    """P1: whatever the server or the role has for a default, the writer waits for its commits."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        name = engine.url.database
        connection.execute(text(f"ALTER DATABASE {name} SET synchronous_commit = off"))
        connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'"))
    engine.dispose()
    with owned_store(url) as writer:
        for _ in range(2):
            with writer.connect() as connection:
                assert [
                    shown(connection, name) for name in ("synchronous_commit", "transaction_isolation")
                ] == [
                    "on",
                    "read committed",
                ]
                assert shown(connection, "statement_timeout") == "10min"
                assert shown(connection, "client_connection_check_interval") == "1s"
                connection.invalidate()


def test_readers_read_one_moment_and_nothing_else(url: str) -> None:
    reader = reader_engine(url)
    with reader.connect() as connection:
        assert shown(connection, "transaction_isolation") == "repeatable read"
        assert shown(connection, "transaction_read_only") == "on"
        assert shown(connection, "statement_timeout") == "1min"
    reader.dispose()


def shown(connection: Connection, name: str) -> str:
    return str(connection.exec_driver_sql(f"SHOW {name}").scalar_one())


@pytest.mark.skipif(programs() is None, reason="the programs of PostgreSQL are not installed here")
@pytest.mark.parametrize("name", ["fsync", "full_page_writes"])
def test_a_server_that_may_forget_is_refused(name: str, tmp_path: Path) -> None:
    """P1: before anything is written, with what to do."""
    with own_server(**{name: "off"}) as careless, using(careless):
        url = careless.place_of(tmp_path)
        with pytest.raises(StoreError, match=f"Set {name}=on"), owned_store(url):
            pass
        engine = create_engine(url)
        assert inspect(engine).get_table_names() == []
        engine.dispose()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql+psycopg://nobody@/none?host=/nowhere", "does not answer"),
        ("postgresql+psycopg://db.example:port/news", "no database URL"),
    ],
)
def test_a_database_that_is_not_there(url: str, why: str) -> None:
    with pytest.raises(StoreError, match=why), owned_store(url):
        pass


def test_passwords_are_not_shown() -> None:
    """Neither in messages nor where settings are printed."""
    url = "postgresql+psycopg://benang:rahasia@db.example/news"
    settings = Settings(store=SecretStr(url))
    assert settings.place == url
    assert told(url) == "postgresql+psycopg://benang:***@db.example/news"
    assert "rahasia" not in f"{settings!r} {settings} {settings.model_dump()}"
    with pytest.raises(ValueError, match="begin it with") as caught:
        Settings(store=SecretStr("mysql://benang:rahasia@db.example/news"))
    assert "rahasia" not in str(caught.value)


# --- a desk whose database fails --------------------------------------------------------------------------------------


@pytest.fixture
def desk(server: Server, tmp_path: Path) -> Iterator[Desk]:
    with using(server):
        with opened(tmp_path) as one:
            yield one
        server.drop({*server.made})


def test_a_desk_that_lost_its_connection_finds_the_way_back(desk: Desk, server: Server) -> None:
    """P5b, P29: nobody has to ask: the lock is taken again, and the index fits what is stored."""
    first = post(desk, article("a", "Pasar Terbakar", FIRE))
    end_writer(server, str(desk.settings.place))

    wait_until_ready(desk)

    assert post(desk, article("a", "Pasar Terbakar", FIRE))[0].id == first[0].id
    assert 'benang_store_errors_total{kind="lost"} 1.0' in desk.metrics.render().decode()


def test_a_desk_that_lost_its_place_waits_for_it(desk: Desk, server: Server) -> None:
    """P10: while another writes it refuses and says so; then it goes on, with what that one has stored."""
    with held(desk):
        end_writer(server, str(desk.settings.place))
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(desk.settings.place)], stdout=subprocess.PIPE
        )
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"mine\n"
    with holder:
        for _ in range(2):
            refused = desk.submit([article("a", "Pasar", FIRE)]).exception(PATIENCE_S)
            assert isinstance(refused, StoreUnavailable)
        ready = desk.ready()
        assert not ready["lock_held"]
        assert not ready["index_complete"]
        assert "benang_writer_lock_held 0.0" in desk.metrics.render().decode()
        holder.kill()

    wait_until_ready(desk)
    assert post(desk, article("a", "Pasar", FIRE))[0].status == "created"
    assert "benang_writer_lock_held 1.0" in desk.metrics.render().decode()


@pytest.mark.parametrize(
    ("error", "answer", "kind"),
    [
        (errors.DiskFull, StorageFull, "full"),
        (errors.AdminShutdown, StoreUnavailable, "lost"),
        (errors.QueryCanceled, StoreUnavailable, "busy"),
        (errors.IoError, StoreUnavailable, "io"),
        (errors.DataCorrupted, StoreUnavailable, "corrupt"),
        (errors.IndexCorrupted, StoreUnavailable, "corrupt"),
    ],
)
def test_failures_are_told_apart(
    desk: Desk, error: type[Exception], answer: type[Exception], kind: str
) -> None:
    """P7, P8: by the state that the server gives; after damage the desk is not ready until it is started anew."""

    def fail(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "INSERT INTO vectors" in statement:
            raise DBAPIError.instance(statement, None, error("rahasia"), Error)

    event.listen(desk._engine, "before_cursor_execute", fail)
    failed = desk.submit([article("a", "Pasar", FIRE)]).exception(PATIENCE_S)
    event.remove(desk._engine, "before_cursor_execute", fail)

    assert type(failed) is answer
    assert f'benang_store_errors_total{{kind="{kind}"}} 1.0' in desk.metrics.render().decode()
    if kind == "corrupt":
        assert not desk.ready()["store_undamaged"]
    else:
        wait_until_ready(desk)
    assert post(desk, article("a", "Pasar", FIRE))[0].status == "created"


# --- the same answers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [5, 10])
def test_same_clusters_on_both_engines(tmp_path: Path, server: Server, seed: int) -> None:
    """One stream, edits and a night included, gives the same groups, copies, counts and feed, but for the IDs."""
    here = whole_history(tmp_path / "file", seed)
    with using(server):
        there = whole_history(tmp_path / "server", seed)
        server.drop({*server.made})
    assert here == there
    assert len(here["clusters"]) < len(here["articles"])


def whole_history(folder: Path, seed: int) -> dict[str, Any]:
    """Everything a store answers after posts, edits, deletions and a night, each ID named by where it shows first."""
    items = look_alikes(seed, 90, revise=True)
    with room(folder) as desk:
        for part in cut(items[:60], seed):
            desk.post(*part)
        for outcome in desk.post(*items[10:14]):
            desk.remove(outcome.id)
        desk.window = desk.rebuilt()
        night(desk, folder)
        desk.window = desk.rebuilt()
        for part in cut(items[60:], seed):
            desk.post(*part)
        assert faults(desk.engine) == []
    reader = reader_engine(place_of(folder))
    with reader.connect() as connection:
        found = json.dumps(answers(connection))
    reader.dispose()
    names: dict[str, str] = {}
    named = ID.sub(lambda one: names.setdefault(one.group(), f"{one.group()[:3]} {len(names)}"), found)
    told: dict[str, Any] = json.loads(named)
    return told


def night(desk: Room, folder: Path) -> None:
    reader = reader_engine(place_of(folder))
    asked = night_of(desk.settings, 36_500, NOW_US + 1)
    hands = Local(desk.models, StoreVectors(reader, desk.models), asked.horizons)
    proposal = propose(reader, hands, desk.cuts, asked, model="test")
    assert proposal.plan.moved, "nothing moves: nothing is shown"
    reader.dispose()
    with desk.engine.begin() as connection:
        apply_plan(connection, proposal, now_us=NOW_US + 1, cause="run_1")


def answers(connection: Connection) -> dict[str, Any]:
    listed = pages_of(
        lambda limit, cursor: read.list_articles(connection, ArticleFilter(), limit=limit, cursor=cursor), 7
    )
    articles = [read.get_article(connection, one["id"]) for one in listed]
    clusters = [
        groups.get_cluster(connection, one["id"])
        for one in pages_of(
            lambda limit, cursor: groups.list_clusters(connection, GroupFilter(), limit=limit, cursor=cursor),
            7,
        )
    ]
    stories = list(
        pages_of(
            lambda limit, cursor: groups.list_stories(connection, GroupFilter(), limit=limit, cursor=cursor),
            7,
        )
    )
    return {
        "articles": articles,
        "explanations": [read.get_explanation(connection, one["id"]) for one in articles],
        "clusters": clusters,
        "stories": [groups.get_story(connection, one["id"]) for one in stories],
        "timelines": [groups.get_timeline(connection, one["id"]) for one in stories],
        "searched": [
            read.list_articles(connection, ArticleFilter(q=part), limit=100)[0]
            for part in ("harga", "HARGA", "%", "_", "é", articles[0]["title"].upper())
        ],
        "changes": [
            {name: value for name, value in one.items() if name != "seq"}
            for one in changes.read_page(connection, 0, 10_000).items
        ],
        "stats": read.get_stats(connection),
    }


# --- a store carried over ---------------------------------------------------------------------------------------------


def test_a_store_carried_there_and_back_is_the_same(tmp_path: Path, url: str) -> None:
    """P9: SQLite to PostgreSQL to SQLite: every row, every digest, and the numbers that are not given out again."""
    with room(tmp_path / "first") as desk:
        outcomes = desk.post(*look_alikes(3, 60, revise=True))
        desk.remove(outcomes[-1].id)
        first = desk.engine
        with owned_store(url) as second, owned_store(tmp_path / "third") as third:
            for source, target in ((first, second), (second, third)):
                with source.connect() as there, target.begin() as here:
                    copy_rows(there, here)
            found = []
            for engine in (first, second, third):
                with engine.connect() as connection:
                    found.append(contents(connection))
            assert found[0] == found[1] == found[2]
            assert found[0]["articles"].last_number > found[0]["articles"].rows > 0
            assert faults(third) == []


def test_a_digest_tells_of_any_value(url: str, tmp_path: Path) -> None:
    with room(tmp_path / "first") as desk, owned_store(url) as second:
        desk.post(article("a", "Pasar Terbakar", FIRE))
        with desk.engine.connect() as there, second.begin() as here:
            copy_rows(there, here)
            before = contents(here)
            for table, column in (("articles", "title"), ("vectors", "crc"), ("clusters", "updated_us")):
                changed = metadata.tables[table]
                value = changed.c[column] + (" " if column == "title" else 1)
                here.execute(update(changed).values({column: value}))
                after = contents(here)
                assert {name for name in before if before[name] != after[name]} == {table}
                before = after


def test_a_store_is_moved_from_the_terminal(tmp_path: Path, url: str) -> None:
    """There and back the same stories are told; what is in the way, or is not there, is said and left alone."""
    with room(tmp_path / "first") as desk:
        desk.post(*look_alikes(3, 40))
    first, third = str(tmp_path / "first"), str(tmp_path / "third")

    moved = command("migrate-store", "--from", first, "--to", url, "--json")
    assert moved.exit_code == 0, moved.stderr
    back = command("migrate-store", "--from", url, "--to", third, "--json")
    assert json.loads(moved.stdout) == json.loads(back.stdout)
    stories = [command("stories", "--data", folder, "--json").stdout for folder in (first, third)]
    assert stories[0] == stories[1]
    assert json.loads(stories[0])["items"]
    assert command("check", "--data", third).exit_code == 0

    again = command("migrate-store", "--from", first, "--to", url)
    assert (again.exit_code, "holds a store already" in again.stderr.replace("\n", " ")) == (2, True)
    nothing = command("migrate-store", "--from", str(tmp_path / "none"), "--to", str(tmp_path / "new"))
    assert (nothing.exit_code, "There is no store" in nothing.stderr) == (2, True)
    assert not (tmp_path / "new").exists()


def test_check_says_whether_pages_have_checksums(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """P8: as the server is set, and as it might be; neither is a fault of the store."""
    monkeypatch.setenv("BENANG_STORE", url)
    with owned_store(url) as engine, engine.connect() as connection:
        kept = connection.execute(text("SHOW data_checksums")).scalar_one() == "on"
    assert checksums_told() == kept
    monkeypatch.setattr(postgres, "keeps_checksums", lambda _connection: not kept)
    assert checksums_told() != kept


def checksums_told() -> bool:
    checked = command("check", "--json")
    (found,) = [one for one in json.loads(checked.stdout) if one["name"] == "page checksums"]
    assert (checked.exit_code, found["ok"]) == (0, True)
    return {"data_checksums is on": True, "data_checksums is off": False}[found["detail"].partition(":")[0]]


def test_a_copy_that_differs_is_not_kept(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """P9: a row that arrives changed undoes the whole copy, and the table is named."""
    with room(tmp_path) as desk:
        desk.post(article("a", "Pasar Terbakar", FIRE))

    def careless(source: Connection, target: Connection, **given: Any) -> None:
        copy_rows(source, target, **given)
        target.execute(update(metadata.tables["articles"]).values(title="Lain"))

    monkeypatch.setattr(carrying, "copy_rows", careless)
    with pytest.raises(StoreError, match="differs in articles"):
        carrying.carry_over(tmp_path, url, on_step=lambda _name, _rows: lambda _done: None)
    with owned_store(url) as engine, engine.connect() as connection:
        assert carrying.is_empty(connection)


def command(*words: str) -> Any:
    return CliRunner().invoke(app, list(words))
