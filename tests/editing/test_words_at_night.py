"""Editors' words and nights that began before, between or after them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from editors import (
    ALONE,
    Newsroom,
    burnt,
    burnt_again,
    drowned,
    in_one_story,
    long_ago,
    provisional,
    rows,
    tried,
    won,
)
from sqlalchemy import literal, select, update
from wire import OUTLETS

from service.plan import Move, Opening, Plan, Proposal
from service.store import tables

pytestmark = pytest.mark.usefixtures("database")


def test_a_night_that_began_before_the_word(one_story: Newsroom) -> None:
    """An editor parts two stories while a night would move an article from one to the other: it stays."""
    room = one_story
    room.post(burnt_again())
    move = Move(room.ids["b"], room.cluster("b"), room.cluster("f"), room.ids["b"], ALONE)
    seen = rows(room, tables.changes)[-1].seq
    room.split("story", room.story("a"), [room.cluster("f")])
    before = room.places()

    room.carry_out(Proposal(Plan(moved=(move,)), seen))

    assert before == room.places()


@pytest.mark.parametrize("how", ["merged", "deleted"])
def test_a_story_whose_other_cluster_is_gone_ends(four_events: Newsroom, how: str) -> None:
    """A night would take one of two clusters out of a story; meanwhile the other one went: its ID leads on."""
    in_one_story(four_events, "a", "f")
    saga = four_events.story("a")
    fire = four_events.cluster("a")
    plan = Plan(
        clusters_moved=(Move(fire, saga, "sto_new", four_events.ids["a"], ALONE),),
        stories_opened=(Opening("sto_new", saga, four_events.ids["a"]),),
    )
    seen = rows(four_events, tables.changes)[-1].seq
    if how == "deleted":
        four_events.delete("f")
    else:
        four_events.merge("cluster", four_events.cluster("t"), four_events.cluster("f"))

    four_events.carry_out(Proposal(plan, seen))

    assert four_events.story("a") == "sto_new" == four_events.leads_to(saga)


def test_what_is_left_alone_is_not_settled(two_events: Newsroom) -> None:
    """What a night could not carry out, or what was freed meanwhile, the next one looks at again."""
    seqs = {row.id: row.seq for row in rows(two_events, tables.articles)}
    word = two_events.word("story", "split", "f", "a")
    two_events.post(won(), tried())
    seqs |= {row.id: row.seq for row in rows(two_events, tables.articles)}
    ids = two_events.ids
    plan = Plan(
        moved=(Move(ids["b"], two_events.cluster("b"), two_events.cluster("w"), ids["b"], ALONE),),
        settled=np.array(sorted(seqs.values())),
    )
    seen = rows(two_events, tables.changes)[-1].seq
    two_events.delete("copy")
    two_events.undo(word)

    two_events.carry_out(Proposal(plan, seen, (word,)))

    assert {name for name in ("a", "b", "f", "t", "w") if provisional(two_events, name)} == {
        "a",
        "b",
        "f",
        "w",
    }
    assert two_events.cluster("b") == two_events.cluster("a")


def test_what_was_freed_before_a_night_is_settled_by_it(two_events: Newsroom) -> None:
    """Whether anything changed with the word or not, and however little time lies between."""
    two_events.undo(two_events.merge("cluster", two_events.cluster("a"), two_events.cluster("f"))["id"])
    two_events.undo(two_events.word("story", "split", "f", "a"))

    two_events.night()

    assert [name for name in two_events.ids if provisional(two_events, name)] == []


def test_who_came_meanwhile_follows_whom_it_joined(two_events: Newsroom) -> None:
    """One that joined for an article which leaves goes with it, and so does one that joined for the first of them."""
    seen = rows(two_events, tables.changes)[-1].seq
    plan = Plan(
        moved=(
            Move(
                two_events.ids["b"],
                two_events.cluster("b"),
                two_events.cluster("f"),
                two_events.ids["b"],
                ALONE,
            ),
        )
    )
    two_events.post(tried("x"), won("y"))
    fire = two_events.cluster("a")
    with two_events.desk._engine.begin() as connection:
        for name, nearest in (("x", "b"), ("y", "x")):
            why = replace(ALONE, nearest=two_events.ids[nearest])
            connection.execute(
                update(tables.articles)
                .where(tables.articles.c.id == two_events.ids[name])
                .values(cluster_id=fire, reason=json.dumps(asdict(why)))
            )

    two_events.carry_out(Proposal(plan, seen))

    assert two_events.cluster("x") == two_events.cluster("y") == two_events.cluster("f") != fire
    with (
        two_events.desk._engine.begin() as connection
    ):  # what was put there by hand left groups without articles
        for table, group in (
            (tables.clusters, tables.articles.c.cluster_id),
            (tables.stories, tables.clusters.c.story_id),
        ):
            gone = table.c.id.not_in(select(group))
            connection.execute(
                tables.tombstones.insert().from_select(
                    ["id", "deleted_us"], select(table.c.id, literal(0)).where(gone)
                )
            )
            connection.execute(table.delete().where(gone))


def test_a_split_story_leaves_its_id_with_the_larger_part(four_events: Newsroom) -> None:
    """A cluster that a night only looks at weighs as much as it has articles."""
    four_events.post(
        burnt_again(), burnt("c1", source=OUTLETS[2], hours=3), drowned("c2", source=OUTLETS[3], hours=3)
    )
    in_one_story(four_events, "a", "f")
    saga = four_events.story("a")
    long_ago(four_events, "a", "b", "c1")

    four_events.night(days=14)

    assert four_events.story("a") == saga != four_events.story("f")


def test_words_reach_a_cluster_that_stands_aside(two_events: Newsroom) -> None:
    """A word holds though it names an article that does not stand for its cluster, which the night only looks at."""
    in_one_story(two_events, "a", "f")
    two_events.word("story", "merge", "b", "f")
    long_ago(two_events, "a", "b", "copy")

    two_events.night(days=14)

    assert two_events.story("f") == two_events.story("b")
