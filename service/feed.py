"""Many articles from files into a desk: read and prepared in worker processes, encoded here, decided by the writer.

Results stay in the order of the files, so the decisions are those of one article after the other.
"""

from __future__ import annotations

import multiprocessing
from collections import Counter, deque
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from pydantic import ValidationError

from embeddings.encoder import BUNDLED
from embeddings.terms import Background, FieldVectors, term_fields
from embeddings.text import fingerprint, normalise
from embeddings.vectors import assemble
from service.errors import BenangError, QueueFull, code_of, errors_of, field_errors
from service.extract import PagePool
from service.ingest import Prepared
from service.prepare import prepare
from service.schemas import ArticleIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from service.desk import Desk
    from service.intake import Record
    from service.model import Article, Outcome

CHUNK = 256
AHEAD = 4
"""Chunks being prepared, and chunks being decided, at one time."""
MAX_REJECTED_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Rejected:
    """An article that was not taken: where it stands and what is wrong with it."""

    place: str
    code: str
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Readied:
    """An article that a worker has read: all but its dense codes."""

    article: Article
    fingerprint: bytes
    terms: FieldVectors


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


class Reader:
    """Turns records into articles ready to be encoded; lives in a worker process."""

    def __init__(self, future_tolerance_s: float, extraction_timeout_s: float) -> None:
        self._tolerance = future_tolerance_s
        self._pages = PagePool(timeout=extraction_timeout_s)
        self._background = Background.load(BUNDLED / "background.safetensors")

    def read(self, record: Record) -> Readied | Rejected:
        """Return the article of a record, or why it is refused."""
        if record.fields is None:
            return Rejected(record.place, "malformed_json", (record.error or "not JSON",))
        try:
            article = prepare(
                ArticleIn.model_validate(record.fields),
                now=datetime.now(tz=UTC),
                future_tolerance_s=self._tolerance,
                pages=self._pages,
            )
        except ValidationError as error:
            found = field_errors(error.errors(include_url=False, include_input=False))
            return Rejected(record.place, "invalid", tuple(f"{one.pointer}: {one.message}" for one in found))
        except BenangError as error:
            errors = tuple(f"{one.pointer}: {one.message}" for one in errors_of(error))
            return Rejected(record.place, code_of(error), errors)
        title, text = normalise(article.title), normalise(article.text)
        return Readied(article, fingerprint(title, text), term_fields(self._background, title, text))

    def close(self) -> None:
        """Stop the page workers."""
        self._pages.close()


_reader: Reader | None = None


def _start_worker(future_tolerance_s: float, extraction_timeout_s: float) -> None:
    global _reader  # noqa: PLW0603  a worker process has one reader for its life
    _reader = Reader(future_tolerance_s, extraction_timeout_s)


def _read_chunk(records: list[Record]) -> list[Readied | Rejected]:
    assert _reader is not None
    return [_reader.read(record) for record in records]


def feed(
    desk: Desk,
    records: Iterable[Record],
    *,
    workers: int = 1,
    on_chunk: Callable[[list[Record], list[Outcome | Rejected]], None] = lambda _records, _results: None,
) -> Tally:
    """Send all `records` to `desk` and count what became of them.

    `on_chunk` hears of each chunk once it is durable, with one result a record, in order.
    """
    tally = Tally()
    context = multiprocessing.get_context("spawn")
    settings = desk.settings
    reading: deque[tuple[list[Record], Future[list[Readied | Rejected]]]] = deque()
    deciding: deque[tuple[list[Record], list[Readied | Rejected], Future[list[Outcome]]]] = deque()

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

    def decide() -> None:
        part, future = reading.popleft()
        read = future.result()
        ready = [item for item in read if isinstance(item, Readied)]
        while len(deciding) >= AHEAD:
            settle()
        deciding.append((part, read, _submit(desk, ready, settle if deciding else None)))

    with ProcessPoolExecutor(
        workers,
        mp_context=context,
        initializer=_start_worker,
        initargs=(settings.future_tolerance_s, settings.extraction_timeout_s),
    ) as pool:
        for part in _chunks(records):
            reading.append((part, pool.submit(_read_chunk, part)))
            if len(reading) > AHEAD:
                decide()
        while reading:
            decide()
        while deciding:
            settle()
    return tally


def _submit(desk: Desk, ready: list[Readied], make_room: Callable[[], None] | None) -> Future[list[Outcome]]:
    texts = [(normalise(item.article.title), normalise(item.article.text)) for item in ready]
    vectors = assemble(desk.models.encoder, texts, [item.terms for item in ready])
    prepared = [
        Prepared(item.article, item.fingerprint, vector) for item, vector in zip(ready, vectors, strict=True)
    ]
    try:
        return desk.submit_prepared(prepared)
    except QueueFull:
        if make_room is None:
            raise
        make_room()
        return desk.submit_prepared(prepared)


def _chunks(records: Iterable[Record]) -> Iterator[list[Record]]:
    iterator = iter(records)
    while part := list(islice(iterator, CHUNK)):
        yield part
