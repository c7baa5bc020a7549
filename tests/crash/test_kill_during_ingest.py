"""P1, P2, P3: kill -9 in the middle of the work loses nothing acknowledged, leaves nothing half, and changes no answer."""

from __future__ import annotations

import random
import signal
import time
from typing import TYPE_CHECKING

import forked
import pytest
from feeder import feed
from forked import PATIENCE_S, words
from places import forget, place_of, settings_of
from sqlalchemy import select
from wire import Groups, cut, faults, groups, look_alikes, room

from service.store.engine import is_owned, reader_engine
from service.store.tables import articles

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection as Pipe
    from multiprocessing.process import BaseProcess
    from pathlib import Path

MOMENTS = ("random", "statement", "commit", "index", "random")
KILLS, STORES = 200, 25


def run_and_kill(
    folder: Path, seed: int, number: int, start: int, moment: str, chance: random.Random
) -> tuple[dict[int, str], bool]:
    """Run the feeder until it is killed, and return what it acknowledged and whether it died of that."""
    left = number - start
    nth = {"statement": chance.randint(1, 40), "commit": chance.randint(1, 4), "index": chance.randint(1, 8)}
    point = None if moment == "random" else moment
    enough = chance.randrange(max(1, left // 4)) if moment == "random" else number
    acknowledged: dict[int, str] = {}
    process, pipe = feeder(folder, seed, number, start, point, nth.get(moment, 0))
    for place, article_id in words(pipe):
        acknowledged[place] = article_id
        if len(acknowledged) >= enough:
            time.sleep(chance.random() * 0.05)
            process.kill()
            enough = number + 1
    process.join(PATIENCE_S)
    assert process.exitcode in {0, -signal.SIGKILL}
    return acknowledged, process.exitcode != 0


def feeder(
    folder: Path, seed: int, number: int, start: int, point: str | None = None, nth: int = 0
) -> tuple[BaseProcess, Pipe]:
    """Start a feeder (see `feeder.feed`)."""
    return forked.start(feed, settings_of(folder, batch_size=16), seed, number, start, point, nth)


def assert_sound(folder: Path, seed: int, number: int, acknowledged: dict[int, str]) -> None:
    """Every acknowledged article is stored under its ID, what is stored is a beginning of the stream, nothing is amiss."""
    names = [item.external_id for item in look_alikes(seed, number)]
    wait_until_free(folder)
    engine = reader_engine(place_of(folder))
    assert faults(engine) == []
    with engine.connect() as connection:
        stored: dict[str, str] = {
            row.external_id: row.id
            for row in connection.execute(
                select(articles.c.id, articles.c.external_id).order_by(articles.c.seq)
            )
        }
    engine.dispose()
    assert {names[place]: article_id for place, article_id in acknowledged.items()} == {
        name: article_id for name, article_id in stored.items() if names.index(name) in acknowledged
    }
    assert names[: len(stored)] == list(stored)


def wait_until_free(folder: Path) -> None:
    """A server notices the death of its client a moment later than the system."""
    patience = time.monotonic() + 10
    while is_owned(place_of(folder)):
        assert time.monotonic() < patience, "the dead still own the store"
        time.sleep(0.01)


def undisturbed(folder: Path, seed: int, number: int) -> Groups:
    with room(folder) as through:
        return through.replay(cut(look_alikes(seed, number), seed))


def trials(folder: Path, seed: int, number: int, moments: Sequence[str]) -> int:
    """Kill a feeder at each of `moments`, let the last one finish; return how many died with work left."""
    chance = random.Random(seed)
    acknowledged: dict[int, str] = {}
    died = 0
    for moment in moments:
        answers, killed = run_and_kill(folder / "killed", seed, number, len(acknowledged), moment, chance)
        acknowledged |= answers
        died += killed and len(acknowledged) < number
        assert list(range(len(acknowledged))) == sorted(acknowledged)
        assert_sound(folder / "killed", seed, number, acknowledged)
    process, pipe = feeder(folder / "killed", seed, number, len(acknowledged))
    acknowledged |= dict(words(pipe))
    process.join(PATIENCE_S)
    assert process.exitcode == 0
    assert len(acknowledged) == number
    assert_sound(folder / "killed", seed, number, acknowledged)
    with room(folder / "killed") as through:
        found = groups(through.engine)
        assert faults(through.engine) == []

    assert undisturbed(folder / "whole", seed, number) == found
    for name in ("killed", "whole"):
        forget(folder / name)
    return died


def test_kill_at_five_moments(database: str, tmp_path: Path) -> None:
    """Killed at random, inside a transaction, before and after a commit: the stream ends as if nothing had been."""
    assert trials(tmp_path, 1, 240, MOMENTS) == len(MOMENTS)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_kill_many_times(database: str, tmp_path: Path) -> None:
    """Two hundred kills, a dozen on each store, at moments of every kind."""
    died = 0
    for seed in range(2, 2 + STORES):
        if died < KILLS:
            died += trials(tmp_path, seed, 300, random.Random(seed).choices(MOMENTS, k=12))

    assert died >= KILLS
