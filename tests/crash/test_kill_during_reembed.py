"""P11: kill -9 while vectors are made anew leaves the store with its old model, whole, until it has the new one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from places import environment_of
from test_desk import opened, post
from test_kill_during_ingest import wait_until_free
from test_reembed import reembedded, rows_of
from wire import faults, look_alikes, models

HERE = Path(__file__).parent
SEED = 13
OLD, NEW = 64, 96
ARTICLES = 120


def killed(folder: Path, moment: str, nth: int) -> None:
    command = [sys.executable, str(HERE / "reembedder.py"), str(folder), str(NEW), moment, str(nth)]
    path = os.pathsep.join([str(HERE.parent), str(HERE.parents[1])])
    environment = os.environ | {"PYTHONPATH": path} | environment_of(folder)
    done = subprocess.run(command, timeout=120, check=False, env=environment)
    assert done.returncode == -signal.SIGKILL
    wait_until_free(folder)


@pytest.mark.slow_on_postgresql
def test_kill_during_reembed(database: str, tmp_path: Path) -> None:
    """Every row is as before, the old model goes on; after the commit every row is as if nothing had happened."""
    chance = random.Random(SEED)
    folder, other = tmp_path / "killed", tmp_path / "other"
    news = look_alikes(SEED, ARTICLES)
    with opened(folder, dimension=OLD) as desk:
        post(desk, *news)
    before = rows_of(folder)
    for moment, most in (("part", 14), ("statement", 30), ("statement", 30), ("commit", 1)):
        killed(folder, moment, chance.randint(1, most))
        assert rows_of(folder) == before
    with opened(folder, dimension=OLD) as desk:
        assert faults(desk.reader) == []
        assert [one.status for one in post(desk, *news)] == ["unchanged"] * ARTICLES

    killed(folder, "done", 1)

    after = rows_of(folder)
    assert after["vectors"] != before["vectors"]
    assert reembedded(folder, models(NEW)).vectors == 0
    with opened(other, dimension=NEW) as desk:
        post(desk, *news)
    assert [row[3:] for row in after["vectors"]] == [row[3:] for row in rows_of(other)["vectors"]]
    with opened(folder, dimension=NEW) as desk:
        assert faults(desk.reader) == []
        assert rows_of(folder) == after
