"""Many articles from files into a desk: read and encoded in worker processes, decided by the writer.

Results stay in the order of the files, so the decisions are those of one article after the other.
"""

from __future__ import annotations

import contextlib
from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from service.batch import Prepared
from service.errors import QueueFull
from service.model import Article
from service.reading import Readers, Readied, Rejected, vectors_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from service.desk import Desk
    from service.intake import Line, Record
    from service.model import Outcome

Item = TypeVar("Item", bound="Line | Record")

CHUNK = 256
AHEAD = 4
"""Chunks being prepared, and chunks being decided, at one time."""
MAX_REJECTED_KEPT = 1000


@dataclass(slots=True)
class Tally:
    """What became of the articles of a feed."""

    statuses: Counter[str] = field(default_factory=Counter)
    relations: Counter[str] = field(default_factory=Counter)
    clusters_opened: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    """The first thousand; `statuses["rejected"]` counts all."""

    def add(self, outcome: Outcome) -> None:
        """Count an outcome."""
        self.statuses[outcome.status] += 1
        if outcome.status == "created":
            self.relations[outcome.placement.relation] += 1
            self.clusters_opened += outcome.placement.cluster_created

    def refuse(self, rejected: Rejected) -> None:
        """Count and keep a refusal."""
        self.statuses["rejected"] += 1
        if len(self.rejected) < MAX_REJECTED_KEPT:
            self.rejected.append(rejected)


def feed(
    desk: Desk,
    records: Iterable[Item],
    *,
    workers: int = 1,
    readers: Readers | None = None,
    on_chunk: Callable[[list[Item], list[Outcome | Rejected]], None] = lambda _records, _results: None,
) -> Tally:
    """Send all `records` to `desk` and count what became of them.

    They are read by `readers`, else by `workers` processes started for it. `on_chunk` hears of each chunk once it is
    durable, with one result a record, in order.
    """
    tally = Tally()
    reading: deque[tuple[list[Item], Future[list[Readied | Rejected]]]] = deque()
    deciding: deque[tuple[list[Item], list[Readied | Rejected], Future[list[Outcome]]]] = deque()

    def settle() -> None:
        part, read, future = deciding.popleft()
        outcomes = iter(future.result())
        results = [next(outcomes) if isinstance(item, Readied) else item for item in read]
        for result in results:
            if isinstance(result, Rejected):
                tally.refuse(result)
                desk.metrics.refused(result.code)
            else:
                tally.add(result)
        on_chunk(part, results)

    def make_room() -> bool:
        """Wait for the oldest chunk that is being decided; say whether there was one."""
        if not deciding:
            return False
        settle()
        return True

    def decide() -> None:
        part, future = reading.popleft()
        read = future.result()
        ready = [item for item in read if isinstance(item, Readied)]
        while len(deciding) >= AHEAD:
            settle()
        deciding.append((part, read, _submit(desk, ready, make_room)))

    with contextlib.ExitStack() as closing:
        readers = readers or closing.enter_context(Readers(desk.settings, workers))
        for part in _chunks(records):
            reading.append((part, readers.read(part, desk.models.encoder)))
            if len(reading) > AHEAD:
                decide()
        while reading:
            decide()
        while deciding:
            settle()
    return tally


def _submit(desk: Desk, ready: list[Readied], make_room: Callable[[], bool]) -> Future[list[Outcome]]:
    articles = [Article(*item.values) for item in ready]
    vectors = vectors_of(desk.models.encoder, articles, ready)
    prints = [item.fingerprint for item in ready]
    prepared = list(map(Prepared, articles, prints, vectors))
    while True:
        try:
            return desk.submit_prepared(prepared)
        except QueueFull:  # the oldest chunk may be done already while a later one fills the queue
            if not make_room():
                raise


def _chunks(records: Iterable[Item]) -> Iterator[list[Item]]:
    iterator = iter(records)
    while part := list(islice(iterator, CHUNK)):
        yield part
