"""kill -9 while a receiver is told: after the restart nothing is missing, nothing overtakes, and what comes again was unconfirmed."""

from __future__ import annotations

import random
import signal
import time
from typing import TYPE_CHECKING

import pytest
from forked import PATIENCE_S, words
from mirror import Mirror, apply
from receiver import Delivery, first_seen, receiving
from sqlalchemy import select
from test_changes import truth
from test_desk import opened
from test_kill_during_ingest import feeder, wait_until_free
from test_stream import wait_for
from test_webhooks import all_confirmed, hook, receivers_code, register

from service.store.tables import changes

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 400
KILLS = 3


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 7))])
def test_a_mirror_survives_kills_of_the_service(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Killed at random, three times, while a slow and moody receiver is told, then left to finish."""
    monkeypatch.setenv("BENANG_WEBHOOK_HOSTS", "127.0.0.1")
    chance = random.Random(seed)
    died = 0
    with receiving() as receiver:

        def moody(_number: int) -> int:
            time.sleep(chance.random() * 0.05)
            return 500 if chance.random() < 0.1 else 200

        receiver.answer = moody
        with opened(tmp_path) as desk:
            register(desk, hook(receiver.url))
        fed = 0
        for _ in range(KILLS):
            wait_until_free(tmp_path)
            enough = len(receiver.got) + chance.randrange(1, 3)
            process, pipe = feeder(tmp_path, seed, COUNT, fed)
            while len(receiver.got) < enough and process.is_alive():
                time.sleep(0.005)
            time.sleep(chance.random() * 0.05)
            process.kill()
            fed += sum(1 for _ in words(pipe))
            process.join(PATIENCE_S)
            died += process.exitcode == -signal.SIGKILL
        wait_until_free(tmp_path)
        process, pipe = feeder(tmp_path, seed, COUNT, fed)
        fed += sum(1 for _ in words(pipe))
        process.join(PATIENCE_S)
        assert (process.exitcode, fed) == (0, COUNT)
        with opened(tmp_path) as desk:
            wait_for(lambda: all_confirmed(desk))
            told, expected = receiver.got, truth(desk.reader)
            with (
                desk.reader.connect() as connection
            ):  # a server passes over numbers of transactions that were killed
                numbers = [*connection.execute(select(changes.c.seq).order_by(changes.c.seq)).scalars()]

    assert died > 0
    assert first_seen([seq for one in told for seq in one.seqs]) == numbers
    mirror, after = Mirror(), 0
    for one in told:
        assert receivers_code()(hook("").secret, one.headers["Benang-Signature"], one.body)
        assert starts_at_a_confirmed_place(one, after, told)
        for change in one.content["items"]:
            if change["seq"] > after:
                apply(mirror, change)
                after = change["seq"]
    assert mirror == expected
    assert len(mirror.cluster_of) == COUNT


def starts_at_a_confirmed_place(one: Delivery, after: int, told: list[Delivery]) -> bool:
    """A delivery follows the last change the receiver has, or repeats from a place that it has confirmed before."""
    begin = int(one.headers["Benang-Delivery"].rpartition(".")[2].partition("-")[0])
    places = {0} | {other.content["next_after"] for other in told if other.status == 200}
    return begin in places and begin <= after
