"""P8: damage is refused in a sentence, or mended so that the answers are those of before; it is never served."""

from __future__ import annotations

import random
import re
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, update
from test_backup import backed_up, groups_in, put_back
from test_cli import run, said, write_lines
from test_desk import opened, post
from wire import Groups, dump, faults, groups, look_alikes

from service.demo.show import read_articles
from service.errors import StoreUnavailable
from service.store.acknowledged import NAME, read_acknowledged
from service.store.engine import reader_engine
from service.store.failures import StoreError
from service.store.read import reading
from service.store.sqlite import FILE
from service.store.tables import articles, changes, metadata, vectors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SEED = 13
FLIPS = 24
PAGE = 4096
LOG = f"{FILE}-wal"
ERRORS = "benang_store_errors_total"


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store after a clean stop: everything in one file."""
    folder = tmp_path_factory.mktemp("damage")
    with opened(folder / "closed") as desk:
        post(desk, *look_alikes(SEED, 60, revise=True))
    return folder / "closed"


@pytest.fixture(scope="module")
def killed(closed: Path) -> Path:
    """The same after more articles and kill -9: the newest commits stand in the log."""
    with opened(shutil.copytree(closed, closed.parent / "more")) as desk:
        for item in look_alikes(SEED + 1, 12):
            post(desk, item)
        found = shutil.copytree(desk.settings.data, closed.parent / "killed")
    assert (found / LOG).stat().st_size > 10 * PAGE
    return found


def answers(folder: Path) -> Groups:
    with opened(folder) as desk:
        assert faults(desk.reader) == []
        post(desk, *look_alikes(SEED + 2, 12))
        return groups(desk.reader)


def flip(file: Path, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 64
    file.write_bytes(content)


def cut_off(file: Path, share: float) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])


def noise(file: Path, page: int) -> None:
    content = bytearray(file.read_bytes())
    content[page * PAGE : (page + 1) * PAGE] = random.Random(page).randbytes(PAGE)
    file.write_bytes(content)


FILE_DAMAGE: dict[str, Callable[[Path], None]] = {
    "first letter": lambda file: flip(file, 0),
    "page size": lambda file: flip(file, 16),
    "schema": lambda file: noise(file, 0),
    "a root": lambda file: noise(file, 3),
    "a page in the middle": lambda file: noise(file, file.stat().st_size // PAGE // 2),
    "last page": lambda file: noise(file, file.stat().st_size // PAGE - 1),
    "half": lambda file: cut_off(file, 0.5),
    "half a page": lambda file: cut_off(file, 0.999),
    "to nothing": lambda file: cut_off(file, 0),
    "deleted": lambda file: file.unlink(),
    "another file": lambda file: (file.write_bytes(b"no database\n" * 1000), None)[1],
}


@pytest.mark.parametrize("kind", FILE_DAMAGE)
def test_a_damaged_file_is_refused(closed: Path, tmp_path: Path, kind: str) -> None:
    """In a sentence that names the way out, with nothing written over; the way out works."""
    kept = backed_up(closed, tmp_path / "kept.db").file
    data = shutil.copytree(closed, tmp_path / "data")
    FILE_DAMAGE[kind](data / FILE)
    left = (data / FILE).read_bytes() if (data / FILE).exists() else None
    news = write_lines(tmp_path / "news.ndjson", read_articles()[:2])

    result = run("ingest", news, "--data", data)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "benang restore" in said(result)
    assert "Traceback" not in result.output
    if left:
        assert (data / FILE).read_bytes() == left
    assert run("restore", kept, "--data", data, "--replace").exit_code == 0
    assert answers(data) == answers(shutil.copytree(closed, tmp_path / "whole"))


LOG_DAMAGE: dict[str, Callable[[Path], None]] = {
    "flipped": lambda log: flip(log, log.stat().st_size // 2),
    "header": lambda log: flip(log, 17),
    "half": lambda log: cut_off(log, 0.5),
    "to nothing": lambda log: cut_off(log, 0),
    "deleted": lambda log: log.unlink(),
}


@pytest.mark.parametrize("kind", LOG_DAMAGE)
def test_a_damaged_log_is_refused(killed: Path, tmp_path: Path, kind: str) -> None:
    """What was answered and is gone is missed, though the database is whole; going on without it has to be asked for."""
    data = shutil.copytree(killed, tmp_path / "data")
    LOG_DAMAGE[kind](data / LOG)
    answered = read_acknowledged(data)

    with pytest.raises(StoreError, match="newest commits are gone"):
        opened(data)

    put_back(data / FILE, data, replace=True)
    engine = reader_engine(data)
    with engine.connect() as connection:
        assert connection.execute(select(func.max(changes.c.seq))).scalar_one() > answered
    engine.dispose()
    with opened(data) as desk:
        assert faults(desk.reader) == []


def test_a_log_without_its_file_is_not_thrown_away(killed: Path, tmp_path: Path) -> None:
    """SQLite would begin a new store and delete the log; put back, everything is there."""
    data = shutil.copytree(killed, tmp_path / "data")
    (data / FILE).rename(tmp_path / FILE)
    log = (data / LOG).read_bytes()

    for _ in range(2):
        with pytest.raises(StoreError, match="gone or empty"):
            opened(data)
        (data / FILE).touch()

    assert (data / LOG).read_bytes() == log
    (tmp_path / FILE).replace(data / FILE)
    assert answers(data) == answers(shutil.copytree(killed, tmp_path / "whole"))


def test_an_older_file_copied_into_place_is_refused(closed: Path, killed: Path, tmp_path: Path) -> None:
    data = shutil.copytree(killed, tmp_path / "data")
    (data / LOG).unlink()
    shutil.copy(closed / FILE, data / FILE)

    with pytest.raises(StoreError, match="older file copied"):
        opened(data)


@pytest.mark.parametrize("lost", [f"{FILE}-shm", NAME, "service.json"])
def test_what_is_made_anew_may_go(killed: Path, tmp_path: Path, lost: str) -> None:
    data = shutil.copytree(killed, tmp_path / "data")
    (data / lost).unlink(missing_ok=True)

    assert answers(data) == answers(shutil.copytree(killed, tmp_path / "whole"))


def test_damaged_vectors_are_mended(closed: Path, tmp_path: Path) -> None:
    """A bit in every one of them: what is made from the texts is what was there, and so are the next decisions."""
    data = shutil.copytree(closed, tmp_path / "data")
    with closing(sqlite3.connect(data / FILE)) as connection, connection:
        for seq, blob in connection.execute("SELECT seq, blob FROM vectors").fetchall():
            spoilt = bytearray(blob)
            spoilt[random.Random(seq).randrange(len(blob))] ^= 1 << seq % 8
            connection.execute("UPDATE vectors SET blob = ? WHERE seq = ?", (bytes(spoilt), seq))

    with opened(data):
        pass

    with opened(closed) as whole, opened(data) as mended:
        assert dump(mended.reader)["vectors"] == dump(whole.reader)["vectors"]
    assert answers(data) == answers(shutil.copytree(closed, tmp_path / "whole"))


def test_a_changed_text_is_found(closed: Path, tmp_path: Path) -> None:
    """No page is damaged, but the text is not the one that came."""
    data = shutil.copytree(closed, tmp_path / "data")
    content = (data / FILE).read_bytes()
    place = content.index(b"Harga beli kembali ikut berubah")
    flip(data / FILE, place + 1)

    engine = reader_engine(data)
    assert faults(engine) == ["texts"]
    engine.dispose()
    assert run("check", "--data", data).exit_code == 1


GUARDED = {
    *(
        "id",
        "cluster_id",
        "story_id",
        "copy_of",
        "url_key",
        "blob",
        "crc",
        "fingerprint",
        "seq",
        "article_seq",
    ),
    *("article_count", "copy_count", "independent_source_count", "cluster_count", "publisher"),
    *("first_published_us", "last_published_us", "published_us"),
}
"""Columns in which no bit may change unseen; the words of others are as safe as the disk."""


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 9))])
def test_flipped_bits(closed: Path, tmp_path: Path, seed: int) -> None:
    """Anywhere in the file: the start refuses it, or `check` names it, or nothing that decides is other than it was."""
    chance = random.Random(seed)
    whole = rows(closed)
    size = (closed / FILE).stat().st_size
    refused = found = 0
    for number in range(FLIPS):
        data = shutil.copytree(closed, tmp_path / str(number))
        content = bytearray((data / FILE).read_bytes())
        content[chance.randrange(size)] ^= 1 << chance.randrange(8)
        (data / FILE).write_bytes(content)
        try:
            with opened(data):
                pass
        except StoreError as error:
            assert "benang restore" in str(error)  # noqa: PT017
            refused += 1
            continue
        engine = reader_engine(data)
        named = faults(engine)
        engine.dispose()
        found += bool(named)
        assert named or rows(data) == whole
        shutil.rmtree(data)
    assert refused or seed > 1
    assert found or seed > 1


def rows(folder: Path) -> dict[tuple[str, str], list[Any]]:
    """Every guarded column of every table."""
    engine = reader_engine(folder)
    with engine.connect() as connection:
        found = {
            (name, column.name): list(
                connection.execute(select(column).order_by(*table.primary_key)).scalars()
            )
            for name, table in metadata.tables.items()
            for column in table.c
            if column.name in GUARDED
        }
    engine.dispose()
    return found


# --- while serving ----------------------------------------------------------------------------------------------------


def all_noise(file: Path) -> None:
    for page in range(2, file.stat().st_size // PAGE):
        with file.open("r+b") as store:
            store.seek(page * PAGE)
            store.write(random.Random(page).randbytes(PAGE))


def no_words(file: Path) -> None:
    """Where letters were is what no text begins with; every page is whole."""
    content = file.read_bytes()
    with file.open("r+b") as store:
        for place in re.finditer(rb"(?<=[a-z]{9} )[a-z]{3}", content):
            store.seek(place.start())
            store.write(b"\xff")


@pytest.mark.parametrize("damage", [all_noise, no_words])
@pytest.mark.parametrize("who", ["writer", "reader"])
def test_damage_that_comes_while_serving_is_told_as_such(
    closed: Path, tmp_path: Path, damage: Callable[[Path], None], who: str
) -> None:
    """P8: whoever meets it first: the request is refused, the damage counted as damage, and the service not ready."""
    data = shutil.copytree(closed, tmp_path / "data")
    with opened(data) as desk:
        engine = desk.reader if who == "reader" else desk._engine
        engine.dispose()  # what a connection has read of a small store it does not read again
        damage(data / FILE)
        if who == "reader":
            with pytest.raises(StoreUnavailable), reading(desk.reader) as connection:
                connection.execute(select(articles.c.text)).all()
        else:
            with desk._pending_lock:
                desk._window = None
            assert isinstance(desk.submit(look_alikes(SEED + 2, 3)).exception(30), StoreUnavailable)
        assert desk._is_damaged, "never ready again"
        counted = desk.metrics.registry.get_sample_value
        assert (counted(ERRORS, {"kind": "corrupt"}) or 0) > 0
        assert counted(ERRORS, {"kind": "other"}) == 0


# --- the number answered ----------------------------------------------------------------------------------------------


def test_the_number_answered_is_never_ahead_of_the_store(tmp_path: Path) -> None:
    """It follows every kind of work, and a start finds it equal."""
    with opened(tmp_path) as desk:
        for items in ([one] for one in look_alikes(SEED, 8)):
            (outcome,) = post(desk, *items)
            assert last(desk) == read_acknowledged(tmp_path)
        desk.delete(outcome.id).result(30)
        assert last(desk) == read_acknowledged(tmp_path)
    assert groups_in(tmp_path).clusters
    with opened(tmp_path) as desk:
        assert last(desk) == read_acknowledged(tmp_path) > 0
        with desk._engine.begin() as connection:
            connection.execute(update(vectors).values(crc=1))


def last(desk: Any) -> int:
    with desk.reader.connect() as connection:
        return int(connection.execute(select(func.max(changes.c.seq))).scalar_one())


# --- other ways in ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        ("recluster",),
        ("merge", "clu_" + "0" * 26, "clu_" + "1" * 26),
        ("keys", "create", "redaksi", "--scope", "read"),
    ],
    ids=lambda command: command[0],
)
def test_commands_that_write_alone_refuse_it_too(
    killed: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """Whoever opens the store for writing sees what is missing, and writes nothing."""
    data = shutil.copytree(killed, tmp_path / "data")
    (data / LOG).unlink()
    before = (data / FILE).read_bytes()

    result = run(*command, "--data", data)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "newest commits are gone" in said(result)
    assert (data / FILE).read_bytes() == before


def test_an_archive_takes_no_damaged_vectors(closed: Path, tmp_path: Path) -> None:
    """Workers of a night would compare with them."""
    data = shutil.copytree(closed, tmp_path / "data")
    with closing(sqlite3.connect(data / FILE)) as connection, connection:
        connection.execute("UPDATE vectors SET crc = crc + 1 WHERE seq = (SELECT max(seq) FROM vectors)")

    result = run("export", tmp_path / "archive", "--data", data)

    assert result.exit_code == 2
    assert "are damaged" in said(result)
    assert not (tmp_path / "archive" / "_archive.json").exists()
