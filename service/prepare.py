"""From a request to an article that can be decided on: extraction, then what the caller gave beats what was read."""

from __future__ import annotations

import hashlib
from concurrent.futures import CancelledError
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from service import extract
from service.errors import FieldError, NotReady, PageTooComplex, Refused
from service.extract.plain import clean_title
from service.model import Article
from service.schemas import MAX_NAME, MAX_TEXT, MAX_TITLE, MAX_URL, check_url

if TYPE_CHECKING:
    from datetime import datetime

    from service.extract import Page, PagePool
    from service.model import Precision
    from service.schemas import Probe

RECEIVED = "received"
GIVEN = "given"
MAX_RELATED = 20

_EARLIEST_YEAR = 1900
_DAY = timedelta(days=1)
# A day alone is taken at 00:00 +07:00, but begins seven hours earlier at the date line.
_DAY_AHEAD = timedelta(hours=7)
_TIME_WARNINGS = frozenset({"tz_assumed", "creation_time", "weekday_conflict", "date_conflict"})


@dataclass(frozen=True, slots=True)
class _Published:
    at: datetime
    precision: Precision
    source: str
    warnings: tuple[str, ...] = ()


def prepare(
    item: Probe,
    *,
    now: datetime,
    future_tolerance_s: float,
    pages: PagePool,
    default_source: str | None = None,
) -> Article:
    """Make the article of a request; `default_source` stands in where only a comparison is wanted.

    Raises:
        Refused: The publication time lies ahead, or title, text or source cannot be found.
        PageTooComplex: The page cannot be read within the limits.
        NotReady: The service is closing.
    """
    tolerance = timedelta(seconds=future_tolerance_s)
    _check_given_time(item, now + tolerance)
    page = _extract(item, pages)
    title = _storable(clean_title(item.title) if item.title and item.text is None else page.title)
    # A body that is all furniture to the cleaner is better kept as it came than lost.
    text = _storable(page.text if page.text.strip() else item.text or "")
    source = _storable(page.source or default_source or "")[:MAX_NAME]
    _check_found(item, title, text, source)
    published = _published(item, page, now, now + tolerance)
    url = item.url or _address(page.url)
    return Article(
        title=title[:MAX_TITLE],
        text=text[:MAX_TEXT],
        source=source,
        publisher=extract.publisher_of(source),
        published_at=published.at,
        precision=published.precision,
        published_at_source=published.source,
        received_at_us=round(now.timestamp() * 1_000_000),
        external_id=item.external_id,
        url=url,
        url_key=_url_key(url, item.external_id, (source, title, _claimed_day(published), text)),
        author=item.author or _short(page.author),
        agency=_short(page.agency),
        language=item.language,
        reprint_of=_short(page.reprint_of.source) if page.reprint_of else None,
        labels=page.labels,
        related=tuple(_storable(line)[:MAX_TITLE] for line in page.related[:MAX_RELATED]),
        is_truncated=page.is_truncated,
        metadata=item.metadata,
        warnings=(*_warnings(item, page), *published.warnings, *_cuts(title, text)),
    )


def _check_given_time(item: Probe, latest: datetime) -> None:
    given = item.published_at
    if given is None:
        return
    if given.at > (latest + _DAY_AHEAD if given.precision == "day" else latest):
        raise Refused("invalid", [FieldError.of("/published_at", "in_future")])


def _extract(item: Probe, pages: PagePool) -> Page:
    if item.text is not None:
        return extract.from_text(item.title or "", item.text, url=item.url, source=item.source)
    if item.page is not None:
        return extract.from_page(item.page, url=item.url, source=item.source)
    try:
        return pages.extract(item.html or "", url=item.url, source=item.source)
    except (extract.PageTooComplex, RecursionError):
        raise PageTooComplex from None
    except (CancelledError, RuntimeError):
        raise NotReady("extraction_open") from None


def _check_found(item: Probe, title: str, text: str, source: str) -> None:
    body = next(name for name in ("text", "html", "page") if getattr(item, name) is not None)
    found = (
        (title, "/title", "title_not_found"),
        (text, f"/{body}", "text_not_found"),
        (source, "/source", "source_not_found"),
    )
    errors = [FieldError.of(pointer, code) for value, pointer, code in found if not value.strip()]
    if errors:
        raise Refused("invalid", errors)


def _published(item: Probe, page: Page, now: datetime, latest: datetime) -> _Published:
    if item.published_at is not None:
        given = item.published_at
        conflict = page.published_at is not None and abs(page.published_at - given.at) > _DAY
        return _Published(given.at, given.precision, GIVEN, ("date_conflict",) if conflict else ())
    if page.published_at is None or page.published_at.year < _EARLIEST_YEAR:
        return _Published(now, "second", RECEIVED, ("published_at_missing",))
    if page.published_at > latest + (_DAY_AHEAD if page.precision == "day" else timedelta()):
        # A page that claims to come from the future must not stand at the head of every list.
        return _Published(now, "second", RECEIVED, ("published_at_in_future",))
    return _Published(page.published_at, page.precision or "day", page.published_at_source or "visible")


def _claimed_day(published: _Published) -> str:
    """Name the day only where someone claimed it: the day of receipt differs when the page comes again."""
    return "" if published.source == RECEIVED else published.at.date().isoformat()


def _url_key(url: str | None, external_id: str | None, content: tuple[str, str, str, str]) -> str | None:
    if url is not None:
        return extract.article_key(url) or extract.canonical_url(url)
    if external_id is not None:
        return None
    return "text:" + hashlib.sha256("\x00".join(content).encode()).hexdigest()


def _address(found: str | None) -> str | None:
    """Keep the address a page gives itself only when a caller could have sent it."""
    if found is None or len(found) > MAX_URL:
        return None
    try:
        return check_url(_storable(found))
    except ValueError:
        return None


def _warnings(item: Probe, page: Page) -> tuple[str, ...]:
    if item.published_at is None:
        return page.warnings
    return tuple(warning for warning in page.warnings if warning not in _TIME_WARNINGS)


def _cuts(title: str, text: str) -> tuple[str, ...]:
    cut = {"title_cut": len(title) > MAX_TITLE, "text_cut": len(text) > MAX_TEXT}
    return tuple(name for name, is_cut in cut.items() if is_cut)


def _short(value: str | None) -> str | None:
    return _storable(value)[:MAX_NAME] or None if value else None


def _storable(text: str) -> str:
    """Take out what a page may hold and no database takes: NUL and lone surrogates."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
