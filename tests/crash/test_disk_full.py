"""P7: a full disk refuses and does not break: 507, reading goes on, and with room again so does everything else."""

from __future__ import annotations

import resource
import signal
from typing import TYPE_CHECKING, Any

import httpx
from newsroom import example
from sqlalchemy import select
from test_cli import await_service, run, start
from wire import FLOOD

from service.store.engine import reader_engine
from service.store.sqlite import FILE
from service.store.tables import articles

if TYPE_CHECKING:
    from pathlib import Path

ROOM = 200_000
"""Bytes that the log may still grow by: a few articles."""


def long_article(number: int) -> dict[str, Any]:
    return example(number, title=f"Banjir {number}", text=f"{FLOOD} Catatan {number}. " * 15)


def assert_full(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
    assert answer.headers["Retry-After"] == "60"
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_disk_full(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: the real service, refused by the system while it writes."""
    data = tmp_path / "data"
    acknowledged: dict[int, str] = {}
    with start(data) as process:
        url = await_service(process, data).url
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:

            def post(number: int) -> httpx.Response:
                answer = client.post("/v1/articles", json=long_article(number))
                if answer.status_code == 201:
                    acknowledged[number] = answer.json()["id"]
                return answer

            for number in range(3):
                assert post(number).status_code == 201
            largest = max(file.stat().st_size for file in data.glob(f"{FILE}*"))
            unlimited = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (largest + ROOM, unlimited[1]))

            number = 3
            while (answer := post(number)).status_code == 201:
                number += 1
                assert number < 200, "the limit is never reached"
            assert_full(answer)
            assert_full(client.post("/v1/articles/bulk", json=[long_article(900 + one) for one in range(40)]))
            assert client.get("/livez").status_code == 200
            for article_id in acknowledged.values():
                assert client.get(f"/v1/articles/{article_id}").status_code == 200
            assert client.get("/v1/stories").json()["items"]
            assert client.post("/v1/similar", json=long_article(0)).json()["items"]
            refused = 'benang_store_errors_total{kind="full"}'
            (count,) = [line for line in client.get("/metrics").text.splitlines() if line.startswith(refused)]
            assert float(count.split()[-1]) >= 2

            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, unlimited)
            assert post(number).status_code == 201
            bulk = client.post(
                "/v1/articles/bulk", json=[long_article(900 + one) for one in range(40)]
            ).json()
            assert {item["status"] for item in bulk["items"]} == {"created"}
            assert client.get("/readyz").status_code == 200
        process.send_signal(signal.SIGKILL)
        process.wait()

    engine = reader_engine(data)
    with engine.connect() as connection:
        stored = set(connection.execute(select(articles.c.id)).scalars())
    engine.dispose()
    assert {*acknowledged.values(), *(item["id"] for item in bulk["items"])} == stored
    assert run("check", "--data", data).exit_code == 0
