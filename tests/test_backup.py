"""P9: a backup is whole and of one moment, whoever writes meanwhile; what is restored answers as the store did then."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select
from test_changes import truth
from test_cli import run, said
from test_desk import PATIENCE_S, opened, post
from wire import Groups, cut, dump, faults, groups, look_alikes, room

from service.backup import NOTE, back_up, restore
from service.store.changes import RESTORED
from service.store.copying import CopyError
from service.store.engine import reader_engine
from service.store.failures import FolderInUseError
from service.store.sqlite import FILE, own_folder
from service.store.tables import changes, vectors

if TYPE_CHECKING:
    from pathlib import Path

    from service.backup import Backup, Restored

SEED, COUNT = 5, 90


def no_bar(_done: int, _total: int) -> None:
    pass


def backed_up(data: Path, to: Path, keep: int | None = None) -> Backup:
    return back_up(data, to, keep=keep, progress=no_bar)


def put_back(backup: Path, data: Path, *, replace: bool = False) -> Restored:
    return restore(backup, data, replace=replace, progress=no_bar)


def rows_of(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, but for the news that the store was restored."""
    engine = reader_engine(folder)
    found = dump(engine)
    engine.dispose()
    found["changes"] = [row for row in found["changes"] if RESTORED not in row]
    return found


def groups_in(folder: Path) -> Groups:
    engine = reader_engine(folder)
    assert faults(engine) == []
    found = groups(engine)
    engine.dispose()
    return found


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with copies, revisions and deletions, closed."""
    folder = tmp_path_factory.mktemp("backed")
    with opened(folder) as desk:
        outcomes = post(desk, *look_alikes(SEED, COUNT, revise=True))
        for outcome in outcomes[::9]:
            desk.delete(outcome.id).result(PATIENCE_S)
    return folder


@pytest.fixture
def data(store: Path, tmp_path: Path) -> Path:
    """A copy of it, to be treated badly."""
    return shutil.copytree(store, tmp_path / "data")


# --- making one -------------------------------------------------------------------------------------------------------


def test_backup_under_writes(tmp_path: Path) -> None:
    """P9: backups taken while articles come hold a beginning of the stream, and go on from there to the same groups."""
    items = look_alikes(SEED, 400)
    (tmp_path / "kept").mkdir()
    ended = threading.Event()
    with opened(tmp_path / "data", batch_size=16) as desk:
        post(desk, *items[:20])

        def write() -> None:
            for part in cut(items[20:], SEED):
                post(desk, *part)
            ended.set()

        writer = threading.Thread(target=write)
        writer.start()
        made = [backed_up(tmp_path / "data", tmp_path / "kept")]
        while not ended.wait(0.02):
            made.append(backed_up(tmp_path / "data", tmp_path / "kept"))
        writer.join()
        whole = groups(desk.reader)

    sizes = [one.held.articles for one in made]
    assert sizes == sorted(sizes)
    assert len({size for size in sizes if size < len(items)}) > 2, "nothing was written meanwhile"
    for number, one in enumerate(random.Random(SEED).sample(made, 3)):
        folder = tmp_path / str(number)
        put_back(one.file, folder)
        with room(tmp_path / f"other{number}") as through:
            assert through.replay([items[: one.held.articles]]) == groups_in(folder)
        with opened(folder) as desk:
            post(desk, *items[one.held.articles :])
        assert groups_in(folder) == whole


def test_a_backup_is_one_file_of_every_row(store: Path, tmp_path: Path) -> None:
    """Nothing beside it is needed, nothing is left beside it, and only its owner may read it."""
    made = backed_up(store, tmp_path / "news.db")

    assert [one.name for one in tmp_path.iterdir()] == ["news.db"]
    assert made.file.stat().st_mode & 0o777 == 0o600
    put_back(made.file, tmp_path / "restored")
    assert rows_of(tmp_path / "restored") == rows_of(store)
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["news.db"]


def test_a_backup_holds_what_the_log_holds(data: Path, tmp_path: Path) -> None:
    """After kill -9 the newest commits stand in the log alone."""
    with opened(data) as desk:
        post(desk, *look_alikes(SEED + 1, 10))
        killed = shutil.copytree(data, tmp_path / "killed")
    assert (killed / f"{FILE}-wal").stat().st_size > 0

    made = backed_up(killed, tmp_path / "news.db")

    put_back(made.file, tmp_path / "restored")
    assert rows_of(tmp_path / "restored") == rows_of(data)


def test_the_service_tells_when_the_last_backup_was_made(data: Path, tmp_path: Path) -> None:
    """Made by another process; one that failed does not count."""
    name = "benang_backup_last_success_timestamp_seconds"
    (data / NOTE).unlink(missing_ok=True)
    with opened(data) as desk:
        assert f"{name} 0.0" in desk.metrics.render().decode()
        with pytest.raises(CopyError):
            backed_up(data, tmp_path / "nowhere" / "news.db")
        assert f"{name} 0.0" in desk.metrics.render().decode()
        before = time.time()
        assert run("backup", "--data", data, "--to", tmp_path / "news.db").exit_code == 0
        (line,) = [one for one in desk.metrics.render().decode().splitlines() if one.startswith(name)]
    assert before - 1 <= float(line.split()[1]) <= time.time() + 1


def test_only_the_newest_stay(store: Path, tmp_path: Path) -> None:
    """`--keep` counts backups of its own making; what else lies in the folder stays."""
    others = {"notes.txt", "benang-old.db", "benang.db.replaced-20260101T000000000000Z"}
    for name in others:
        (tmp_path / name).write_text("x")
    made = [backed_up(store, tmp_path, keep=3) for _ in range(5)]

    assert {one.name for one in tmp_path.iterdir()} == others | {one.file.name for one in made[-3:]}
    assert [one.file for one in made[:2]] == [*made[3].removed, *made[4].removed]


def test_places_that_are_refused(store: Path, tmp_path: Path) -> None:
    """Never over the store, another store, or a file of another kind; never into a folder that is not there."""
    (tmp_path / "notes.txt").write_text("dear diary")
    other = shutil.copytree(store, tmp_path / "other")
    for to, said_so in (
        (store / FILE, "holds the store itself"),
        (store, "holds the store itself"),
        (other / FILE, "is a store, not a backup"),
        (tmp_path / "notes.txt", "is something else"),
        (tmp_path / "nowhere" / "news.db", "no folder"),
    ):
        with pytest.raises(CopyError, match=said_so):
            backed_up(store, to)
    with pytest.raises(CopyError, match="no folder"):
        backed_up(store, tmp_path / "news.db", keep=2)

    assert (tmp_path / "notes.txt").read_text() == "dear diary"
    assert rows_of(other) == rows_of(store)


def test_a_damaged_store_leaves_the_backup_before(data: Path, tmp_path: Path) -> None:
    """What cannot be read whole never takes the place of what could."""
    backed_up(data, tmp_path / "news.db")
    before = (tmp_path / "news.db").read_bytes()
    spoil(data / FILE)

    with pytest.raises(CopyError, match="damaged"):
        backed_up(data, tmp_path / "news.db")

    assert (tmp_path / "news.db").read_bytes() == before
    assert {one.name for one in tmp_path.iterdir()} == {"data", "news.db"}


def spoil(file: Path) -> None:
    """Write noise over a page in the middle."""
    content = bytearray(file.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = random.Random(1).randbytes(4096)
    file.write_bytes(content)


# --- the way back -----------------------------------------------------------------------------------------------------


def test_restore_over_a_live_store_is_refused(data: Path, tmp_path: Path) -> None:
    """P9, P10: whoever owns the folder keeps it, `--replace` or not, and goes on."""
    made = backed_up(data, tmp_path / "news.db")
    with opened(data) as desk:
        for replace in (False, True):
            with pytest.raises(FolderInUseError):
                put_back(made.file, data, replace=replace)
        post(desk, *look_alikes(SEED + 1, 5))
        assert faults(desk.reader) == []


def test_a_store_is_only_replaced_when_told_so_and_kept(data: Path, tmp_path: Path) -> None:
    made = backed_up(data, tmp_path / "news.db")
    before = rows_of(data)
    with opened(data) as desk:
        post(desk, *look_alikes(SEED + 1, 5))
    grown = rows_of(data)

    with pytest.raises(CopyError, match="--replace"):
        put_back(made.file, data)
    assert rows_of(data) == grown

    done = put_back(made.file, data, replace=True)

    assert rows_of(data) == before
    assert done.aside is not None
    (tmp_path / "old").mkdir()
    done.aside.rename(tmp_path / "old" / FILE)
    assert rows_of(tmp_path / "old") == grown
    assert {one.name for one in data.iterdir()} <= {
        FILE,
        "lock",
        "acknowledged",
        "backed_up",
        f"{FILE}-wal",
        f"{FILE}-shm",
    }


def test_the_log_of_the_old_store_never_joins_the_new_one(data: Path, tmp_path: Path) -> None:
    """A log left by kill -9 goes with its own file, also where that file is damaged, or gone."""
    made = backed_up(data, tmp_path / "news.db")
    expected = rows_of(data)
    with opened(data) as desk:
        post(desk, *look_alikes(SEED + 1, 10))
        killed = [shutil.copytree(data, tmp_path / name) for name in ("whole", "damaged", "gone")]
        grown = dump(desk.reader)
    (killed[1] / FILE).write_bytes(b"SQLite format 3\0" + bytes(5000))
    (killed[2] / FILE).unlink()

    for folder in killed:
        done = put_back(made.file, folder, replace=True)
        assert rows_of(folder) == expected
        if folder.name == "whole":
            assert done.aside is not None
            (tmp_path / "old").mkdir()
            done.aside.rename(tmp_path / "old" / FILE)
            assert rows_of(tmp_path / "old") == grown


def test_what_was_restored_goes_on_with_new_numbers(data: Path, tmp_path: Path) -> None:
    """P9: the feed of two lives that began with one backup has no number in common but what the backup holds."""
    made = backed_up(data, tmp_path / "news.db")
    common = {row[0] for row in rows_of(data)["changes"]}
    numbers = []
    for seed in (1, 2):
        put_back(made.file, data, replace=True)
        with opened(data) as desk:
            post(desk, *look_alikes(SEED + seed, 10))
            mirror = truth(desk.reader)
            with desk.reader.connect() as connection:
                numbers.append(set(connection.execute(select(changes.c.seq)).scalars()) - common)
        assert mirror.cluster_of

    assert all(len(one) > 10 for one in numbers)
    assert numbers[0] & numbers[1] == set()
    assert all(number < 2**53 for number in numbers[1])


@pytest.mark.parametrize("damage", ["page", "cut", "empty", "text", "other database", "later", "missing"])
def test_a_damaged_backup_is_refused(data: Path, tmp_path: Path, damage: str) -> None:
    """P9: in a sentence, before anything is changed: the store that is there stays, and nothing is left over."""
    file = backed_up(data, tmp_path / "news.db").file
    before = rows_of(data)
    if damage == "page":
        spoil(file)
    elif damage == "cut":
        os.truncate(file, file.stat().st_size * 2 // 3)
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "text":
        file.write_text("no database at all\n" * 500)
    elif damage == "missing":
        file.unlink()
    else:
        if damage == "other database":
            file.unlink()
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute(
                "UPDATE alembic_version SET version_num = '9999'"
                if damage == "later"
                else "CREATE TABLE a (b)"
            )

    result = run("restore", file, "--data", data, "--replace")

    assert result.exit_code == 2
    assert "Traceback" not in result.output
    words = {
        "later": "later version",
        "missing": "no file",
        "empty": "no store",
        "other database": "no store",
    }
    assert words.get(damage, "damaged") in said(result)
    assert rows_of(data) == before
    assert [one.name for one in data.iterdir() if "benang" in one.name and one.name != FILE] == []


def test_a_vector_damaged_in_the_backup_is_told_and_made_again(data: Path, tmp_path: Path) -> None:
    """P8, P9: it does not stand in the way: the service computes it from the text."""
    file = backed_up(data, tmp_path / "news.db").file
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "UPDATE vectors SET blob = zeroblob(length(blob)) WHERE seq = (SELECT min(seq) FROM vectors)"
        )

    done = put_back(file, tmp_path / "restored")

    assert [one.name for one in done.findings if not one.ok] == ["vectors"]
    assert done.is_sound
    with opened(data) as old, opened(tmp_path / "restored") as new:
        assert old._live().shelf.codes.values.tolist() == new._live().shelf.codes.values.tolist()


def test_what_killed_processes_left_is_removed(data: Path, tmp_path: Path) -> None:
    """Half a backup, half a restore; one that is under way is left alone."""
    made = backed_up(data, tmp_path / "news.db")
    left, owned = tmp_path / ".benang-part-abc", tmp_path / "lock" / ".benang-part-def"
    left.write_text("half")
    (data / ".benang-restore-abc").mkdir()
    owned.parent.mkdir()

    with own_folder(owned.parent):
        (owned.parent / "lock").rename(owned)
        owned.replace(tmp_path / owned.name)
        backed_up(data, tmp_path / "news.db")
        assert (tmp_path / owned.name).exists()
    backed_up(data, tmp_path / "news.db")
    put_back(made.file, data, replace=True)

    assert {one.name for one in tmp_path.iterdir()} == {"data", "news.db", "lock"}
    assert not (data / ".benang-restore-abc").exists()


# --- in the terminal --------------------------------------------------------------------------------------------------


def test_backup_and_restore_in_the_terminal(store: Path, tmp_path: Path) -> None:
    """What is said is what is there: counts of the file, in words and as JSON."""
    found = groups_in(store)
    told = json.loads(run("backup", "--data", store, "--to", tmp_path, "--keep", "1", "--json").stdout)
    file = tmp_path / told["file"]
    assert (told["articles"], told["clusters"], told["stories"]) == (
        len(found.revisions),
        len(found.clusters),
        len(found.stories),
    )
    assert (told["bytes"], told["removed"]) == (file.stat().st_size, [])
    shown = run("backup", "--data", store, "--to", tmp_path / "other.db")
    assert f"{len(found.revisions)} articles in {len(found.clusters)} clusters" in " ".join(
        shown.stdout.split()
    )

    back = run("restore", file, "--data", tmp_path / "new", "--json")
    assert back.exit_code == 0
    facts = json.loads(back.stdout)
    assert (facts["articles"], facts["wrong"], facts["replaced"]) == (len(found.revisions), [], None)
    assert facts["newest_received_at"] == "2026-06-01T00:00:00+00:00"
    assert groups_in(tmp_path / "new") == found
    again = run("restore", file, "--data", tmp_path / "new", "--replace")
    assert "is kept as" in " ".join(again.stdout.split())


def test_a_backup_with_wrong_counts_is_restored_and_told(data: Path, tmp_path: Path) -> None:
    """Exit status 1: better than nothing, and nobody has to find out by chance."""
    with closing(sqlite3.connect(data / FILE)) as connection, connection:
        connection.execute("UPDATE stories SET article_count = article_count + 1")
    file = backed_up(data, tmp_path / "news.db").file

    result = run("restore", file, "--data", tmp_path / "new")

    assert result.exit_code == 1
    assert "the counts of stories equal their members" in said(result)
    assert rows_of(tmp_path / "new")[vectors.name] == rows_of(data)[vectors.name]


def test_places_as_they_are_typed(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative to where the command is given, as anybody writes them."""
    shutil.copytree(store, tmp_path / "store")
    monkeypatch.chdir(tmp_path)
    commands = (
        ("backup", "--data", "store", "--to", "news.db"),
        ("restore", "news.db", "--data", "restored"),
        ("export", "news.ndjson.gz", "--data", "store"),
        ("import", "news.ndjson.gz", "--data", "imported"),
    )
    for command in commands:
        done = run(*command)
        assert done.exit_code == 0, (command, said(done), done.exception)

    assert rows_of(tmp_path / "restored") == rows_of(store)
    assert groups_in(tmp_path / "imported") == groups_in(store)
