"""P6: kill -9 during a night leaves the groups of before or those of after, and everything acknowledged."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from forked import PATIENCE_S, start, words
from nightworker import HELD, open_desk, settings_for, stream, work
from places import forget, place_of
from sqlalchemy import event, select
from test_kill_during_ingest import wait_until_free
from told import assert_told
from wire import copied, faults

from service.evaluate import after_a_night
from service.store.engine import reader_engine
from service.store.nights import LOST
from service.store.read import assignments
from service.store.redirect import resolved
from service.store.tables import articles, changes, reclusterings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

SEED = 7
LETHAL = ("start", "view", "statement", "commit", "follow")
"""What kills the service: soon after the start, after the night has read the store, and inside the last transaction."""
EVERY_FORK = 2
"""The generation of which each is killed, until the night is over."""
ORPHANS_GONE_S = 10

Groups = dict[str, tuple[str, str]]
"""Cluster and story by article ID."""


@dataclass(frozen=True)
class Base:
    """A folder before the night, its groups then and after an undisturbed one, which takes so many statements."""

    folder: Path
    before: Groups
    after: Groups
    statements: int


@dataclass
class Heard:
    """What a process said of its nights and of new articles, by place, until it ended."""

    nights: list[str] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    answered: dict[int, str] = field(default_factory=dict)

    def note(self, word: str, *rest: Any) -> None:
        if word == "night":
            self.nights += rest
        elif word == "ended":
            self.statuses += rest
        elif word == "answered":
            place, article_id = rest
            self.answered[place] = article_id


@pytest.fixture(scope="module")
def base(database: str, tmp_path_factory: pytest.TempPathFactory) -> Base:
    folder = tmp_path_factory.mktemp("nights")
    with open_desk(settings_for(folder / "before")) as desk:
        desk.submit(stream(SEED)[0]).result(PATIENCE_S)
        with desk.reader.connect() as connection:
            before = assignments(connection)
    clone(folder / "before", folder / "after")
    statements: list[str] = []
    with open_desk(settings_for(folder / "after")) as desk:
        event.listen(desk._engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
        after = after_a_night(desk)
        needed = len(statements)
        told = Counter(one.kind for one in rows(desk.reader, changes) if one.cause is not None)
    assert {f"cluster.{one}" for one in ("split", "moved", "merged")} <= told.keys()
    assert {"article.moved", "story.split", "story.merged"} <= told.keys()
    return Base(folder / "before", before, after, needed)


def clone(folder: Path, into: Path) -> None:
    """Make a store equal to another that nobody has open."""
    if isinstance(place_of(folder), Path):
        shutil.copytree(folder, into)
        return
    engine = reader_engine(place_of(folder))
    copied(engine, into)
    engine.dispose()


def rows(engine: Engine, table: Any) -> Sequence[Any]:
    with engine.connect() as connection:
        return connection.execute(select(table).order_by(table.c.seq)).all()


# --- killing ----------------------------------------------------------------------------------------------------------


def offspring(session: int) -> dict[int, int]:
    """The parents of the living processes of a session."""
    found = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            state, parent, _, own = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(own) == session and state != "Z":
                found[int(entry.name)] = int(parent)
    return found


def kill_later(pid: int, generation: int, delay: float, over: threading.Event) -> None:
    """Kill a process (0), a child of it (1), once there is one, or every child of its child (2) until it is `over`.

    A night forks anew for each of its parts, and one that is killed with its part done is missed by nobody.
    """
    over.wait(delay)
    while not over.wait(0.001):
        family, found = offspring(pid), {pid}
        for _ in range(generation):
            found = {one for one, parent in family.items() if parent in found}
        if found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(min(found), signal.SIGKILL)
            if generation < EVERY_FORK:
                return


def run_and_kill(base: Base, folder: Path, moments: Sequence[str], chance: random.Random) -> Heard:
    """Let a process run a night for each of `moments`, kill it or a descendant, and return what was heard of it."""
    nth = chance.randint(1, base.statements) if "statement" in moments else 1
    process, pipe = start(work, settings_for(folder), stream(SEED), moments, nth)
    assert process.pid is not None
    heard = Heard()
    killers: list[tuple[threading.Thread, threading.Event]] = []
    generation = 0
    for word, *rest in words(pipe):
        heard.note(word, *rest)
        if word in {"night", "view"}:
            when, generation, delay = _target(moments[len(heard.nights) - 1], chance)
            if word == when and len(killers) < len(heard.nights):
                over = threading.Event()
                killer = threading.Thread(target=kill_later, args=(process.pid, generation, delay, over))
                killers.append((killer, over))
                killer.start()
        elif word == "ended" and generation == EVERY_FORK:
            _end(killers)
    _end(killers)
    process.join(PATIENCE_S)
    assert process.exitcode == (-signal.SIGKILL if moments[-1] in LETHAL else 0)
    patience = time.monotonic() + ORPHANS_GONE_S
    while offspring(process.pid):
        assert time.monotonic() < patience, "a night outlived its service"
        time.sleep(0.02)
    return heard


def _end(killers: Sequence[tuple[threading.Thread, threading.Event]]) -> None:
    for killer, over in killers:
        over.set()
        killer.join()


def _target(moment: str, chance: random.Random) -> tuple[str, int, float]:
    """After which word to kill, which generation, and how many seconds later; nothing where it kills itself."""
    return {
        "start": ("night", 0, chance.random() * 4),
        "view": ("view", 0, chance.random() * 0.2),
        "child": ("night", 1, chance.random()),
        "fork": ("view", 2, 0.0),
    }.get(moment, ("", 0, 0.0))


# --- what must hold ---------------------------------------------------------------------------------------------------


def by_first(groups: Groups, base: Base) -> Groups:
    """The groups of the articles from before the night; IDs that were not there before are named by a member."""
    known = {one for pair in base.before.values() for one in pair}
    names: dict[str, str] = {}
    for one in sorted(base.before):
        for group in groups[one]:
            names.setdefault(group, group if group in known else f"with {one}")
    return {one: (names[groups[one][0]], names[groups[one][1]]) for one in base.before}


def assert_whole(engine: Engine, base: Base, heard: Heard) -> bool:
    """Check that nothing is half, that nothing acknowledged is lost, and return whether a night was carried out."""
    assert faults(engine) == []
    assert_told(engine)
    with engine.connect() as connection:
        found = assignments(connection)
        old = {one for pair in base.before.values() for one in pair}
        assert resolved(connection, old).keys() == old
    new = [one.external_id for one in stream(SEED)[1]]
    stored = {one.external_id: one.id for one in rows(engine, articles)}
    late = [one for one in stored if one in set(new)]
    assert late == new[: len(late)]
    assert heard.answered == {place: stored[new[place]] for place in heard.answered}
    assert found.keys() == {*stored.values()}

    nights = rows(engine, reclusterings)
    assert [one.id for one in nights] == heard.nights
    done: bool = nights[-1].status == "done"
    assert by_first(found, base) == by_first(base.after if done else base.before, base)
    told = Counter(one.cause for one in rows(engine, changes) if one.cause is not None)
    counts = json.loads(nights[-1].diff)["counts"] if done else {}
    assert told == Counter({nights[-1].id: sum(counts.values())})
    return done


def trial(base: Base, folder: Path, moments: Sequence[str], chance: random.Random) -> bool:
    """Kill at `moments`, check, open again, check again; return whether the last night was carried out."""
    clone(base.folder, folder)
    heard = run_and_kill(base, folder, moments, chance)
    engine = reader_engine(place_of(folder))
    wait_until_free(folder)
    done = assert_whole(engine, base, heard)
    *failed, last = rows(engine, reclusterings)
    assert last.status == ("done" if done else "running")
    for moment, status, one in zip(moments[:-1], heard.statuses[: len(failed)], failed, strict=True):
        assert (one.status, status, one.diff) == ("failed", "failed", None)
        assert ("status -9; nothing" if moment == "child" else "BrokenProcessPool") in one.error
    if moments[-1] in {"statement", "commit", "follow"}:
        assert len(heard.answered) >= HELD
    with open_desk(settings_for(folder)):
        assert assert_whole(engine, base, heard) == done
    last = rows(engine, reclusterings)[-1]
    assert (last.status, last.error) == (("done", None) if done else ("failed", LOST))
    engine.dispose()
    forget(folder)
    return done


@pytest.mark.slow_on_postgresql
@pytest.mark.parametrize("moments", [("view",), ("child", "statement"), ("fork", "follow")])
def test_kill_at_five_moments(base: Base, tmp_path: Path, moments: tuple[str, ...]) -> None:
    """Killed while articles come, inside the transaction, right after it; its process alone, and one that forked off."""
    done = trial(base, tmp_path / "killed", moments, random.Random(SEED))

    assert done == (moments[-1] == "follow")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_kill_many_times(base: Base, tmp_path: Path) -> None:
    """Fifty kills at moments of every kind; each time the groups are those of before or those of after."""
    chance = random.Random(SEED)
    kills = 0
    ended: Counter[tuple[str, bool]] = Counter()
    while kills < 50:
        last = LETHAL[ended.total() % len(LETHAL)]
        moments = [*chance.choice([[], ["child"], ["fork"], ["child", "fork"]]), last]
        ended[last, trial(base, tmp_path / "killed", moments, chance)] += 1
        kills += len(moments)

    assert not {("statement", True), ("commit", True), ("follow", False)} & {*ended}
    assert {moment for moment, _ in ended} == {*LETHAL}
