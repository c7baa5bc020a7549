"""Records to articles with their vectors, in processes of their own: nothing of the store is loaded there."""

from __future__ import annotations

import functools
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from multiprocessing.util import Finalize
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from pydantic import ValidationError

from embeddings.encoder import BUNDLED
from embeddings.terms import bundled_background
from embeddings.text import fingerprint, normalise
from embeddings.vectors import ArticleVectors, assemble, vectorise
from embeddings.wordtable import WordTable
from service.errors import BenangError, code_of, errors_of, field_errors
from service.extract import PagePool
from service.intake import Line
from service.model import Article
from service.prepare import prepare
from service.schemas import ArticleIn
from service.settings import BUNDLED as BUNDLED_MODEL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future
    from pathlib import Path
    from types import TracebackType

    import numpy.typing as npt

    from embeddings.encoder import Encoder
    from service.intake import Record
    from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Rejected:
    """An article that was not taken: where it stands and what is wrong with it."""

    place: str
    code: str
    errors: tuple[str, ...]


class Readied(NamedTuple):
    """An article that a worker has read, as plain values: they cross to another process at a fraction of the price.

    `values` are those of the fields of `Article`, in order; `vectors` is the stored form of its vectors.
    """

    values: tuple[Any, ...]
    fingerprint: bytes
    vectors: bytes


class Reader:
    """Turns records into articles; lives in a worker process."""

    def __init__(self, future_tolerance_s: float, extraction_timeout_s: float) -> None:
        self._tolerance = future_tolerance_s
        self._pages = PagePool(timeout=extraction_timeout_s)

    def read(self, record: Record) -> Article | Rejected:
        """Return the article of a record, or why it is refused."""
        if record.fields is None:
            return Rejected(record.place, "malformed_json", (record.error or "not JSON",))
        try:
            return prepare(
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

    def close(self) -> None:
        """Stop the page workers."""
        self._pages.close()


class _NoCodes:
    """An `Encoder` in place of one that only the main process has: its vectors have length 0."""

    name = ""
    dimension = 0

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return np.zeros((len(texts), 0), dtype=np.float32)


_reader: Reader | None = None
_word_table = functools.cache(WordTable)
_values = attrgetter(*(field.name for field in fields(Article)))


def _start_worker(future_tolerance_s: float, extraction_timeout_s: float) -> None:
    global _reader  # noqa: PLW0603  a worker process has one reader for its life
    _reader = Reader(future_tolerance_s, extraction_timeout_s)
    # A process of multiprocessing waits for its own children before anything else would stop the page workers.
    Finalize(None, _reader.close, exitpriority=0)


def _read(items: Sequence[Line | Record], table: Path | None) -> list[Readied | Rejected]:
    """Read `items`; dense codes are added where the encoder is the word table in the folder `table`."""
    assert _reader is not None
    encoder = _NoCodes() if table is None else _word_table(table)
    read = [_reader.read(item.record() if isinstance(item, Line) else item) for item in items]
    articles = [article for article in read if isinstance(article, Article)]
    texts = [(normalise(article.title), normalise(article.text)) for article in articles]
    ready = iter(
        [
            Readied(_values(article), fingerprint(title, text), vectors.to_bytes())
            for article, (title, text), vectors in zip(
                articles, texts, vectorise(encoder, bundled_background(), texts), strict=True
            )
        ]
    )
    return [one if isinstance(one, Rejected) else next(ready) for one in read]


def vectors_of(
    encoder: Encoder, articles: Sequence[Article], ready: Sequence[Readied]
) -> list[ArticleVectors]:
    """Return the vectors of articles that workers read for `encoder`; its dense codes are added if they could not."""
    if isinstance(encoder, WordTable):
        return [ArticleVectors.from_bytes(item.vectors, encoder.dimension) for item in ready]
    texts = [(normalise(article.title), normalise(article.text)) for article in articles]
    terms = [ArticleVectors.from_bytes(item.vectors, _NoCodes.dimension).terms for item in ready]
    return assemble(encoder, texts, terms)


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
            self._pool.submit(_read, [], BUNDLED if settings.model == BUNDLED_MODEL else None)

    def read(self, items: Sequence[Line | Record], encoder: Encoder) -> Future[list[Readied | Rejected]]:
        """Queue records and return the future of what they are, in order, for `vectors_of` the same encoder."""
        return self._pool.submit(_read, items, encoder.folder if isinstance(encoder, WordTable) else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown()
