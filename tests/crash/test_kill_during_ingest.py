"""An acknowledged article is never lost: the writer is killed with SIGKILL at random moments and goes on."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from road import demo, everything, models, put, window
from sqlalchemy import select

from service.check import check_store
from service.desk import Desk
from service.settings import Settings
from service.store.engine import migrate, reader_engine, writer_engine
from service.store.tables import articles
from service.telemetry import Metrics

FEEDER = Path(__file__).parent / "feeder.py"


def feed_and_kill(folder: Path, first: int, answers: int, delay: float) -> dict[str, str]:
    """Run the feeder, kill it `delay` seconds after so many answers, and return what it acknowledged."""
    with subprocess.Popen(
        [sys.executable, str(FEEDER), str(folder), str(first)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        acknowledged = []
        for line in process.stdout:
            acknowledged.append(line)
            if len(acknowledged) == answers:
                time.sleep(delay)
                process.send_signal(signal.SIGKILL)
        # What the pipe still held was acknowledged before the kill.
    return dict(line.split() for line in acknowledged if line.endswith("\n"))


def undisturbed(folder: Path) -> object:
    with Desk.open(Settings(data=folder), Metrics(), models=models()) as desk:
        return everything([desk.submit([article]).result()[0] for article in demo()])


def trial(folder: Path, seed: int) -> None:
    """Kill the feeder four times on its way, then compare with what a quiet run would have stored."""
    chance = random.Random(seed)
    acknowledged: dict[str, str] = {}
    for _ in range(4):
        acknowledged |= feed_and_kill(
            folder, len(acknowledged), chance.randint(1, 15), chance.uniform(0, 0.05)
        )
        engine = reader_engine(folder)
        with engine.connect() as connection:
            rows = connection.execute(select(articles.c.external_id, articles.c.id))
            stored = {row.external_id: row.id for row in rows}
            assert {name: stored.get(name) for name in acknowledged} == acknowledged
            assert [finding for finding in check_store(connection) if not finding.ok] == []
        engine.dispose()
    with Desk.open(Settings(data=folder), Metrics(), models=models()) as desk:
        outcomes = [desk.submit([article]).result()[0] for article in demo()]
    assert everything(outcomes) == undisturbed(folder.with_name("quiet"))


def test_kill_during_ingest(tmp_path: Path) -> None:
    """Four kills: nothing acknowledged is missing, nothing is half written, the groups are those of a quiet run."""
    trial(tmp_path / "store", seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_kill_during_ingest_many_times(tmp_path: Path, seed: int) -> None:
    """The same, forty kills."""
    trial(tmp_path / "store", seed)


def test_second_owner_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    """Two writers are impossible, and a killed one leaves nothing locked."""
    engine = writer_engine(tmp_path)
    migrate(engine)
    with Desk.open(Settings(data=tmp_path), Metrics(), models=models()):
        refused = subprocess.run(
            [sys.executable, str(FEEDER), str(tmp_path), "0"], capture_output=True, text=True, check=False
        )
    assert "FolderInUseError" in refused.stderr
    feed_and_kill(tmp_path, 0, 3, 0)
    with Desk.open(Settings(data=tmp_path), Metrics(), models=models()) as desk:
        assert desk.submit([demo()[40]]).result()[0].status == "created"
    engine.dispose()


def test_desk_and_road_agree(tmp_path: Path) -> None:
    """One by one through the desk, or all at once down the road: the same groups."""
    with Desk.open(Settings(data=tmp_path / "desk"), Metrics(), models=models()) as desk:
        one_by_one = everything([desk.submit([article]).result()[0] for article in demo()])
    engine = writer_engine(tmp_path)
    migrate(engine)

    assert everything(put(engine, window(engine), demo())) == one_by_one
    engine.dispose()
