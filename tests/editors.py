"""A newsroom with a real store: what editors say in it, and, as fixtures, the events that their tests begin with."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from places import settings_of
from sqlalchemy import delete, select, update
from wire import FIRE, FIRE_RETOLD, FLOOD, NOW_US, OUTLETS, article, dump, faults, models

from service import editing
from service.desk import Desk
from service.editing import Editor
from service.model import Reason
from service.nightly import Night, propose
from service.parallel import Local
from service.stage import Horizons
from service.store import edits, groups, tables
from service.store.read import assignments
from service.store.redirect import current_id
from service.stored_vectors import StoreVectors
from service.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from service.errors import Refused
    from service.model import Article, Outcome
    from service.plan import Proposal
    from service.store.apply import Applied
    from service.store.edits import Level

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


def listed(room: Newsroom) -> list[dict[str, Any]]:
    with room.desk.reader.connect() as connection:
        return edits.list_edits(connection, 100)


def rows(room: Newsroom, table: Any) -> list[Any]:
    with room.desk.reader.connect() as connection:
        return list(connection.execute(select(table).order_by(table.c.seq)).all())


def in_one_story(room: Newsroom, into: str, *others: str) -> None:
    """Put clusters into one story and leave no word that says so."""
    words = [room.merge("cluster", room.cluster(into), room.cluster(name))["id"] for name in others]
    for one in reversed(words):
        room.undo(one)


def provisional(room: Newsroom, name: str) -> bool:
    waiting = select(tables.articles.c.id).join(tables.unsettled)
    with room.desk.reader.connect() as connection:
        return room.ids[name] in connection.execute(waiting).scalars().all()


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


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Newsroom]:
    own = settings_of(tmp_path, recluster_window_days=3650)
    with Desk.open(own, Metrics(), models=models()) as desk:
        yield Newsroom(desk)
        assert faults(desk.reader) == []


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
    in_one_story(four_events, "a", "f", "t", "w")
    assert len(four_events.parts()) == 4
    assert len(four_events.parts("story")) == 1
    return four_events
