"""The road of a batch on a real store: what is the same, what repeats, what belongs together, and what never may."""

from __future__ import annotations

import random
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import unhurried
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select
from wire import (
    FIRE,
    FIRE_RETOLD,
    FLOOD,
    NOW,
    NOW_US,
    OUTLETS,
    Groups,
    Room,
    article,
    cut,
    demo_articles,
    dump,
    faults,
    groups,
    look_alikes,
    room,
)

from service.batch import batches, prepare_vectors
from service.copies import near_copy, wording
from service.store import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.model import Article, Outcome

BURNT = "Kebakaran Pasar Rengasdengkul Hanguskan Puluhan Kios"
BURNT_AGAIN = "Pasar Rengasdengkul Wanasegara Terbakar, Puluhan Kios Habis"
DROWNED = "Sungai Citamiang Meluap, Empat Kelurahan Terendam"
ONE, TWO, THREE, _ = OUTLETS


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Room]:
    with room(tmp_path) as opened:
        yield opened


def undisturbed(items: list[Article]) -> Groups:
    """What a fresh store decides when every article comes alone."""
    with tempfile.TemporaryDirectory() as folder, room(Path(folder)) as through:
        return through.replay([item] for item in items)


def one(desk: Room, item: Article) -> Outcome:
    (outcome,) = desk.post(item)
    return outcome


# --- the same again ---------------------------------------------------------------------------------------------------


def test_repeating_a_batch_changes_nothing(desk: Room) -> None:
    """P4: the second time every answer is the first one's, and not one column of the store has moved."""
    first = desk.post(*demo_articles())
    before = dump(desk.engine)

    second = desk.post(*demo_articles(), now_us=NOW_US + 1)

    assert {outcome.status for outcome in first} == {"created"}
    assert {outcome.status for outcome in second} == {"unchanged"}
    assert [outcome.id for outcome in first] == [outcome.id for outcome in second]
    assert [_place(outcome) for outcome in first] == [_place(outcome) for outcome in second]
    assert not any(outcome.placement.cluster_created for outcome in second)
    assert before == dump(desk.engine)


@settings(unhurried, max_examples=4)
@given(st.integers(0, 10**9))
def test_cut_off_retries_give_the_same_state(seed: int) -> None:
    """P4: a client that repeats any of its batches, whole or in part, leaves what it would have left without."""
    chance = random.Random(seed)
    items = look_alikes(seed, 30)
    with tempfile.TemporaryDirectory() as folder, room(Path(folder)) as through:
        for part in cut(items, seed):
            through.post(*part)
            for _ in range(chance.choice([0, 0, 1, 2])):
                through.post(*part[: chance.randint(0, len(part))])
        found = groups(through.engine)

    assert undisturbed(items) == found


def test_edited_text_keeps_id_and_cluster(desk: Room) -> None:
    """A later text of the same address is a revision: same ID, same place, the old text kept, the new one shown."""
    created = one(desk, article("a", BURNT, FIRE))
    edited = article("a", f"{BURNT} (Diperbarui)", f"{FIRE} Api padam pukul enam.", hours=2)

    revised = one(desk, replace(edited, received_at_us=NOW_US + 5))

    assert revised.status == "revised"
    assert (created.id, _place(created)) == (revised.id, _place(revised))
    assert (edited.title, edited.text) == (revised.article.title, revised.article.text)
    stored = dump(desk.engine)
    assert stored["revisions"] == [(created.id, 1, BURNT, FIRE, NOW_US)]
    assert [row[tables.articles.c.revision.name] for row in _rows(desk, tables.articles)] == [2]
    assert one(desk, edited).status == "unchanged"
    assert faults(desk.engine) == []


def test_every_edit_is_kept(desk: Room) -> None:
    """Three edits leave three revisions, numbered in order."""
    for number in range(4):
        one(desk, article("a", BURNT, f"{FIRE} Kabar ke-{number}."))

    kept = [(row["revision"], row["text"]) for row in _rows(desk, tables.revisions)]

    assert kept == [(number + 1, f"{FIRE} Kabar ke-{number}.") for number in range(3)]


def test_an_edited_text_is_found_by_its_new_words(desk: Room) -> None:
    """After an edit the window compares the new text: a retelling of it joins, one of the old text does not."""
    first = one(desk, article("a", DROWNED, FLOOD))
    one(desk, article("a", BURNT, FIRE))

    retold = one(desk, article("b", BURNT_AGAIN, FIRE_RETOLD, source=TWO, hours=1))
    other = one(desk, article("c", DROWNED, FLOOD, source=THREE, hours=1))

    assert first.placement.cluster_id == retold.placement.cluster_id
    assert (other.placement.relation, other.placement.cluster_created) == ("original", True)


def test_an_edit_is_met_only_by_what_comes_after_it(desk: Room) -> None:
    """P4b: in one batch the articles before an edit meet the old text, those after it the new one."""
    first = one(desk, article("a", BURNT, FIRE))

    before, copied, edited, after, old = desk.post(
        article("b", BURNT_AGAIN, FIRE_RETOLD, source=TWO, hours=1),
        article("c", BURNT, FIRE, source=THREE, hours=1),
        article("a", DROWNED, FLOOD),
        article("d", DROWNED, FLOOD, source=TWO, hours=1),
        article("e", BURNT, FIRE, source=TWO, hours=1),
    )

    assert first.id == before.placement.reason.nearest
    assert (first.id, "reprint") == (copied.placement.copy_of, copied.placement.relation)
    assert (first.id, "revised") == (edited.id, edited.status)
    assert (first.id, "reprint") == (after.placement.copy_of, after.placement.relation)
    assert (first.id, "reprint") == (old.placement.copy_of, old.placement.relation)


def test_same_external_id_twice_in_one_batch(desk: Room) -> None:
    """The second occurrence meets the first: repeated it is unchanged, edited it is a revision, never a second article."""
    first, again, edited = desk.post(
        article("a", BURNT, FIRE), article("a", BURNT, FIRE), article("a", BURNT, FIRE_RETOLD)
    )

    assert [first.status, again.status, edited.status] == ["created", "unchanged", "revised"]
    assert {first.id} == {again.id, edited.id}
    assert first.placement.cluster_id == edited.placement.cluster_id
    assert len(_rows(desk, tables.articles)) == 1


def test_known_address_under_another_external_id(desk: Room) -> None:
    """An address that is stored is that article, whatever the caller calls it; its own name stays."""
    first = one(desk, article("a", BURNT, FIRE))

    again = one(desk, article("b", BURNT, FIRE, url_key=first.article.url_key))
    edited = one(desk, article("c", BURNT, FIRE_RETOLD, url_key=first.article.url_key))

    assert [again.status, edited.status] == ["unchanged", "revised"]
    assert [first.id, first.id] == [again.id, edited.id]
    assert [again.article.external_id, edited.article.external_id] == ["a", "a"]


def test_one_article_under_two_identities_in_one_batch(desk: Room) -> None:
    """Two edits of one stored article, one by ID and one by address, are two revisions, and no failure."""
    first = one(desk, article("a", BURNT, FIRE))
    by_id = article("a", BURNT, FIRE_RETOLD, url=None, url_key=None)
    by_url = article("x", BURNT, f"{FIRE} Lagi.", external_id=None, url_key=first.article.url_key)

    outcomes = desk.post(by_id, by_url)

    assert [(outcome.id, outcome.status) for outcome in outcomes] == [(first.id, "revised")] * 2
    assert [row["text"] for row in _rows(desk, tables.revisions)] == [FIRE, FIRE_RETOLD]


def test_an_edit_cannot_take_the_address_of_another_article(desk: Room) -> None:
    """An edit that names another stored article's address is stored without it; nothing fails, now or later."""
    one(desk, article("a", BURNT, FIRE, url=None, url_key=None))
    owner = one(desk, article("b", DROWNED, FLOOD))

    edited = one(desk, article("a", BURNT, FIRE_RETOLD, url_key=owner.article.url_key))

    assert edited.status == "revised"
    keys = {row["external_id"]: row["url_key"] for row in _rows(desk, tables.articles)}
    assert {"a": None, "b": owner.article.url_key} == keys
    assert faults(desk.engine) == []


def test_an_edit_brings_an_address_that_was_missing(desk: Room) -> None:
    """An article first known by ID alone is found by the address an edit brought."""
    first = one(desk, article("a", BURNT, FIRE, url=None, url_key=None))
    one(desk, article("a", BURNT, FIRE_RETOLD, url_key="kunci"))

    assert first.id == one(desk, article("b", BURNT, FIRE_RETOLD, url_key="kunci")).id


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=30), st.integers(1, 6))
def test_runs_are_short_ordered_and_free_of_repeats(names: list[tuple[int, int]], size: int) -> None:
    """Cutting a batch keeps every position in order, no run beyond the size, no identity twice in a run."""
    items = [
        article(f"e{external}", "t", "x", external_id=f"e{external}" if external else None, url_key=f"u{key}")
        for external, key in names
    ]

    runs = batches([_Unprepared(item) for item in items], size)  # type: ignore[misc]

    assert list(range(len(items))) == [position for run in runs for position in run]
    assert all(len(run) <= size for run in runs)
    for run in runs:
        keys = [items[position].url_key for position in run]
        own = [name for position in run if (name := items[position].external_id) is not None]
        assert len(set(keys)) == len(keys)
        assert len(set(own)) == len(own)


class _Unprepared:
    def __init__(self, item: Article) -> None:
        self.article = item


# --- copies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "two batches"])
@pytest.mark.parametrize(
    ("text", "source", "expected"),
    [
        (FIRE, ONE, "exact_copy"),
        (FIRE.upper(), ONE, "exact_copy"),
        (FIRE, TWO, "reprint"),
        (f"{FIRE} Simak kabar lain di kanal kami.", ONE, "near_copy"),
        (f"{FIRE} Simak kabar lain di kanal kami.", TWO, "reprint"),
        (FIRE[: len(FIRE) * 2 // 3], ONE, "near_copy"),
        (FIRE_RETOLD, TWO, "original"),
    ],
)
def test_relation_and_similarity(
    desk: Room, text: str, source: str, expected: str, *, together: bool
) -> None:
    """A repeated text is a copy of the first, in its cluster, with the similarity of the two texts, however it comes."""
    items = article("a", BURNT, FIRE), article("b", BURNT, text, source=source, hours=1)

    first, second = desk.post(*items) if together else (one(desk, items[0]), one(desk, items[1]))

    assert expected == second.placement.relation
    assert first.placement.cluster_id == second.placement.cluster_id
    assert first.placement.story_id == second.placement.story_id
    same = near_copy(wording("", FIRE, 0), wording("", text.lower(), 0))
    if expected == "original":
        assert (second.placement.copy_of, second.placement.similarity) == (None, None)
    else:
        assert same is not None
        assert (first.id, same.similarity) == (second.placement.copy_of, second.placement.similarity)
        assert second.placement.reason.rule == "copy"
        assert first.id == second.placement.reason.nearest


def test_a_reprint_under_another_headline_is_found(desk: Room) -> None:
    """The same body under a new headline at another publisher is a reprint with similarity 1."""
    first, second = desk.post(
        article("a", BURNT, FIRE), article("b", "Pedagang Merugi Miliaran", FIRE, source=TWO)
    )

    placed = second.placement
    assert (first.id, "reprint", 1.0) == (placed.copy_of, placed.relation, placed.similarity)


@pytest.mark.parametrize("seed", range(5))
def test_copies_never_chain(desk: Room, seed: int) -> None:
    """The copy of a copy is a copy of the first text, whatever kind the two are and however they are batched."""
    texts = [FIRE, f"{FIRE} Simak kabar lain.", FIRE, f"{FIRE} Simak kabar lain.", f"{FIRE} Simak juga."]
    items = [
        article(f"x{number}", BURNT, text, source=OUTLETS[number % 4], hours=number)
        for number, text in enumerate(texts)
    ]
    outcomes = [outcome for part in cut(items, seed) for outcome in desk.post(*part)]

    assert [None] + [outcomes[0].id] * 4 == [outcome.placement.copy_of for outcome in outcomes]


@pytest.mark.parametrize("seed", range(5))
def test_copies_do_not_drift(desk: Room, seed: int) -> None:
    """A text changed a little each time is held against the first, not the last: at some point it is a copy no more."""
    text, versions = FIRE.split(), [FIRE]
    for number in range(0, 24, 4):
        text = [*text[:number], *(f"lain{place}" for place in range(number, number + 4)), *text[number + 4 :]]
        versions.append(" ".join(text))
    items = [article(f"x{number}", BURNT, version, hours=number) for number, version in enumerate(versions)]

    outcomes = [outcome for part in cut(items, seed) for outcome in desk.post(*part)]

    first = wording(BURNT, FIRE, 0)
    expected = [near_copy(first, wording(BURNT, version, 0)) is not None for version in versions[1:]]
    assert (expected[0], expected[-1]) == (True, False)
    originals = [outcome.placement.copy_of for outcome in outcomes[1:]]
    assert expected == [original == outcomes[0].id for original in originals]


def test_a_copy_of_a_reprint_is_named_by_the_first_publisher(desk: Room) -> None:
    """The relation is that to the text a copy points to: back at the first publisher it is a near copy again."""
    first, reprint, again = desk.post(
        article("a", BURNT, FIRE, source=ONE),
        article("b", BURNT, f"{FIRE} Simak kabar lain.", source=TWO, hours=1),
        article("c", BURNT, f"{FIRE} Simak kabar lain di sini.", source=ONE, hours=2),
    )

    assert [found.placement.relation for found in (reprint, again)] == ["reprint", "near_copy"]
    assert [first.id] * 2 == [found.placement.copy_of for found in (reprint, again)]


def test_other_figures_on_another_day_are_no_copy(desk: Room) -> None:
    """The same words with other figures are a correction on the same day and another report on the next."""
    before, after = f"{FIRE} Kios terbakar 48 unit.", f"{FIRE} Kios terbakar 57 unit."
    outcomes = desk.post(
        article("a", BURNT, before),
        article("b", BURNT, after, hours=1),
        article("c", BURNT, f"{FIRE} Kios terbakar 61 unit.", hours=24),
    )

    assert [outcome.placement.relation for outcome in outcomes] == ["original", "near_copy", "original"]


def test_a_copy_adds_no_weight(desk: Room) -> None:
    """Exact copies are not heard: any number of them leaves a cluster as easy to join, and as hard, as one report."""
    first = one(desk, article("a", BURNT, FIRE))
    desk.post(*(article(f"c{number}", BURNT, FIRE, source=TWO) for number in range(200)))

    retold = one(desk, article("b", BURNT_AGAIN, FIRE_RETOLD, source=TWO, hours=1))

    assert first.placement.cluster_id == retold.placement.cluster_id
    assert first.id == retold.placement.reason.nearest
    assert _alone() == retold.placement.reason.probability


def test_a_near_copy_has_no_voice(desk: Room) -> None:
    """A retelling joins the first report's cluster by the first report, however many near copies of it there are."""
    first = one(desk, article("a", BURNT, FIRE))
    desk.post(
        *(article(f"n{number}", BURNT, f"{FIRE} Kabar {number}.", hours=number / 9) for number in range(9))
    )

    retold = one(desk, article("b", BURNT_AGAIN, FIRE_RETOLD, source=TWO, hours=1))

    assert first.placement.cluster_id == retold.placement.cluster_id
    assert first.id == retold.placement.reason.nearest


def test_a_near_copy_adds_no_weight(desk: Room) -> None:
    """Near copies leave a cluster as easy to join, and as hard, as one report."""
    one(desk, article("a", BURNT, FIRE))
    desk.post(
        *(article(f"n{number}", BURNT, f"{FIRE} Kabar {number}.", hours=number / 9) for number in range(9))
    )

    retold = one(desk, article("b", BURNT_AGAIN, FIRE_RETOLD, source=TWO, hours=1))

    assert _alone() == retold.placement.reason.probability


def _alone() -> float:
    """How likely the retelling is where nothing stands beside the first report."""
    with tempfile.TemporaryDirectory() as folder, room(Path(folder)) as quiet:
        one(quiet, article("a", BURNT, FIRE))
        alone = one(quiet, article("b", BURNT_AGAIN, FIRE_RETOLD, source=TWO, hours=1))
    return alone.placement.reason.probability


# --- round-ups and one-day reports ------------------------------------------------------------------------------------


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "two batches"])
@pytest.mark.parametrize(
    ("first", "second", "hours", "joins"),
    [
        ((), (), 2, True),
        (("roundup",), (), 2, False),
        ((), ("roundup",), 2, False),
        (("roundup",), ("roundup",), 2, False),
        ((), ("live",), 2, False),
        (("opinion",), ("video",), 2, True),
        (("price",), (), 15, True),
        (("price",), (), 16, False),
        ((), ("schedule",), 15, True),
        ((), ("schedule",), 16, False),
        ((), (), 16, True),
    ],
)
def test_labels_that_keep_apart(
    desk: Room, first: tuple[str, ...], second: tuple[str, ...], hours: int, *, together: bool, joins: bool
) -> None:
    """Round-ups and live pages neither join nor draw; rates and schedules share an event only with the same day's."""
    items = (
        article("a", BURNT, FIRE, labels=first),
        article("b", BURNT_AGAIN, FIRE_RETOLD, labels=second, source=TWO, hours=hours),
    )

    a, b = desk.post(*items) if together else (one(desk, items[0]), one(desk, items[1]))

    assert joins == (a.placement.cluster_id == b.placement.cluster_id)
    assert joins is not b.placement.cluster_created


def test_a_roundup_is_in_no_saga(desk: Room) -> None:
    """A round-up continues no story, and no later cluster continues a round-up's."""
    items = [
        article(f"x{day}", BURNT_AGAIN, FIRE_RETOLD, labels=labels, source=OUTLETS[day % 4], hours=60 * day)
        for day, labels in enumerate([("roundup",), (), ("live",)])
    ]
    texts = [FIRE, FIRE_RETOLD, f"{FIRE_RETOLD[:200]} {FLOOD}"]

    outcomes = desk.post(*(replace(item, text=text) for item, text in zip(items, texts, strict=True)))

    assert len({outcome.placement.story_id for outcome in outcomes}) == 3


# --- clusters and their reasons ---------------------------------------------------------------------------------------


def test_the_reason_tells_the_decision(desk: Room) -> None:
    """A join names who spoke for it, how likely, against which cut, and by which model; an opening names what was refused."""
    first, other = desk.post(article("a", BURNT, FIRE), article("b", DROWNED, FLOOD, hours=1))
    joined = one(desk, article("c", BURNT_AGAIN, FIRE_RETOLD, source=TWO, hours=2))

    reason = joined.placement.reason
    assert ("joined", first.id, desk.cuts.event) == (reason.rule, reason.nearest, reason.threshold)
    assert reason.probability >= reason.threshold
    assert desk.models.name == reason.model
    assert set(reason.evidence) >= {"lead_cosine", "dense_cosine", "log_days"}
    assert joined.placement.story_reason is None  # its cluster has decided that before
    for opened in (first, other):
        assert opened.placement.reason.rule == "opened"
        assert opened.placement.reason.probability < opened.placement.reason.threshold
        assert opened.placement.story_reason is not None
        assert opened.placement.story_reason.rule == "opened"


@settings(unhurried, max_examples=6)
@given(st.integers(0, 10**9), st.integers(0, 10**9), st.booleans())
def test_cutting_the_stream_changes_nothing(seed: int, cuts: int, revise: bool) -> None:
    """P4b: a stream of look-alikes, repeats and edits gives the same groups, copies and revisions in any batches."""
    items = look_alikes(seed, 30, revise=revise)
    with tempfile.TemporaryDirectory() as folder, room(Path(folder)) as through:
        found = through.replay(cut(items, cuts))

    assert undisturbed(items) == found


@pytest.mark.parametrize("size", [1, 7, 64])
def test_the_demo_in_any_batches(desk: Room, size: int) -> None:
    """P4b, P14: the demo's 64 articles in batches of 1, 7 and 64 fall into the same groups."""
    items = list(demo_articles())
    parts = [items[start : start + size] for start in range(0, len(items), size)]

    assert _demo_groups() == desk.replay(parts)


_demo: list[Groups] = []


def _demo_groups() -> Groups:
    if not _demo:
        with tempfile.TemporaryDirectory() as folder, room(Path(folder)) as through:
            _demo.append(through.replay(cut(demo_articles(), 99)))
    return _demo[0]


def test_a_restart_between_batches_changes_nothing(tmp_path: Path) -> None:
    """P3: a window rebuilt from the store before every batch decides like one that lived through all of them."""
    items = look_alikes(5, 40, revise=True)
    with room(tmp_path) as through:
        for part in cut(items, 5):
            through.window = through.rebuilt()
            through.post(*part)
        found = groups(through.engine)

    assert undisturbed(items) == found


# --- failures ---------------------------------------------------------------------------------------------------------


class InjectedError(RuntimeError):
    """Raised by a test inside the store."""


def _at_commit(desk: Room) -> Any:
    def fail(_connection: object) -> None:
        raise InjectedError

    event.listen(desk.engine, "commit", fail)
    return lambda: event.remove(desk.engine, "commit", fail)


def _at_statement(table: str) -> Any:
    def inject(desk: Room) -> Any:
        def fail(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            if table in statement:
                raise InjectedError

        event.listen(desk.engine, "before_cursor_execute", fail)
        return lambda: event.remove(desk.engine, "before_cursor_execute", fail)

    return inject


@pytest.mark.parametrize(
    "inject",
    [_at_commit, _at_statement("INSERT INTO vectors"), _at_statement("UPDATE stories")],
    ids=["commit", "vectors", "counts"],
)
def test_a_failed_batch_has_never_been(desk: Room, inject: Any) -> None:
    """P2: when the transaction fails nothing of the batch is stored, and the next one decides as if it had not come."""
    items = look_alikes(8, 36)
    desk.post(*items[:12])
    before = dump(desk.engine)
    restore = inject(desk)

    with pytest.raises(InjectedError):
        desk.post(*items[12:24])
    restore()

    assert before == dump(desk.engine)
    desk.window = desk.rebuilt()
    desk.post(*items[24:])
    assert undisturbed([*items[:12], *items[24:]]) == groups(desk.engine)
    assert faults(desk.engine) == []


def test_a_failed_edit_has_never_been(desk: Room) -> None:
    """P2: an edit whose commit fails leaves text, vectors and revisions as they were."""
    one(desk, article("a", BURNT, FIRE))
    before = dump(desk.engine)
    restore = _at_commit(desk)

    with pytest.raises(InjectedError):
        one(desk, article("a", DROWNED, FLOOD))
    restore()

    assert before == dump(desk.engine)


# --- time -------------------------------------------------------------------------------------------------------------


def test_a_date_ahead_counts_as_the_time_of_receipt(desk: Room) -> None:
    """P13: what claims to be from 2099 is compared as of its receipt, joins today's event, and keeps its claim."""
    ahead = datetime(2099, 1, 1, tzinfo=UTC)
    today = one(desk, article("a", BURNT, FIRE, published_at=NOW - timedelta(hours=3)))

    liar = one(desk, article("b", BURNT_AGAIN, FIRE_RETOLD, source=TWO, published_at=ahead))

    assert today.placement.cluster_id == liar.placement.cluster_id
    row = _rows(desk, tables.articles)[1]
    assert (NOW_US, round(ahead.timestamp() * 1e6)) == (row["event_us"], row["published_us"])
    assert desk.window.shelf.hours.values[1] == NOW_US / 3_600_000_000
    assert ahead == liar.article.published_at


def test_a_date_in_1970_cannot_join_today(desk: Room) -> None:
    """P13: an article older than the window meets nobody, and nobody meets it."""
    first = one(desk, article("a", BURNT, FIRE))

    old = one(
        desk,
        article("b", BURNT_AGAIN, FIRE_RETOLD, source=TWO, published_at=datetime(1970, 1, 1, tzinfo=UTC)),
    )

    assert first.placement.cluster_id != old.placement.cluster_id
    assert old.placement.reason.nearest is None


@pytest.mark.parametrize(("days", "joins"), [(5, True), (15, False)])
def test_the_window_ends(desk: Room, days: int, *, joins: bool) -> None:
    """Reports more than the window's days apart are never compared as one event."""
    text = f"{FIRE_RETOLD} {FIRE[:300]}"
    first, second = desk.post(
        article("a", BURNT, FIRE), article("b", BURNT, text, source=TWO, hours=24 * days)
    )

    assert joins == (first.placement.cluster_id == second.placement.cluster_id)


def test_answers_do_not_depend_on_the_clock(tmp_path: Path) -> None:
    """P13, P14: the time of the commit, jumping back or ahead between batches, decides nothing."""
    parts = cut(look_alikes(3, 30), 3)
    chance = random.Random(3)
    found = []
    for jumping in (False, True):
        with room(tmp_path / str(jumping)) as through:
            for part in parts:
                through.post(*part, now_us=NOW_US + (chance.randint(-(10**12), 10**12) if jumping else 0))
            found.append(groups(through.engine))

    assert found[0] == found[1]


# --- vectors ----------------------------------------------------------------------------------------------------------


def test_stored_vectors_are_those_of_the_stored_texts(desk: Room) -> None:
    """What is compared is what is stored: every vector is that of its article's present title and text."""
    desk.post(*look_alikes(4, 40, revise=True))
    with desk.engine.connect() as connection:
        a, v = tables.articles.c, tables.vectors.c
        rows = connection.execute(
            select(a.external_id, a.title, a.text, v.blob).join(tables.vectors, v.article_seq == a.seq)
        ).all()

    expected = prepare_vectors(desk.models, [article(row.external_id, row.title, row.text) for row in rows])

    assert [item.vectors.to_bytes() for item in expected] == [row.blob for row in rows]
    assert all(np.any(item.vectors.codes) for item in expected)


def _place(outcome: Outcome) -> tuple[Any, ...]:
    placed = outcome.placement
    return (
        placed.relation,
        placed.copy_of,
        placed.similarity,
        placed.cluster_id,
        placed.story_id,
        placed.reason,
    )


def _rows(desk: Room, table: Any) -> list[Any]:
    with desk.engine.connect() as connection:
        return list(connection.execute(select(table).order_by(*table.primary_key)).mappings())
