"""The database server itself is stopped, or its disk is full: refusals, and then everything goes on where it was."""

from __future__ import annotations

import random
import shutil
import time
from typing import TYPE_CHECKING

import disks
import pytest
from places import Server, own_server, programs, using
from test_desk import PATIENCE_S, opened, post, wait_until_ready
from wire import FLOOD, article, cut, faults, groups, look_alikes, room

from service.errors import StorageFull, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from service.desk import Desk
    from service.model import Article

STOPS = 4
pytestmark = pytest.mark.skipif(
    programs() is None, reason="the programs of PostgreSQL are not installed here"
)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Server]:
    """A server of this test alone."""
    with own_server() as started, using(started):
        yield started


def post_at_last(desk: Desk, part: list[Article]) -> dict[str, str]:
    """Post until it is taken; every refusal on the way is an honest one."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        future = desk.submit(part)
        error = future.exception(PATIENCE_S)
        if error is None:
            return {str(one.article.external_id): one.id for one in future.result()}
        assert isinstance(error, StoreUnavailable)
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_server_that_stops_at_once_loses_nothing(own: Server, tmp_path: Path) -> None:
    """P1, P2, P5b: stopped as by a crash, several times in the middle of the work, the stream ends as if undisturbed."""
    seed = 8
    parts = cut(look_alikes(seed, 240), seed)
    stops = set(random.Random(seed).sample(range(2, len(parts) - 2), STOPS))
    acknowledged: dict[str, str] = {}
    with opened(tmp_path / "stopped", batch_size=16) as desk:
        for number, part in enumerate(parts):
            if number in stops:
                waiting = desk.submit(part)
                own.control("-m", "immediate", "stop")
                own.start()
                if waiting.exception(PATIENCE_S) is None:
                    acknowledged |= {str(one.article.external_id): one.id for one in waiting.result()}
            acknowledged |= post_at_last(desk, part)
        wait_until_ready(desk)
        found = groups(desk.reader)
        assert faults(desk.reader) == []

    with room(tmp_path / "whole") as through:
        assert through.replay(parts) == found
    assert acknowledged.keys() == found.revisions.keys()


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_while_the_server_is_gone_nobody_is_misled(own: Server, tmp_path: Path, how: str) -> None:
    """P29: not ready, every post refused; ready again by itself once the server is back."""
    with opened(tmp_path) as desk:
        (before,) = post(desk, article("a", "Banjir", FLOOD))
        own.control("-m", how, "stop")
        assert isinstance(
            desk.submit([article("b", "Banjir", FLOOD)]).exception(PATIENCE_S), StoreUnavailable
        )
        with pytest.raises(Exception, match=r"connection|Connection"):
            desk.ready()
        own.start()
        wait_until_ready(desk)
        assert post(desk, article("a", "Banjir", FLOOD))[0].id == before.id


@pytest.fixture
def small_disk(own: Server) -> Iterator[Path]:
    """A file system in memory with room for little, the server's own."""
    assert own.folder is not None
    with disks.small_disk(own.folder / "small", "24m") as place:
        shutil.chown(place, own.owner)
        try:
            yield place
        finally:
            own.control("-m", "immediate", "stop")


def test_a_full_disk_refuses_and_recovers(own: Server, small_disk: Path, tmp_path: Path) -> None:
    """P7: without room a post is refused as such, reading goes on, nothing is half there, and with room it goes on."""
    own.execute(f"CREATE TABLESPACE small LOCATION '{small_disk}'")
    own.tablespace = "small"
    with opened(tmp_path) as desk:
        items = look_alikes(6, 20)
        post(desk, *items)
        expected = groups(desk.reader)
        filler = disks.fill(small_disk)
        big = [
            article(f"big{number}", f"Banjir {number}", f"{random.Random(number).randbytes(20_000).hex()}")
            for number in range(20)
        ]
        error = desk.submit(big).exception(PATIENCE_S)
        assert isinstance(error, StorageFull)
        assert expected == groups(desk.reader)
        assert faults(desk.reader) == []

        filler.unlink()
        wait_until_ready(desk)
        assert {outcome.status for outcome in post(desk, *big)} == {"created"}
        assert 'benang_store_errors_total{kind="full"} 1.0' in desk.metrics.render().decode()
