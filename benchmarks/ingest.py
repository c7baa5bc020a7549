"""Speed and durability of one machine: `python benchmarks/ingest.py CORPUS.ndjson.gz`.

Puts the corpus into a new store with `benang ingest`, starts the service on it, posts articles one by one, kills the
service with SIGKILL while it works, starts it again and compares every answer with those before. Prints the table;
`--publish` writes it into `benchmarks/README.md`.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx

from benchmarks.table import markdown, publish

PROBES = 300
START_LIMIT_S = 300.0


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "service.cli", *arguments]


class Service:
    """A `benang serve` process and a client for it."""

    def __init__(self, folder: Path) -> None:
        start = time.perf_counter()
        (folder / "service.json").unlink(missing_ok=True)
        self.process = subprocess.Popen(
            command("serve", "--data", str(folder), "--port", "0"), stdout=subprocess.DEVNULL
        )
        self.client = httpx.Client(base_url=self._address(folder), timeout=60, trust_env=False)
        self.start_seconds = time.perf_counter() - start

    def _address(self, folder: Path) -> str:
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            file = folder / "service.json"
            if file.exists() and file.read_text(encoding="utf-8").endswith("\n"):
                url = str(json.loads(file.read_text(encoding="utf-8"))["url"])
                try:
                    if httpx.get(f"{url}/readyz", trust_env=False).status_code == httpx.codes.OK:
                        return url
                except httpx.TransportError:
                    pass
            time.sleep(0.05)
        raise RuntimeError("the service did not start")

    def resident_mib(self) -> float:
        """Return the resident memory of the process in MiB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="utf-8").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def answers(self) -> dict[str, str]:
        """Return a digest of what the service says of each article."""
        found: dict[str, str] = {}
        cursor: str | None = None
        while True:
            query = {"limit": 100} | ({"cursor": cursor} if cursor else {})
            page = self.client.get("/v1/articles", params=query).raise_for_status().json()
            for item in page["items"]:
                text = json.dumps(item, sort_keys=True).encode()
                found[item["id"]] = hashlib.sha256(text).hexdigest()
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    def end(self) -> None:
        """Stop the process as an operator would, and close the client."""
        self.process.terminate()
        self.process.wait()
        self.client.close()

    def kill(self) -> None:
        """End the process as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def probe(service: Service, articles: list[dict[str, Any]]) -> list[float]:
    """Post articles one by one and return the seconds each took."""
    seconds = []
    for number, article in enumerate(articles):
        body = {
            "external_id": f"probe-{number}",
            "source": "probe.example",
            "title": f"{article['title']} {number}",
            "text": article["text"][: len(article["text"]) // 2] + f" Laporan {number}.",
            "published_at": article["published_at"],
        }
        start = time.perf_counter()
        service.client.post("/v1/articles", json=body).raise_for_status()
        seconds.append(time.perf_counter() - start)
    return seconds


def kill_under_load(service: Service, articles: list[dict[str, Any]]) -> set[str]:
    """Post until the process dies under our hands; return the IDs that were acknowledged."""
    acknowledged: set[str] = set()
    timer = threading.Timer(2.0, service.kill)
    timer.start()
    try:
        for number, article in enumerate(articles * 100):
            body = {
                "external_id": f"killed-{number}",
                "source": "probe.example",
                "title": article["title"],
                "text": f"{number} {article['text'][:2000]}",
                "published_at": article["published_at"],
            }
            acknowledged.add(service.client.post("/v1/articles", json=body).raise_for_status().json()["id"])
    except httpx.TransportError:
        pass
    timer.join()
    return acknowledged


def read_sample(corpus: Path) -> list[dict[str, Any]]:
    """Return late articles of the corpus with a full time, for probing."""
    with gzip.open(corpus, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    full = [
        row for row in rows if row["published_at"] and "T" in row["published_at"] and len(row["text"]) > 400
    ]
    return full[:: max(1, len(full) // PROBES)][:PROBES]


def run(corpus: Path, folder: Path) -> list[list[str]]:
    done = subprocess.run(
        command("ingest", str(corpus), "--data", str(folder), "--json"), capture_output=True, check=False
    )
    load = json.loads(done.stdout)
    sample = read_sample(corpus)
    service = Service(folder)
    first_start = service.start_seconds
    memory = service.resident_mib()
    seconds = probe(service, sample)
    before = service.answers()
    acknowledged = kill_under_load(service, sample)
    again = Service(folder)
    after = again.answers()
    changed = sum(after.get(name) != digest for name, digest in before.items())
    lost = len(acknowledged - set(after))
    again.end()
    check = subprocess.run(
        command("check", "--data", str(folder)), capture_output=True, check=False
    ).returncode
    cut_points = statistics.quantiles(seconds, n=100)
    return [
        [
            "articles put in with `benang ingest`",
            f"{load['articles']:,} ({load['statuses'].get('rejected', 0)} refused)",
        ],
        ["decided and durable", f"{load['articles_per_second']:,.0f} articles/s"],
        ["start of the service on that store, until ready", f"{first_start:.1f} s"],
        ["resident memory of the service on that store", f"{memory:,.0f} MiB"],
        [
            "one POST, median / 95th percentile",
            f"{cut_points[49] * 1000:.1f} / {cut_points[94] * 1000:.1f} ms",
        ],
        ["acknowledged before SIGKILL under load, then missing", f"{len(acknowledged):,}, {lost}"],
        ["answers that changed over SIGKILL and restart", f"{changed} of {len(before):,}"],
        ["`benang check` afterwards", "all in order" if check == 0 else f"exit status {check}"],
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--publish", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benang-ingest-") as folder:
        table = markdown(["what", "measured"], run(options.corpus, Path(folder) / "data"))
    if options.publish:
        publish("ingest", table)
    else:
        print(table)


if __name__ == "__main__":
    main()
