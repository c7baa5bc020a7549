"""The window is a cache: whatever happened to it, a rebuild from the store gives the same."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import unhurried
from hypothesis import given, settings
from hypothesis import strategies as st
from wire import FIRE, FLOOD, NOW_US, START, Room, article, faults, look_alikes, models, room

from service import editing
from service.batch import prepare_vectors
from service.editing import Editor
from service.errors import Refused
from service.store.edits import list_edits
from service.store.read import assignments
from service.window import IS_COPY, ONE_DAY_ONLY, STANDS_ALONE, Entry, Window

if TYPE_CHECKING:
    from service.model import Article, Outcome
    from service.store.edits import Level


def shown(window: Window) -> list[dict[str, Any]]:
    """What the window knows of each row that can be found, in the order of rows, told by IDs."""
    rows = [row for row in range(len(window.shelf)) if row in window.articles]
    return [
        {
            "id": window.article_id(row),
            "cluster": window.cluster_ids[window.clusters[row]],
            "story": window.story_ids[window.story_of[window.clusters[row]]],
            "flags": int(window.flags[row]),
            "head": row in window.heads,
            "hours": float(window.shelf.hours.values[row]),
            "outlet": int(window.shelf.outlets.values[row]),
            "codes": window.shelf.codes.values[row].tolist(),
            "terms": {
                name: [values.tolist() for values in column.row(row)]
                for name, column in window.shelf.terms.items()
            },
        }
        for row in rows
    ]


def sizes(window: Window) -> dict[str, int]:
    """The members with a voice of each cluster that has one."""
    return {name: size for name, size in zip(window.cluster_ids, window.sizes, strict=True) if size}


def neighbours(window: Window) -> list[list[str]]:
    """Whom the indexes propose for every row."""
    rows = [row for row in range(len(window.shelf)) if row in window.articles]
    found = [
        *window.articles.by_dense(rows),
        *window.articles.by_terms(rows),
        *window.heads.by_dense(rows),
        *window.heads.by_terms(rows),
    ]
    return [[window.article_id(int(row)) for row in part] for part in found]


def live(through: Room, seed: int, steps: int = 30, *, edited: bool = False) -> None:
    """A random history: batches of reports, edits and repetitions, and now and then a deletion as the desk does it.

    With `edited`, editors merge, split and take back in between, and the window follows.
    """
    chance = random.Random(seed)
    stream = look_alikes(seed, steps, revise=True)
    stored: list[Outcome] = []
    while stream:
        size = chance.choice([1, 2, 5, 9])
        batch, stream = stream[:size], stream[size:]
        stored += [outcome for outcome in through.post(*batch) if outcome.status == "created"]
        if stored and chance.random() < 0.4:
            gone = stored.pop(chance.randrange(len(stored)))
            removal = through.remove(gone.id)
            assert removal is not None
            row = through.window.row_of(gone.id)
            if removal.heir is not None or removal.new_head is not None:
                through.window = through.rebuilt()
            elif row is not None:
                through.window.forget(row)
        if edited:
            say_something(through, chance)


def say_something(through: Room, chance: random.Random) -> None:
    """An editor's word by chance: two groups merged, a part split off, the latest word taken back, or one refused."""
    editor = Editor("editor", "", NOW_US)
    level: Level = chance.choice(("cluster", "story"))
    kind = chance.choice(("merge", "split", "undo"))
    with through.engine.begin() as connection:
        found = assignments(connection)
        if not found:
            return
        groups = sorted({places[level == "story"] for places in found.values()})
        parts = sorted(one if level == "cluster" else cluster for one, (cluster, _) in found.items())
        said = [one["id"] for one in list_edits(connection, 5) if one["undone_at"] is None]
        try:
            if kind == "merge":
                done = editing.merge(connection, level, chance.choice(groups), chance.choice(groups), editor)
            elif kind == "split":
                leaving = chance.choice(parts)
                cluster, story = found.get(leaving) or next(
                    one for one in found.values() if one[0] == leaving
                )
                group = cluster if level == "cluster" else story
                done = editing.split(connection, level, group, [leaving], editor)
            elif said:
                done = editing.undo(connection, chance.choice(said), editor)
            else:
                return
        except Refused:
            return
    through.window.follow(*done.applied.for_the_window())


@settings(unhurried, max_examples=8)
@given(st.integers(0, 10**9))
def test_the_window_follows_what_editors_say(seed: int) -> None:
    """After any history of posts, deletions and editors' words a rebuild has the same rows, groups, heads and neighbours."""
    with tempfile.TemporaryDirectory() as folder, room(Path(folder)) as through:
        live(through, seed, edited=True)

        rebuilt = through.rebuilt()

        assert shown(through.window) == shown(rebuilt)
        assert sizes(through.window) == sizes(rebuilt)
        assert neighbours(through.window) == neighbours(rebuilt)
        assert faults(through.engine) == []


@settings(unhurried, max_examples=5)
@given(st.integers(0, 10**9))
def test_rows_of_are_the_rows_one_by_one(seed: int) -> None:
    """Many at once stand where each stands alone: revised ones on their latest row, deleted and unknown ones nowhere."""
    with tempfile.TemporaryDirectory() as folder, room(Path(folder)) as through:
        live(through, seed)
        window = through.window
        ids = [window.article_id(row) for row in range(len(window.shelf))]
        ids.append("art_" + "7".zfill(26))
        random.Random(seed).shuffle(ids)

        found = {one: window.row_of(one) for one in ids}

        assert {one: row for one, row in found.items() if row is not None} == window.rows_of(ids)
        assert window.rows_of([]) == {}


@settings(unhurried, max_examples=8)
@given(st.integers(0, 10**9))
def test_rebuild_equals_the_live_window(seed: int) -> None:
    """After any history of posts, edits and deletions a rebuild has the same rows, groups, sizes and neighbours."""
    with tempfile.TemporaryDirectory() as folder, room(Path(folder)) as through:
        live(through, seed)

        rebuilt = through.rebuilt()

        assert shown(through.window) == shown(rebuilt)
        assert sizes(through.window) == sizes(rebuilt)
        assert neighbours(through.window) == neighbours(rebuilt)


@settings(unhurried, max_examples=4)
@given(st.integers(0, 10**9))
def test_sizes_count_the_members_with_a_voice(seed: int) -> None:
    """A cluster's size is the number of its rows that are no copies, whatever came and went."""
    with tempfile.TemporaryDirectory() as folder, room(Path(folder)) as through:
        live(through, seed)

        voices = Counter(row["cluster"] for row in shown(through.window) if not row["flags"] & IS_COPY)

        assert voices == sizes(through.window)


def test_rebuild_keeps_flags_of_labels(tmp_path: Path) -> None:
    """Round-ups and one-day reports are still what they were after a restart."""
    with room(tmp_path) as through:
        through.post(
            article("a", "Populer: Pasar Terbakar", FIRE, labels=("roundup",)),
            article("b", "Harga Emas Hari Ini", FLOOD, labels=("price",), hours=1),
        )

        flags = [row["flags"] for row in shown(through.rebuilt())]

    assert flags == [STANDS_ALONE, ONE_DAY_ONLY]


# --- without a store --------------------------------------------------------------------------------------------------


def _entry(number: int, text: str = FIRE, **changes: Any) -> Entry:
    it: Article = replace(article(f"x{number}", "Pasar Rengasdengkul Terbakar", text), **changes)
    (prepared,) = prepare_vectors(models(), [it])
    return Entry(f"art_{number:026d}", prepared.vectors, it.event_us, number, 0)


@pytest.fixture
def window() -> Window:
    """Three rows, the first two in one cluster (the second a copy), the third alone; all can be found."""
    made = Window(64, window_days=14, story_horizon_days=180)
    rows = made.shelve([_entry(1), _entry(2), _entry(3, FLOOD)])
    story = made.open_story("sto_1")
    first, second = made.open_cluster("clu_1", story), made.open_cluster("clu_2", made.open_story("sto_2"))
    for row, cluster, is_copy in zip(rows, (first, first, second), (False, True, False), strict=True):
        made.place(row, cluster, is_copy=is_copy)
        made.articles.add_terms(row)
    made.heads.add_terms(0)
    made.heads.add_terms(2)
    made.articles.add_dense(rows)
    made.heads.add_dense([0, 2])
    return made


def test_row_of_finds_what_can_be_found(window: Window) -> None:
    """An ID leads to its row, an unknown one to none."""
    assert [window.row_of(f"art_{number:026d}") for number in (1, 2, 3, 4)] == [0, 1, 2, None]


def test_row_of_a_revised_article_is_its_latest_row(window: Window) -> None:
    """After an edit the ID stands on two rows; the one that was forgotten is never returned."""
    window.forget(0)
    assert window.row_of("art_" + "1".zfill(26)) is None

    (row,) = window.shelve([_entry(1)])
    window.place(row, 0, is_copy=False)
    window.articles.add_terms(row)

    assert row == window.row_of("art_" + "1".zfill(26))


def test_forget_takes_a_row_out_of_everything(window: Window) -> None:
    """A forgotten row is in neither index, in no cluster and in no size; the others stay."""
    assert window.articles.by_dense([1])[0].tolist() == [0, 2]
    assert 0 in window.articles.by_terms([1])[0]

    window.forget(0)

    assert 0 not in window.articles
    assert 0 not in window.heads
    assert window.articles.by_dense([1])[0].tolist() == [2]
    assert 0 not in window.articles.by_terms([1])[0]
    assert window.clusters.tolist() == [-1, 0, 1]
    assert window.sizes == [0, 1]


def test_forgetting_a_copy_changes_no_size(window: Window) -> None:
    """A copy had no voice, so its cluster is as large as before."""
    window.forget(1)

    assert window.sizes == [1, 1]


def test_unshelve_leaves_no_trace(window: Window) -> None:
    """Rows that were put up only to be compared can be taken back."""
    before = shown(window), len(window.shelf)

    window.shelve([_entry(7), _entry(8, FLOOD)])
    window.unshelve(3)

    assert before == (shown(window), len(window.shelf))
    assert len(window.clusters) == len(window.flags) == 3
    assert window.row_of("art_" + "7".zfill(26)) is None


def test_follow_passes_over_what_is_not_in_memory(window: Window) -> None:
    """Exact copies have no row: what is told of them changes groups, not rows."""
    window.follow({"art_" + "9".zfill(26): "clu_2"}, {"clu_2": "sto_1"}, {"clu_2": "art_" + "9".zfill(26)})

    assert window.clusters.tolist() == [0, 0, 1]
    assert window.story_of == [0, 0]
    assert window.heads.rows().tolist() == [0]


def test_follow_by_hand(window: Window) -> None:
    """An original and its copy move into a new cluster of a new story: sizes count voices, and one head stands for each."""
    first, copy, third = ("art_" + number.zfill(26) for number in "123")

    window.follow({first: "clu_3", copy: "clu_3"}, {"clu_3": "sto_3", "clu_1": "sto_1"}, {"clu_3": first})

    assert window.cluster_ids == ["clu_1", "clu_2", "clu_3"]
    assert window.clusters.tolist() == [2, 2, 1]
    assert window.sizes == [0, 1, 1]
    assert [window.story_ids[story] for story in window.story_of] == ["sto_1", "sto_2", "sto_3"]
    assert window.heads.rows().tolist() == [0, 2]

    window.follow({third: "clu_3"}, {"clu_3": "sto_3", "clu_2": "sto_2"}, {"clu_3": third})

    assert window.sizes == [0, 0, 2]
    assert window.heads.rows().tolist() == [2]


def test_groups_are_numbered_once(window: Window) -> None:
    """Known IDs keep their numbers, new ones get the next."""
    assert window.cluster_number("clu_1", "sto_1") == 0
    assert window.cluster_number("clu_3", "sto_1") == 2
    assert window.cluster_ids == ["clu_1", "clu_2", "clu_3"]
    assert window.story_of == [0, 1, 0]
    assert window.story_number("sto_3") == 2


def test_days_turn_at_midnight_in_western_indonesia() -> None:
    """23:59 WIB and 00:00 WIB are two days, 00:00 and 23:59 of one date one."""
    made = Window(64, window_days=14, story_horizon_days=180)
    minutes = [-1, 0, 24 * 60 - 1, 24 * 60]
    midnight = round(START.replace(hour=0).timestamp() * 1_000_000)
    rows = made.shelve(
        [
            replace(_entry(number), event_us=midnight + minute * 60_000_000)
            for number, minute in enumerate(minutes)
        ]
    )

    days = made.days(np.asarray(rows))

    assert (days - days[0]).tolist() == [0, 1, 1, 2]
