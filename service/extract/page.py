"""What extraction yields: one article, cleaned, with everything that was read before lines were dropped."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

Precision = Literal["second", "minute", "day"]
TimeSource = Literal["json-ld", "meta", "visible", "url"]
Removed = tuple[tuple[str, str], ...]

_TIMES = ("published_at", "updated_at")
_TUPLES = ("editors", "based_on", "related", "labels", "warnings")


@dataclass(frozen=True, slots=True)
class ReprintStamp:
    """The line in which an outlet says where the article ran first."""

    source: str
    title: str | None
    url: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """One article as extraction read it; `removed` holds each dropped line with its rule."""

    title: str
    text: str
    url: str | None
    source: str | None
    published_at: datetime | None
    precision: Precision | None
    published_at_source: TimeSource | None
    tz_assumed: bool
    updated_at: datetime | None
    dateline_place: str | None
    author: str | None
    editors: tuple[str, ...]
    agency: str | None
    based_on: tuple[str, ...]
    reprint_of: ReprintStamp | None
    related: tuple[str, ...]
    is_truncated: bool
    labels: tuple[str, ...]
    warnings: tuple[str, ...]
    removed: Removed


def page_to_dict(page: Page) -> dict[str, Any]:
    """Turn a page into values that JSON can carry."""
    values = asdict(page)
    for name in _TIMES:
        values[name] = values[name].isoformat() if values[name] else None
    for name in _TUPLES:
        values[name] = list(values[name])
    values["removed"] = [list(item) for item in page.removed]
    return values


def page_from_dict(values: dict[str, Any]) -> Page:
    """Rebuild the page that `page_to_dict` took apart."""
    fields = dict(values)
    for name in _TIMES:
        fields[name] = datetime.fromisoformat(fields[name]) if fields[name] else None
    for name in _TUPLES:
        fields[name] = tuple(fields[name])
    fields["removed"] = tuple((rule, line) for rule, line in fields["removed"])
    stamp = fields["reprint_of"]
    fields["reprint_of"] = ReprintStamp(**stamp) if stamp else None
    return Page(**fields)
