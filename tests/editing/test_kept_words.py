"""What is kept of editors' words: histories and the list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from editors import Newsroom, listed

from service.errors import NotFound
from service.store import edits

if TYPE_CHECKING:
    from service.store.edits import Level

pytestmark = pytest.mark.usefixtures("database")


def test_histories_can_be_read(two_events: Newsroom) -> None:
    """What nights and editors did to a group, oldest first, each with the word behind it; merged and deleted ones too."""
    fire, flood = two_events.cluster("a"), two_events.cluster("f")
    merged = two_events.merge("cluster", fire, flood)
    two_events.undo(merged["id"])
    split = two_events.split("cluster", fire, [two_events.ids["b"]])
    two_events.night()
    third = two_events.cluster("f")
    two_events.delete("f")

    with two_events.desk.reader.connect() as connection:
        told = {
            one: edits.history_of(connection, "cluster", one)
            for one in (fire, flood, third, split["other_id"])
        }
        saga = edits.history_of(connection, "story", two_events.story("a"))
    kinds = [(row["kind"], row["cause"]) for row in told[fire]["items"]]
    assert kinds == [
        ("article.moved", merged["id"]),
        ("cluster.merged", merged["id"]),
        ("cluster.split", merged["id"]),
        ("article.moved", merged["id"]),
        ("cluster.split", split["id"]),
        ("article.moved", split["id"]),
    ]
    assert [row["edit"]["kind"] for row in told[fire]["items"]] == ["merge"] * 4 + ["split"] * 2
    assert [row["seq"] for row in told[fire]["items"]] == sorted(row["seq"] for row in told[fire]["items"])
    assert (told[flood]["current_id"], told[flood]["id"]) == (fire, flood)
    assert told[split["other_id"]]["items"][0]["other_id"] == fire
    assert told[third]["items"][0]["kind"] == "cluster.split"
    assert saga["complete"]
    with two_events.desk.reader.connect() as connection:
        wrong: list[tuple[Level, str]] = [
            ("cluster", saga["id"]),
            ("story", fire),
            ("cluster", "clu_" + "7" * 26),
        ]
        for level, one in wrong:
            with pytest.raises(NotFound):
                edits.history_of(connection, level, one)


def test_a_deleted_group_without_a_history_has_an_empty_one(two_events: Newsroom) -> None:
    flood = two_events.cluster("f")
    two_events.delete("f")

    with two_events.desk.reader.connect() as connection:
        assert edits.history_of(connection, "cluster", flood)["items"] == []


def test_words_are_listed_latest_first(two_events: Newsroom) -> None:
    one = two_events.split("cluster", two_events.cluster("a"), [two_events.ids["b"]])
    two_events.undo(one["id"])
    other = two_events.merge("story", two_events.story("a"), two_events.story("f"))

    assert [(word["id"], word["undone_by"]) for word in listed(two_events)] == [
        (other["id"], None),
        (one["id"], "citra"),
    ]
