"""P7: a full disk refuses and does not break: 507, reading goes on, and with room again so does everything else."""

from __future__ import annotations

import resource
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from disks import fill, small_disk
from newsroom import example
from sqlalchemy import select
from test_cli import await_service, run, said, start
from test_desk import PATIENCE_S, opened, post
from wire import FLOOD, article, groups, look_alikes

from service.errors import StorageFull
from service.server import ADDRESS_FILE, _announced
from service.store.engine import reader_engine
from service.store.failures import StoreError
from service.store.sqlite import FILE
from service.store.tables import articles

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

ROOM = 200_000
"""Bytes that the log may still grow by: a few articles."""
FLOOR = 2 * 2**20
MANY = range(900, 940)


def long_article(number: int) -> dict[str, Any]:
    return example(number, title=f"Banjir {number}", text=f"{FLOOD} Catatan {number}. " * 15)


class Sender:
    """Sends articles one by one, and knows which were acknowledged."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.acknowledged: list[str] = []

    def post(self) -> httpx.Response:
        answer = self.client.post("/v1/articles", json=long_article(len(self.acknowledged)))
        if answer.status_code == 201:
            self.acknowledged.append(answer.json()["id"])
        return answer

    def post_until_refused(self) -> httpx.Response:
        while (answer := self.post()).status_code == 201:
            assert len(self.acknowledged) < 1000, "there is no end of room"
        return answer

    def post_many(self) -> httpx.Response:
        answer = self.client.post("/v1/articles/bulk", json=[long_article(number) for number in MANY])
        if answer.status_code == 200:
            self.acknowledged += [item["id"] for item in answer.json()["items"]]
        return answer

    def unready(self) -> set[str]:
        """The conditions that do not hold."""
        answer = self.client.get("/readyz")
        return {one["code"] for one in answer.json().get("errors", ())}


@contextmanager
def serving(data: Path) -> Iterator[tuple[subprocess.Popen[bytes], Sender]]:
    """The real service and who sends to it; killed at the end, with every answer on the disk."""
    with start(data) as process:
        try:
            url = await_service(process, data).url
            with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
                yield process, Sender(client)
        finally:
            process.send_signal(signal.SIGKILL)


def assert_full(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
    assert answer.headers["Retry-After"] == "60"
    assert answer.headers["Content-Type"] == "application/problem+json"


def assert_only_writing_is_refused(sender: Sender) -> None:
    client = sender.client
    assert_full(sender.post())
    assert_full(sender.post_many())
    assert client.get("/livez").status_code == 200
    for article_id in sender.acknowledged:
        assert client.get(f"/v1/articles/{article_id}").status_code == 200
    assert client.get("/v1/stories").json()["items"]
    assert client.post("/v1/similar", json=long_article(0)).json()["items"]
    refused = 'benang_store_errors_total{kind="full"}'
    (count,) = [line for line in client.get("/metrics").text.splitlines() if line.startswith(refused)]
    assert float(count.split()[-1]) >= 2


def assert_all_goes_on(sender: Sender) -> None:
    assert sender.post().status_code == 201
    assert {item["status"] for item in sender.post_many().json()["items"]} == {"created"}
    assert sender.unready() == set()


def assert_whole(data: Path, acknowledged: list[str]) -> None:
    engine = reader_engine(data)
    with engine.connect() as connection:
        assert sorted(connection.execute(select(articles.c.id)).scalars()) == sorted(acknowledged)
    engine.dispose()
    assert run("check", "--data", data).exit_code == 0


def test_disk_full(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: the real service, refused by the system while it writes."""
    with serving(tmp_path) as (process, sender):
        for _ in range(3):
            assert sender.post().status_code == 201
        largest = max(file.stat().st_size for file in tmp_path.glob(f"{FILE}*"))
        unlimited = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (largest + ROOM, unlimited[1]))
        assert_full(sender.post_until_refused())
        assert_only_writing_is_refused(sender)

        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, unlimited)
        assert_all_goes_on(sender)
    assert_whole(tmp_path, sender.acknowledged)


@pytest.mark.parametrize("floor", [FLOOR, 0])
def test_a_small_disk_runs_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, floor: int) -> None:
    """The real service on a disk of 10 MB: not ready from the floor on, if there is one, refused once nothing is left, and
    all goes on when half of the disk is given back.
    """
    monkeypatch.setenv("BENANG_MIN_DISK_FREE_BYTES", str(floor))
    below = {"disk_free"} if floor else set()
    with small_disk(tmp_path / "disk", "10m") as disk:
        data, others = disk / "data", disk / "others"
        others.write_bytes(bytes(5 * 2**20))
        with serving(data) as (_, sender):
            while floor and not sender.unready():
                assert sender.post().status_code == 201
            assert sender.unready() == below
            assert_full(sender.post_until_refused())
            fill(disk)
            assert_only_writing_is_refused(sender)
            assert sender.unready() == below

            others.unlink()
            assert_all_goes_on(sender)
        assert_whole(data, sender.acknowledged)


def test_a_stop_and_a_start_without_room(tmp_path: Path) -> None:
    """A full disk stops nobody from closing, and is not told as damage; with room again all is there."""
    with small_disk(tmp_path / "disk", "10m") as disk:
        data = disk / "data"
        with opened(data) as desk:
            post(desk, *look_alikes(1, 20))
            expected = groups(desk.reader)
            filler = fill(disk)
            big = [article(f"big{number}", f"Banjir {number}", f"{FLOOD} " * 50) for number in range(20)]
            assert isinstance(desk.submit(big).exception(PATIENCE_S), StorageFull)
        with pytest.raises(StoreError, match="cannot be written"), _announced(data, "http://x.example", ""):
            pass
        assert not (data / ADDRESS_FILE).exists()

        filler.unlink()
        with opened(data) as desk:
            assert groups(desk.reader) == expected
            assert {outcome.status for outcome in post(desk, *big)} == {"created"}
        fill(disk)
        for reads_all in (True, False):
            with pytest.raises(StoreError, match="no room left"):
                opened(data, check_at_start=reads_all)
        assert "no room left" in said(run("stories", "--data", data))
        filler.unlink()
        assert run("check", "--data", data).exit_code == 0
