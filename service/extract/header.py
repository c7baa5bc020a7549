"""The lines a person copies above the text: menu, title, summary, date, names, captions."""

import re
from dataclasses import dataclass, field

from service.extract.credits import Credits, person, read_credit
from service.extract.dateline import opens_body
from service.extract.dates import ParsedTime, line_times
from service.extract.lines import is_prose, rule_of
from service.extract.outlets import outlet_of

_TOP = 80
_DATE_CHARS = 200
_TITLE_WORDS = (3, 30)
_TITLE_CHARS = (12, 220)
_USUAL_TITLE = 130
_FIRST_PROSE = 60
_DIGIT = re.compile("[0-9]")
_DESK = re.compile(
    r"(?P<name>.{0,60}?) ?[-|–] ?(?P<desk>detik\w{2,14}|CNN Indonesia|CNBC Indonesia|Okezone|Tempo\.co|TEMPO\.CO)"
)
_JOURNALIST = re.compile(r"(?P<name>[^,|]{2,60}?) ?, ?Jurnalis ?-")
_UPLOADED = re.compile(r"oleh (?P<name>[^0-9]{2,60}?) (?:diperbarui|diterbitkan)\b", re.IGNORECASE)
_LABEL = re.compile(r"(?P<role>penulis|editor|reporter|pewarta)[ ,]?", re.IGNORECASE)
_CAPTION = re.compile(
    r"\((?:foto|dok|sumber|antara|afp|ap|reuters|ist|getty)\b[^()]{0,80}\)?\.?$|\bfoto ?: ?\S.{0,80}$|^ilustrasi\b",
    re.IGNORECASE,
)
_CLUES = (
    (re.compile(r"Kompas\.com ?[-,–]", re.IGNORECASE), "kompas.com"),
    (re.compile(r"Rep ?: ?.{0,60}Red ?:", re.IGNORECASE), "republika.co.id"),
    (re.compile(r"Baca berita dengan sedikit iklan", re.IGNORECASE), "tempo.co"),
    (re.compile(r".{0,60}Jurnalis ?-"), "okezone.com"),
)


@dataclass(slots=True)
class Header:
    """What the header told; the body starts at line `start`."""

    title: str = ""
    start: int = 0
    times: list[ParsedTime] = field(default_factory=list)
    credits: Credits = field(default_factory=Credits)
    outlet: str | None = None


def read_header(lines: list[str]) -> Header:
    """Read title, times, names and outlet from the top of a pasted page and find where the body starts."""
    top = lines[:_TOP]
    header = Header()
    times = {index: found for index, line in enumerate(top) if (found := _times(line))}
    opening = next(
        (i for i, line in enumerate(top) if i not in times and opens_body(line, lines[i + 1 : i + 3])), None
    )
    limit = opening if opening is not None else len(top)
    clock = next((i for i, found in times.items() if i < limit and found[0].precision != "day"), None)
    title_at = _title_at(top, clock, limit, set(times))
    if title_at is not None:
        header.title = top[title_at]
    below = -1 if title_at is None else title_at
    dated = [i for i, found in times.items() if i < limit and (i > below or found[0].precision != "day")]
    dated = _header_only(top, dated, below)
    header.times = [time for i in dated for time in times[i]]
    last = max([below, *dated])
    header.start = opening if opening is not None and opening >= below else _first_prose(lines, last + 1)
    _read_names(lines[: header.start], header, below, clock)
    return header


def _header_only(top: list[str], dated: list[int], below: int) -> list[int]:
    """Leave out dates that stand in running text, below the first paragraph."""
    prose = next(
        (i for i in range(below + 1, len(top)) if i not in dated and len(top[i]) >= _DATE_CHARS), len(top)
    )
    return [i for i in dated if i < prose]


def _times(line: str) -> list[ParsedTime]:
    if len(line) > _DATE_CHARS or not _DIGIT.search(line):
        return []
    times = list(line_times(line))
    timed = [time for time in times if time.precision != "day"]
    # A sentence with a day in it is no date line; a line that is little more than a day is.
    return timed or ([] if len(line) > _FIRST_PROSE or line[-1] == "." else times)


def _title_at(top: list[str], clock: int | None, limit: int, dated: set[int]) -> int | None:
    """Choose the longest headline above the date line, else the first one below it."""
    fits = [i for i in range(limit) if i not in dated and _could_be_title(top[i])]
    above = [i for i in fits if clock is None or i < clock]
    if clock is None and above:
        return above[0] if len(above) == 1 else _longest(top, above[:3])
    if above:
        return _longest(top, above)
    return fits[0] if fits else None


def _longest(top: list[str], fits: list[int]) -> int:
    usual = [i for i in fits if len(top[i]) <= _USUAL_TITLE]
    return max(usual or fits, key=lambda i: len(top[i]))


def _could_be_title(line: str) -> bool:
    low, high = _TITLE_CHARS
    if not low <= len(line) <= high or line[-1] in ".,:;" or (line[:1].islower() and not line[:2].isalpha()):
        return False
    few, many = _TITLE_WORDS
    if not few <= line.count(" ") + 1 <= many or rule_of(line) is not None:
        return False
    return not (_DESK.fullmatch(line) or _JOURNALIST.match(line) or _CAPTION.search(line))


def _first_prose(lines: list[str], start: int) -> int:
    """Find the first paragraph, past names, labels, captions and lines that come again."""
    for index in range(start, min(len(lines), start + _TOP)):
        line = lines[index]
        following = lines[index + 1] if index + 1 < len(lines) else ""
        if len(line) < _FIRST_PROSE and not is_prose(line):
            continue
        if rule_of(line) is not None or _CAPTION.search(line[-200:]) or following[:5].lower() == "foto:":
            continue
        return index
    return min(start, len(lines))


def _read_names(head: list[str], header: Header, title_at: int, clock: int | None) -> None:
    """Read bylines, credits and the outlet from the header's lines."""
    names: list[str] = []
    for index, line in enumerate(head):
        if len(line) > _DATE_CHARS:
            continue
        header.outlet = header.outlet or next((outlet for clue, outlet in _CLUES if clue.match(line)), None)
        if rule_of(line) == "credit":
            read_credit(line, header.credits, header.outlet)
            continue
        label = _LABEL.fullmatch(line)
        if label is not None and index:
            _take_label(label["role"], head[index - 1], header)
            names = [name for name in names if name != person(head[index - 1])]
            continue
        if _take_desk(line, header) or index <= title_at:
            continue
        if clock is not None and abs(index - clock) <= 3 and index != clock and _is_name(line):  # noqa: PLR2004 - names stand beside the date
            names.append(person(line) or "")
    for name in names:
        if name and header.credits.author is None:
            header.credits.author = name
        elif name and not header.credits.editors and name != header.credits.author:
            header.credits.editors.append(name)


def _take_label(role: str, before: str, header: Header) -> None:
    name = person(before)
    if name is None:
        return
    if role.lower() == "editor":
        if name not in header.credits.editors:
            header.credits.editors.append(name)
    else:
        header.credits.author = header.credits.author or name


def _take_desk(line: str, header: Header) -> bool:
    """Read `<nama> - detikNews`, `<nama> | CNN Indonesia`, `<nama> , Jurnalis-`, `oleh <nama> diperbarui`."""
    desk = _DESK.fullmatch(line)
    if desk is not None:
        header.outlet = header.outlet or outlet_of(desk["desk"])
        header.credits.author = header.credits.author or person(desk["name"])
        return True
    other = _JOURNALIST.match(line) or _UPLOADED.match(line)
    if other is not None:
        header.credits.author = header.credits.author or person(other["name"])
        return True
    return False


def _is_name(line: str) -> bool:
    words = line.strip(" ,").split()
    return (
        1 < len(words) <= 5  # noqa: PLR2004 - a name
        and not _DIGIT.search(line)
        and all(word[0].isupper() for word in words)
        and rule_of(line) is None
    )
