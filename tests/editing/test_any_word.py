"""Posts, editors' words, deletions and nights in any order."""

from __future__ import annotations

import random
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from editors import Newsroom, listed, rows
from helpers import unhurried
from hypothesis import given, settings
from hypothesis import strategies as st
from places import settings_of
from sqlalchemy import func, select
from wire import faults, look_alikes, models

from service.desk import Desk
from service.errors import Refused
from service.nightly import EmptyWindowError
from service.store import edits, snapshot, tables
from service.store.read import assignments
from service.store.redirect import current_id
from service.telemetry import Metrics

if TYPE_CHECKING:
    from service.plan import Proposal
    from service.store.edits import Level

pytestmark = pytest.mark.usefixtures("database")


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
