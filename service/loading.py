"""Files into a store: alone on its folder, or through the service that owns it."""

from __future__ import annotations

import contextlib
import gc
import gzip
import json
import time
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import httpx

from service import bars
from service.desk import Desk
from service.feed import Tally, feed
from service.intake import count_records, read_items, read_records
from service.reading import Readers, Rejected
from service.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from service.intake import Line, Record
    from service.model import Outcome
    from service.server import Running
    from service.settings import Settings

MAX_ITEMS = 500
MAX_BYTES = 8 * 2**20
"""Inflated bytes of one bulk body; gzip keeps it well under what the service takes on the wire."""
MAX_TRIES = 20
GC_THRESHOLD = 200_000
TIMEOUT_S = 120.0


class ServiceRefusedError(RuntimeError):
    """The running service did not take a bulk body."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a load did, and how long it took."""

    tally: Tally
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the load as JSON values."""
        articles = sum(self.tally.statuses.values())
        return {
            "articles": articles,
            "seconds": round(self.seconds, 2),
            "articles_per_second": round(articles / self.seconds, 1) if self.seconds else 0.0,
            "statuses": dict(self.tally.statuses),
            "relations": dict(self.tally.relations),
            "clusters_opened": self.tally.clusters_opened,
            "rejected": [
                {"place": item.place, "code": item.code, "errors": list(item.errors)}
                for item in self.tally.rejected
            ],
        }


def load_alone(settings: Settings, files: Sequence[str], *, workers: int, quiet: bool) -> Load:
    """Own the data folder and feed the files into it.

    Raises:
        FolderInUseError: another process owns the folder.
        ModelMismatchError: the store was made with another model.
    """
    with contextlib.ExitStack() as closing:
        readers = closing.enter_context(Readers(settings, workers))
        with bars.waiting("Opening the store and the model", quiet=quiet):
            desk = closing.enter_context(Desk.open(settings, Metrics()))
        return _feed_files(desk, readers, files, quiet=quiet)


def _feed_files(desk: Desk, readers: Readers, files: Sequence[str], *, quiet: bool) -> Load:
    # Nothing on the road is cyclic; looking for cycles among millions of live objects costs an eighth of the time.
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    with bars.files_bar(files, count_records(files), quiet=quiet) as bar:
        start = time.perf_counter()

        def passed(records: list[Line | Record], _results: list[Outcome | Rejected]) -> None:
            bar.passed(len(records), records[-1].place)

        records = chain.from_iterable(bar.reading(name, read_items(name)) for name in files)
        tally = feed(desk, records, readers=readers, on_chunk=passed)
        return Load(tally, time.perf_counter() - start)


def load_through(service: Running, files: Sequence[str], *, quiet: bool) -> Load:
    """Post the files to a running service in bulk.

    Raises:
        ServiceRefusedError: the service does not take them.
    """
    tally = Tally()
    start = time.perf_counter()
    with (
        httpx.Client(
            base_url=service.url, headers=service.headers, timeout=TIMEOUT_S, trust_env=False
        ) as client,
        bars.files_bar(files, count_records(files), quiet=quiet) as bar,
    ):
        records = chain.from_iterable(bar.reading(name, read_records(name)) for name in files)
        for part in _bodies(records, tally):
            items = _post(client, part)
            for (place, _line), item in zip(part, items, strict=True):
                _count(tally, place, item)
            bar.passed(len(part), part[-1][0])
    return Load(tally, time.perf_counter() - start)


def _bodies(records: Iterable[Record], tally: Tally) -> Iterator[list[tuple[str, bytes]]]:
    part: list[tuple[str, bytes]] = []
    size = 0
    for record in records:
        if record.fields is None:
            tally.refuse(Rejected(record.place, "malformed_json", (record.error or "not JSON",)))
            continue
        line = json.dumps(record.fields).encode() + b"\n"
        if part and (len(part) == MAX_ITEMS or size + len(line) > MAX_BYTES):
            yield part
            part, size = [], 0
        part.append((record.place, line))
        size += len(line)
    if part:
        yield part


def _post(client: httpx.Client, part: Sequence[tuple[str, bytes]]) -> list[dict[str, Any]]:
    body = gzip.compress(b"".join(line for _place, line in part), compresslevel=1)
    headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
    for _ in range(MAX_TRIES):
        try:
            answer = client.post("/v1/articles/bulk", content=body, headers=headers)
        except httpx.TransportError as error:
            raise ServiceRefusedError(
                "The service stopped answering. What the bar had passed is stored; send the rest again."
            ) from error
        if answer.status_code not in {429, 503}:
            break
        time.sleep(float(answer.headers.get("Retry-After", "1")))
    if answer.status_code != httpx.codes.OK:
        raise ServiceRefusedError(f"The service answered {answer.status_code}: {answer.text[:500]}")
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def _count(tally: Tally, place: str, item: dict[str, Any]) -> None:
    if item["status"] == "rejected":
        error = item["error"]
        reasons = tuple(f"{one['pointer']}: {one['message']}" for one in error["errors"])
        tally.refuse(Rejected(place, error["code"], reasons))
        return
    tally.statuses[item["status"]] += 1
    if item["status"] == "created":
        tally.relations[item["relation"]] += 1
        tally.clusters_opened += item["cluster_created"]
