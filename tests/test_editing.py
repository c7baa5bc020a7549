"""Editors' words on a real store: obeyed at once, by whatever comes later and by every night, and taken back."""

from __future__ import annotations

import json
import random
import tempfile
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import unhurried
from hypothesis import given, settings
from hypothesis import strategies as st
from places import settings_of
from sqlalchemy import delete, func, literal, select, update
from wire import FIRE, FIRE_RETOLD, FLOOD, NOW_US, OUTLETS, article, dump, faults, look_alikes, models

from service import editing
from service.desk import Desk
from service.editing import Editor
from service.errors import Gone, NotFound, Refused
from service.model import Reason
from service.nightly import EmptyWindowError, Night, propose
from service.parallel import Local
from service.plan import Move, Opening, Plan, Proposal
from service.stage import Horizons
from service.store import edits, groups, snapshot, tables
from service.store.read import assignments, get_explanation
from service.store.redirect import current_id
from service.stored_vectors import StoreVectors
from service.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from service.model import Article, Outcome
    from service.store.apply import Applied
    from service.store.edits import Level

pytestmark = pytest.mark.usefixtures("database")

PATIENCE_S = 60
ALONE = Reason("regrouped", 0.5, 0.36, None, None, {}, "test")
BURNT = "Kebakaran Pasar Rengasdengkul Hanguskan Puluhan Kios"
BURNT_AGAIN = "Pasar Rengasdengkul Wanasegara Terbakar, Puluhan Kios Habis"
WON = "Garuda Timur Menang Tiga Set Langsung"
DROWNED = "Sungai Citamiang Meluap, Empat Kelurahan Terendam"
TRIAL = (
    "Majelis hakim Pengadilan Negeri Telagabiru menjatuhkan hukuman enam tahun penjara kepada mantan bendahara koperasi "
    "Sumarni Kaligawe. Jaksa semula menuntut sembilan tahun. Terdakwa menerima putusan, sedangkan penuntut umum masih "
    "pikir-pikir. Uang pengganti empat miliar rupiah harus dibayar dalam sebulan."
)
MATCH = (
    "Tim voli putri Garuda Timur menang tiga set langsung atas tuan rumah di Gelanggang Batuwangi. Pemukul utama Ningsih "
    "Rarasati mencetak dua puluh angka. Pelatih memuji pertahanan barisan belakang yang jarang kehilangan bola."
)


@dataclass
class Newsroom:
    """A desk with what tests ask of it, everything by name of the article."""

    desk: Desk
    ids: dict[str, str] = field(default_factory=dict)

    def post(self, *items: Article) -> list[Outcome]:
        outcomes = self.desk.submit(items).result(PATIENCE_S)
        self.ids |= {str(one.article.external_id): one.id for one in outcomes}
        return outcomes

    def delete(self, name: str) -> None:
        assert self.desk.delete(self.ids.pop(name)).result(PATIENCE_S)

    def cluster(self, name: str) -> str:
        return self.places()[name][0]

    def story(self, name: str) -> str:
        return self.places()[name][1]

    def group(self, level: Level, name: str) -> str:
        return self.places()[name][level == "story"]

    def places(self) -> dict[str, tuple[str, str]]:
        with self.desk.reader.connect() as connection:
            found = assignments(connection)
        return {name: found[one] for name, one in self.ids.items()}

    def parts(self, level: Level = "cluster") -> set[frozenset[str]]:
        """Who is together, by name."""
        found = defaultdict(set)
        for name, place in self.places().items():
            found[place[level == "story"]].add(name)
        return set(map(frozenset, found.values()))

    def merge(self, level: Level, into: str, gone: str) -> dict[str, Any]:
        return self.desk.edit(
            lambda connection, now: editing.merge(
                connection, level, into, gone, Editor("ana", "one event", now)
            )
        ).result(PATIENCE_S)

    def split(self, level: Level, group: str, leaving: Sequence[str]) -> dict[str, Any]:
        return self.desk.edit(
            lambda connection, now: editing.split(
                connection, level, group, leaving, Editor("budi", "two events", now)
            )
        ).result(PATIENCE_S)

    def undo(self, edit_id: str) -> dict[str, Any]:
        return self.desk.edit(
            lambda connection, now: editing.undo(connection, edit_id, Editor("citra", "", now))
        ).result(PATIENCE_S)

    def proposed(self, days: float = 3650) -> Proposal:
        night = Night(NOW_US + 1, days, Horizons(14, 180))
        hands = Local(self.desk.models, StoreVectors(self.desk.reader, self.desk.models), night.horizons)
        return propose(self.desk.reader, hands, self.desk.cuts, night, model="test")

    def carry_out(self, proposal: Proposal) -> Applied:
        return self.desk.carry_out(proposal, "run_test").result(PATIENCE_S)

    def night(self, days: float = 3650) -> Applied:
        return self.carry_out(self.proposed(days))

    def refuses(self, kind: type[Exception], say: Any) -> Any:
        """Make sure that `say` is refused and that nothing of it is left; return why."""
        before = dump(self.desk.reader)
        with pytest.raises(kind) as refusal:
            say()
        assert before == dump(self.desk.reader)
        return refusal.value

    def word(self, level: Level, kind: str, these: str, those: str) -> str:
        """Keep a word that names these articles alone, as if no other had been there when it was given."""
        number = len(rows(self, tables.edits))
        edit_id = f"edt_{number:026}"
        sides = {
            "these": tuple(self.ids[one] for one in these),
            "those": tuple(self.ids[one] for one in those),
        }
        with self.desk._engine.begin() as connection:
            edits.insert_edit(
                connection,
                edit_id,
                at_us=NOW_US,
                level=level,
                kind=kind,
                group_id=self.group(level, these[0]),
                other_id=self.group(level, those[0]),
                actor="ana",
                note="",
                **sides,
            )
        return edit_id

    def leads_to(self, group_id: str) -> str:
        with self.desk.reader.connect() as connection:
            return current_id(connection, group_id)

    def title_of(self, story_id: str) -> str:
        with self.desk.reader.connect() as connection:
            return str(groups.get_story(connection, story_id)["title"])


def codes(refusal: Refused) -> list[tuple[str, str]]:
    return [(one.pointer, one.code) for one in refusal.errors]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Newsroom]:
    own = settings_of(tmp_path, recluster_window_days=3650)
    with Desk.open(own, Metrics(), models=models()) as desk:
        yield Newsroom(desk)
        assert faults(desk.reader) == []


def burnt(name: str = "a", **changes: Any) -> Article:
    return article(name, BURNT, FIRE, **changes)


def burnt_again(name: str = "b", text: str = FIRE_RETOLD, **changes: Any) -> Article:
    return article(name, BURNT_AGAIN, text, **{"source": OUTLETS[1], "hours": 1} | changes)


def drowned(name: str = "f", **changes: Any) -> Article:
    return article(name, DROWNED, FLOOD, **changes)


def tried(name: str = "t", **changes: Any) -> Article:
    return article(name, "Bendahara Koperasi Telagabiru Dihukum Enam Tahun", TRIAL, **changes)


def won(name: str = "w", **changes: Any) -> Article:
    return article(name, WON, MATCH, **changes)


@pytest.fixture
def two_events(room: Newsroom) -> Newsroom:
    """Two reports of a fire with a copy of the first, and one of a flood."""
    copy = burnt("copy", source=OUTLETS[2], hours=2)
    room.post(burnt(), burnt_again(), copy, drowned())
    assert room.parts() == {frozenset({"a", "b", "copy"}), frozenset({"f"})}
    return room


@pytest.fixture
def four_events(room: Newsroom) -> Newsroom:
    """Four events, each a cluster and a story of its own."""
    room.post(burnt(), drowned(), tried(), won())
    assert len(room.parts("story")) == 4
    return room


@pytest.fixture
def one_story(four_events: Newsroom) -> Newsroom:
    """Four clusters in one story, and no word that says so: they were merged, and the words taken back."""
    into = four_events.cluster("a")
    words = [four_events.merge("cluster", into, four_events.cluster(name))["id"] for name in "ftw"]
    for one in reversed(words):
        four_events.undo(one)
    assert len(four_events.parts()) == 4
    assert len(four_events.parts("story")) == 1
    return four_events


# --- merging ----------------------------------------------------------------------------------------------------------


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


# --- splitting --------------------------------------------------------------------------------------------------------


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


def listed(room: Newsroom) -> list[dict[str, Any]]:
    with room.desk.reader.connect() as connection:
        return edits.list_edits(connection, 100)


def rows(room: Newsroom, table: Any) -> list[Any]:
    with room.desk.reader.connect() as connection:
        return list(connection.execute(select(table).order_by(table.c.seq)).all())


# --- words about clusters and stories together ------------------------------------------------------------------------


def in_one_story(room: Newsroom, into: str, *others: str) -> None:
    """Put clusters into one story and leave no word that says so."""
    words = [room.merge("cluster", room.cluster(into), room.cluster(name))["id"] for name in others]
    for one in reversed(words):
        room.undo(one)


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


# --- taking back ------------------------------------------------------------------------------------------------------


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


# --- refusals ---------------------------------------------------------------------------------------------------------


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


# --- what is kept -----------------------------------------------------------------------------------------------------


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


# --- nights and words -------------------------------------------------------------------------------------------------


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


def provisional(room: Newsroom, name: str) -> bool:
    waiting = select(tables.articles.c.id).join(tables.unsettled)
    with room.desk.reader.connect() as connection:
        return room.ids[name] in connection.execute(waiting).scalars().all()


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


def long_ago(room: Newsroom, *names: str) -> None:
    """Let articles have come long before, and a night have settled them."""
    with room.desk._engine.begin() as connection:
        connection.execute(
            update(tables.articles)
            .where(tables.articles.c.id.in_([room.ids[name] for name in names]))
            .values(received_us=NOW_US - 100 * 86_400_000_000)
        )
        seqs = select(tables.articles.c.seq).where(
            tables.articles.c.id.in_([room.ids[name] for name in names])
        )
        connection.execute(
            delete(tables.unsettled).where(tables.unsettled.c.article_seq.in_(seqs.scalar_subquery()))
        )


# --- any history ------------------------------------------------------------------------------------------------------


class History:
    """Posts, words, deletions and nights by chance; what must hold is looked at after each."""

    def __init__(self, room: Newsroom, seed: int) -> None:
        self.room = room
        self.chance = random.Random(seed)
        self.stream = look_alikes(seed, 40, revise=True)
        self.answered: set[str] = set()
        self.done: Counter[str] = Counter()
        self.proposal: Proposal | None = None

    def step(self) -> None:
        kind = self.chance.choice(
            ["post", "post", "merge", "merge", "split", "split", "undo", "delete", "night"]
        )
        try:
            getattr(self, f"_{kind}")()
        except (Refused, EmptyWindowError) as error:
            kind = type(error).__name__
        self.done[kind] += 1
        self._look()

    def _post(self) -> None:
        size = self.chance.choice([1, 3, 8])
        batch, self.stream = self.stream[:size], self.stream[size:]
        for one in self.room.post(*batch):
            self.answered |= {one.placement.cluster_id, one.placement.story_id}

    def _some(self) -> tuple[Level, list[str]]:
        level: Level = self.chance.choice(("cluster", "story"))
        return level, sorted({place[level == "story"] for place in self.room.places().values()})

    def _merge(self) -> None:
        level, found = self._some()
        if len(found) > 1:
            word = self.room.merge(level, *self.chance.sample(found, 2))
            self.answered |= {word["group_id"], word["other_id"]}

    def _split(self) -> None:
        level, _ = self._some()
        places = self.room.places()
        inside = defaultdict(set)
        for name, (cluster, story) in places.items():
            inside[cluster if level == "cluster" else story].add(
                self.room.ids[name] if level == "cluster" else cluster
            )
        several = sorted(group for group, parts in inside.items() if len(parts) > 1)
        if several:
            group = self.chance.choice(several)
            parts = sorted(inside[group])
            word = self.room.split(
                level, group, self.chance.sample(parts, self.chance.randint(1, len(parts) - 1))
            )
            self.answered |= {word["group_id"], word["other_id"]}

    def _undo(self) -> None:
        said = [one["id"] for one in listed(self.room) if one["undone_at"] is None]
        if said:
            self.room.undo(self.chance.choice(said))

    def _delete(self) -> None:
        if self.room.ids:
            self.room.delete(self.chance.choice(sorted(self.room.ids)))

    def _night(self) -> None:
        """Carry out a night that was proposed a while ago, or propose one, to be carried out now or later."""
        late, self.proposal = self.proposal, None
        if late is not None:
            self.room.carry_out(late)
            return
        made = self.room.proposed(self.chance.choice([14, 3650]))
        if self.chance.random() < 0.5:
            self.room.carry_out(made)
        else:
            self.proposal = made

    def _look(self) -> None:
        assert faults(self.room.desk.reader) == []
        with self.room.desk.reader.connect() as connection:
            found = assignments(connection)
            self.answered |= {one for place in found.values() for one in place}
            for word in snapshot.read_edits(connection):
                self._holds(word, found)
            self._all_resolve(connection)
        self._one_head_each()

    def _holds(self, word: snapshot.Edit, found: dict[str, tuple[str, str]]) -> None:
        here, there = (
            {found[one][word.level == "story"] for one in side if one in found}
            for side in (word.these, word.those)
        )
        if word.kind == "merge":
            assert len(here | there) <= 1, word
        else:
            assert not here & there, word

    def _all_resolve(self, connection: Any) -> None:
        there = {
            one
            for table in (tables.clusters, tables.stories)
            for one in connection.execute(select(table.c.id)).scalars()
        }
        gone = {*connection.execute(select(tables.tombstones.c.id)).scalars()}
        for one in self.answered:
            assert current_id(connection, one) in there | gone, one
        targets = {*connection.execute(select(tables.redirects.c.target)).scalars()}
        assert not targets & {*connection.execute(select(tables.redirects.c.id)).scalars()}

    def _one_head_each(self) -> None:
        a, v, c = tables.articles, tables.vectors, tables.clusters
        query = (
            select(c.c.id, func.count(v.c.seq), func.count(a.c.copy_of))
            .select_from(
                c.outerjoin(a, a.c.cluster_id == c.c.id).outerjoin(
                    v, (v.c.article_seq == a.c.seq) & (v.c.opens_cluster == 1)
                )
            )
            .where(v.c.seq.is_not(None))
            .group_by(c.c.id)
        )
        with self.room.desk.reader.connect() as connection:
            heads = {row[0]: tuple(row[1:]) for row in connection.execute(query)}
        assert heads == {row.id: (1, 0) for row in rows(self.room, c)}


def lived(seed: int, steps: int) -> Counter[str]:
    with tempfile.TemporaryDirectory() as folder:
        own = settings_of(Path(folder), recluster_window_days=3650)
        with Desk.open(own, Metrics(), models=models()) as desk:
            history = History(Newsroom(desk), seed)
            history._post()
            for _ in range(steps):
                history.step()
            with desk.reader.connect() as connection:
                for one in sorted(history.answered):
                    level: Level = "cluster" if one.startswith("clu") else "story"
                    assert edits.history_of(connection, level, one)["complete"]
            return history.done


@pytest.mark.slow_on_postgresql
@settings(unhurried, max_examples=6)
@given(st.integers(0, 10**9))
def test_words_hold_after_any_history(seed: int) -> None:
    """The store is sound, every standing word holds in it, and every ID ever answered leads to a group or its tombstone."""
    lived(seed, 25)


@pytest.mark.slow
@settings(unhurried, max_examples=60)
@given(st.integers(0, 10**9))
def test_words_hold_after_many_histories(seed: int) -> None:
    lived(seed, 50)


@pytest.mark.slow_on_postgresql
def test_histories_hold_something_of_everything() -> None:
    """The property above must not pass because nothing happens in it."""
    done = sum((lived(seed, 30) for seed in range(3)), Counter[str]())

    assert min(done[kind] for kind in ("post", "merge", "split", "undo", "delete", "night")) > 1, done
