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
from wire import FIRE, FLOOD, START, Room, article, look_alikes, models, room

from service.ingest import prepare_vectors
from service.window import IS_COPY, ONE_DAY_ONLY, STANDS_ALONE, Entry, Window

if TYPE_CHECKING:
    from service.model import Article, Outcome


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


def live(through: Room, seed: int, steps: int = 30) -> None:
    """A random history: batches of reports, edits and repetitions, and now and then a deletion as the desk does it."""
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
