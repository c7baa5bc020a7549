"""P12: a store of every schema there was opens, tells what it told, and decides on as a new one would."""

from __future__ import annotations

import os
import random
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
from test_backup import backed_up, put_back
from test_changes import follow, truth
from test_desk import opened, post
from wire import Groups, faults, groups

from service.store.engine import known_schemas
from service.store.sqlite import FILE
from service.store.tables import articles, redirects, revisions, tombstones, unsettled

if TYPE_CHECKING:
    from service.desk import Desk

HERE = Path(__file__).parent
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


DYING = """
import os, signal, sys
from itertools import count
from pathlib import Path
from sqlalchemy import Engine, event
from service.store.engine import migrate, writer_engine
folder, nth = Path(sys.argv[1]), int(sys.argv[2])
left = count(nth, -1)

def die(*_):
    if next(left) == 1:
        os.kill(os.getpid(), signal.SIGKILL)

event.listen(Engine, "after_cursor_execute", die)
event.listen(Engine, "commit", die)
migrate(writer_engine(folder))
"""


def test_kill_during_migration(tmp_path: Path, lived: tuple[dict[str, Any], Groups]) -> None:
    """P12: killed after any of its statements, or before its commit, the store has the old schema, and opens."""
    chance = random.Random(12)
    died = 0
    for number in range(6):
        folder = load("0001", tmp_path / str(number))
        command = [sys.executable, "-c", DYING, str(folder), str(chance.randint(2, 40))]
        code = subprocess.run(command, check=False, timeout=60, env=os.environ).returncode
        assert code in {0, -signal.SIGKILL}
        died += code != 0
        assert schema_of(folder) == ("0001" if code else known_schemas()[-1])
        with opened(folder) as desk:
            assert tells(desk) == lived[0]
    assert died >= 3
