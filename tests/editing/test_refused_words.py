"""What an editor says that cannot be: refused, and nothing of it is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from editors import Newsroom, codes

from service.errors import Gone, NotFound, Refused

if TYPE_CHECKING:
    from service.store.edits import Level

pytestmark = pytest.mark.usefixtures("database")


def test_contradictions_are_refused(two_events: Newsroom) -> None:
    """A word against another says which one, and leaves nothing behind."""
    apart = two_events.split("cluster", two_events.cluster("a"), [two_events.ids["b"]])
    places = two_events.cluster("a"), two_events.cluster("b")
    refusal = two_events.refuses(Refused, lambda: two_events.merge("cluster", *places))
    assert refusal.problem_code == "contradiction"
    assert codes(refusal) == [(f"/edits/{apart['id']}", "contradicts")]

    two_events.undo(apart["id"])
    tied = two_events.merge("cluster", two_events.cluster("a"), two_events.cluster("f"))
    refusal = two_events.refuses(
        Refused, lambda: two_events.split("cluster", two_events.cluster("a"), [two_events.ids["f"]])
    )
    assert (refusal.problem_code, codes(refusal)) == (
        "contradiction",
        [(f"/edits/{tied['id']}", "contradicts")],
    )


def test_contradictions_over_others_are_refused(four_events: Newsroom) -> None:
    """ "a" with "f" and "f" with "t" hold "a" and "t" together; a story holds what its clusters hold."""
    for into, gone in (("a", "f"), ("f", "t")):
        four_events.merge("cluster", four_events.cluster(into), four_events.cluster(gone))
    four_events.merge("story", four_events.story("a"), four_events.story("w"))

    for leaving in (["t"], ["a"], ["f", "t"]):
        refusal = four_events.refuses(
            Refused,
            lambda leaving=leaving: four_events.split(
                "cluster", four_events.cluster("a"), [four_events.ids[one] for one in leaving]
            ),
        )
        assert refusal.problem_code == "contradiction"
    refusal = four_events.refuses(
        Refused, lambda: four_events.split("story", four_events.story("a"), [four_events.cluster("w")])
    )
    assert refusal.problem_code == "contradiction"


def test_unknown_and_deleted_groups(two_events: Newsroom) -> None:
    fire, flood = two_events.cluster("a"), two_events.cluster("f")
    saga = two_events.story("f")
    two_events.delete("f")
    unknown = "clu_" + "7" * 26

    for one, kind in ((unknown, NotFound), (flood, Gone)):
        for pair in ((one, fire), (fire, one)):
            assert two_events.refuses(kind, lambda pair=pair: two_events.merge("cluster", *pair)).code == (
                "gone" if kind is Gone else "not_found"
            )
        two_events.refuses(kind, lambda one=one: two_events.split("cluster", one, [two_events.ids["a"]]))
    two_events.refuses(Gone, lambda: two_events.merge("story", two_events.story("a"), saga))
    two_events.refuses(NotFound, lambda: two_events.undo("edt_" + "7" * 26))
    two_events.refuses(NotFound, lambda: two_events.merge("story", two_events.story("a"), fire))


def test_merged_ids_are_as_good_as_new(four_events: Newsroom) -> None:
    """Words about an ID that was merged are words about the group it leads to."""
    names = {name: four_events.cluster(name) for name in ("a", "f", "t")}
    four_events.merge("cluster", names["a"], names["f"])

    refusal = four_events.refuses(Refused, lambda: four_events.merge("cluster", names["f"], names["a"]))
    assert codes(refusal) == [("/other_id", "same_group")]
    word = four_events.merge("cluster", names["f"], names["t"])

    assert (word["group_id"], word["other_id"]) == (names["a"], names["t"])
    assert four_events.cluster("t") == names["a"]


def test_a_story_is_split_by_the_old_id_of_a_cluster(one_story: Newsroom) -> None:
    old = one_story.cluster("f")
    one_story.merge("cluster", one_story.cluster("t"), old)

    one_story.split("story", one_story.story("a"), [old])

    assert one_story.parts("story") == {frozenset({"a", "w"}), frozenset({"f", "t"})}


def test_splits_that_make_no_sense(two_events: Newsroom) -> None:
    """Copies, strangers, and everything at once cannot be split off; each is named by its place."""
    fire, ids = two_events.cluster("a"), two_events.ids

    def codes_of(level: Level, group: str, leaving: list[str]) -> list[tuple[str, str]]:
        return codes(two_events.refuses(Refused, lambda: two_events.split(level, group, leaving)))

    assert codes_of("cluster", fire, [ids["b"], ids["copy"], ids["f"], "art_x"]) == [
        ("/article_ids/1", "is_copy"),
        ("/article_ids/2", "not_inside"),
        ("/article_ids/3", "not_inside"),
    ]
    assert codes_of("cluster", fire, [ids["a"], ids["b"]]) == [("/article_ids", "leaves_nothing")]
    assert codes_of("story", two_events.story("a"), [fire]) == [("/cluster_ids", "leaves_nothing")]
    assert codes_of("story", two_events.story("a"), [two_events.cluster("f"), fire]) == [
        ("/cluster_ids/0", "not_inside")
    ]


def test_a_word_is_taken_back_once(two_events: Newsroom) -> None:
    word = two_events.split("cluster", two_events.cluster("a"), [two_events.ids["b"]])
    two_events.undo(word["id"])

    refusal = two_events.refuses(Refused, lambda: two_events.undo(word["id"]))

    assert codes(refusal) == [("/edit_id", "undone_already")]
