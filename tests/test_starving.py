"""P26: one client cannot starve others: who reads is answered in time while another sends all it can."""

import threading
import time
from collections import Counter
from pathlib import Path
from statistics import median, quantiles

import httpx
from served import served
from structlog.testing import capture_logs
from wire import look_alikes, models

from service.desk import Desk
from service.keys import Key, digest_of
from service.settings import Settings
from service.store.keys import add_key
from service.telemetry import Metrics

READS = 80
RATE = 20
CEILING_S = 1.0
KEYS = {name: {"Authorization": f"Bearer benang_{name}"} for name in ("flood", "greedy", "reader")}


def test_readers_are_answered_during_a_flood(tmp_path: Path) -> None:
    """Four senders of bulk bodies without a pause, one greedy reader over its limit, and one that reads as people do."""
    settings = Settings(data=tmp_path, key_rate=RATE, burst_s=1)
    fates: dict[str, Counter[int]] = {name: Counter() for name in KEYS}
    stop = threading.Event()
    sent: list[float] = []
    body = [
        {"external_id": one.external_id, "source": one.source, "title": one.title, "text": one.text}
        for one in look_alikes(26, 100)
    ]

    def send(http: httpx.Client, sender: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            items = [item | {"external_id": f"{sender}-{number}-{item['external_id']}"} for item in body]
            since = time.perf_counter()
            answer = http.post("/v1/articles/bulk", json=items, headers=KEYS["flood"])
            sent.append(time.perf_counter() - since)
            fates["flood"][answer.status_code] += 1

    def read_on(http: httpx.Client) -> None:
        while not stop.is_set():
            fates["greedy"][http.get("/v1/stories", headers=KEYS["greedy"]).status_code] += 1

    with Desk.open(settings, Metrics(), models=models()) as desk:
        for name in KEYS:
            key = Key(f"key_{name}", name, "write", digest_of(f"benang_{name}".encode()), 0)
            desk.write(lambda connection, key=key: add_key(connection, key)).result(60)  # type: ignore[misc]
        with (
            served(desk) as url,
            capture_logs(),
            httpx.Client(base_url=url, timeout=120, trust_env=False) as http,
        ):
            others = [threading.Thread(target=send, args=(http, sender)) for sender in range(4)]
            others.append(threading.Thread(target=read_on, args=(http,)))
            began = time.perf_counter()
            for thread in others:
                thread.start()
            waits = []
            for _ in range(READS):
                time.sleep(0.06)
                since = time.perf_counter()
                answer = http.get("/v1/stories?limit=20", headers=KEYS["reader"])
                waits.append(time.perf_counter() - since)
                fates["reader"][answer.status_code] += 1
            stop.set()
            for thread in others:
                thread.join()
            lasted = time.perf_counter() - began

    assert fates["reader"] == {200: READS}
    assert 0 < fates["greedy"][200] <= RATE + RATE * lasted + 1, "its share and no more"
    assert fates["flood"][200] > 0
    assert set(fates["flood"]) <= {200, 429}
    # A machine that is slow in all it does is let off: what counts is that nobody reads at the pace of who sends.
    assert quantiles(waits, n=20)[-1] < max(CEILING_S, median(sent)), (waits, sent)
