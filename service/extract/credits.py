"""Who wrote it and whose report it is: bylines, agency credits, mentions and reprint stamps."""

import re
from dataclasses import dataclass, field

from service.extract.outlets import outlet_of, publisher_of
from service.extract.page import ReprintStamp

_AGENCIES = {
    "reuters": "Reuters",
    "antara": "Antara",
    "antaranews": "Antara",
    "lkbn antara": "Antara",
    "antara news": "Antara",
    "afp": "AFP",
    "ap": "AP",
    "associated press": "AP",
    "the associated press": "AP",
    "bbc": "BBC",
    "bbc indonesia": "BBC",
    "bbc news": "BBC",
    "bbc news indonesia": "BBC",
    "xinhua": "Xinhua",
    "anadolu": "Anadolu",
    "anadolu agency": "Anadolu",
    "aa": "Anadolu",
    "dw": "DW",
    "deutsche welle": "DW",
    "voa": "VOA",
    "voa indonesia": "VOA",
    "abc": "ABC",
    "abc indonesia": "ABC",
    "abc australia": "ABC",
    "bloomberg": "Bloomberg",
    "bernama": "Bernama",
    "kyodo": "Kyodo",
    "tass": "TASS",
    "sputnik": "Sputnik",
    "interfax": "Interfax",
    "yonhap": "Yonhap",
    "dpa": "dpa",
    "upi": "UPI",
    "al jazeera": "Al Jazeera",
    "aljazeera": "Al Jazeera",
    "cnn": "CNN",
    "sky news": "Sky News",
    "the guardian": "The Guardian",
    "guardian": "The Guardian",
}
_NOT_PEOPLE = re.compile(
    r"kompas cyber media|tim redaksi|redaksi|detikcom|detik\w*|tim \w+|admin|newsroom|https?:|www\.|\.com\b|\.co\b|@"
    r"|tribunnews|antara ?news|republika|random|cnn indonesia",
    re.IGNORECASE,
)
_NAME = re.compile(r"[^\W\d_][\w.'-]{0,30}(?: [^\W\d_][\w.'-]{0,30}){0,5}")
_ROLE = re.compile(
    r"(?:^|(?<=[\s|/,])|(?<=[a-z.](?=[A-Z])))"
    r"(?P<role>Penulis|Editor|Reporter|Rep|Red|Pewarta|Penerjemah|Redaktur(?: Pelaksana)?|Uploader|Wartawan|Author|"
    r"Kontributor|Sumber) ?: ?",
    re.IGNORECASE,
)
_EDITOR_ROLES = frozenset({"editor", "red", "redaktur", "redaktur pelaksana", "uploader"})
_WRITER_ROLES = frozenset({"penulis", "rep", "reporter", "pewarta", "wartawan", "author", "kontributor"})
_STAMP = re.compile(
    r"(?:[Aa]rtikel|ARTIKEL|[Bb]erita)(?: [Ii]ni)? (?:telah|sudah|pernah)(?: pernah)? (?:tayang|terbit|dimuat|naik)"
    r"(?: sebelumnya)? di ?(?P<outlet>[A-Za-z][\w.-]{1,40}(?: [A-Z][\w.-]{1,30}){0,2})"
    r"(?:(?:,| -)? ?(?:[Dd]engan judul|berjudul) ?:? ?(?P<title>[^\n]{0,400}))?"
)
_STAMP_BARE = re.compile(r"(?:Artikel|Berita) ini (?:telah|sudah) tayang di\b")
_LINK = re.compile(r"(?P<url>https?://(?!kmp\.im)[^\s\"']{4,400})")
_TITLE_END = re.compile(
    r",? ?(?:klik untuk baca|penulis ?:|editor ?:|kompascom\+|baca di sini|https?:|download aplikasi|, ?$)",
    re.IGNORECASE,
)
_STAMP_REACH = 900
_CLOSING_MARK = re.compile(
    r"""(?:(?<=[.!?"'])|(?<=[.!?"'] )|(?<=^))[(\[](?P<mark>\*{1,3}|[a-z0-9]{2,6}(?:/[a-z0-9]{2,8}){0,3}"""
    r"|[A-Z]{2,4}(?:/[A-Za-z]{2,8}){0,2}|[^\W\d_][\w.'/-]{0,24}(?: [^\W\d_][\w.'/-]{0,24}){0,4})[)\]]\.?$"
)
# Each stem is found by plain search, then its surroundings are matched: `di|lansir`, `meng|utip`, `di|kutip`.
_MENTION_STEMS = ("lansir ", "utip ", "enurut laporan ", "laporkan kantor berita ")
_MENTION = re.compile(
    r"(?:(?:dari|oleh|laman|situs|media|kantor berita|lewat|via|melalui|akun|laporan|portal|surat kabar|harian) ){0,3}"
    r"(?P<name>[A-Z][\w&-]{1,30}(?:\.[a-z]{2,4}){0,2}(?: [A-Z][\w&-]{1,30}){0,3})"
)
_NOT_SOURCES = frozenset(
    [
        "Presiden",
        "Menteri",
        "Ketua",
        "Gubernur",
        "Wakil",
        "Bupati",
        "Wali",
        "Kepala",
        "Senin",
        "Selasa",
        "Rabu",
        "Kamis",
        "Jumat",
        "Sabtu",
        "Minggu",
        "Ahad",
        "Pasal",
        "Direktur",
        "Juru",
        "Sekretaris",
        "Kapolri",
        "Kapolda",
        "Kapolres",
        "Pak",
        "Bu",
        "Al",
        "Surat",
        "Undang-Undang",
    ]
)
_MENTIONS = 8
_DW = re.compile(r"artikel ini pertama kali terbit dalam bahasa (?:inggris|jerman)", re.IGNORECASE)
_INITIALS = re.compile(r"\([a-z0-9]{2,6}/[a-z0-9]{2,6}\)$")
_CONTRIBUTED = re.compile(r"(?P<name>.{3,60}?) (?:ikut )?berkontribusi dalam penulisan artikel ini\.?")
_SENTENCE_END = frozenset(".!?\"')")
_MARK_REACH = 120
_TAG_LINES = 16
_TAG_CHARS = 60
_TAG_WORDS = 6
_NAME_CHARS = 60
_NAME_WORDS = 5


@dataclass(slots=True)
class Credits:
    """Names and agencies read so far; the first strong credit stays."""

    author: str | None = None
    editors: list[str] = field(default_factory=list)
    agency: str | None = None


def read_credit(line: str, into: Credits, source: str | None = None) -> None:
    """Read one credit line: `Rep: A/ Red: B`, `Penulis: A | Editor: B`, `sumber : Reuters`."""
    lowered = line.lower()
    if lowered.startswith("sumber"):
        value, _, rest = line[6:].lstrip(" :").partition("Editor:")
        into.agency = into.agency or agency_of(value, source)
        if rest:
            _add_editor(into, rest)
        return
    if lowered.startswith("copyright"):
        into.agency = into.agency or ("Antara" if source != "antaranews.com" else None)
        return
    if lowered.startswith("diproduksi oleh"):
        into.agency = into.agency or next((_AGENCIES[a] for a in ("abc indonesia",) if a in lowered), None)
        return
    if lowered.startswith("diadaptasi oleh"):
        _add_editor(into, line[len("diadaptasi oleh") :])
        return
    if _DW.match(line):
        into.agency = into.agency or "DW"
        return
    if lowered.startswith(("oleh:", "oleh :", "oleh ")):
        into.author = into.author or person(line[4:].lstrip(" :").split(" diperbarui", 1)[0])
        return
    _read_roles(line, into, source)


def _read_roles(line: str, into: Credits, source: str | None) -> None:
    roles = list(_ROLE.finditer(line))
    ends = [match.start() for match in roles[1:]] + [len(line)]
    for match, end in zip(roles, ends, strict=False):
        value = line[match.end() : end]
        role = match["role"].lower()
        if role in _EDITOR_ROLES:
            _add_editor(into, value)
        elif role in _WRITER_ROLES:
            into.author = into.author or person(value)
        elif role == "sumber":
            into.agency = into.agency or agency_of(value, source)


def _add_editor(into: Credits, value: str) -> None:
    name = person(value)
    if name and name not in into.editors:
        into.editors.append(name)


def person(value: str) -> str | None:
    """Clean a byline value; None for desks, addresses and other values that are not people."""
    name = value.strip(" |/,;:-–()\"'")
    if not name or _NOT_PEOPLE.search(name):
        return None
    name = name.split(" | ", 1)[0].split(" - ", 1)[0].strip(" ,")
    return name if _NAME.fullmatch(name) else None


def agency_of(value: str, source: str | None = None) -> str | None:
    """Name the agency or outlet that a credit value stands for; None for the outlet itself."""
    name = value.strip(" .:|/,-–()[]\"'")
    if not name or name.lower().startswith("random"):
        return None
    if "://" in name or name.startswith("www."):
        domain = outlet_of(name)
        return domain if "." in domain and domain != source else None
    known = _AGENCIES.get(name.lower()) or _AGENCIES.get(name.lower().removesuffix(".com"))
    if known is None:
        parts = re.split(r" ?[/,|&] ?| dan | via ", name)
        known = next((_AGENCIES[part.lower()] for part in parts if part.lower() in _AGENCIES), None)
    outlet = outlet_of(known or name)
    if source is not None and (
        outlet == source or ("." in outlet and publisher_of(outlet) == publisher_of(source))
    ):
        return None
    if known is None and len(name) > 60:  # noqa: PLR2004 - a sentence, not a name
        return None
    return known or name


def find_stamp(text: str) -> tuple[ReprintStamp | None, str, str]:
    """Read a reprint stamp and take it out: the stamp, the text without it, and the words taken out."""
    match = _STAMP.search(text)
    if match is None:
        bare = _STAMP_BARE.search(text)
        if bare is None:
            return None, text, ""
        end = _line_end(text, bare.start())
        return None, text[: bare.start()] + text[end:], text[bare.start() : end]
    end = _line_end(text, match.start())
    taken = text[match.start() : end]
    link = _LINK.search(taken)
    title = match["title"]
    if title:
        stop = _TITLE_END.search(title)
        title = title[: stop.start()] if stop else title
        title = title.strip(" ,.:\"'")
    outlet = re.split(r"(?i) dengan|,| baca", match["outlet"])[0].strip(" .-")
    stamp = ReprintStamp(outlet_of(outlet), title or None, link["url"].rstrip(".,)") if link else None)
    return stamp, text[: match.start()] + text[end:], taken


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    end = len(text) if end < 0 else end
    return min(end, start + _STAMP_REACH)


def mentions(text: str) -> tuple[str, ...]:
    """Name whom the text says it draws on (`dilansir`, `mengutip` ...): weak, never a reprint by itself."""
    found: dict[int, str] = {}
    for stem in _MENTION_STEMS:
        at = text.find(stem)
        while at >= 0 and len(found) < _MENTIONS:
            end = at + len(stem)
            name = _mentioned(text, end)
            if name:
                found[end] = name
            at = text.find(stem, end)
    return tuple(dict.fromkeys(found[end] for end in sorted(found)))


def _mentioned(text: str, at: int) -> str | None:
    match = _MENTION.match(text, at)
    if match is None:
        return None
    words = match["name"].split()
    while words and words[-1] in _NOT_SOURCES:
        words.pop()
    return " ".join(words) if words and words[0] not in _NOT_SOURCES else None


def strip_closing(lines: list[str], into: Credits, source: str | None = None) -> list[tuple[str, str]]:
    """Take tags, closing initials, names and marks off the last lines (in place); give back what went."""
    gone = _strip_tags(lines)
    helper = _CONTRIBUTED.fullmatch(lines[-1][:_MARK_REACH]) if len(lines) > 1 else None
    if helper is not None:
        into.author = into.author or person(helper["name"])
        gone.append(("byline", lines.pop()))
    if len(lines) > 1 and lines[-2][-1] in _SENTENCE_END and _is_name_line(lines[-1]):
        _take_name(lines[-1], into, source)
        gone.append(("byline", lines.pop()))
    if lines:
        match = _CLOSING_MARK.search(lines[-1], max(0, len(lines[-1]) - _MARK_REACH))
        if match is not None:
            _take_mark(match["mark"], into, source)
            gone.append(("initials", match[0]))
            lines[-1] = lines[-1][: match.start()].rstrip()
            if not lines[-1]:
                lines.pop()
    return gone


def _strip_tags(lines: list[str]) -> list[tuple[str, str]]:
    """Drop the tag list below the closing initials, or below the last paragraph when it is all lower case."""
    start = len(lines)
    while start > 1 and len(lines) - start < _TAG_LINES and _is_tag(lines[start - 1]):
        start -= 1
    tags = lines[start:]
    if not tags:
        return []
    marked = _INITIALS.search(lines[start - 1], max(0, len(lines[start - 1]) - _MARK_REACH)) is not None
    if not marked and (len(tags) == 1 or any(tag != tag.lower() for tag in tags)):
        return []
    del lines[start:]
    return [("tags", tag) for tag in tags]


def _is_tag(line: str) -> bool:
    return len(line) < _TAG_CHARS and line[-1].isalnum() and line.count(" ") < _TAG_WORDS and ". " not in line


def _is_name_line(line: str) -> bool:
    if line.lower() in _AGENCIES:
        return True
    if len(line) > _NAME_CHARS or not line[-1].isalnum() or ":" in line:
        return False
    words = line.replace("|", " ").replace("/", " ").split()
    return 1 < len(words) <= _NAME_WORDS and all(word[0].isupper() and not word.isdigit() for word in words)


def _take_name(line: str, into: Credits, source: str | None) -> None:
    for part in re.split(r" ?[|/] ?", line):
        if part.lower() in _AGENCIES:
            into.agency = into.agency or agency_of(part, source)
        elif into.author is None:
            into.author = person(part)


def _take_mark(mark: str, into: Credits, source: str | None) -> None:
    if mark.lower() in _AGENCIES and not mark.islower():
        into.agency = into.agency or agency_of(mark, source)
    elif into.author is None and " " in mark and mark[0].isupper():
        into.author = person(mark)
