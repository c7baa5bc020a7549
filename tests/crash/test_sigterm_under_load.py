"""P28: SIGTERM under load: what is under way is answered, nothing answered is lost, and the store is closed and whole."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import select
from test_cli import await_service, run, start
from wire import look_alikes

from service.store.engine import reader_engine
from service.store.sqlite import FILE, own_folder
from service.store.tables import articles

if TYPE_CHECKING:
    from pathlib import Path

THREADS, SIZE = 4, 60


class Sender:
    """Sends bulk bodies one after the other until nobody listens any longer."""

    def __init__(self, url: str, number: int) -> None:
        self.acknowledged: list[str] = []
        self.broken: list[float] = []
        """When requests were sent that got no answer."""
        self.answers: list[tuple[float, float, int]] = []
        self._url, self._number = url, number
        self.thread = threading.Thread(target=self._send)

    def _send(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60, trust_env=False) as client:
            for round_ in range(1000):
                began = time.monotonic()
                try:
                    answer = client.post("/v1/articles/bulk", json=self._body(round_))
                except httpx.ConnectError:
                    return  # the socket is closed: nothing was taken
                except httpx.TransportError:
                    self.broken.append(began)
                    return
                self.answers.append((began, time.monotonic(), answer.status_code))
                if answer.status_code == 503:
                    return
                assert answer.status_code == 200
                assert not answer.json()["errors"]
                self.acknowledged += [item["id"] for item in answer.json()["items"]]

    def _body(self, round_: int) -> list[dict[str, Any]]:
        return [
            {
                "external_id": f"{self._number}-{round_}-{item.external_id}",
                "source": item.source,
                "title": item.title,
                "text": item.text,
                "published_at": item.published_at.isoformat(),
            }
            for item in look_alikes(self._number * 1000 + round_, SIZE)
        ]


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_sigterm_under_load(tmp_path: Path, sign: signal.Signals) -> None:
    data = tmp_path / "data"
    with start(data) as process:
        url = await_service(process, data).url
        senders = [Sender(url, number) for number in range(THREADS)]
        for sender in senders:
            sender.thread.start()
        while not all(sender.answers for sender in senders):
            time.sleep(0.01)
        time.sleep(0.1)
        told_to_stop = time.monotonic()
        process.send_signal(sign)
        code = process.wait(60)
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()
        for sender in senders:
            sender.thread.join()

    assert code == 0
    under_way = [
        status
        for sender in senders
        for began, ended, status in sender.answers
        if began < told_to_stop - 0.02 and ended > told_to_stop
    ]
    assert under_way, "nothing was under way"
    assert set(under_way) == {200}
    assert [began for sender in senders for began in sender.broken if began < told_to_stop - 0.02] == []
    assert {file.name for file in data.iterdir() if file.stat().st_size} == {FILE, "acknowledged"}
    with own_folder(data):
        pass
    engine = reader_engine(data)
    with engine.connect() as connection:
        stored = set(connection.execute(select(articles.c.id)).scalars())
    engine.dispose()
    acknowledged = {article_id for sender in senders for article_id in sender.acknowledged}
    assert acknowledged <= stored
    assert run("check", "--data", data).exit_code == 0
