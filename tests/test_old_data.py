"""P12: a store of every schema there was opens, tells what it told, and decides on as a new one would."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mirror import Mirror
from old_data import DATA, LATER, live_through
from sqlalchemy import select
from structlog.testing import capture_logs
from test_backup import backed_up, put_back
from test_changes import follow, truth
from test_cli import run
from test_desk import opened, post
from wire import Groups, faults, groups

from service.store import copying
from service.store.engine import known_schemas
from service.store.failures import StoreError
from service.store.opening import owned_store
from service.store.sqlite import FILE
from service.store.tables import articles, redirects, revisions, tombstones, unsettled

if TYPE_CHECKING:
    from service.desk import Desk

HERE = Path(__file__).parent
KEPT = f"before-{known_schemas()[-1]}.db"
TOLD = (
    "external_id",
    "title",
    "text",
    "source",
    "publisher",
    "published_us",
    "offset_minutes",
    "revision",
    "fingerprint",
)


def load(schema: str, folder: Path) -> Path:
    folder.mkdir()
    with closing(sqlite3.connect(folder / FILE)) as connection:
        connection.executescript((DATA / f"store_{schema}.sql").read_text(encoding="utf-8"))
    return folder


def schema_of(folder: Path) -> str:
    with closing(sqlite3.connect(folder / FILE)) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def lines_of(file: Path) -> list[str]:
    """All that a database file holds, its schema too."""
    with closing(sqlite3.connect(file)) as connection:
        return list(connection.iterdump())


def tells(desk: Desk) -> dict[str, Any]:
    """What a store says, but for IDs and the time of writing."""
    assert faults(desk.reader) == []
    with desk.reader.connect() as connection:
        waiting = select(articles.c.external_id).join(unsettled, unsettled.c.article_seq == articles.c.seq)
        return {
            "groups": groups(desk.reader),
            "articles": connection.execute(
                select(*(articles.c[name] for name in TOLD)).order_by(articles.c.seq)
            ).all(),
            "unsettled": set(connection.execute(waiting).scalars()),
            "earlier texts": connection.execute(select(revisions.c.title, revisions.c.text)).all(),
            "deleted": len(connection.execute(select(tombstones)).all()),
        }


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Groups]:
    """What a store of today tells after the same history, and its groups after one more article."""
    with opened(tmp_path_factory.mktemp("today")) as desk:
        live_through(desk)
        told = tells(desk)
        post(desk, LATER)
        return told, groups(desk.reader)


def test_there_is_a_store_of_every_schema() -> None:
    assert {file.stem.removeprefix("store_") for file in DATA.glob("store_*.sql")} == {*known_schemas()}


@pytest.mark.parametrize("schema", known_schemas())
def test_open_every_released_database(
    tmp_path: Path, lived: tuple[dict[str, Any], Groups], schema: str
) -> None:
    """Texts, groups, revisions, tombstones, what waits for a night, and the feed; then one article more."""
    told, after = lived
    folder = load(schema, tmp_path / "data")
    assert schema_of(folder) == schema

    with opened(folder) as desk:
        assert tells(desk) == told
        mirror = Mirror()
        follow(mirror, desk.reader, 0, 100)
        assert mirror == truth(desk.reader)
        assert all(desk.ready().values())
        post(desk, LATER)
        assert groups(desk.reader) == after
        if schema != "0001":
            with desk.reader.connect() as connection:
                assert len(connection.execute(select(redirects)).all()) >= 1
    assert schema_of(folder) == known_schemas()[-1]


@pytest.mark.parametrize("schema", known_schemas())
def test_a_backup_of_an_earlier_version_is_restored(
    tmp_path: Path, lived: tuple[dict[str, Any], Groups], schema: str
) -> None:
    """P9, P12: as it was written by its version, without a word of this one in between."""
    made = backed_up(load(schema, tmp_path / "old"), tmp_path / "news.db")
    assert made.held.schema == schema

    done = put_back(made.file, tmp_path / "new")

    assert [one.name for one in done.findings if not one.ok] == []
    with opened(tmp_path / "new") as desk:
        assert tells(desk) == lived[0]


# --- kept before it is migrated ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", known_schemas())
def test_a_store_is_kept_as_it_was(tmp_path: Path, schema: str) -> None:
    """Every row and the schema of before, beside the store, told in the log; once, and not for a store of this version."""
    folder = load(schema, tmp_path / "data")
    before = lines_of(folder / FILE)

    with capture_logs() as logged:
        for _ in range(2):
            with owned_store(folder):
                pass

    kept = [{"event": "store_kept", "log_level": "info", "schema": schema, "file": str(folder / KEPT)}]
    is_current = schema == known_schemas()[-1]
    assert logged == ([] if is_current else kept)
    assert [file.name for file in folder.glob("before-*")] == ([] if is_current else [KEPT])
    assert schema_of(folder) == known_schemas()[-1]
    if not is_current:
        assert lines_of(folder / KEPT) == before
        assert put_back(folder / KEPT, folder, replace=True).held.schema == schema


def test_a_new_store_is_not_kept(tmp_path: Path) -> None:
    with owned_store(tmp_path / "data"):
        pass
    assert [*(tmp_path / "data").glob("before-*")] == []


def test_what_is_in_the_log_alone_is_kept_too(tmp_path: Path) -> None:
    """A store that was killed, with its newest rows in the write-ahead log, is kept with them."""
    folder = load("0003", tmp_path / "data")
    with closing(sqlite3.connect(folder / FILE)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("INSERT INTO tombstones (id, deleted_us) VALUES ('art_late', 1)")
        connection.commit()
        before = lines_of(folder / FILE)
        with owned_store(folder):
            pass
    assert "INSERT INTO \"tombstones\" VALUES('art_late',1);" in before
    assert lines_of(folder / KEPT) == before


@pytest.mark.parametrize("is_foreseen", [True, False])
def test_without_room_for_the_copy_nothing_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_foreseen: bool
) -> None:
    folder = load("0002", tmp_path / "data")
    before = lines_of(folder / FILE)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with monkeypatch.context() as patch:
        if is_foreseen:
            patch.setattr(copying, "disk_free", lambda _folder: (folder / FILE).stat().st_size - 1)
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, ((folder / FILE).stat().st_size // 2, hard))
        try:
            with pytest.raises(StoreError, match="no room for"), owned_store(folder):
                pass
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert {file.name for file in folder.iterdir()} <= {FILE, f"{FILE}-wal", f"{FILE}-shm", "lock"}
    assert lines_of(folder / FILE) == before
    with owned_store(folder):
        assert schema_of(folder) == known_schemas()[-1]


def test_commands_tell_it_aside(tmp_path: Path) -> None:
    """Standard output stays the command's answer."""
    folder = load("0001", tmp_path / "data")

    done = run("keys", "create", "redaksi", "--data", folder, "--json")

    assert json.loads(done.stdout)["name"] == "redaksi"
    assert json.loads(done.stderr)["file"] == str(folder / KEPT)


DYING = """
import os, signal, sys
from itertools import count
from pathlib import Path
from sqlalchemy import Engine, event
from service.store import copying, opening
folder, moment = Path(sys.argv[1]), sys.argv[2]
left = count(int(moment) if moment.isdigit() else 1, -1)

def die(*_):
    if next(left) == 1:
        os.kill(os.getpid(), signal.SIGKILL)

def dying_after(function):
    def dying(*given):
        function(*given)
        die()
    return dying

def migrate(engine):
    event.listen(Engine, "after_cursor_execute", die)
    event.listen(Engine, "commit", die)
    migrated(engine)
    sys.exit()

if moment.isdigit():
    migrated, opening.migrate = opening.migrate, migrate
else:
    setattr(copying, moment, dying_after(getattr(copying, moment)))
with opening.owned_store(folder):
    pass
"""


def test_kill_during_migration(tmp_path: Path, lived: tuple[dict[str, Any], Groups]) -> None:
    """P12: killed while it is copied, after any statement, or before the commit: the store has the old schema, and opens.

    What is kept is whole, whenever it is there.
    """
    chance = random.Random(12)
    died = 0
    for moment in ("copy_store", "examine", "put_in_place", *map(str, chance.sample(range(2, 41), 4))):
        folder = load("0001", tmp_path / moment)
        before = lines_of(folder / FILE)
        command = [sys.executable, "-c", DYING, str(folder), moment]
        code = subprocess.run(command, check=False, timeout=60, env=os.environ).returncode
        assert code in {0, -signal.SIGKILL}
        died += code != 0
        assert schema_of(folder) == ("0001" if code else known_schemas()[-1])
        assert (folder / KEPT).exists() == (moment not in {"copy_store", "examine"})
        with opened(folder) as desk:
            assert tells(desk) == lived[0]
        assert lines_of(folder / KEPT) == before
        assert [*folder.glob(".benang-part-*")] == []
    assert died >= 5
