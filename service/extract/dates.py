"""Publication times as Indonesian pages print them, and the dates a body names.

Written by hand: dateparser reads `02/11/2023` as February in some settings, fails on a third of the forms in
`docs/INDONESIAN_NEWS.md` §3 and falls back on the server's clock. Nothing here knows what time it is now.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Literal

from service.extract.page import Precision

WIB = timezone(timedelta(hours=7), "WIB")
ZONES = {"WIB": WIB, "WITA": timezone(timedelta(hours=8), "WITA"), "WIT": timezone(timedelta(hours=9), "WIT")}

_MONTH_WORDS = (
    "januari january jan",
    "februari pebruari february feb peb",
    "maret march mar mrt",
    "april apr",
    "mei may",
    "juni june jun",
    "juli july jul",
    "agustus august agust agst agu agt ags aug",
    "september sept sep",
    "oktober october okt oct",
    "november nopember nov nop",
    "desember december des dec",
)
MONTHS = {word: number for number, words in enumerate(_MONTH_WORDS, 1) for word in words.split()}
_DAY_WORDS = (
    "senin sen",
    "selasa sel",
    "rabu rab",
    "kamis kam",
    "jumat jum'at jum",
    "sabtu sab",
    "minggu ahad min",
)
WEEKDAYS = {word: number for number, words in enumerate(_DAY_WORDS) for word in words.split()}

# A date line is short; whatever comes later in a longer string is not looked at.
_LINE_CAP = 400
_BODY_CAP = 200_000
_BODY_DATES = 64
_CENTURY = 100

_MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
_DAY = r"senin|selasa|rabu|kamis|jum[’'`‘]?at|sabtu|minggu|ahad|sen|sel|rab|kam|jum|sab|min"
_CLOCK = r"(?<![0-9])(?P<{0}H>[0-9]{{1,2}})[:.](?P<{0}M>[0-9]{{2}})(?:[:.](?P<{0}S>[0-9]{{2}}))?(?![0-9])"
_ZONE = r"(?:\s{0,3}\(?(?P<zone>WITA|WIB|WIT|UTC|GMT(?:\s?[+-][0-9]{1,2})?)\b)?"
_DATE = (
    r"(?:"
    rf"(?P<d1>[0-9]{{1,2}})[\s./-]{{0,3}}(?P<m1>{_MONTH})\b\.?[\s,./-]{{0,3}}(?P<y1>[0-9]{{4}}|[0-9]{{2}})(?![0-9])"
    r"|(?P<d2>[0-9]{1,2})(?P<sep>[/-])(?P<m2>[0-9]{1,2})(?P=sep)(?P<y2>[0-9]{4}|[0-9]{2})(?![0-9])"
    rf"|(?P<m3>{_MONTH})\b\.?\s{{1,3}}(?P<d3>[0-9]{{1,2}}),?\s{{1,3}}(?P<y3>[0-9]{{4}})(?![0-9])"
    r")"
)
_BETWEEN = r"[\s,|/•·-]{0,6}(?:(?:pukul|jam|pkl\.?)\s{0,3})?[\s|-]{0,3}"
_LINE = re.compile(
    rf"(?:\b(?P<wd>{_DAY})\b[\s,]{{0,4}})?(?:{_CLOCK.format('a')}[\s,]{{1,3}})?(?<![0-9/])"
    rf"{_DATE}(?:{_BETWEEN}{_CLOCK.format('b')})?{_ZONE}",
    re.IGNORECASE,
)
_ISO = re.compile(
    r"\s*(?P<y>[0-9]{4})(?P<sep>[-/])(?P<m>[0-9]{2})(?P=sep)(?P<d>[0-9]{2})"
    r"(?:[T ]\s?(?P<H>[0-9]{2}):(?P<M>[0-9]{2})(?::(?P<S>[0-9]{2})(?:\.[0-9]{1,9})?)?\s?"
    r"(?P<zone>Z|[+-][0-9]{2}:?[0-9]{2}|WITA|WIB|WIT)?)?\s*"
)
_UPDATED = re.compile(r"diperba(?:ha)?rui|update|terakhir diubah|last modified", re.IGNORECASE)
_EVENT = re.compile(
    rf"(?:\b(?P<wd>{_DAY})\b[\s,]{{0,3}}|(?<=\())\(?(?<![0-9/])(?P<d1>[0-9]{{1,2}})\s?/\s?(?P<m1>[0-9]{{1,2}})"
    r"(?:\s?/\s?(?P<y1>[0-9]{4}|[0-9]{2}))?\s?\)"
    rf"|(?:\b(?P<wd2>{_DAY})\b[\s,(]{{0,3}})?(?<![0-9/.,])\b(?P<d2>[0-9]{{1,2}})\s(?P<m2>{_MONTH})\b"
    r"(?:\s(?P<y2>[0-9]{4})(?![0-9]))?",
    re.IGNORECASE,
)
# Antara names the weekday alone: "kata dia di Jakarta, Kamis." `Minggu` also means week, so the comma counts.
_BARE_DAY = re.compile(
    r"(?:, |\b[Hh]ari |\b[Pp]ada )(?P<wd>Senin|Selasa|Rabu|Kamis|Jum[’'`]?at|Sabtu|Minggu|Ahad)(?=\s?[,.;)]|$)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class ParsedTime:
    """A time read from a page: aware, with its precision and how sure the reading is."""

    at: datetime
    precision: Precision
    tz_assumed: bool
    weekday_conflict: bool
    kind: Literal["published", "updated"]


def parse_time(text: str) -> ParsedTime | None:
    """Read the publication time that a line shows, else its update time, else None; never the clock's.

    Day comes before month always, a missing zone means WIB with `tz_assumed`, weekdays check and never decide.
    """
    iso = _iso_time(text)
    if iso is not None:
        return iso
    times = list(line_times(text))
    return next((time for time in times if time.kind == "published"), times[0] if times else None)


def line_times(text: str) -> Iterator[ParsedTime]:
    """Yield every time in the first 400 characters of a line, each routed by the label word before it."""
    line = text[:_LINE_CAP]
    start = 0
    for match in _LINE.finditer(line):
        time = _time_of(match, line[start : match.start()])
        start = match.end()
        if time is not None:
            yield time


def _iso_time(text: str) -> ParsedTime | None:
    match = _ISO.fullmatch(text[:_LINE_CAP])
    if match is None:
        return None
    zone = match["zone"]
    hour, minute, second = match["H"], match["M"], match["S"]
    at = _datetime((match["y"], match["m"], match["d"]), (hour, minute, second), _offset(zone))
    if at is None:
        return None
    precision: Precision = "day" if hour is None else "second" if second else "minute"
    return ParsedTime(at, precision, zone is None, weekday_conflict=False, kind="published")


def _offset(zone: str | None) -> timezone:
    if zone is None:
        return WIB
    name = zone.upper().replace(" ", "")
    if name in ZONES:
        return ZONES[name]
    digits = name.removeprefix("GMT").replace(":", "")
    if digits in {"", "Z", "UTC"}:
        return UTC
    sign = -1 if digits[0] == "-" else 1
    hours, minutes = (digits[1:3], digits[3:5] or "0") if len(digits) > 3 else (digits[1:], "0")  # noqa: PLR2004 - +HHMM or +H
    delta = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(sign * delta) if delta < timedelta(hours=24) else WIB


def _datetime(
    day: tuple[str | int, str | int, str | int], clock: tuple[str | None, ...], zone: timezone
) -> datetime | None:
    year, month, dom = (int(part) for part in day)
    hour, minute, second = (int(part or 0) for part in clock)
    try:
        at = datetime(year, month, dom, hour, minute, second, tzinfo=zone)
        at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at


def _year(digits: str) -> int:
    year = int(digits)
    return year + 2000 if year < _CENTURY else year


def _time_of(match: re.Match[str], before: str) -> ParsedTime | None:
    dom = match["d1"] or match["d2"] or match["d3"]
    word = match["m1"] or match["m3"]
    month = MONTHS[word.lower()] if word else int(match["m2"])
    year = _year(match["y1"] or match["y2"] or match["y3"])
    clock = (
        (match["bH"], match["bM"], match["bS"]) if match["bH"] else (match["aH"], match["aM"], match["aS"])
    )
    at = _datetime((year, month, dom), clock, _offset(match["zone"]))
    if at is None:
        return None
    precision: Precision = "day" if clock[0] is None else "second" if clock[2] else "minute"
    weekday = _weekday(match["wd"])
    return ParsedTime(
        at=at,
        precision=precision,
        tz_assumed=match["zone"] is None,
        weekday_conflict=weekday is not None and weekday != at.weekday(),
        kind="updated" if _UPDATED.search(before) else "published",
    )


def _weekday(word: str | None) -> int | None:
    if not word:
        return None
    return WEEKDAYS.get(re.sub("[’`‘]", "'", word.lower()))


def event_dates(body: str, published: date) -> tuple[date, ...]:
    """Name the dates a body speaks of, in order of appearance, each once.

    A date without year gets the year nearest to publication and is left out when its weekday disagrees. Only a
    body that names no date at all is read for bare weekdays: the latest such day not after publication.
    """
    body = body[:_BODY_CAP]
    published = published.date() if isinstance(published, datetime) else published
    found: dict[date, None] = {}
    for match in _EVENT.finditer(body):
        day = _event_day(match, published)
        if day is not None:
            found[day] = None
        if len(found) >= _BODY_DATES:
            break
    if not found:
        for match in _BARE_DAY.finditer(body):
            weekday = _weekday(match["wd"])
            if weekday is not None and published.toordinal() > len(WEEKDAYS):
                found[published - timedelta(days=(published.weekday() - weekday) % 7)] = None
    return tuple(found)


def _event_day(match: re.Match[str], published: date) -> date | None:
    dom = int(match["d1"] or match["d2"])
    month = MONTHS[match["m2"].lower()] if match["m2"] else int(match["m1"])
    digits = match["y1"] or match["y2"]
    weekday = _weekday(match["wd"] or match["wd2"])
    if digits:
        return _date(_year(digits), month, dom)
    if match["d1"] and weekday is None:  # "(2/1)" alone is a score or a share
        return None
    years = (published.year - 1, published.year, published.year + 1)
    days = [day for day in (_date(year, month, dom) for year in years) if day is not None]
    if not days:
        return None
    nearest = min(days, key=lambda day: abs((day - published).days))
    return nearest if weekday is None or weekday == nearest.weekday() else None


def _date(year: int, month: int, dom: int) -> date | None:
    try:
        return date(year, month, dom)
    except ValueError:
        return None
