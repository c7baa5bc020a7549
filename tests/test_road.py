"""The road of an article: what is the same stays the same, whatever the batches, repeats and failures."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from road import article, demo, everything, put, window
from sqlalchemy import Engine, event, func, select
from sqlalchemy.exc import OperationalError

from service.check import check_store
from service.store import remove
from service.store.engine import migrate, writer_engine
from service.store.tables import articles, clusters, revisions, tombstones
from service.window import Window

LONG = " ".join(
    f"Bendungan Tirta Kencana di Kabupaten Sela Jaya jebol pada malam hari ke-{n} setelah hujan deras; petugas "
    f"mengungsikan warga Desa Wanasari nomor {n} ke balai kota."
    for n in range(12)
)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = writer_engine(tmp_path)
    migrate(made)
    yield made
    made.dispose()


def assert_in_order(engine: Engine) -> None:
    with engine.connect() as connection:
        assert [finding for finding in check_store(connection) if not finding.ok] == []


def test_same_batch_twice_changes_nothing(engine: Engine) -> None:
    """Repeating a request answers the same IDs and stores nothing."""
    live = window(engine)
    first = put(engine, live, demo())
    again = put(engine, live, demo())

    assert {outcome.status for outcome in first} == {"created"}
    assert {outcome.status for outcome in again} == {"unchanged"}
    assert [(o.id, o.placement.cluster_id, o.placement.story_id) for o in again] == [
        (o.id, o.placement.cluster_id, o.placement.story_id) for o in first
    ]
    assert_in_order(engine)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, 63), max_size=8, unique=True))
def test_batches_do_not_change_the_groups(cuts: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    """One stream gives the same clusters, stories and copies however it is cut."""
    whole = _run(tmp_path_factory.mktemp("whole"), [0, 64])
    cut = _run(tmp_path_factory.mktemp("cut"), [0, *sorted(cuts), 64])

    assert cut == whole


def _run(folder: Path, bounds: list[int]) -> object:
    engine = writer_engine(folder)
    migrate(engine)
    live = window(engine)
    outcomes = [
        outcome for start, end in pairwise(bounds) for outcome in put(engine, live, demo()[start:end])
    ]
    engine.dispose()
    return everything(outcomes)


def test_restart_decides_like_the_running_service(engine: Engine) -> None:
    """A window rebuilt from the store in mid-stream answers the rest exactly as the old one would have."""
    undisturbed = everything(put(engine, window(engine), demo()))
    restarted = []
    second = writer_engine(Path(str(engine.url.database)).parent / "second")
    Path(str(second.url.database)).parent.mkdir()
    migrate(second)
    for start in range(0, 64, 9):
        restarted += put(second, window(second), demo()[start : start + 9])
    second.dispose()

    assert everything(restarted) == undisturbed


def test_copies_of_one_batch_meet(engine: Engine) -> None:
    """The same text, republished and lightly edited, is a copy of the first, even inside one batch."""
    edited = LONG.replace("malam hari ke-7", "pagi hari ke-7")
    outcomes = put(
        engine,
        window(engine),
        [
            article("first", "Bendungan Jebol", LONG, source="warta.example"),
            article("same-house", "Bendungan Jebol Lagi", LONG, source="warta.example", day=0.1),
            article("reprint", "Bendungan Tirta Kencana Jebol", LONG, source="kabar.example", day=0.2),
            article("near", "Bendungan Jebol", edited, source="warta.example", day=0.3),
            article(
                "truncated", "Bendungan Jebol", LONG[: len(LONG) * 3 // 5], source="warta.example", day=0.4
            ),
        ],
    )

    first = outcomes[0]
    assert [outcome.placement.relation for outcome in outcomes] == [
        "original",
        "exact_copy",
        "reprint",
        "near_copy",
        "near_copy",
    ]
    assert {outcome.placement.copy_of for outcome in outcomes[1:]} == {first.id}
    assert {outcome.placement.cluster_id for outcome in outcomes} == {first.placement.cluster_id}
    assert_in_order(engine)


def test_edited_text_is_a_revision(engine: Engine) -> None:
    """An edited article keeps its ID and place, and the earlier text is kept."""
    live = window(engine)
    (first,) = put(engine, live, [article("a", "Bendungan Jebol", LONG)])
    (second,) = put(engine, live, [article("a", "Bendungan Jebol, Tiga Tewas", LONG + " Tiga orang tewas.")])

    assert (second.status, second.id, second.placement.cluster_id) == (
        "revised",
        first.id,
        first.placement.cluster_id,
    )
    with engine.connect() as connection:
        kept = connection.execute(select(revisions.c.title, revisions.c.text)).one()
        now = connection.execute(select(articles.c.title, articles.c.revision)).one()
    assert tuple(kept) == ("Bendungan Jebol", LONG)
    assert tuple(now) == ("Bendungan Jebol, Tiga Tewas", 2)
    assert_in_order(engine)


def test_same_identity_twice_in_one_request(engine: Engine) -> None:
    """The second of two articles with one identity meets the first as stored."""
    outcomes = put(
        engine,
        window(engine),
        [article("a", "Judul", LONG), article("a", "Judul", LONG), article("a", "Lain", LONG)],
    )

    assert [outcome.status for outcome in outcomes] == ["created", "unchanged", "revised"]
    assert len({outcome.id for outcome in outcomes}) == 1


def test_roundups_stand_alone(engine: Engine) -> None:
    """A round-up that quotes a report joins nothing and draws nothing."""
    live = window(engine)
    report, roundup, later = put(
        engine,
        live,
        [
            article("report", "Bendungan Tirta Kencana Jebol", LONG),
            article(
                "roundup", "5 Berita Terpopuler: Bendungan Tirta Kencana Jebol", "Ringkasan. " + LONG[:600]
            ),
            article(
                "later",
                "Bendungan Tirta Kencana di Sela Jaya Jebol",
                LONG[300:1300] + " Bupati datang.",
                day=0.2,
            ),
        ],
    )

    assert roundup.placement.cluster_id != report.placement.cluster_id
    assert later.placement.cluster_id == report.placement.cluster_id


def test_rates_share_an_event_with_their_day_only(engine: Engine) -> None:
    """Two days' rates with the same words are two events."""
    text = "Rupiah ditutup di level Rp {} per dolar Amerika Serikat di pasar spot sore ini, kata analis Bank Sentosa."
    outcomes = put(
        engine,
        window(engine),
        [
            article("mon", "Rupiah Hari Ini Ditutup Melemah ke Rp 16.482", text.format("16.482"), day=0.3),
            article("tue", "Rupiah Hari Ini Ditutup Melemah ke Rp 16.489", text.format("16.489"), day=1.3),
        ],
    )

    assert len({outcome.placement.cluster_id for outcome in outcomes}) == 2


def test_failed_commit_leaves_no_trace(engine: Engine) -> None:
    """When the commit fails nothing is stored, and a rebuilt window decides as if the batch had never been."""
    live = window(engine)
    put(engine, live, demo()[:20])

    def fail(*_arguments: object) -> None:
        raise OperationalError("COMMIT", {}, Exception("injected"))

    event.listen(engine, "commit", fail)
    with pytest.raises(OperationalError):
        put(engine, live, demo()[20:40])
    event.remove(engine, "commit", fail)

    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(articles)).scalar_one() == 20
    rest = put(engine, window(engine), demo()[20:])
    assert {outcome.status for outcome in rest} == {"created"}
    assert_in_order(engine)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_random_histories_stay_in_order(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """After any history of puts, revisions and deletions every count, copy and reference holds, restart or not."""
    engine = writer_engine(tmp_path_factory.mktemp("history"))
    migrate(engine)
    live = window(engine)
    known: dict[str, str] = {}
    for _ in range(data.draw(st.integers(2, 6))):
        action = data.draw(st.sampled_from(["put", "revise", "delete", "restart"]))
        if action == "put":
            start = data.draw(st.integers(0, 50))
            for outcome in put(engine, live, demo()[start : start + 14]):
                known[str(outcome.article.external_id)] = outcome.id
        elif action == "restart":
            live = window(engine)
        elif known:
            name = data.draw(st.sampled_from(sorted(known)))
            if action == "revise":
                old = next(one for one in demo() if one.external_id == name)
                put(engine, live, [article(name, old.title, old.text + " Tambahan.", source=old.source)])
            else:
                with engine.begin() as connection:
                    assert remove.remove_article(connection, known.pop(name), 0) is not None
                live = window(engine)
        assert_in_order(engine)
        assert _state(live) == _state(window(engine))
    engine.dispose()


def _state(live: Window) -> object:
    """Return what a window says of each article that stands in its index."""
    rows = [row for row in range(len(live.shelf)) if row in live.articles]
    return sorted(
        (
            live.article_id(row),
            live.cluster_ids[live.clusters[row]],
            live.story_ids[live.story_of[live.clusters[row]]],
            int(live.flags[row]),
            live.sizes[live.clusters[row]],
            row in live.heads,
            live.shelf.codes.values[row].tobytes(),
        )
        for row in rows
    )


def test_deleted_original_leaves_its_place_to_the_earliest_copy(engine: Engine) -> None:
    """A copy inherits text, place and copies of a deleted original; the last article takes its groups along."""
    live = window(engine)
    first, second, third = put(
        engine,
        live,
        [
            article(name, "Bendungan Jebol", LONG, source=f"{name}.example", day=day)
            for day, name in enumerate("abc")
        ],
    )
    for outcome in (first, second, third):
        with engine.begin() as connection:
            removal = remove.remove_article(connection, outcome.id, 7)
        assert removal is not None
        assert removal.heir == {first.id: second.id, second.id: third.id, third.id: None}[outcome.id]
        assert_in_order(engine)

    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(clusters)).scalar_one() == 0
        gone = set(connection.execute(select(tombstones.c.id)).scalars())
    assert {first.id, second.id, third.id, first.placement.cluster_id, first.placement.story_id} == gone


def test_reasons_are_kept(engine: Engine) -> None:
    """Every stored article says which rule placed it, against which threshold, by which model."""
    put(engine, window(engine), demo())
    with engine.connect() as connection:
        reasons = [json.loads(text) for text in connection.execute(select(articles.c.reason)).scalars()]

    assert {reason["rule"] for reason in reasons} == {"copy", "joined", "opened"}
    assert all(
        reason["probability"] >= reason["threshold"] for reason in reasons if reason["rule"] == "joined"
    )
    assert all(
        reason["probability"] < reason["threshold"] for reason in reasons if reason["rule"] == "opened"
    )
