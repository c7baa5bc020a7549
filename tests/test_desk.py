"""The desk: answers from many threads, an honest refusal, a clean end, and a recovery after every failure."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import HashingEncoder
from places import place_of, settings_of
from sqlalchemy import event, func, select, text, update
from sqlalchemy.exc import OperationalError
from wire import (
    FIRE,
    FIRE_RETOLD,
    FLOOD,
    OUTLETS,
    article,
    copied,
    cut,
    demo_articles,
    dump,
    faults,
    groups,
    look_alikes,
    models,
    room,
)

from embeddings.company import whole_company
from embeddings.similarity import FEATURES, compare, dense_cosine
from service.batch import prepare_vectors
from service.candidates import event_probability
from service.desk import Desk
from service.errors import NotReady, QueueFull, StorageFull, StoreUnavailable
from service.learned import ModelMismatchError
from service.store.engine import is_owned
from service.store.failures import StoreInUseError
from service.store.tables import articles, meta, tombstones, vectors
from service.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from service.model import Article, Outcome

BURNT = "Kebakaran Pasar Rengasdengkul Hanguskan Puluhan Kios"
BURNT_AGAIN = "Pasar Rengasdengkul Wanasegara Terbakar, Puluhan Kios Habis"
DROWNED = "Sungai Citamiang Meluap, Empat Kelurahan Terendam"
ONE, TWO, THREE, _ = OUTLETS
PATIENCE_S = 30
pytestmark = pytest.mark.usefixtures("database")


def opened(folder: Path, *, dimension: int = 64, **changes: Any) -> Desk:
    return Desk.open(settings_of(folder, **changes), Metrics(), models=models(dimension))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with opened(tmp_path) as one:
        yield one


def post(desk: Desk, *items: Article) -> list[Outcome]:
    return desk.submit(items).result(PATIENCE_S)


def wait_until_ready(desk: Desk) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not all(desk.ready().values()):
        assert time.monotonic() < deadline, desk.ready()
        time.sleep(0.01)


@contextmanager
def held(desk: Desk) -> Iterator[None]:
    """Keep the writer busy until the block ends."""
    go_on, reached = threading.Event(), threading.Event()

    def wait() -> None:
        reached.set()
        go_on.wait(PATIENCE_S)

    waiting = desk._call(wait)
    assert reached.wait(PATIENCE_S)
    try:
        yield
    finally:
        go_on.set()
        waiting.result(PATIENCE_S)


# --- answers ----------------------------------------------------------------------------------------------------------


def test_decides_like_the_use_case_alone(desk: Desk, tmp_path: Path) -> None:
    """Requests queued together are decided as if each article had come alone, and each gets its own answers."""
    items = look_alikes(21, 40, revise=True)
    parts = cut(items, 21)
    with held(desk):
        futures = [desk.submit(part) for part in parts]

    answers = [future.result(PATIENCE_S) for future in futures]

    with room(tmp_path / "other") as through:
        expected = through.replay([item] for item in items)
    assert expected == groups(desk.reader)
    for part, outcomes in zip(parts, answers, strict=True):
        assert [item.external_id for item in part] == [outcome.article.external_id for outcome in outcomes]


def test_thirty_two_threads_post_one_article(desk: Desk) -> None:
    """P4: it is created exactly once; the other thirty-one hear that it is there, under the same ID."""
    item = article("a", BURNT, FIRE)
    gate = threading.Barrier(32)

    def send(_number: int) -> Outcome:
        gate.wait(PATIENCE_S)
        return post(desk, item)[0]

    with ThreadPoolExecutor(32) as pool:
        outcomes = list(pool.map(send, range(32)))

    assert sorted(outcome.status for outcome in outcomes) == ["created"] + ["unchanged"] * 31
    assert len({(outcome.id, outcome.placement.cluster_id) for outcome in outcomes}) == 1
    with desk.reader.connect() as connection:
        assert connection.execute(select(func.count()).select_from(articles)).scalar_one() == 1


def test_an_empty_request_is_answered(desk: Desk) -> None:
    """Nothing in, nothing out, and the next request is served."""
    assert post(desk) == []
    assert post(desk, article("a", BURNT, FIRE))[0].status == "created"


def test_counts_what_happened(desk: Desk) -> None:
    """P30: statuses, relations and the rows of index and database are told."""
    post(desk, article("a", BURNT, FIRE), article("b", BURNT, FIRE, source=TWO), article("c", DROWNED, FLOOD))
    post(desk, article("a", BURNT, FIRE), article("c", DROWNED, f"{FLOOD} Lagi."))
    told = desk.metrics.render().decode()

    for line in (
        'benang_articles_total{status="created"} 3.0',
        'benang_articles_total{status="unchanged"} 1.0',
        'benang_articles_total{status="revised"} 1.0',
        'benang_relations_total{relation="original"} 2.0',
        'benang_relations_total{relation="reprint"} 1.0',
        "benang_index_vectors 2.0",
        "benang_database_vectors 2.0",
        "benang_queue_length 0.0",
    ):
        assert line in told


# --- deletion ---------------------------------------------------------------------------------------------------------


def test_delete_says_whether_there_was_one(desk: Desk) -> None:
    """True once, False ever after, and a tombstone remains."""
    (outcome,) = post(desk, article("a", BURNT, FIRE))

    assert [desk.delete(outcome.id).result(PATIENCE_S) for _ in range(3)] == [True, False, False]
    assert desk.delete("art_unknown").result(PATIENCE_S) is False
    with desk.reader.connect() as connection:
        assert outcome.id in set(connection.execute(select(tombstones.c.id)).scalars())


@pytest.mark.parametrize("seed", [1, 2])
def test_deletions_leave_what_a_restart_finds(tmp_path: Path, seed: int) -> None:
    """P5b: after posts, edits and deletions the live desk decides like one that has just started, on a sound store."""
    chance = random.Random(seed)
    stream = look_alikes(seed, 60, revise=True)
    ids: set[str] = set()
    with opened(tmp_path / "live") as desk:
        for part in cut(stream[:45], seed):
            ids |= {outcome.id for outcome in post(desk, *part)}
            if chance.random() < 0.6:
                gone = chance.choice(sorted(ids))
                ids.discard(gone)
                assert desk.delete(gone).result(PATIENCE_S)
        assert faults(desk.reader) == []
        assert_vectors_fit(desk)
        copied(desk.reader, tmp_path / "restarted")
        post(desk, *stream[45:])
        live = groups(desk.reader)
    with opened(tmp_path / "restarted") as desk:
        post(desk, *stream[45:])
        assert live == groups(desk.reader)


def assert_vectors_fit(desk: Desk) -> None:
    """Every stored vector is that of its article's own title and text."""
    query = select(articles.c.external_id, articles.c.title, articles.c.text, vectors.c.blob).join(
        vectors, vectors.c.article_seq == articles.c.seq
    )
    with desk.reader.connect() as connection:
        rows = connection.execute(query).all()
    expected = prepare_vectors(desk.models, [article(row.external_id, row.title, row.text) for row in rows])
    assert [item.vectors.to_bytes() for item in expected] == [row.blob for row in rows]


def test_an_heir_is_found_by_its_own_text(desk: Desk) -> None:
    """The copy of an article that was edited and then deleted is compared by its own words, not the edited ones."""
    (original, copy) = post(desk, article("a", BURNT, FIRE), article("b", BURNT, FIRE, source=TWO))
    post(desk, article("a", DROWNED, FLOOD))
    assert desk.delete(original.id).result(PATIENCE_S)

    (retold,) = post(desk, article("c", BURNT_AGAIN, FIRE_RETOLD, source=THREE, hours=1))

    assert copy.id == retold.placement.reason.nearest
    assert_vectors_fit(desk)


def test_stays_ready_when_roles_change(desk: Desk) -> None:
    """P29: after a deletion that makes the index anew the desk is ready without waiting for the next request."""
    (original, _copy) = post(desk, article("a", BURNT, FIRE), article("b", BURNT, FIRE, source=TWO))

    assert desk.delete(original.id).result(PATIENCE_S)

    wait_until_ready(desk)


# --- similar ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "source", "expected"),
    [
        (FIRE, ONE, "exact_copy"),
        (FIRE, TWO, "reprint"),
        (FIRE[: len(FIRE) * 2 // 3], ONE, "near_copy"),
        (f"{FIRE} Simak kabar lain.", ONE, "near_copy"),
        (FIRE_RETOLD, ONE, "original"),
    ],
)
def test_similar_says_what_posting_would(desk: Desk, body: str, source: str, expected: str) -> None:
    """The relation that a comparison names is the one a post then gets, and the comparison stores nothing."""
    (first, _other) = post(desk, article("a", BURNT, FIRE), article("c", DROWNED, FLOOD))
    item = article("b", BURNT, body, source=source, hours=1)
    before = dump(desk.reader)

    nearest = desk.similar(item, 5).result(PATIENCE_S)[0]

    assert before == dump(desk.reader)
    assert (first.id, expected) == (nearest.id, nearest.relation)
    assert (first.placement.cluster_id, first.placement.story_id) == (nearest.cluster_id, nearest.story_id)
    (posted,) = post(desk, item)
    assert expected == posted.placement.relation
    if expected == "original":
        assert nearest.probability == pytest.approx(posted.placement.reason.probability, abs=1e-4)


def test_similar_leaves_no_trace_in_memory(desk: Desk) -> None:
    """After many comparisons the next posts are decided as if there had been none."""
    items = look_alikes(9, 24)
    for item in items:
        desk.similar(item, 3).result(PATIENCE_S)
        post(desk, item)
        desk.similar(replace(item, text=f"{item.text} Lagi."), 3).result(PATIENCE_S)

    found = groups(desk.reader)
    rows = len(desk._live().shelf)

    with room(desk.settings.data / "other") as through:
        assert through.replay([items]) == found
        assert len(through.window.shelf) == rows


def test_similar_to_finds_the_most_probable(desk: Desk) -> None:
    """The neighbours of every demo article are the most probable of its company, which the most alike of all belong to."""
    items = demo_articles()
    outcomes = post(desk, *items)
    window = desk._live()
    rows = np.arange(len(window.shelf))
    for outcome in outcomes:
        own = window.row_of(outcome.id)
        if own is None:
            continue
        hours = window.shelf.hours.values
        others = rows[(rows != own) & (np.abs(hours - hours[own]) <= 14 * 24)]
        left, company = whole_company(window.articles, [own])
        assert set(company.tolist()) <= set(others.tolist())
        alike = dense_cosine(window.shelf, np.full(len(others), own), others)
        assert others[alike.argmax()] in company
        features = compare(window.shelf, left, company).features
        chances = event_probability(desk.models.event, features).tolist()
        leads = features[:, FEATURES.index("lead_cosine")].tolist()
        best = sorted(zip(chances, leads, (-company).tolist(), strict=True), reverse=True)[:3]

        found = desk.similar_to(outcome.id, 3).result(PATIENCE_S)

        assert found is not None
        expected = [(window.article_id(-row), round(chance, 4), round(lead, 4)) for chance, lead, row in best]
        assert expected == [(one.id, one.probability, one.similarity) for one in found]


def test_similar_to_a_copy_and_to_nothing(desk: Desk) -> None:
    """An exact copy has its original for a neighbour and never itself; an unknown ID has none."""
    (first, copy) = post(desk, article("a", BURNT, FIRE), article("b", BURNT, FIRE, source=TWO))

    found = desk.similar_to(copy.id, 5).result(PATIENCE_S)

    assert found is not None
    assert [(first.id, "reprint")] == [(one.id, one.relation) for one in found]
    assert desk.similar_to("art_unknown", 5).result(PATIENCE_S) is None


# --- admission and the end --------------------------------------------------------------------------------------------


def test_a_full_queue_refuses_and_recovers(tmp_path: Path) -> None:
    """P16: beyond the bound requests of every kind are refused at once; what was accepted is done, then there is room."""
    with opened(tmp_path, queue_size=3) as desk:
        with held(desk):
            accepted = [desk.submit([article(f"a{number}", BURNT, FIRE)]) for number in range(2)]
            for refused in (
                lambda: desk.submit([article("x", BURNT, FIRE)]),
                lambda: desk.delete("art_x"),
                lambda: desk.similar(article("x", BURNT, FIRE), 1),
                lambda: desk.similar_to("art_x", 1),
                lambda: desk.submit_prepared([]),
            ):
                with pytest.raises(QueueFull):
                    refused()
        assert [future.result(PATIENCE_S)[0].status for future in accepted] == ["created", "created"]
        assert post(desk, article("x", DROWNED, FLOOD))[0].status == "created"


def test_closing_finishes_what_was_accepted(tmp_path: Path, database: str) -> None:
    """P28: work accepted before the end is decided and durable; afterwards nothing is taken, and the folder is free."""
    items = look_alikes(4, 30)
    desk = opened(tmp_path)
    futures: list[Future[Any]] = [desk.submit([item]) for item in items]
    futures.append(desk.similar(items[0], 1))
    desk.close()

    assert all(future.done() for future in futures)
    assert [len(future.result()) for future in futures[:-1]] == [1] * len(items)
    for refused in (lambda: desk.submit(items[:1]), lambda: desk.delete("art_x")):
        with pytest.raises(NotReady):
            refused()
    desk.close()
    assert not is_owned(place_of(tmp_path))
    if database == "sqlite":
        assert (tmp_path / "benang.db").stat().st_size > 0
        assert not (tmp_path / "benang.db-wal").exists() or (tmp_path / "benang.db-wal").stat().st_size == 0
    with room(tmp_path) as stored:
        assert len(groups(stored.engine).revisions) == len({item.external_id for item in items})


def test_no_accepted_request_is_forgotten_at_the_end(tmp_path: Path, database: str) -> None:
    """P28: while sixteen threads post, the desk closes: each request is either refused or answered, none hangs."""
    for attempt in range(8 if database == "sqlite" else 2):
        desk = opened(tmp_path / str(attempt))
        futures: list[Future[Any]] = []

        def send(desk: Desk, futures: list[Future[Any]]) -> None:
            for _ in range(200):
                try:
                    futures.append(desk.submit_prepared([]))
                    futures.append(desk.delete("art_x"))
                except QueueFull:
                    continue
                except NotReady:
                    return

        threads = [threading.Thread(target=send, args=(desk, futures)) for _ in range(16)]
        for thread in threads:
            thread.start()
        desk.close()
        for thread in threads:
            thread.join()

        assert all(future.done() for future in futures)


def test_a_caller_that_gives_up_hurts_nobody(desk: Desk) -> None:
    """A cancelled future is either too late or without effect on the writer: the next request is answered."""
    with held(desk):
        given_up = desk.submit([article("a", BURNT, FIRE)])
        looked = desk.similar(article("b", BURNT, FIRE), 1)
        given_up.cancel()
        looked.cancel()

    assert post(desk, article("c", DROWNED, FLOOD))[0].status == "created"
    assert post(desk, article("a", BURNT, FIRE))[0].status in {"created", "unchanged"}
    assert all(desk.ready().values())


def test_a_second_desk_is_refused(desk: Desk, tmp_path: Path) -> None:
    """P10: one folder has one desk."""
    with pytest.raises(StoreInUseError):
        opened(tmp_path)

    assert post(desk, article("a", BURNT, FIRE))[0].status == "created"


# --- models and damage ------------------------------------------------------------------------------------------------


def test_another_model_is_refused(tmp_path: Path) -> None:
    """P11: vectors of two models are never compared: another dimension, name or text version refuses to start."""
    with opened(tmp_path) as desk:
        post(desk, article("a", BURNT, FIRE))
        before = dump(desk.reader)
    renamed = HashingEncoder(64)
    renamed.name = "other-64"
    wider = HashingEncoder(32)
    wider.name = "hashing-64"

    for encoder in (renamed, wider, HashingEncoder(32)):
        with pytest.raises(ModelMismatchError):
            Desk.open(settings_of(tmp_path), Metrics(), models=replace(models(), encoder=encoder))

    with opened(tmp_path) as desk:
        assert before == dump(desk.reader)
        with desk._engine.begin() as connection:
            connection.execute(update(meta).where(meta.c.key == "text_version").values(value="0"))
    with pytest.raises(ModelMismatchError):
        opened(tmp_path)


@pytest.mark.parametrize("kind", ["flipped", "cut", "checksum"])
def test_a_damaged_vector_is_made_again(tmp_path: Path, kind: str) -> None:
    """P8: a vector that does not match its checksum is computed from the text at start, written, and answers are as before."""
    with opened(tmp_path) as desk:
        (first, _other) = post(desk, article("a", BURNT, FIRE), article("b", DROWNED, FLOOD))
        expected = desk._live().shelf.codes.values.tolist()
    with room(tmp_path) as stored, stored.engine.begin() as connection:
        row = connection.execute(select(vectors)).first()
        assert row is not None
        blob = bytearray(row.blob)
        blob[20] ^= 64
        damage = {"flipped": {"blob": bytes(blob)}, "cut": {"blob": row.blob[:50]}, "checksum": {"crc": 1}}
        connection.execute(update(vectors).where(vectors.c.seq == row.seq).values(**damage[kind]))

    with room(tmp_path) as stored:
        assert faults(stored.engine) == ["vectors"]

    with opened(tmp_path) as desk:
        assert faults(desk.reader) == []
        assert expected == desk._live().shelf.codes.values.tolist()
        (retold,) = post(desk, article("c", BURNT_AGAIN, FIRE_RETOLD, source=TWO, hours=1))

    assert first.placement.cluster_id == retold.placement.cluster_id


# --- failures of the store --------------------------------------------------------------------------------------------


@contextmanager
def failing(desk: Desk, where: str = "INSERT INTO vectors") -> Iterator[None]:
    """Let statements that hold `where` fail as a broken database does."""

    def fail(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if where in statement:
            raise OperationalError(statement, None, sqlite3.OperationalError("disk I/O error"))

    event.listen(desk._engine, "before_cursor_execute", fail)
    try:
        yield
    finally:
        event.remove(desk._engine, "before_cursor_execute", fail)


def failed(desk: Desk, items: Sequence[Article]) -> BaseException | None:
    return desk.submit(items).exception(PATIENCE_S)


@pytest.mark.parametrize("where", ["INSERT INTO articles", "INSERT INTO vectors", "UPDATE stories"])
def test_after_a_failure_the_desk_goes_on(desk: Desk, tmp_path: Path, where: str) -> None:
    """P2, P5b: a batch the store refuses has never been; the next is decided as in a run without it."""
    items = look_alikes(12, 36)
    post(desk, *items[:12])
    with failing(desk, where):
        assert isinstance(failed(desk, items[12:24]), StoreUnavailable)
    post(desk, *items[24:])

    with room(tmp_path / "other") as through:
        assert through.replay([items[:12], items[24:]]) == groups(desk.reader)
    assert faults(desk.reader) == []
    assert post(desk, *items[12:24])[0].status == "created"
    assert 'benang_store_errors_total{kind="other"} 1.0' in desk.metrics.render().decode()


@pytest.mark.parametrize("where", ["INSERT INTO vectors", "vectors"], ids=["one commit", "reading too"])
def test_ready_again_without_another_request(desk: Desk, where: str) -> None:
    """P5b, P29: after a failure the index is made anew at once: nobody has to send the request that a proxy holds back."""
    with failing(desk, where):
        assert isinstance(failed(desk, [article("a", BURNT, FIRE)]), StoreUnavailable)
        time.sleep(0.1)

    wait_until_ready(desk)


def test_a_failed_index_is_rebuilt(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """P5b: when the index fails after the commit, what was stored is found by the next article all the same."""

    def fail(_rows: object) -> None:
        raise RuntimeError("injected")

    monkeypatch.setattr(desk._live().articles, "add_dense", fail)
    assert isinstance(failed(desk, [article("a", BURNT, FIRE)]), RuntimeError)

    (retold,) = post(desk, article("b", BURNT_AGAIN, FIRE_RETOLD, source=TWO, hours=1))

    assert post(desk, article("a", BURNT, FIRE))[0].status == "unchanged"
    assert retold.placement.reason.rule == "joined"


def test_only_the_request_that_cannot_be_encoded_fails(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """P5: an encoder that fails on one request answers that one with the error and serves the others."""
    encode = desk.models.encoder.encode

    def sometimes(texts: Sequence[str]) -> Any:
        if any("racun" in text for text in texts):
            raise ValueError("injected")
        return encode(texts)

    monkeypatch.setattr(desk.models.encoder, "encode", sometimes)
    with held(desk):
        futures = [desk.submit([article(name, BURNT, f"{FIRE} {name}")]) for name in ("a", "racun", "b")]

    assert isinstance(futures[1].exception(PATIENCE_S), ValueError)
    assert [futures[place].result(PATIENCE_S)[0].status for place in (0, 2)] == ["created", "created"]
    assert "benang_queue_length 0.0" in desk.metrics.render().decode()


def test_counting_for_the_operator_may_fail(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that cannot connect costs a figure in the metrics, not the writer."""

    def fail() -> None:
        raise OperationalError("SELECT", None, sqlite3.OperationalError("unable to open database file"))

    with monkeypatch.context() as patch:
        patch.setattr(desk.reader, "connect", fail)
        assert post(desk, article("a", BURNT, FIRE))[0].status == "created"

    assert post(desk, article("b", DROWNED, FLOOD))[0].status == "created"
    assert all(desk.ready().values())


def test_a_full_disk_refuses_and_recovers(desk: Desk, database: str) -> None:
    """P7: without room a post is refused as such, reading goes on, nothing is half there, and with room it goes on."""
    if database != "sqlite":
        pytest.skip("a page limit is SQLite's; tests/crash/test_postgres_server.py fills a disk")
    items = look_alikes(6, 20)
    post(desk, *items)
    expected = groups(desk.reader)
    big = [article(f"big{number}", f"{BURNT} {number}", f"{FLOOD} {number} " * 200) for number in range(20)]

    def limit(pages: str) -> None:
        with desk._engine.begin() as connection:
            connection.execute(text(f"PRAGMA max_page_count={pages}"))

    desk._call(lambda: limit("1")).result(PATIENCE_S)  # SQLite makes this the present size
    error = failed(desk, big)
    assert isinstance(error, StorageFull)
    assert expected == groups(desk.reader)
    assert faults(desk.reader) == []

    desk._call(lambda: limit("1073741823")).result(PATIENCE_S)
    assert {outcome.status for outcome in post(desk, *big)} == {"created"}
    assert 'benang_store_errors_total{kind="full"} 1.0' in desk.metrics.render().decode()
