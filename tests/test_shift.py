"""A night in a process of its own: what is told of it, how it ends, and what goes on beside it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from places import place_of, settings_of
from wire import demo_articles, faults, look_alikes

from service import watch
from service.desk import Desk
from service.errors import NotReady, Refused
from service.learned import load_models
from service.nightly import STAGES, EmptyWindowError, Night
from service.settings import Settings
from service.shift import NightError, Progress, Shift, Work, night_of, progress_of
from service.store.engine import reader_engine
from service.store.nights import LOST, get_night
from service.store.read import assignments
from service.telemetry import Metrics
from service.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.slow_on_postgresql]

PATIENCE_S = 60
HALF = 32
ORPHAN = """
import multiprocessing, os, time
from service.parallel import die_with_parent
def late():
    while os.getppid() == multiprocessing.parent_process().pid:
        time.sleep(0.01)
    die_with_parent()
    print("it goes on")
multiprocessing.get_context("fork").Process(target=late).start()
os._exit(0)
"""


def settings_for(folder: Path) -> Settings:
    return settings_of(folder, recluster_window_days=3650)


@contextlib.contextmanager
def opened(folder: Path, posted: int = HALF) -> Iterator[Desk]:
    with Desk.open(settings_for(folder), Metrics(), models=load_models("bundled")) as desk:
        if posted:
            desk.submit(demo_articles()[:posted]).result(PATIENCE_S)
        yield desk


def night() -> Night:
    return night_of(Settings(), 3650, time.time_ns() // 1000)


def row(folder: Path, run_id: str) -> dict[str, Any]:
    engine = reader_engine(place_of(folder))
    with engine.connect() as connection:
        found = get_night(connection, run_id)
    engine.dispose()
    return found


def read(desk: Desk) -> dict[str, tuple[str, str]]:
    with desk.reader.connect() as connection:
        return assignments(connection)


def pid_of(desk: Desk) -> int:
    """The process of the night that is under way, once it has read the store."""
    run_id, _ = desk._nights._far
    while (progress := desk.night_progress(run_id)) is not None:
        if progress.fraction > 0:
            assert desk._nights.shift is not None
            assert desk._nights.shift._process.pid is not None
            return desk._nights.shift._process.pid
        time.sleep(0.005)
    raise AssertionError("the night ended unseen")


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_progress_runs_from_nothing_to_all() -> None:
    """The stages fill the whole between them, each going on where the one before ended; no parts are all parts."""
    ends = [(progress_of(stage, 0, 3).fraction, progress_of(stage, 3, 3).fraction) for stage in STAGES]

    assert [first for first, _ in ends] == [0.0, *(last for _, last in ends[:-1])]
    assert ends[-1][1] == 1.0
    assert progress_of("telling", 0, 0) == Progress("telling", ends[STAGES.index("telling")][0])


def test_progress_never_goes_back(tmp_path: Path) -> None:
    """A night tells of the stages in order, in this process as many; what it proposes comes whole."""
    told: list[Progress] = []
    with opened(tmp_path):
        proposal = Shift(settings_for(tmp_path), night(), Work(jobs=2)).wait(told.append)

    fractions = [one.fraction for one in told]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] < fractions[-1] <= 1
    stages = [STAGES.index(one.stage) for one in told]
    assert stages == sorted(stages)
    assert len(proposal.plan.settled) == HALF


def test_failures_cross_the_process(tmp_path: Path) -> None:
    """An empty window is told as such, any other failure by its kind and words."""
    with opened(tmp_path / "empty", 0):
        empty = Shift(settings_for(tmp_path / "empty"), night())
        lost = Shift(settings_for(tmp_path / "nowhere"), night())
        with pytest.raises(EmptyWindowError, match="nothing to cluster anew"):
            empty.wait()
        with pytest.raises(NightError, match=r"night failed \(\w+Error: .*; nothing was changed"):
            lost.wait()


@pytest.mark.parametrize("stopped", [False, True])
def test_a_shift_that_is_ended(tmp_path: Path, stopped: bool) -> None:
    """`end` ends the process, even one that is stopped, and whoever waits hears of it; a second time is no harm."""
    shift = Shift(settings_for(tmp_path), night())
    pid = shift._process.pid
    assert pid is not None
    if stopped:
        os.kill(pid, signal.SIGSTOP)
    threading.Timer(0.2, shift.end).start()

    with pytest.raises(NightError, match="ended with status -9; nothing was changed"):
        shift.wait()

    assert is_gone(pid)
    shift.end()


def test_no_process_outlives_its_parent() -> None:
    """One whose parent ended before it could ask to end with it ends at once."""
    done = subprocess.run([sys.executable, "-c", ORPHAN], capture_output=True, check=True, timeout=PATIENCE_S)

    assert (done.stdout, done.stderr) == (b"", b"")


def test_the_service_goes_on_beside_a_night(tmp_path: Path) -> None:
    """While a night is held up articles are decided, read and deleted, and no second night begins; then it ends well."""
    late = demo_articles()[HALF:]
    with opened(tmp_path) as desk:
        run_id = desk.recluster()
        pid = pid_of(desk)
        os.kill(pid, signal.SIGSTOP)
        outcomes = [desk.submit([one]).result(PATIENCE_S)[0] for one in late]
        *kept, gone = outcomes
        assert desk.delete(gone.id).result(PATIENCE_S)
        assert {one.id for one in kept} <= read(desk).keys()
        with pytest.raises(Refused) as refused:
            desk.recluster()
        assert refused.value.problem_code == "reclustering_running"
        assert row(tmp_path, run_id)["status"] == "running"
        os.kill(pid, signal.SIGCONT)
        desk._nights.join()

        assert is_gone(pid)
        assert desk.night_progress(run_id) is None
        done = row(tmp_path, run_id)
        assert (done["status"], done["error"]) == ("done", None)
        assert len(read(desk)) == HALF + len(kept)
        assert {one.id for one in kept} <= read(desk).keys()
        assert faults(desk.reader) == []


@pytest.mark.parametrize("stopped", [False, True])
def test_closing_ends_a_night(tmp_path: Path, stopped: bool) -> None:
    """A night that is under way when the desk closes ends with it, fails, and changes nothing."""
    with opened(tmp_path) as desk:
        before = read(desk)
        run_id = desk.recluster()
        pid = None
        if stopped:
            pid = pid_of(desk)
            os.kill(pid, signal.SIGSTOP)

    failed = row(tmp_path, run_id)
    assert (failed["status"], failed["error"], failed["diff"]) == ("failed", LOST, None)
    assert pid is None or is_gone(pid)
    with opened(tmp_path, 0) as desk:
        assert read(desk) == before
        assert faults(desk.reader) == []


def test_closing_ends_a_night_that_has_no_process_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing while the process is only being started waits for no whole night; none begins afterwards."""
    asked = threading.Event()

    def slow(*told: Any) -> Shift:
        asked.set()
        time.sleep(0.3)
        return Shift(*told)

    monkeypatch.setattr(watch, "Shift", slow)
    with opened(tmp_path) as desk:
        run_id = desk.recluster()
        assert asked.wait(PATIENCE_S)

    assert row(tmp_path, run_id)["error"] == LOST
    with pytest.raises(NotReady):
        desk.recluster()


def test_a_window_that_cannot_follow_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is committed is done, whatever happens in memory afterwards; the next article meets the new groups."""

    def broken(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(Window, "follow", broken)
    with opened(tmp_path) as desk:
        before = read(desk)
        run_id = desk.recluster()
        desk._nights.join()

        done = row(tmp_path, run_id)
        assert (done["status"], done["error"]) == ("done", None)
        assert read(desk) != before
        desk.submit(demo_articles()[HALF:]).result(PATIENCE_S)
        assert faults(desk.reader) == []


def test_nights_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By how they ended, and what they changed; when the last one was done is known after a restart as well."""

    def told(desk: Desk) -> dict[str, float]:
        return {
            "".join([sample.name, *sample.labels.values()]).removeprefix("benang_nightly_"): sample.value
            for family in desk.metrics.registry.collect()
            for sample in family.samples
            if sample.name.startswith("benang_nightly_") and not sample.name.endswith("_created")
        }

    with opened(tmp_path, 0) as desk:
        fresh = told(desk)
        assert set(fresh.values()) == {0.0}
        desk.submit(look_alikes(4, 200)).result(PATIENCE_S)
        desk.recluster(dry_run=True)
        desk._nights.join()
        assert {name: value for name, value in told(desk).items() if value} == {"runs_totaldry_run": 1.0}
        began = time.time()
        run_id = desk.recluster()
        desk._nights.join()
        monkeypatch.setattr(desk._nights, "_carry_out", lambda *_: 1 / 0)
        desk.recluster()
        desk._nights.join()

        counts = row(tmp_path, run_id)["diff"]["counts"]
        found = told(desk)
        assert counts["articles_moved"] > 0
        assert [found[f"changes_total{kind}"] for kind in ("merged", "split", "moved")] == [
            counts["clusters_merged"],
            counts["clusters_split"],
            counts["articles_moved"],
        ]
        assert [found[f"runs_total{outcome}"] for outcome in ("done", "dry_run", "failed")] == [1.0, 1.0, 1.0]
        ended = found["last_success_timestamp_seconds"]
        assert began - 1 <= ended - found["duration_seconds"] <= ended <= time.time() + 1
    with opened(tmp_path, 0) as desk:
        assert told(desk)["last_success_timestamp_seconds"] == ended
