"""The opening that says where and for whom a report was written: `JAKARTA, KOMPAS.com - `.

Stripped because outlet names pull one outlet's articles together and push agency copies apart; the place is kept.
"""

import re
from dataclasses import dataclass

from service.extract.outlets import outlet_of

_HEAD = 220
_JOIN_BELOW = 60
_JOIN_LINES = 3
_LEADING = " ,;:|-–—·\xa0"

_OUTLET = (
    r"(?P<outlet>[A-Za-z0-9][A-Za-z0-9-]{1,30}\.(?i:com|co\.id|co|id|tv|net)(?![A-Za-z0-9])(?:/[a-z]{2,3}\b)?"
    r"|CNN Indonesia|CNBC Indonesia|BBC Indonesia|VOA Indonesia|Media Indonesia|Kompas TV|Rimanews|detikcom"
    r"|detik[A-Z][a-z]{2,12}|Okezone|SINDOnews|Liputan6|KONTAN)"
)
_WORD = r"[^\W\d_a-z][\w'’.]{0,24}"
_PLACE = rf"{_WORD}(?:[ /-]{_WORD}){{0,3}}"
_DASH = r"\s?[-–—](?:\s?[-–—]){0,2}\s?"
_CAPS = r"[A-Z][A-Z'’.]{2,24}(?:[ /-][A-Z][A-Z'’.]{0,24}){0,3}"
# Where no dash follows (a third of Liputan6, most of the rest of Republika) the place must be a known one.
_CITIES = (
    "Jakarta Pusat|Jakarta Selatan|Jakarta Timur|Jakarta Barat|Jakarta Utara|Jakarta|Bandung|Surabaya|Semarang|"
    "Yogyakarta|Jogja|Medan|Makassar|Denpasar|Palembang|Bogor|Depok|Bekasi|Tangerang Selatan|Tangerang|Malang|Solo|"
    "Surakarta|Manado|Padang|Pekanbaru|Batam|Banda Aceh|Aceh|Bali|Balikpapan|Samarinda|Banjarmasin|Pontianak|"
    "Palangka Raya|Mataram|Kupang|Ambon|Jayapura|Ternate|Kendari|Palu|Gorontalo|Bengkulu|Jambi|Lampung|Serang|"
    "Banten|Cirebon|Garut|Sukabumi|Cianjur|Banyuwangi|Jember|Kediri|Madiun|Magelang|Purwokerto|Tegal|Pati|Kudus|"
    "Washington DC|Washington|New York|London|Paris|Tokyo|Seoul|Beijing|Moskow|Kiev|Gaza|Yerusalem|Tel Aviv|Riyadh|"
    "Makkah|Madinah|Jeddah|Kairo|Istanbul|Ankara|Bangkok|Kuala Lumpur|Singapura|Manila|Hanoi|New Delhi|Canberra|"
    "Sydney|Melbourne|Berlin|Madrid|Barcelona|Roma|Brussel|Jenewa|Teheran|Baghdad|Damaskus|Doha|Dubai|Nusantara"
)
_REPORT = re.compile(
    r"Laporan (?:(?:Wartawan|Reporter|Kontributor|Jurnalis|Koresponden|wartawan|reporter|kontributor)\b ?)?"
    r"(?:[\w-]{2,30}(?: [\w-]{2,30})?\.(?i:com|co|id|co\.id)\b|Tribun\w{0,20}(?: \w{2,20})?(?=,))?[ ,:|-]{0,3}"
    r"(?P<name>[^\W\d_a-z][\w'.]{0,20}(?: [^\W\d_a-z][\w'.]{0,20}){0,3}?)"
    r"(?=$| I | \| |, | [-–—] | [A-Z-]{3,30}\.(?:COM|CO|ID)\b)"
)
_START = re.compile(_OUTLET)
_THEN_PLACE = re.compile(rf"\s?[,.:]?\s?(?P<place>{_PLACE}(?:, ?{_PLACE}){{0,2}}){_DASH}")
_THEN_DOTTED = re.compile(rf"{_DASH}(?P<place>{_CAPS})\. ?(?=[A-Z\"'])")
_THEN_DASH = re.compile(_DASH)
_THEN_CITY = re.compile(rf"\s?,\s?(?P<place>(?i:{_CITIES}))(?:\s|(?=[A-Z\"'])|$)")
_THEN_GLUED = re.compile(rf"\s?,\s?(?P<place>(?:{_CITIES}))(?=[A-Z][a-z])")
_THEN_WORD = re.compile(rf"\s?,\s?(?P<place>{_WORD})\s(?=[A-Z\"'])")
_PLACE_FIRST = re.compile(rf"(?P<place>{_PLACE}(?:, ?{_PLACE})?)\s?,\s?{_OUTLET}{_DASH}")
_AGENCY = re.compile(
    rf"(?P<place>{_PLACE}(?:, {_PLACE})?)(?:, ?[0-9]{{1,2}}/[0-9]{{1,2}})?\s?"
    rf"\((?P<agency>(?P<antara>(?i:antara))?[^()\n]{{0,30}})\)(?P<dash>{_DASH})?"
)
_BARE_CAPS = re.compile(rf"(?P<place>{_CAPS})\s?[-–—](?:\s?[-–—]){{0,2}}\s")
_BARE = re.compile(rf"(?P<place>{_WORD}(?: {_WORD}){{0,2}})\s[-–—](?:\s?[-–—]){{0,2}}\s(?=[A-Z\"'(0-9])")
_CITY = re.compile(f"(?:{_CITIES})", re.IGNORECASE)
_PAID = re.compile(rf"(?:INFO NASIONAL|INFO TEMPO|INFORIAL|ADVERTORIAL){_DASH}")
_NOT_PLACES = frozenset(
    [
        "Paris Saint",
        "FOTO",
        "VIDEO",
        "LIVE",
        "OPINI",
        "BREAKING NEWS",
        "INFOGRAFIS",
        "CEK FAKTA",
        "HOAKS",
        "KOLOM",
        "POPULER",
        "TERPOPULER",
        "UPDATE",
        "FAKTA",
    ]
)


@dataclass(frozen=True, slots=True)
class Dateline:
    """What the opening said, and the lines of the body without it."""

    place: str | None
    outlet: str | None
    agency: str | None
    author: str | None
    paid: bool
    lines: list[str]


@dataclass(frozen=True, slots=True)
class _Hit:
    end: int
    place: str | None
    outlet: str | None = None
    agency: str | None = None
    paid: bool = False


def strip_dateline(lines: list[str]) -> Dateline:
    """Take the dateline off the first lines of a body; only there, and only in a known shape."""
    author, lines = _strip_report(lines)
    if not lines:
        return Dateline(None, None, None, author, paid=False, lines=lines)
    joined, used = _opening(lines)
    lead = len(joined) - len(joined.lstrip(_LEADING))
    hit = find_dateline(joined[lead : lead + _HEAD])
    if hit is not None:
        rest = joined[lead + hit.end :].lstrip(_LEADING)
        body = [rest, *lines[used:]] if rest else lines[used:]
        return Dateline(hit.place, hit.outlet, hit.agency, author, hit.paid, body)
    if len(lines) > 1 and len(lines[0]) < _JOIN_BELOW and _CITY.fullmatch(lines[0].rstrip(_LEADING)):
        return Dateline(lines[0].rstrip(_LEADING), None, None, author, paid=False, lines=lines[1:])
    first = lines[0].lstrip(_LEADING)
    body = [first, *lines[1:]] if first else lines[1:]
    return Dateline(None, None, None, author, paid=False, lines=body)


def is_dateline(line: str) -> bool:
    """Tell whether a line opens with a dateline that names an outlet, an agency or a place in capitals."""
    head = line[:_HEAD].lstrip(_LEADING)
    hit = find_dateline(head)
    return hit is not None and (
        hit.outlet is not None or hit.agency is not None or bool(_BARE_CAPS.match(head))
    )


def find_dateline(head: str) -> _Hit | None:
    """Match the dateline at the very start of a text."""
    paid = _PAID.match(head)
    if paid is not None:
        return _Hit(paid.end(), None, paid=True)
    start = _START.match(head)
    if start is not None:
        return _after_outlet(head, start)
    first = _PLACE_FIRST.match(head)
    if first is not None:
        return _Hit(first.end(), first["place"], outlet_of(first["outlet"]))
    agency = _AGENCY.match(head)
    if agency is not None and (agency["antara"] or (agency["dash"] and agency["agency"])):
        credit = "Antara" if agency["antara"] else None
        outlet = None if credit else outlet_of(agency["agency"])
        return _Hit(agency.end(), agency["place"], outlet, credit)
    bare = _BARE_CAPS.match(head) or _BARE.match(head)
    if bare is not None and bare["place"] not in _NOT_PLACES:
        return _Hit(bare.end(), bare["place"])
    return None


def _after_outlet(head: str, start: re.Match[str]) -> _Hit | None:
    outlet, end = outlet_of(start["outlet"]), start.end()
    for pattern in (_THEN_GLUED, _THEN_PLACE, _THEN_DOTTED, _THEN_CITY):
        match = pattern.match(head, end)
        if match is not None:
            return _Hit(match.end(), match["place"], outlet)
    dash = _THEN_DASH.match(head, end)
    if dash is not None:
        return _Hit(dash.end(), None, outlet)
    word = _THEN_WORD.match(head, end)
    return _Hit(word.end(), word["place"], outlet) if word is not None else None


def _opening(lines: list[str]) -> tuple[str, int]:
    """Join the first lines while they are fragments: `Jakarta`, `-`, `Seorang warga ...`."""
    joined, used = lines[0], 1
    while used < min(_JOIN_LINES, len(lines)) and len(joined) < _JOIN_BELOW and joined[-1] not in ".!?\"'":
        joined = f"{joined} {lines[used]}"
        used += 1
    return joined, used


def _strip_report(lines: list[str]) -> tuple[str | None, list[str]]:
    if not lines or not lines[0].startswith("Laporan "):
        return None, lines
    match = _REPORT.match(lines[0][:_HEAD])
    if match is None:
        return None, lines
    rest = lines[0][match.end() :]
    if rest.startswith((" I ", " | ")):  # "Laporan <nama> I Aceh Singkil"
        rest = ""
    rest = rest.lstrip(_LEADING)
    return match["name"], [rest, *lines[1:]] if rest else lines[1:]


def opens_body(line: str, following: list[str]) -> bool:
    """Tell whether the body starts at this line of a page: a full dateline, or a place and a dash on lines of their own."""
    if is_dateline(line):
        return True
    if len(line) >= _JOIN_BELOW:
        return line[-1] in ".!?\"'" and find_dateline(line[:_HEAD]) is not None
    place = line.rstrip(_LEADING)
    dashed = line[-1] in "-–—" or bool(following and following[0][0] in "-–—" and len(following[0]) == 1)
    return dashed and re.fullmatch(_PLACE, place) is not None
