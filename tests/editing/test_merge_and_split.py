"""Merges and splits, obeyed at once, by whatever comes later and by every night."""

from __future__ import annotations

import pytest
from editors import (
    BURNT,
    BURNT_AGAIN,
    DROWNED,
    WON,
    Newsroom,
    burnt_again,
    codes,
    drowned,
    in_one_story,
    listed,
    rows,
)
from sqlalchemy import select
from wire import FIRE_RETOLD, FLOOD, OUTLETS, article

from service.errors import Refused
from service.store import groups, tables
from service.store.read import get_explanation

pytestmark = pytest.mark.usefixtures("database")


def test_merged_clusters_are_one(two_events: Newsroom) -> None:
    """The group addressed keeps its ID, the other leads there with its story, and all is counted anew."""
    fire, flood = two_events.cluster("a"), two_events.cluster("f")
    saga, other = two_events.story("a"), two_events.story("f")

    word = two_events.merge("cluster", fire, flood)

    assert {"level": "cluster", "kind": "merge", "group_id": fire, "other_id": flood}.items() <= word.items()
    assert (word["actor"], word["note"], word["undone_at"]) == ("ana", "one event", None)
    assert two_events.parts() == {frozenset({"a", "b", "copy", "f"})}
    assert (two_events.leads_to(flood), two_events.leads_to(other)) == (fire, saga)
    with two_events.desk.reader.connect() as connection:
        shown = groups.get_cluster(connection, flood)
        told = groups.get_story(connection, other)
    assert (shown["id"], shown["requested_id"], shown["merged_into"]) == (fire, flood, fire)
    assert (shown["article_count"], shown["copy_count"]) == (4, 1)
    assert (told["id"], told["merged_into"], told["cluster_count"]) == (saga, saga, 1)


def test_what_comes_later_goes_where_the_editor_says(two_events: Newsroom) -> None:
    """A report of the flood joins the cluster that the flood was put into, and a copy of it the same."""
    two_events.merge("cluster", two_events.cluster("a"), two_events.cluster("f"))

    again, copy = two_events.post(
        article(
            "g", f"{DROWNED} Lagi", FLOOD.replace("Jumat malam", "Jumat petang"), source=OUTLETS[1], hours=1
        ),
        drowned("h", source=OUTLETS[2], hours=2),
    )

    assert again.placement.cluster_id == copy.placement.cluster_id == two_events.cluster("a")
    assert copy.placement.copy_of == two_events.ids["f"]


def test_a_night_obeys_a_merge(two_events: Newsroom) -> None:
    """However little alike they are, and whatever else a night does, merged articles stay in one cluster."""
    two_events.night()
    two_events.merge("cluster", two_events.cluster("a"), two_events.cluster("f"))
    two_events.post(article("g", DROWNED, FLOOD.replace("dua ribu", "tiga ribu"), source=OUTLETS[1], hours=1))

    two_events.night()

    assert two_events.parts() == {frozenset({"a", "b", "copy", "f", "g"})}


def test_stories_are_merged_and_stay_so(four_events: Newsroom) -> None:
    saga, other = four_events.story("a"), four_events.story("f")
    clusters = four_events.cluster("a"), four_events.cluster("f")

    four_events.merge("story", saga, other)
    four_events.night()

    assert four_events.story("a") == four_events.story("f") == saga == four_events.leads_to(other)
    assert (four_events.cluster("a"), four_events.cluster("f")) == clusters
    assert four_events.title_of(other) == BURNT


def test_chains_of_merges_resolve(four_events: Newsroom) -> None:
    """Each ID leads to where it all ended in one step, and is as good as the one it leads to."""
    ids = [four_events.cluster(name) for name in ("a", "f", "t", "w")]
    for into, gone in ((ids[1], ids[0]), (ids[2], ids[1]), (ids[3], ids[1])):
        four_events.merge("cluster", into, gone)

    assert [four_events.leads_to(one) for one in ids] == [ids[3]] * 4
    with four_events.desk.reader.connect() as connection:
        assert set(
            connection.execute(
                select(tables.redirects.c.target).where(tables.redirects.c.id.in_(ids))
            ).scalars()
        ) == {ids[3]}
    assert {four_events.leads_to(one) for one in (four_events.story("a"), four_events.story("w"))} == {
        four_events.story("w")
    }


def test_a_split_takes_copies_along(two_events: Newsroom) -> None:
    """What is named leaves with its copies for a new cluster of the same story, which says where it came from."""
    fire, saga = two_events.cluster("a"), two_events.story("a")

    word = two_events.split("cluster", fire, [two_events.ids["a"]])

    assert two_events.parts() == {frozenset({"a", "copy"}), frozenset({"b"}), frozenset({"f"})}
    assert (two_events.cluster("b"), two_events.cluster("a")) == (fire, word["other_id"])
    assert two_events.story("a") == two_events.story("b") == saga
    with two_events.desk.reader.connect() as connection:
        stays, left = (groups.get_cluster(connection, two_events.cluster(name)) for name in ("b", "a"))
        assert get_explanation(connection, two_events.ids["a"])["cluster"]["rule"] == "editor"
    assert (stays["title"], left["title"], left["split_from"]) == (BURNT_AGAIN, BURNT, fire)
    assert (stays["article_count"], left["article_count"], left["copy_count"]) == (1, 2, 1)


def test_a_night_obeys_a_split(two_events: Newsroom) -> None:
    """Two reports of one fire stay apart, night after night, and what comes later changes nothing of it."""
    two_events.split("cluster", two_events.cluster("a"), [two_events.ids["b"]])
    for number in range(2):
        two_events.night()
        two_events.post(
            burnt_again(f"later{number}", text=f"{FIRE_RETOLD} Hujan turun {number}.", hours=3 + number)
        )

    two_events.night()

    assert two_events.cluster("a") != two_events.cluster("b")


def test_a_split_of_stories_keeps_clusters_apart_too(two_events: Newsroom) -> None:
    """What an editor wants in two stories no night puts into one cluster, be it ever so alike."""
    two_events.split("cluster", two_events.cluster("a"), [two_events.ids["b"]])
    first = two_events.undo(two_events.split("story", two_events.story("a"), [two_events.cluster("b")])["id"])
    assert first["undone_at"] is not None
    assert two_events.story("a") == two_events.story("b")
    apart = two_events.split("story", two_events.story("a"), [two_events.cluster("b")])
    (cluster_word,) = (
        one["id"] for one in listed(two_events) if one["level"] == "cluster" and one["undone_at"] is None
    )

    undone = two_events.undo(cluster_word)
    two_events.night()

    assert undone["undone_at"] is not None
    assert two_events.story("a") != two_events.story("b")
    assert two_events.story("b") == apart["other_id"]
    two_events.undo(apart["id"])
    two_events.night()
    assert two_events.parts() == {frozenset({"a", "b", "copy"}), frozenset({"f"})}


def test_a_story_is_split(one_story: Newsroom) -> None:
    """The clusters named form a story of their own, under a title of theirs; the rest keeps the ID, and nights obey."""
    saga, fire = one_story.story("a"), one_story.cluster("a")

    word = one_story.split("story", saga, [fire, one_story.cluster("t")])

    assert one_story.parts("story") == {frozenset({"a", "t"}), frozenset({"f", "w"})}
    assert (one_story.story("f"), one_story.story("a")) == (saga, word["other_id"])
    assert one_story.cluster("a") == fire
    with one_story.desk.reader.connect() as connection:
        left, stays = (groups.get_story(connection, one_story.story(name)) for name in ("a", "f"))
    assert (left["split_from"], left["cluster_count"], stays["cluster_count"]) == (saga, 2, 2)
    titles = {row.id: row.title for row in rows(one_story, tables.stories)}
    assert titles[left["id"]] == BURNT
    assert titles[saga] == WON  # the fire, whose title it bore, has left


def test_what_a_word_ties_follows_into_the_story(four_events: Newsroom) -> None:
    """A cluster that is merged into another story takes along what an editor wants in one story with it."""
    four_events.merge("story", four_events.story("f"), four_events.story("t"))
    saga, other = four_events.story("a"), four_events.story("f")

    four_events.merge("cluster", four_events.cluster("a"), four_events.cluster("f"))

    assert four_events.story("t") == four_events.story("f") == saga == four_events.leads_to(other)
    four_events.night()
    assert four_events.story("t") == four_events.story("f") == four_events.story("a")


def test_what_no_word_ties_stays_in_its_story(four_events: Newsroom) -> None:
    in_one_story(four_events, "f", "t")
    other = four_events.story("t")

    four_events.merge("cluster", four_events.cluster("a"), four_events.cluster("f"))

    assert (four_events.story("t"), four_events.leads_to(other)) == (other, other)
    assert four_events.story("f") == four_events.story("a") != other


def test_what_a_word_bars_decides_the_story(four_events: Newsroom) -> None:
    """A cluster merged with one that may not come to its story goes to that one's story."""
    in_one_story(four_events, "a", "w")
    saga, other = four_events.story("a"), four_events.story("f")
    four_events.word("story", "split", "a", "f")

    four_events.merge("cluster", four_events.cluster("w"), four_events.cluster("f"))

    assert (four_events.story("a"), four_events.story("w"), four_events.story("f")) == (saga, other, other)


def test_where_words_bar_both_stories_a_new_one_opens(four_events: Newsroom) -> None:
    """By hand: "f" may not be with "a", "w" not with "t"; merged, they are with neither."""
    in_one_story(four_events, "a", "w")
    in_one_story(four_events, "f", "t")
    saga, other = four_events.story("a"), four_events.story("f")
    four_events.word("story", "split", "a", "f")
    four_events.word("story", "split", "w", "t")

    four_events.merge("cluster", four_events.cluster("w"), four_events.cluster("f"))

    assert (four_events.story("a"), four_events.story("t")) == (saga, other)
    opened = four_events.story("w")
    assert opened == four_events.story("f") not in {saga, other}
    assert next(row.split_from for row in rows(four_events, tables.stories) if row.id == opened) == saga


def test_a_cluster_as_a_whole_can_stand_against_a_merge(four_events: Newsroom) -> None:
    """By hand: "f" must be with "b", which stands in one cluster with "a", which may not be with "w"."""
    four_events.post(burnt_again())
    assert four_events.cluster("a") == four_events.cluster("b")
    in_one_story(four_events, "a", "f")
    four_events.word("story", "merge", "b", "f")
    apart = four_events.word("story", "split", "a", "w")

    refusal = four_events.refuses(
        Refused, lambda: four_events.merge("cluster", four_events.cluster("w"), four_events.cluster("f"))
    )

    assert refusal.problem_code == "contradiction"
    assert codes(refusal) == [(f"/edits/{apart}", "contradicts")]
