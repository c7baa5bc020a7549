"""P9: kill -9 while a backup is made leaves the one before; while one is restored, the old store or the new."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from test_backup import backed_up, put_back, rows_of
from test_desk import opened, post
from wire import faults, look_alikes

from service.store.sqlite import FILE

HERE = Path(__file__).parent
SEED = 9
MOMENTS = ("copied", "copied", "copied", "checked", "named")


def killed(what: str, data: Path, file: Path, moment: str, nth: int = 1) -> None:
    command = [sys.executable, str(HERE / "copier.py"), what, str(data), str(file), moment, str(nth)]
    path = os.pathsep.join([str(HERE.parent), str(HERE.parents[1])])
    done = subprocess.run(command, timeout=60, check=False, env=os.environ | {"PYTHONPATH": path})
    assert done.returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backed")
    with opened(folder) as desk:
        post(desk, *look_alikes(SEED, 60))
    return folder


def test_kill_during_backup(store: Path, tmp_path: Path) -> None:
    """The file that stood there is whole: the old backup until the new one is; the next backup removes what was left."""
    chance = random.Random(SEED)
    data, file = shutil.copytree(store, tmp_path / "data"), tmp_path / "kept" / "news.db"
    file.parent.mkdir()
    backed_up(data, file)
    old = rows_of(data)
    with opened(data) as desk:
        post(desk, *look_alikes(SEED + 1, 20))
        new = rows_of(data)
        for number, moment in enumerate(MOMENTS):
            killed("backup", data, file, moment, chance.randint(1, 40) if moment == "copied" else 1)
            put_back(file, tmp_path / str(number))
            assert rows_of(tmp_path / str(number)) == (new if moment == "named" else old)
        assert faults(desk.reader) == []
        backed_up(data, file)
    assert [one.name for one in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("moment", ["copied", "checked", "aside", "named"])
@pytest.mark.parametrize("was_killed", [False, True], ids=["closed", "killed"])
def test_kill_during_restore(store: Path, tmp_path: Path, moment: str, was_killed: bool) -> None:
    """There is always a store, whole, with nothing of the other in it, also where the old one has a log of its own."""
    data, file = shutil.copytree(store, tmp_path / "data"), tmp_path / "news.db"
    backed_up(data, file)
    backup = rows_of(data)
    with opened(data) as desk:
        post(desk, *look_alikes(SEED + 1, 20))
        found = shutil.copytree(data, tmp_path / "found")
        old = rows_of(data)
    if not was_killed:
        shutil.rmtree(found)
        shutil.copytree(data, found)

    killed("restore", found, file, moment)

    assert rows_of(found) == (backup if moment == "named" else old)
    with opened(found) as desk:
        post(desk, *look_alikes(SEED + 2, 5))
        assert faults(desk.reader) == []
    put_back(file, found, replace=True)
    assert rows_of(found) == backup
    assert [one.name for one in found.iterdir() if one.is_dir()] == []
    assert (found / FILE).is_file()
