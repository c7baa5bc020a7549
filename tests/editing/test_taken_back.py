"""Editors' words taken back."""

from __future__ import annotations

import pytest
from editors import Newsroom, in_one_story

pytestmark = pytest.mark.usefixtures("database")


def test_a_merge_is_taken_back(two_events: Newsroom) -> None:
    """What was merged leaves under a new ID, the old one still leads to the group, and the night decides freely."""
    fire, flood = two_events.cluster("a"), two_events.cluster("f")
    word = two_events.merge("cluster", fire, flood)
    two_events.night()

    undone = two_events.undo(word["id"])

    assert (undone["id"], undone["undone_by"]) == (word["id"], "citra")
    assert undone["undone_at"] is not None
    assert two_events.parts() == {frozenset({"a", "b", "copy"}), frozenset({"f"})}
    assert two_events.cluster("a") == fire == two_events.leads_to(flood) != two_events.cluster("f")
    assert two_events.story("a") == two_events.story("f")
    two_events.night()
    assert two_events.story("a") != two_events.story("f")


def test_a_split_is_taken_back(two_events: Newsroom) -> None:
    fire = two_events.cluster("a")
    word = two_events.split("cluster", fire, [two_events.ids["b"]])
    two_events.night()

    two_events.undo(word["id"])

    assert two_events.parts() == {frozenset({"a", "b", "copy"}), frozenset({"f"})}
    assert two_events.cluster("b") == fire == two_events.leads_to(word["other_id"])
    two_events.night()
    assert two_events.cluster("b") == two_events.cluster("a")


def test_words_about_stories_are_taken_back(one_story: Newsroom) -> None:
    saga = one_story.story("a")
    word = one_story.split("story", saga, [one_story.cluster("w")])

    one_story.undo(word["id"])
    assert one_story.story("w") == saga == one_story.leads_to(word["other_id"])

    apart = one_story.split("story", saga, [one_story.cluster("w")])
    one_story.undo(apart["id"])
    again = one_story.split("story", saga, [one_story.cluster("t"), one_story.cluster("w")])
    assert one_story.parts("story") == {frozenset({"a", "f"}), frozenset({"t", "w"})}
    one_story.undo(again["id"])
    assert one_story.parts("story") == {frozenset({"a", "f", "t", "w"})}


def test_a_merge_of_stories_is_taken_back(four_events: Newsroom) -> None:
    saga = four_events.story("a")
    word = four_events.merge("story", saga, four_events.story("f"))

    four_events.undo(word["id"])

    assert four_events.story("a") == saga != four_events.story("f")
    assert {frozenset({"a"}), frozenset({"f"})} <= four_events.parts("story")


def test_what_another_word_holds_stays(four_events: Newsroom) -> None:
    """The second merge says of all three that they are one: taking the first back parts nothing as long as it stands."""
    first = four_events.merge("cluster", four_events.cluster("a"), four_events.cluster("f"))
    second = four_events.merge("cluster", four_events.cluster("a"), four_events.cluster("t"))

    four_events.undo(first["id"])
    four_events.night()
    assert four_events.parts() == {frozenset({"a", "f", "t"}), frozenset({"w"})}

    four_events.undo(second["id"])
    assert four_events.parts() == {frozenset({"a", "f"}), frozenset({"t"}), frozenset({"w"})}
    four_events.night()
    assert len(four_events.parts()) == 4


def test_what_another_word_keeps_apart_stays_apart(four_events: Newsroom) -> None:
    """By hand: "t" left "a" and was joined by "f", which may not be with "a"; taking back that "t" left brings neither."""
    in_one_story(four_events, "a", "t")
    saga = four_events.story("a")
    left = four_events.split("story", saga, [four_events.cluster("t")])
    four_events.word("story", "split", "a", "f")
    four_events.merge("story", left["other_id"], four_events.story("f"))

    four_events.undo(left["id"])

    assert four_events.story("t") == four_events.story("f") == left["other_id"]
    assert four_events.story("a") == saga


def test_taken_back_after_the_group_is_gone(two_events: Newsroom) -> None:
    """What was deleted since cannot be put back; the word is taken back all the same, and nothing else changes."""
    word = two_events.merge("cluster", two_events.cluster("a"), two_events.cluster("f"))
    two_events.delete("f")
    before = two_events.places()

    assert two_events.undo(word["id"])["undone_by"] == "citra"
    assert before == two_events.places()
