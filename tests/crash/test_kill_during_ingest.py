"""P1, P2, P3: kill -9 in the middle of the work loses nothing acknowledged, leaves nothing half, and changes no answer."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from places import environment_of, place_of
from sqlalchemy import select
from wire import Groups, cut, faults, groups, look_alikes, room

from service.store.engine import is_owned, reader_engine
from service.store.tables import articles

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
MOMENTS = ("random", "statement", "commit", "index", "random")


def feeder(folder: Path, seed: int, number: int, start: int, *die: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(HERE / "feeder.py"), str(folder), *map(str, (seed, number, start)), *die]
    path = os.pathsep.join([str(HERE.parent), str(HERE.parents[1])])
    environment = os.environ | {"PYTHONPATH": path} | environment_of(folder)
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def run_and_kill(
    folder: Path, seed: int, number: int, start: int, moment: str, chance: random.Random
) -> dict[int, str]:
    """Run the feeder until it is killed, and return what it acknowledged."""
    left = number - start
    nth = {"statement": chance.randint(1, 40), "commit": chance.randint(1, 4), "index": chance.randint(1, 8)}
    die = () if moment == "random" else (moment, str(nth[moment]))
    acknowledged: dict[int, str] = {}
    with feeder(folder, seed, number, start, *die) as process:
        assert process.stdout is not None
        enough = chance.randrange(max(1, left // 4)) if moment == "random" else number
        for line in process.stdout:
            if line == "end\n":
                break
            if not line.endswith("\n"):
                break  # killed while it printed: nobody heard the whole of this answer
            if line != "open\n":
                place, article_id = line.split()
                acknowledged[int(place)] = article_id
            if len(acknowledged) >= enough and line != "open\n":
                time.sleep(chance.random() * 0.05)
                process.send_signal(signal.SIGKILL)
                enough = number + 1
        assert process.wait(60) in {0, -signal.SIGKILL}
    return acknowledged


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
    """Kill a feeder at each of `moments`, let the last one finish; return how many really died."""
    chance = random.Random(seed)
    acknowledged: dict[int, str] = {}
    died = 0
    for moment in moments:
        start = len(acknowledged)
        if start == number:
            break
        answers = run_and_kill(folder / "killed", seed, number, start, moment, chance)
        died += len(acknowledged | answers) < number
        acknowledged |= answers
        assert list(range(len(acknowledged))) == sorted(acknowledged)
        assert_sound(folder / "killed", seed, number, acknowledged)
    with feeder(folder / "killed", seed, number, len(acknowledged)) as process:
        assert process.wait(120) == 0
    with room(folder / "killed") as through:
        found = groups(through.engine)
        assert faults(through.engine) == []

    assert undisturbed(folder / "whole", seed, number) == found
    return died


def test_kill_at_five_moments(database: str, tmp_path: Path) -> None:
    """Killed at random, inside a transaction, before and after a commit: the stream ends as if nothing had been."""
    assert trials(tmp_path, 1, 240, MOMENTS) == len(MOMENTS)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(2, 7))
def test_kill_many_times(database: str, tmp_path: Path, seed: int) -> None:
    """Twelve kills on one store, five times over, at moments of every kind."""
    moments = random.Random(seed).choices(MOMENTS, k=12)

    assert trials(tmp_path, seed, 300, moments) > 0
