"""P10: the writer is killed under load; a second service that stood by takes over, and nothing acknowledged is missing."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from places import environment_of
from wire import look_alikes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_S = 90
TAKEOVER_S = 10
ENOUGH = 60


class Service:
    """A real `benang serve` on a port of its own."""

    def __init__(self, folder: Path, store: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "service.cli", "serve", "--data", str(folder), "--port", str(port)]
        self.process = subprocess.Popen(
            command,
            env=os.environ | environment_of(store),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", trust_env=False, timeout=10)

    def lacks(self) -> list[str] | None:
        """The conditions of readiness that do not hold; None where nobody answers."""
        try:
            answer = self.get("/readyz")
        except httpx.TransportError:
            return None
        return [] if answer.status_code == 200 else [one["code"] for one in answer.json()["errors"]]


@contextlib.contextmanager
def serving(folder: Path, store: Path) -> Iterator[Service]:
    service = Service(folder, store)
    try:
        yield service
    finally:
        service.process.kill()
        service.process.wait(PATIENCE_S)


def wait_for(service: Service, lacks: list[str], patience: float = PATIENCE_S) -> float:
    start = time.monotonic()
    while service.lacks() != lacks:
        assert service.process.poll() is None, "the service ended"
        assert time.monotonic() - start < patience, service.lacks()
        time.sleep(0.05)
    return time.monotonic() - start


def body(number: int, item: Any) -> dict[str, Any]:
    return {
        "external_id": f"{item.external_id}-{number}",
        "title": item.title,
        "text": item.text,
        "source": item.source,
        "published_at": item.published_at.isoformat(),
    }


def post_until_it_dies(service: Service, bodies: list[dict[str, Any]], answered: dict[str, str]) -> None:
    with httpx.Client(base_url=service.url, trust_env=False, timeout=30) as client:
        for one in bodies:
            try:
                answer = client.post("/v1/articles", json=one)
            except httpx.TransportError:
                return
            if answer.status_code in {200, 201}:
                answered[one["external_id"]] = answer.json()["id"]


@pytest.fixture(params=["postgresql"])
def database(request: pytest.FixtureRequest, server: Any) -> Iterator[str]:
    """There is no standing by for a folder: the second service is refused."""
    from places import using  # noqa: PLC0415

    with using(server):
        yield request.param


def test_a_standby_takes_over(database: str, tmp_path: Path) -> None:
    """It says what it waits for, answers within ten seconds, and knows every article that was acknowledged."""
    bodies = [body(number, item) for number, item in enumerate(look_alikes(4, 240))]
    answered: dict[str, str] = {}
    with serving(tmp_path / "one", tmp_path) as first:
        wait_for(first, [])
        with serving(tmp_path / "two", tmp_path) as second:
            wait_for(second, ["lock_held"])
            assert second.get("/livez").status_code == 200
            assert second.get("/v1/stories").status_code == 503
            senders = [
                threading.Thread(target=post_until_it_dies, args=(first, bodies[start::4], answered))
                for start in range(4)
            ]
            for sender in senders:
                sender.start()
            while len(answered) < ENOUGH:
                time.sleep(0.01)
            first.process.send_signal(signal.SIGKILL)
            wait_for(second, [], TAKEOVER_S)
            for sender in senders:
                sender.join(PATIENCE_S)

            assert len(answered) >= ENOUGH
            for name, article_id in answered.items():
                assert second.get(f"/v1/articles/{article_id}").json()["external_id"] == name
            again: dict[str, str] = {}
            post_until_it_dies(second, bodies, again)
            assert again.keys() == {one["external_id"] for one in bodies}
            assert answered.items() <= again.items()
            assert json.loads((tmp_path / "two" / "service.json").read_text())["url"] == second.url
            command = [sys.executable, "-m", "service.cli", "check", "--data", str(tmp_path / "two")]
            checked = subprocess.run(
                command,
                env=os.environ | environment_of(tmp_path),
                capture_output=True,
                timeout=60,
                check=False,
            )
            assert checked.returncode == 0, checked.stdout
