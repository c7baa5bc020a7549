"""Articles from plain text: a body the caller extracted, or a page copied from the screen."""

import re
from datetime import datetime

from service.extract.body import Body, clean_body
from service.extract.clean import lines_of, normalise
from service.extract.dates import ParsedTime
from service.extract.header import read_header
from service.extract.labels import labels_of
from service.extract.lines import is_prose
from service.extract.outlets import host_of, outlet_of
from service.extract.page import Page, TimeSource
from service.extract.times import choose_time
from service.extract.urls import canonical_url

_SUFFIX = re.compile(
    r"(?: ?[-–|] ?(?:halaman (?:all|[0-9]{1,2})|page (?:all|[0-9]{1,2})|kompas\.com|kompas\.id|detik\w{2,14}|republika"
    r"(?: online| id)?|antara news[\w ]{0,30}|tempo\.co|nasional tempo\.co|tribun\w{0,20}(?:\.com)?|okezone\w{0,10}|sindonews"
    r"(?:\.com)?|liputan6(?:\.com)?|cnn indonesia|cnbc indonesia|merdeka\.com|viva(?:\.co\.id)?|suara\.com))+$",
    re.IGNORECASE,
)
_PAGES = re.compile(r" halaman (?:all|[0-9]{1,2})$", re.IGNORECASE)
_TITLE_HINTS = ("-", "–", "|", " Halaman ")
_SUFFIX_REACH = 160
_TITLE_CAP = 600
_MENU_RUN = 3
_MENU_WORDS = 5
_DIGIT = re.compile("[0-9]")


def from_text(title: str, text: str, *, url: str | None = None, source: str | None = None) -> Page:
    """Clean an article whose body the caller has extracted.

    Drops furniture lines, dateline, tail and credits; the publication time can only come from the address.
    """
    outlet = source_of(source, url)
    head = clean_title(title)
    body = clean_body(normalise(text), head, outlet)
    return assemble(head, body, url=url, source=outlet or body.outlet, candidates=[], updated=None)


def from_page(page: str, *, url: str | None = None, source: str | None = None) -> Page:
    """Read the plain text that a person copied from a rendered page."""
    lines = lines_of(normalise(page))
    header = read_header(lines)
    outlet = source_of(source, url)
    below = trim_menu(lines[header.start :])
    title = clean_title(header.title)
    body = clean_body("\n".join(below), title, outlet or header.outlet, header.credits)
    removed = [("header", line[:240]) for line in lines[: header.start] if line != header.title]
    body.removed[:0] = removed[:100]
    found = outlet or body.outlet or header.outlet
    if found is None and body.credits.agency == "Antara":
        found = "antaranews.com"
    seen: list[tuple[TimeSource, ParsedTime]] = [
        ("visible", time) for time in header.times if time.kind == "published"
    ]
    updated = max((time.at for time in header.times if time.kind == "updated"), default=None)
    return assemble(title, body, url=url, source=found, candidates=seen, updated=updated)


def assemble(
    title: str,
    body: Body,
    *,
    url: str | None,
    source: str | None,
    candidates: list[tuple[TimeSource, ParsedTime]],
    updated: datetime | None,
) -> Page:
    """Put a page together from its title, its cleaned body and the times found on it."""
    address = canonical_url(url) if url else None
    published = choose_time(candidates, address)
    agency = body.credits.agency
    if agency is not None and source is not None and outlet_of(agency) == source:
        agency = None
    return Page(
        title=title,
        text=body.text,
        url=address,
        source=source,
        published_at=published.at,
        precision=published.precision,
        published_at_source=published.source,
        tz_assumed=published.tz_assumed,
        updated_at=updated,
        dateline_place=body.place,
        author=body.credits.author,
        editors=tuple(body.credits.editors),
        agency=agency,
        based_on=body.based_on,
        reprint_of=body.stamp,
        related=tuple(dict.fromkeys(body.related)),
        is_truncated=body.truncated,
        labels=labels_of(title, address, paid=body.paid),
        warnings=tuple(published.warnings),
        removed=tuple(body.removed),
    )


def source_of(source: str | None, url: str | None) -> str | None:
    """Name the outlet from what the caller gave; the address speaks where no source is named."""
    if source and source.strip():
        return outlet_of(source)
    host = host_of(url) if url else None
    return outlet_of(host) if host else None


def clean_title(title: str) -> str:
    """Give a title plain characters on one line, without the outlet's suffix."""
    head = " ".join(normalise(title[:_TITLE_CAP]).split())
    if any(sign in head for sign in _TITLE_HINTS):
        at = max(0, len(head) - _SUFFIX_REACH)
        head = head[:at] + _PAGES.sub("", _SUFFIX.sub("", head[at:]))
    return head.strip()


def trim_menu(lines: list[str]) -> list[str]:
    """Take a run of menu words off the end of a page."""
    end = len(lines)
    while end and _is_menu(lines[end - 1]):
        end -= 1
    return lines[:end] if end and len(lines) - end >= _MENU_RUN else lines


def _is_menu(line: str) -> bool:
    if line.count(" ") >= _MENU_WORDS or ":" in line or is_prose(line):
        return False
    return line[-1].isalnum() and not _DIGIT.search(line)
