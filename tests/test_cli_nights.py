"""Nights, editors' words and archives from the terminal: alone on a folder, through a service, or refused in a sentence."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from test_cli import run, said

from service.demo.show import read_articles
from service.store.engine import reader_engine
from service.store.read import assignments

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of all invented articles, made with the bundled model."""
    folder = tmp_path_factory.mktemp("made")
    file = folder / "news.ndjson"
    file.write_text("".join(json.dumps(one) + "\n" for one in read_articles()), encoding="utf-8")
    assert run("ingest", file, "--data", folder / "data", "--json").exit_code == 0
    return folder / "data"


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Path:
    """A store of its own with all of them."""
    return shutil.copytree(made, tmp_path / "data")


def places(folder: Path) -> dict[str, tuple[str, str]]:
    engine = reader_engine(folder)
    with engine.connect() as connection:
        found = assignments(connection)
    engine.dispose()
    return found


def answer(*arguments: str | Path) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_night_alone_on_the_folder(store: Path) -> None:
    """A dry run changes nothing and tells what a run then does; a second run finds nothing more to do."""
    before = places(store)
    tried = answer("recluster", "--data", store, "--dry-run", "--jobs", "1")
    assert tried["dry_run"]
    assert places(store) == before

    done = answer("recluster", "--data", store)

    assert done["status"] == "done"
    assert done["diff"]["counts"] == tried["diff"]["counts"]
    assert done["diff"]["articles"] == len(before)
    moved = {one["id"] for one in done["diff"]["articles_moved"]}
    assert moved == {one for one, place in places(store).items() if place[0] != before[one][0]}

    again = run("recluster", "--data", store, "--window", "3650d")
    assert again.exit_code == 0
    assert "stay where they are" in again.stdout
    assert run("check", "--data", store).exit_code == 0


@pytest.mark.parametrize("window", ["0d", "x", "-3d", "12m", "99999999d"])
def test_a_window_that_is_no_time(window: str, store: Path) -> None:
    result = run("recluster", "--data", store, "--window", window)
    assert result.exit_code == 2
    assert "no length of time" in said(result)


@pytest.mark.parametrize(
    "command",
    [
        ("recluster",),
        ("merge", "clu_1", "clu_2"),
        ("split", "clu_1", "art_1"),
        ("undo", "edt_1"),
        ("history", "clu_1"),
    ],
)
def test_a_folder_without_a_store_stays_without(command: tuple[str, ...], tmp_path: Path) -> None:
    result = run(*command, "--data", tmp_path)
    assert result.exit_code == 2
    assert "There is no store" in said(result)
    assert list(tmp_path.iterdir()) == []


def test_an_editor_merges_splits_and_takes_back(store: Path) -> None:
    """What is said holds at once and after a night, is told in the history, and can be undone."""
    first, second = sorted({cluster for cluster, _ in places(store).values()})[:2]

    merged = answer("merge", first, second, "--data", store, "--actor", "rini", "--note", "same fire")
    assert {cluster for cluster, _ in places(store).values()}.isdisjoint({second})
    answer("recluster", "--data", store)
    assert {cluster for cluster, _ in places(store).values()}.isdisjoint({second})

    told = run("history", second, "--data", store)
    assert told.exit_code == 0
    assert f"{second} was merged: it is {first} now." in " ".join(told.stdout.split())
    assert "rini" in told.stdout
    assert "same fire" in told.stdout

    refused = run("merge", first, second, "--data", store)
    assert refused.exit_code == 2
    assert "same group" in said(refused)

    undone = run("undo", merged["id"], "--data", store)
    assert undone.exit_code == 0
    assert "Undone" in undone.stdout
    again = run("undo", merged["id"], "--data", store)
    assert again.exit_code == 2
    assert "undone already" in said(again)


def test_a_story_is_split_from_the_terminal(store: Path) -> None:
    found = places(store)
    story = next(
        saga
        for saga in sorted({saga for _, saga in found.values()})
        if len({cluster for cluster, one in found.values() if one == saga}) > 1
    )
    leaving = max(cluster for cluster, one in found.values() if one == story)

    word = answer("split", story, leaving, "--data", store)

    assert {one for cluster, one in places(store).values() if cluster == leaving} == {word["other_id"]}
    assert run("check", "--data", store).exit_code == 0


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("merge", "art_1", "clu_2"), "is not the ID of a cluster"),
        (("undo", "clu_1"), "is not the ID of an edit"),
        (
            ("merge", "clu_01M85CN6S9MMADDSZE2GZ98S7J", "clu_01M85CN6S9MMADDSZE2GZ98S7K"),
            "is not in this store",
        ),
        (("history", "sto_nowhere"), "There is no group"),
    ],
)
def test_what_is_not_there_is_named(command: tuple[str, ...], message: str, store: Path) -> None:
    result = run(*command, "--data", store)
    assert result.exit_code == 2
    assert message in said(result)


def test_an_archive_holds_every_article(store: Path, tmp_path: Path) -> None:
    told = answer("export", tmp_path / "archive", "--data", store)
    rows = pq.read_table(tmp_path / "archive").to_pylist()
    found = places(store)

    assert told["articles"] == len(rows) == len(found)
    assert {row["id"]: (row["cluster_id"], row["story_id"]) for row in rows} == found
    assert all(row["vectors"] is not None for row in rows if row["relation"] == "original")

    again = run("export", tmp_path / "archive", "--data", store)
    assert again.exit_code == 2
    assert "not empty" in said(again)


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer(store: Path) -> None:
    before = places(store)
    result = run("recluster", "--data", store, "--scheduler", "tcp://127.0.0.1:9")
    assert result.exit_code == 2
    assert "does not answer" in said(result)
    assert places(store) == before
