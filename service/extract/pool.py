"""Extraction of strangers' HTML in a worker process, within a limit of time."""

import multiprocessing
import re
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from itertools import islice
from types import TracebackType
from typing import Any, Self

from pebble import ProcessExpired, ProcessPool

from service.extract.html import from_html
from service.extract.page import Page, page_from_dict, page_to_dict

_TAG = re.compile(r"<[a-zA-Z]")
_MAX_TAGS = 20_000
_START_UP = 60.0


class PageTooComplex(ValueError):  # noqa: N818 - the name says what is wrong with the page
    """Raised when a page has too many tags, takes too long or brings the worker down."""


class PagePool:
    """Worker processes that extract HTML; each page has `timeout` seconds of wall clock.

    Workers start with the first page, so importing this module and making a pool cost nothing. The time a worker
    needs to start does not count against the page.
    """

    def __init__(self, *, timeout: float = 2.0, workers: int = 1) -> None:
        self._timeout = timeout
        self._workers = workers
        self._pool: ProcessPool | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._waiting = 0

    def extract(self, html: str, *, url: str | None = None, source: str | None = None) -> Page:
        """Extract one page as `from_html` does.

        Raises:
            PageTooComplex: The page has too many tags, took too long or broke the worker.
            RuntimeError: The pool is closed.
        """
        check_tags(html)
        with self._lock:
            pool = self._started()
            self._waiting += 1
            # Pages queued before this one may each use their time up, and each makes a worker start again.
            patience = _START_UP + (self._timeout + _START_UP / 10) * self._waiting
            future: Future[dict[str, Any]] = pool.schedule(
                _work, args=[html, url, source], timeout=self._timeout
            )
        try:
            values = future.result(timeout=patience)
        except (FutureTimeout, TimeoutError) as error:
            future.cancel()
            raise PageTooComplex(f"the page took longer than {self._timeout} s") from error
        except ProcessExpired as error:
            raise PageTooComplex("the page brought the worker down") from error
        finally:
            with self._lock:
                self._waiting -= 1
        return page_from_dict(values)

    def close(self) -> None:
        """Stop the workers; a page in work is given up."""
        with self._lock:
            pool, self._pool, self._closed = self._pool, None, True
        if pool is not None:
            pool.stop()  # type: ignore[no-untyped-call]  # pebble annotates only part of itself
            pool.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _started(self) -> ProcessPool:
        if self._closed:
            raise RuntimeError("the pool is closed")
        if self._pool is None:
            # Not fork: the service holds threads and locks that a forked child would inherit half-way.
            self._pool = ProcessPool(
                max_workers=self._workers, initializer=_ready, context=multiprocessing.get_context("spawn")
            )
        return self._pool


def check_tags(html: str) -> None:
    """Refuse a page with more than 20,000 tags before any parser sees it.

    Raises:
        PageTooComplex: There are more.
    """
    if next(islice(_TAG.finditer(html), _MAX_TAGS, None), None) is not None:
        raise PageTooComplex(f"the page has more than {_MAX_TAGS} tags")


def _ready() -> None:
    """Load the parsers before the first page's clock starts."""
    from_html("<html><body><div class='read__content'><p>siap</p></div></body></html>")


def _work(html: str, url: str | None, source: str | None) -> dict[str, Any]:
    return page_to_dict(from_html(html, url=url, source=source))
