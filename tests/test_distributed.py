"""A night on a Dask cluster proposes what one machine proposes, whoever dies on the way, or says why it cannot."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from places import environment_of, place_of, settings_of
from wire import demo_articles, look_alikes

from benchmarks.cluster import PATIENCE_S, DaskCluster, dask_cluster
from service import distributed
from service.archive import ArchiveError, ArchiveVectors, read_facts, write_archive
from service.desk import Desk
from service.distributed import ClusterError, Source, connected, pieces
from service.learned import load_models
from service.nightly import Night, propose
from service.openings import FILE
from service.parallel import Local
from service.stage import Horizons, Members
from service.stored_vectors import StoreVectors
from service.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from service.learned import Models
    from service.plan import Plan

pytestmark = pytest.mark.slow_on_postgresql
HORIZONS = Horizons(14, 180)
NIGHT = Night(2_000_000_000_000_000, 36_500, HORIZONS)


@pytest.fixture(scope="module")
def models() -> Models:
    return load_models("bundled")


@pytest.fixture(scope="module")
def store(database: str, tmp_path_factory: pytest.TempPathFactory, models: Models) -> Path:
    """A store of invented news spread over months, so that a night has several pieces."""
    folder = tmp_path_factory.mktemp("store")
    stream = [*demo_articles(), *look_alikes(3, 200)]
    spread = [
        dataclasses.replace(one, published_at=one.published_at - timedelta(days=30 * (place % 5)))
        for place, one in enumerate(stream)
    ]
    with Desk.open(settings_of(folder), Metrics(), models=models) as desk:
        for start in range(0, len(spread), 50):
            desk.submit(spread[start : start + 50]).result(PATIENCE_S)
    return folder


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with dask_cluster(tmp_path_factory.mktemp("dask"), 2) as started:
        yield started


@pytest.fixture(scope="module")
def here(store: Path, models: Models) -> Plan:
    with desk_of(store, models) as desk:
        return proposed(desk, Local(models, StoreVectors(desk.reader, models), HORIZONS))


@contextmanager
def desk_of(folder: Path, models: Models) -> Iterator[Desk]:
    with Desk.open(settings_of(folder), Metrics(), models=models) as desk:
        yield desk


def source_of(folder: Path, *, is_archive: bool = False, **changes: Any) -> Source:
    return Source(
        **{
            "place": folder if is_archive else place_of(folder),
            "is_archive": is_archive,
            "model": "bundled",
            "pair_model": "bundled",
            "horizons": HORIZONS,
            "token": os.urandom(8).hex(),
            **changes,
        }
    )


def proposed(desk: Desk, hands: Any) -> Plan:
    """What is proposed, with the IDs of new groups named by what they are split off and headed by."""
    plan = propose(desk.reader, hands, desk.cuts, NIGHT, model="test").plan
    names = {one.id: f"new, headed by {one.head}" for one in (*plan.opened, *plan.stories_opened)}

    def renamed(value: Any) -> Any:
        if isinstance(value, str):
            return names.get(value, value)
        if isinstance(value, tuple):
            return tuple(map(renamed, value))
        if isinstance(value, dict):
            return {renamed(key): renamed(one) for key, one in value.items()}
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return dataclasses.replace(
                value, **{one.name: renamed(getattr(value, one.name)) for one in dataclasses.fields(value)}
            )
        return value

    told: Plan = renamed(dataclasses.replace(plan, settled=np.sort(plan.settled)))
    return told


def same(one: Plan, other: Plan) -> bool:
    settled = np.array_equal(one.settled, other.settled)
    empty = np.zeros(0, dtype=np.int64)
    return (
        settled
        and dataclasses.replace(one, settled=empty).__repr__()
        == dataclasses.replace(other, settled=empty).__repr__()
    )


def test_a_cluster_proposes_what_one_machine_does(
    store: Path, models: Models, cluster: DaskCluster, here: Plan
) -> None:
    with desk_of(store, models) as desk, connected(cluster.address, source_of(store)) as hands:
        there = proposed(desk, hands)

    assert not here.changes_nothing
    assert same(here, there)


def test_from_an_archive_too(
    store: Path, models: Models, cluster: DaskCluster, here: Plan, tmp_path: Path
) -> None:
    with desk_of(store, models) as desk:
        with desk.reader.connect() as connection:
            count = write_archive(connection, tmp_path / "archive")
        with connected(cluster.address, source_of(tmp_path / "archive", is_archive=True)) as hands:
            there = proposed(desk, hands)

    assert read_facts(tmp_path / "archive")["articles"] == count
    assert same(here, there)


def test_a_worker_killed_on_the_way_costs_time_alone(
    store: Path, models: Models, here: Plan, tmp_path: Path
) -> None:
    """SIGKILL while pieces are searched: the other worker takes them over, and the proposal is the same."""
    with (
        dask_cluster(tmp_path, 2) as cluster,
        desk_of(store, models) as desk,
        connected(cluster.address, source_of(store)) as hands,
    ):
        killer = threading.Timer(0.4, cluster.workers[0].send_signal, [signal.SIGKILL])
        killer.start()
        there = proposed(desk, hands)
        killer.join()

        assert cluster.workers[0].wait(PATIENCE_S) == -signal.SIGKILL
        assert same(here, there)


def test_pieces_hold_whole_partitions_and_every_member_once() -> None:
    chance = np.random.default_rng(1)
    event_us = np.sort(chance.integers(0, 400 * 86_400, 500)) * 1_000_000
    nothing = np.zeros(500, dtype=np.int64)
    members = Members(np.arange(500), [""] * 500, event_us, nothing, nothing)
    found = pieces("cluster", members, HORIZONS)

    assert [row for piece in found for row in range(piece.start, piece.end)] == list(range(500))
    assert len(found) > 10
    for piece in found:
        near = np.abs(event_us[:, None] - event_us[None, piece.start : piece.end]).min(axis=1)
        reached = np.flatnonzero(near <= 14 * 86_400_000_000)
        assert piece.first <= reached.min()
        assert piece.last > reached.max()


# --- what cannot be done ----------------------------------------------------------------------------------------------


def test_a_scheduler_that_does_not_answer(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "ANSWER_S", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(ClusterError, match="does not answer"), connected(address, source_of(store)):
        pass


def test_a_scheduler_without_workers(store: Path, tmp_path: Path) -> None:
    with (
        dask_cluster(tmp_path, 0) as cluster,
        pytest.raises(ClusterError, match="no workers"),
        connected(cluster.address, source_of(store)),
    ):
        pass


def test_a_worker_that_cannot_see_the_data(cluster: DaskCluster, tmp_path: Path) -> None:
    """The model is there, the folder is not: the worker says so before any work is done."""
    with (
        pytest.raises(ClusterError, match="cannot run benang"),
        connected(cluster.address, source_of(tmp_path, model=str(tmp_path / "nowhere"))),
    ):
        pass


def test_an_archive_older_than_the_store(
    store: Path, models: Models, cluster: DaskCluster, tmp_path: Path
) -> None:
    folder = tmp_path / "archive"
    with Desk.open(settings_of(tmp_path / "data"), Metrics(), models=models) as desk:
        desk.submit(demo_articles()[:20]).result(PATIENCE_S)
        with desk.reader.connect() as connection:
            write_archive(connection, folder)
        desk.submit(demo_articles()[20:]).result(PATIENCE_S)
        with (
            connected(cluster.address, source_of(folder, is_archive=True)) as hands,
            pytest.raises(ClusterError, match="older than the store"),
        ):
            proposed(desk, hands)


def test_an_archive_is_never_written_over_and_a_folder_is_none(
    store: Path, models: Models, tmp_path: Path
) -> None:
    (tmp_path / "something").write_text("here")
    with (
        desk_of(store, models) as desk,
        desk.reader.connect() as connection,
        pytest.raises(ArchiveError, match="not empty"),
    ):
        write_archive(connection, tmp_path)
    with pytest.raises(ArchiveError, match="no archive"):
        ArchiveVectors(tmp_path)


@pytest.mark.parametrize("openings", [pytest.param("0", marks=pytest.mark.slow), "40"])
def test_from_the_terminal(store: Path, cluster: DaskCluster, openings: str) -> None:
    """`benang recluster --scheduler` in a process of its own, as an operator types it; it may read openings itself."""
    command = [sys.executable, "-m", "service.cli", "recluster", "--data", str(store), "--dry-run", "--json"]
    done = subprocess.run(
        [*command, "--window", "36000d", "--scheduler", cluster.address],
        env=os.environ | environment_of(store) | {"BENANG_NIGHT_OPENINGS": openings},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["diff"]["counts"]["clusters_split"] >= 0
    assert (store / FILE).exists() == (openings != "0")
