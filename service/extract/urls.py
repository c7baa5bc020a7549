"""What an address says: its canonical form, the article's key at its outlet, and a time."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from service.extract.dates import WIB
from service.extract.outlets import host_of, outlet_of
from service.extract.page import Precision

_CAP = 4_000
_DROPPED = frozenset(
    [
        "page",
        "source",
        "single",
        "fbclid",
        "gclid",
        "gclsrc",
        "dclid",
        "msclkid",
        "yclid",
        "igshid",
        "igsh",
        "mc_cid",
        "mc_eid",
        "_ga",
        "ref_src",
        "cmpid",
        "tag_from",
        "ocid",
        "amp",
        "amp_js_v",
        "usqp",
        "__twitter_impression",
    ]
)
_BASE = 36
_EARLIEST = 946_684_800  # 2000-01-01: smaller numbers are not creation times
_LATEST = 4_102_444_800  # 2100-01-01

# Most addresses need no parser: no query, no port, nothing quoted.
_PLAIN = re.compile(r"https?://([a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,9})(/[A-Za-z0-9._~/-]*)?")
_KOMPAS = re.compile(r"/read/(?:xml/|cm/)?([0-9]{4}/[0-9]{2}/[0-9]{2})/([0-9]{6,12})(?:/|$)")
_KOMPAS_SHORT = re.compile(
    r"/read/(?:xml/|cm/)?(([0-9]{2})([A-L])([0-9]{2})[0-9]{6,10})(?:/|$)", re.IGNORECASE
)
_REPUBLIKA = re.compile(
    r"/(?:[0-9]{2}/[0-9]{2}/[0-9]{2}|berita|amp|posts)/([a-z0-9]{6})([0-9]{3,7})(?:[/-]|$)"
)
_REPUBLIKA_ID = re.compile(r"/posts/([0-9]{3,9})(?:/|$)")
_DETIK = re.compile(r"/d-([0-9]{3,12})(?:[/-]|$)")
_TEMPO_OLD = re.compile(r"/read/(?:news/)?([0-9]{4,10})(?:/|$)")
_TEMPO = re.compile(r"-([0-9]{5,10})(?:/|$)")
_ANTARA = re.compile(r"/(?:berita|news|rilis-pers|infografik)/([0-9]{3,12})(?:/|$)")
_TRIBUN_NEW = re.compile(r"/([0-9]{6,10})/[^/]")
_TRIBUN = re.compile(r"/(([0-9]{4})/([0-9]{2})/([0-9]{2}))/([^/]+)")
_OKEZONE = re.compile(r"/read/(([0-9]{4})/([0-9]{2})/([0-9]{2}))/[0-9]{1,6}/([0-9]{4,12})(?:/|$)")
_NUMBER = re.compile(r"/read/([0-9]{4,12})(?:/|$)")
_SINDO_TIME = re.compile(r"-([0-9]{10})(?:/|$)")
_CNN = re.compile(r"/([0-9]{14})-[0-9]{1,5}-([0-9]{3,10})(?:/|$)")


@dataclass(frozen=True, slots=True)
class UrlTime:
    """A time told by an address; `created` marks the creation time, which is only a lower bound."""

    at: datetime
    precision: Precision
    created: bool


def canonical_url(url: str) -> str:
    """Give an address one form: https, lower-case host, no mobile or AMP marks, tracking or fragment."""
    given = url.strip()
    plain = _PLAIN.fullmatch(given)
    if plain is not None:
        host = _plain_host(plain[1])
        return f"https://{host}{_plain_path(plain[2] or '/', host)}"
    parts = _split(given)
    if parts is None:
        return given
    host = _plain_host(parts.hostname or "")
    port = _port(parts)
    if port and (parts.scheme, port) not in {("http", 80), ("https", 443)}:
        host = f"{host}:{port}"
    query = urlencode([pair for pair in _pairs(parts.query) if not _is_tracking(pair[0])], errors="replace")
    scheme = "https" if parts.scheme == "http" else parts.scheme
    return urlunsplit((scheme, host, _plain_path(parts.path, host), query, ""))


def article_key(url: str) -> str | None:
    """Name the article at its outlet: one key for all slugs and hosts, None for outlets without a rule."""
    host, path = _place(url)
    outlet = outlet_of(host)
    rule = _KEYS.get(outlet)
    key = rule(_plain_host(host), path) if rule is not None else None
    return f"{outlet}:{key}" if key else None


def url_time(url: str) -> UrlTime | None:
    """Read the time in an address: Kompas to the second, others the day or the time of creation."""
    host, path = _place(url)
    rule = _TIMES.get(outlet_of(host))
    return rule(path) if rule is not None else None


def _place(url: str) -> tuple[str, str]:
    given = url[:_CAP].strip()
    plain = _PLAIN.fullmatch(given)
    if plain is not None:
        return plain[1], plain[2] or "/"
    parts = _split(given) if "/" in given else None
    return (parts.hostname or "", parts.path) if parts is not None else ("", "")


def _split(given: str) -> SplitResult | None:
    if "://" not in given[:12]:
        host = host_of(given)
        if host is None:
            return None
        given = "https://" + given.removeprefix("//")
    try:
        parts = urlsplit(given)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            return None
    except ValueError:
        return None
    return parts


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        return None


def _plain_host(host: str) -> str:
    labels = host.lower().strip(".").split(".")
    while len(labels) > 2 and labels[0] in {"m", "amp"}:  # noqa: PLR2004 - a name under a domain
        labels = labels[1:]
    return ".".join(labels)


def _plain_path(path: str, host: str) -> str:
    # Republika's AMP address stands in for /berita/, elsewhere /amp only marks the view.
    if path.startswith("/amp/"):
        path = ("/berita/" if host.endswith("republika.co.id") else "/") + path[5:]
    path = path.rstrip("/")
    return path.removesuffix("/amp").rstrip("/") or "/"


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True)
    except ValueError:
        return []


def _is_tracking(name: str) -> bool:
    lowered = name.lower()
    return lowered in _DROPPED or lowered.startswith("utm_")


def _kompas_key(_host: str, path: str) -> str | None:
    match = _KOMPAS.search(path)
    if match is not None:
        return f"{match[1]}/{match[2]}"
    short = _KOMPAS_SHORT.search(path)
    return short[1].upper() if short is not None else None


def _tempo_key(_host: str, path: str) -> str | None:
    old = _TEMPO_OLD.search(path)
    if old is not None:
        return f"read/{old[1]}"
    new = _TEMPO.search(path)
    return new[1] if new is not None else None


def _antara_key(host: str, path: str) -> str | None:
    match = _ANTARA.search(path)
    if match is None:
        return None
    province = host.removesuffix("antaranews.com").rstrip(".")
    return f"{province or 'www'}/{match[1]}"


def _tribun_key(host: str, path: str) -> str | None:
    dated = _TRIBUN.search(path)
    if dated is not None:
        region = host.removesuffix("tribunnews.com").rstrip(".")
        return f"{region or 'www'}/{dated[1]}/{dated[5]}"
    numbered = _TRIBUN_NEW.search(path)
    return numbered[1] if numbered is not None else None


def _number_key(pattern: re.Pattern[str], group: int = 1) -> Callable[[str, str], str | None]:
    def key(_host: str, path: str) -> str | None:
        match = pattern.search(path)
        return match[group] if match is not None else None

    return key


def _republika_key(_host: str, path: str) -> str | None:
    match = _REPUBLIKA.search(path)
    return match[1] + match[2] if match is not None else None


_KEYS: dict[str, Callable[[str, str], str | None]] = {
    "kompas.com": _kompas_key,
    "republika.co.id": _republika_key,
    "republika.id": _number_key(_REPUBLIKA_ID),
    "detik.com": _number_key(_DETIK),
    "tempo.co": _tempo_key,
    "antaranews.com": _antara_key,
    "tribunnews.com": _tribun_key,
    "okezone.com": _number_key(_OKEZONE, 5),
    "sindonews.com": _number_key(_NUMBER),
    "liputan6.com": _number_key(_NUMBER),
    "cnnindonesia.com": _number_key(_CNN, 2),
    "cnbcindonesia.com": _number_key(_CNN, 2),
}


def _kompas_time(path: str) -> UrlTime | None:
    match = _KOMPAS.search(path)
    if match is not None:
        return _read(match[1].replace("/", "") + match[2][:6], "second")
    short = _KOMPAS_SHORT.search(path)
    if short is None:
        return None
    month = "ABCDEFGHIJKL".index(short[3].upper()) + 1
    return _read(f"20{short[2]}{month:02d}{short[4]}000000", "day")


def _dated(pattern: re.Pattern[str]) -> Callable[[str], UrlTime | None]:
    def time(path: str) -> UrlTime | None:
        match = pattern.search(path)
        return _read(f"{match[2]}{match[3]}{match[4]}000000", "day") if match is not None else None

    return time


def _republika_time(path: str) -> UrlTime | None:
    match = _REPUBLIKA.search(path)
    return _created(int(match[1], _BASE)) if match is not None else None


def _sindo_time(path: str) -> UrlTime | None:
    match = _SINDO_TIME.search(path)
    return _created(int(match[1])) if match is not None else None


def _cnn_time(path: str) -> UrlTime | None:
    match = _CNN.search(path)
    return _read(match[1], "day", created=True) if match is not None else None


def _created(seconds: int) -> UrlTime | None:
    if not _EARLIEST <= seconds < _LATEST:
        return None
    return UrlTime(datetime.fromtimestamp(seconds, tz=WIB), "day", created=True)


def _read(digits: str, precision: Precision, *, created: bool = False) -> UrlTime | None:
    year, month, day = int(digits[:4]), int(digits[4:6]), int(digits[6:8])
    hour, minute, second = int(digits[8:10]), int(digits[10:12]), int(digits[12:14])
    try:
        at = datetime(year, month, day, hour, minute, second, tzinfo=WIB)
    except ValueError:
        return None
    return UrlTime(at, precision, created)


_TIMES: dict[str, Callable[[str], UrlTime | None]] = {
    "kompas.com": _kompas_time,
    "republika.co.id": _republika_time,
    "sindonews.com": _sindo_time,
    "cnnindonesia.com": _cnn_time,
    "cnbcindonesia.com": _cnn_time,
    "okezone.com": _dated(_OKEZONE),
    "tribunnews.com": _dated(_TRIBUN),
}
