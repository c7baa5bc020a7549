"""Which of the times on a page is its publication."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from service.extract.dates import WIB, ParsedTime
from service.extract.page import Precision, TimeSource
from service.extract.urls import url_time

_DAY = timedelta(hours=24)


@dataclass(slots=True)
class Published:
    """The chosen publication time, where it was read, and what speaks against it."""

    at: datetime | None = None
    precision: Precision | None = None
    source: TimeSource | None = None
    tz_assumed: bool = False
    warnings: list[str] = field(default_factory=list)


def choose_time(candidates: list[tuple[TimeSource, ParsedTime]], url: str | None) -> Published:
    """Keep the first candidate, else the time in the address; warn where others differ by more than a day.

    An address that tells only when the article was created gives no more than the day, with a warning.
    """
    out = Published()
    if candidates:
        out.source, first = candidates[0]
        out.at, out.precision, out.tz_assumed = first.at, first.precision, first.tz_assumed
        if first.weekday_conflict:
            out.warnings.append("weekday_conflict")
    in_url = url_time(url) if url else None
    if in_url is not None and out.at is None:
        out.at, out.precision, out.source = in_url.at, in_url.precision, "url"
        if in_url.created:
            out.at = in_url.at.replace(hour=0, minute=0, second=0, microsecond=0)
            out.warnings.append("creation_time")
    others = [time.at for _, time in candidates[1:]]
    if in_url is not None:
        others.append(in_url.at)
    if out.at is not None and any(_differ(out.at, other) for other in others):
        out.warnings.append("date_conflict")
    if out.tz_assumed:
        out.warnings.append("tz_assumed")
    if out.at is not None:
        out.at = in_indonesia(out.at)
    return out


def _differ(one: datetime, other: datetime) -> bool:
    return abs(one - other) > _DAY


def in_indonesia(at: datetime) -> datetime:
    """Show UTC as WIB, so that a page and its HTML give the same string."""
    return at.astimezone(WIB) if not at.utcoffset() else at
