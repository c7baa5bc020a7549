"""Why an article is where it is, in sentences that a reader can check against the two texts."""

from dataclasses import replace
from typing import Any

import pytest

from embeddings.terms import bundled_background
from service.explain import Comparison, Side, compare, sentences

BACKGROUND = bundled_background()
FIRST = Side(
    "art_1",
    "Kapal Nusa Jelita Karam, 14 Penumpang Hilang",
    "Kapal Nusa Jelita karam di dekat Pelabuhan Rawi, Minggu. Sebanyak 302 penumpang ada di manifes, 14 penumpang hilang. "
    "Syahbandar Togu Marbela mengatakan haluan kapal robek. Lima saksi diperiksa, kata Kapolres Rudi Antaka.",
    "kabarutama.example",
    1000.0,
)
SECOND = Side(
    "art_2",
    "Haluan Robek, Nusa Jelita Karam di Rawi",
    "Nusa Jelita karam setelah haluan robek di dekat Pelabuhan Rawi. Manifes mencatat 302 penumpang, menurut syahbandar. "
    "Delapan saksi diperiksa, kata Jaksa Sabar Wirasta.",
    "wartanusa.example",
    1002.0,
)
ODDS = {"probability": 0.82, "threshold": 0.33, "nearest": "art_1", "runner_up": None}
NOTHING = Comparison(0.0, False, (), (), 0, (), (), (), ())


def comparison(here: Side = SECOND, there: Side = FIRST) -> Comparison:
    return compare(BACKGROUND, here, there, chars=1500)


def say(rule: str, *, scope: Any = "cluster", other: Side | None = FIRST, **known: Any) -> str:
    decision = {**ODDS, "rule": rule} | known.pop("decision", {})
    return " ".join(sentences(scope, decision, other, None if other is None else comparison(), **known))


def test_both_texts_have_what_is_said_to_be_shared() -> None:
    found = comparison()

    assert found.shared_names == ("Pelabuhan Rawi", "Nusa Jelita")
    for name in (*found.shared_names, *found.shared_words):
        assert all(name.lower() in f"{side.title} {side.text}".lower() for side in (FIRST, SECOND))
    assert {"haluan", "robek", "manifes"} <= set(found.shared_words)
    assert found.shared_word_count == len(found.shared_words) + 4
    assert found.shared_figures == ("302 penumpang",)
    assert found.hours_earlier == 2
    assert not found.same_outlet


def test_what_only_one_of_them_says() -> None:
    found = comparison()

    assert found.names_only_here == ("Jaksa Sabar Wirasta",)
    assert found.names_only_there == ("Kapolres Rudi Antaka",)
    assert [(one.what, one.here, one.there) for one in found.differing_figures] == [("saksi", ("8",), ("5",))]


def test_large_figures_agree_whatever_they_count() -> None:
    here = replace(SECOND, text="Tercatat 14 orang dan 3 rumah.")
    there = replace(FIRST, title="", text="Tercatat 14 warga dan 3 mobil.")

    assert comparison(here, there).shared_figures == ("14 orang",)


def test_a_comparison_can_be_read_from_either_side() -> None:
    here, there = comparison(), comparison(FIRST, SECOND)

    assert {name.lower() for name in here.shared_names} == {name.lower() for name in there.shared_names}
    assert set(here.shared_words) == set(there.shared_words)
    assert here.hours_earlier == -there.hours_earlier
    assert here.names_only_here == there.names_only_there


def test_a_name_inside_a_longer_one_is_told_once() -> None:
    there = replace(FIRST, title="", text="Menurut Togu Marbela dan Togu, kapal itu layak.")
    here = replace(SECOND, title="", text="Syahbandar Togu Marbela diam. Pejabat Togu pulang.")

    assert comparison(here, there).shared_names == ("Togu Marbela",)


def test_joined() -> None:
    told = say("joined")

    assert told.startswith(
        "It joined this cluster because its headline and first paragraphs share “Pelabuhan Rawi”, “Nusa Jelita”"
    )
    assert (
        "with “Kapal Nusa Jelita Karam, 14 Penumpang Hilang” (kabarutama.example, 2 hours earlier)." in told
    )
    assert "Figures agree: 302 penumpang." in told
    assert "Figures differ: saksi 8 here, 5 there." in told
    assert told.endswith("Probability of the same event: 0.82; 0.33 is needed.")


def test_the_next_best_is_named() -> None:
    best = {"runner_up": "clu_9", "runner_up_title": "Feri Miring", "runner_up_probability": 0.41}

    assert say("joined", decision=best).endswith("Next best was “Feri Miring” (clu_9) at 0.41.")
    assert say("joined", decision={"runner_up": "clu_9"}).endswith("Next best was clu_9.")


def test_opened_says_what_came_closest_and_what_sets_it_apart() -> None:
    told = say("opened", decision={"probability": 0.21})

    assert (
        "“Kapal Nusa Jelita Karam, 14 Penumpang Hilang” (kabarutama.example, 2 hours earlier) came closest"
        in told
    )
    assert "Only this one names “Jaksa Sabar Wirasta”; only the other names “" in told
    assert "0.21; 0.33 is needed" in told


def test_opened_because_nothing_was_near() -> None:
    assert say("opened", other=None, decision={"nearest": None}) == (
        "It opened a cluster of its own: no earlier report within reach was alike enough to be compared."
    )


def test_round_ups_stand_alone() -> None:
    assert "a round-up of several matters" in say("opened", other=None, labels=["roundup", "price"])


def test_a_narrow_miss_is_not_rounded_away() -> None:
    assert "0.3299; 0.33 is needed" in say("opened", decision={"probability": 0.3299})


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"relation": "exact_copy", "similarity": 1.0}, "earlier) word for word."),
        ({"relation": "near_copy", "similarity": 0.87}, "almost word for word (likeness of the texts 0.87)."),
        ({"relation": "reprint", "similarity": 0.87}, "The publishers differ, so it counts as a reprint."),
    ],
)
def test_copies(known: dict[str, Any], expected: str) -> None:
    assert expected in say("copy", **known)


@pytest.mark.parametrize("rule", ["joined", "opened", "copy"])
def test_what_was_deleted_is_not_quoted(rule: str) -> None:
    told = say(rule, other=None, relation="near_copy", similarity=0.9)

    assert "no longer stored" in told
    assert "“" not in told


def test_a_story_is_decided_by_the_first_report() -> None:
    assert "because the first report's headline" in say("joined", scope="story", is_opener=False)
    assert "because its headline" in say("joined", scope="story", is_opener=True)
    assert "same story: 0.82" in say("joined", scope="story")


def test_other_rules_still_say_something() -> None:
    assert say("editor").startswith("An editor")
    assert say("regrouped").startswith("A nightly run moved it to this cluster")
    assert "its cluster to this story" in say("regrouped", scope="story")
    assert "“unheard_of”" in say("unheard_of")


def test_openings_that_were_read_are_told() -> None:
    """Where a night read the openings, a reader hears so, and how alike they are."""
    evidence = [{"name": "lead_cosine", "value": 0.4}, {"name": "openings_cosine", "value": 0.8712}]

    assert "read both openings: 0.87 alike" in say("regrouped", decision={"evidence": evidence})
    assert "read both openings" not in say("regrouped", decision={"evidence": evidence[:1]})


def test_edits_are_admitted() -> None:
    assert say("joined", edited=True).endswith("those of today.")
    assert "today" not in say("joined")


@pytest.mark.parametrize(
    ("hours", "day_only", "expected"),
    [
        (0.0, False, "at the same time"),
        (0.5, False, "30 minutes earlier"),
        (1.0, False, "1 hour earlier"),
        (-50.0, False, "50 hours later"),
        (240.0, False, "10 days earlier"),
        (7.0, True, "the same day or the next"),
        (49.0, True, "2 days earlier"),
    ],
)
def test_gaps_in_words(hours: float, day_only: bool, expected: str) -> None:
    other = replace(FIRST, hours=SECOND.hours - hours, day_only=day_only)
    told = sentences("cluster", {**ODDS, "rule": "joined"}, other, comparison(SECOND, other))

    assert f"(kabarutama.example, {expected})" in told[0]


def test_nothing_shared_is_said_too() -> None:
    told = sentences("cluster", {**ODDS, "rule": "opened"}, FIRST, NOTHING)

    assert "They share no telling word." in told
