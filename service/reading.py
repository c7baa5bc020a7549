"""Records to articles ready to be encoded, in processes of their own: nothing of the store is loaded there."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from pydantic import ValidationError

from embeddings.encoder import BUNDLED
from embeddings.terms import Background, FieldVectors, term_fields
from embeddings.text import fingerprint, normalise
from service.errors import BenangError, code_of, errors_of, field_errors
from service.extract import PagePool
from service.prepare import prepare
from service.schemas import ArticleIn

if TYPE_CHECKING:
    from concurrent.futures import Future
    from types import TracebackType

    from service.intake import Record
    from service.model import Article
    from service.settings import Settings


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


def _read(records: list[Record]) -> list[Readied | Rejected]:
    assert _reader is not None
    return [_reader.read(record) for record in records]


class Readers:
    """Worker processes that read records; they start at once, beside whatever else is being opened."""

    def __init__(self, settings: Settings, workers: int = 1) -> None:
        self._pool = ProcessPoolExecutor(
            workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start_worker,
            initargs=(settings.future_tolerance_s, settings.extraction_timeout_s),
        )
        for _ in range(workers):
            self._pool.submit(_read, [])

    def read(self, records: list[Record]) -> Future[list[Readied | Rejected]]:
        """Queue records and return the future of what they are, in order."""
        return self._pool.submit(_read, records)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown()
