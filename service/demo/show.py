"""The demo: invented news, posted one by one to a real service in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from service import bars

ARTICLES = Path(__file__).parent / "articles.ndjson"
LABELS = frozenset({"cluster", "story", "copy_of"})
START_S = 120.0
_OK = frozenset({200, 201})


@dataclass(frozen=True, slots=True)
class Demo:
    """What the service answered: one outcome an article, and the stories that have several events."""

    url: str
    outcomes: list[dict[str, Any]]
    stories: list[tuple[dict[str, Any], dict[str, Any]]]

    def as_dict(self) -> dict[str, Any]:
        """Return the demo's figures and stories as JSON values."""
        return {
            "articles": len(self.outcomes),
            "clusters": len({outcome["cluster_id"] for outcome in self.outcomes}),
            "copies": sum(outcome["copy_of"] is not None for outcome in self.outcomes),
            "stories": len({outcome["story_id"] for outcome in self.outcomes}),
            "sagas": len(self.stories),
            "timelines": [timeline for _head, timeline in self.stories],
        }


def read_articles() -> list[dict[str, Any]]:
    """Return the sample as requests, without its gold labels."""
    lines = ARTICLES.read_text(encoding="utf-8").splitlines()
    return [{name: value for name, value in json.loads(line).items() if name not in LABELS} for line in lines]


def run_demo(*, port: int = 0, quiet: bool = False) -> Demo:
    """Start a service on a temporary folder, post the sample, and return what it found.

    Raises:
        RuntimeError: the service did not start, or refused an article.
    """
    with tempfile.TemporaryDirectory(prefix="benang-demo-") as folder:
        process = _start(Path(folder), port)
        try:
            with bars.waiting("Starting the service", quiet=quiet):
                url = _address(process, Path(folder))
            with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
                return _post_all(client, url, quiet=quiet)
        finally:
            process.terminate()
            process.wait(timeout=30)


def _start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "service.cli",
        "serve",
        "--data",
        str(folder / "data"),
        "--port",
        str(port),
    ]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | {"BENANG_STORE": ""})  # noqa: S603  our own command


def _address(process: subprocess.Popen[bytes], folder: Path) -> str:
    file = folder / "data" / "service.json"
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            log = (folder / "log").read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"the service stopped while starting: {log[-500:]}")
        if file.exists() and (text := file.read_text(encoding="utf-8")).endswith("\n"):
            url = str(json.loads(text)["url"])
            if _is_ready(url):
                return url
        time.sleep(0.1)
    raise RuntimeError(f"the service did not start within {START_S:.0f} s")


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5, trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _post_all(client: httpx.Client, url: str, *, quiet: bool) -> Demo:
    articles = read_articles()
    outcomes = []
    with bars.bar("Posting", len(articles), quiet=quiet) as advance:
        for article in articles:
            answer = client.post("/v1/articles", json=article)
            if answer.status_code not in _OK:
                raise RuntimeError(f"{article['external_id']} was refused: {answer.text[:300]}")
            outcomes.append(answer.json())
            advance(1)
    found = client.get("/v1/stories", params={"limit": 100}).raise_for_status().json()["items"]
    sagas = [story for story in found if story["cluster_count"] > 1]
    sagas.sort(key=lambda story: (-story["cluster_count"], story["first_published_at"]))
    told = [
        (story, client.get(f"/v1/stories/{story['id']}/timeline").raise_for_status().json())
        for story in sagas
    ]
    return Demo(url, outcomes, told)
