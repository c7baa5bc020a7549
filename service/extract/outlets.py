"""Who published it: outlet domains from hosts, addresses and names, and the houses that own them."""

import functools
import re
from urllib.parse import urlsplit

# From published ownership maps and site footers (`docs/INDONESIAN_NEWS.md` §11).
_FAMILIES = {
    "Kompas Gramedia": (
        "kompas.com kompas.id kompas.tv kompasiana.com kontan.co.id grid.id gridoto.com bolasport.com juara.net "
        "tribunnews.com wartakotalive.com banjarmasinpost.co.id sripoku.com pos-kupang.com serambinews.com "
        "surya.co.id bangkapos.com posbelitung.co prohaba.co suryamalang.com babelnews.id"
    ),
    "Trans/CT": "detik.com cnnindonesia.com cnbcindonesia.com haibunda.com insertlive.com",
    "MNC": "okezone.com sindonews.com inews.id idxchannel.com",
    "Emtek/KLY": "liputan6.com merdeka.com kapanlagi.com fimela.com bola.com bola.net dream.co.id",
    "Tempo": "tempo.co",
    "Republika": "republika.co.id republika.id",
    "Antara": "antaranews.com",
    "Viva": "viva.co.id",
    "Jawa Pos": "jawapos.com jpnn.com",
    "Media Group": "mediaindonesia.com metrotvnews.com medcom.id",
    "Bisnis Indonesia": "bisnis.com solopos.com",
}
_PUBLISHER = {outlet: house for house, outlets in _FAMILIES.items() for outlet in outlets.split()}

# Names as pages, stamps and corpora write them, lower-cased and without spaces or signs.
_NAMES = {
    "kompas": "kompas.com",
    "kompascom": "kompas.com",
    "kompascybermedia": "kompas.com",
    "kompasid": "kompas.id",
    "hariankompas": "kompas.id",
    "kompastv": "kompas.tv",
    "kontan": "kontan.co.id",
    "kompasiana": "kompasiana.com",
    "grid": "grid.id",
    "tribun": "tribunnews.com",
    "wartakota": "wartakotalive.com",
    "wartakotalive": "wartakotalive.com",
    "banjarmasinpost": "banjarmasinpost.co.id",
    "sripoku": "sripoku.com",
    "sriwijayapost": "sripoku.com",
    "poskupang": "pos-kupang.com",
    "serambi": "serambinews.com",
    "serambinews": "serambinews.com",
    "surya": "surya.co.id",
    "bangkapos": "bangkapos.com",
    "detik": "detik.com",
    "cnnindonesia": "cnnindonesia.com",
    "cnbcindonesia": "cnbcindonesia.com",
    "haibunda": "haibunda.com",
    "insertlive": "insertlive.com",
    "okezone": "okezone.com",
    "sindo": "sindonews.com",
    "sindonews": "sindonews.com",
    "koransindo": "sindonews.com",
    "inews": "inews.id",
    "idxchannel": "idxchannel.com",
    "liputan6": "liputan6.com",
    "merdeka": "merdeka.com",
    "kapanlagi": "kapanlagi.com",
    "fimela": "fimela.com",
    "bola": "bola.com",
    "tempo": "tempo.co",
    "tempoco": "tempo.co",
    "korantempo": "tempo.co",
    "republika": "republika.co.id",
    "republikaonline": "republika.co.id",
    "rol": "republika.co.id",
    "antara": "antaranews.com",
    "antaranews": "antaranews.com",
    "lkbnantara": "antaranews.com",
    "kantorberitaantara": "antaranews.com",
    "viva": "viva.co.id",
    "vivanews": "viva.co.id",
    "vivacoid": "viva.co.id",
    "jawapos": "jawapos.com",
    "jpnn": "jpnn.com",
    "mediaindonesia": "mediaindonesia.com",
    "metrotv": "metrotvnews.com",
    "metrotvnews": "metrotvnews.com",
    "bisnis": "bisnis.com",
    "bisnisindonesia": "bisnis.com",
    "bisniscom": "bisnis.com",
    "solopos": "solopos.com",
    "suara": "suara.com",
    "suaracom": "suara.com",
    "kumparan": "kumparan.com",
    "tirto": "tirto.id",
    "tirtoid": "tirto.id",
    "rimanews": "rimanews.com",
    "poskotanews": "poskotanews.com",
    "poskota": "poskotanews.com",
    "goalindonesia": "goal.com",
    "wowkeren": "wowkeren.com",
    "jakartapost": "thejakartapost.com",
    "thejakartapost": "thejakartapost.com",
    "bbcindonesia": "bbc.com",
    "voaindonesia": "voaindonesia.com",
}
_SECOND_LEVELS = frozenset(
    [
        "ac",
        "biz",
        "co",
        "com",
        "desa",
        "edu",
        "go",
        "gov",
        "mil",
        "my",
        "net",
        "ne",
        "nic",
        "or",
        "org",
        "ponpes",
        "sch",
        "web",
    ]
)
_COUNTRY_CODE = 2
_MAX_LABELS = 3
_CAP = 2_000

_HOST = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63}){1,9}\.?")
_ADDRESS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_SIGNS = re.compile(r"[^a-z0-9]+")
# detikNews, detikSumut and TribunJakarta are desks of one outlet.
_DESK = re.compile(r"(detik|tribun)(?:[a-z]{2,20})?")
_TRIBUN_HOST = re.compile(r"tribun[a-z-]{2,24}\.(?:com|co|co\.id|id)")


@functools.lru_cache(maxsize=4096)
def outlet_of(host_or_url_or_name: str) -> str:
    """Name the outlet's domain for a host, an address or a bare name.

    An unknown host gives its registrable domain; an unknown bare name gives itself in lower case.
    """
    given = host_or_url_or_name[:_CAP].strip().lower()
    known = _NAMES.get(given) or (given if given in _PUBLISHER else None)
    if known:
        return known
    host = _host_of(given)
    if host is not None:
        domain = _registrable(host)
        return "tribunnews.com" if _TRIBUN_HOST.fullmatch(domain) else domain
    name = _SIGNS.sub("", given)
    desk = _DESK.fullmatch(name)
    if desk is not None:
        return "detik.com" if desk[1] == "detik" else "tribunnews.com"
    return _NAMES.get(name, given)


def publisher_of(outlet: str) -> str:
    """Name the house that owns an outlet, or the outlet itself where none is known."""
    house = _PUBLISHER.get(outlet)
    if house is not None:
        return house
    domain = outlet_of(outlet)
    return _PUBLISHER.get(domain, domain)


def host_of(url: str) -> str | None:
    """Read the lower-case host of an address, or None where there is none."""
    return _host_of(url[:_CAP].strip().lower())


def _host_of(given: str) -> str | None:
    if "://" in given or given.startswith("//"):
        try:
            host = urlsplit(given).hostname or ""
        except ValueError:
            return None
    else:
        host = given.split("/", 1)[0].split("?", 1)[0].split(":", 1)[0]
    return host.strip(".") if _HOST.fullmatch(host) else None


def _registrable(host: str) -> str:
    labels = host.split(".")
    if _ADDRESS.fullmatch(host) or len(labels) == _COUNTRY_CODE:
        return host
    two_levels = len(labels[-1]) == _COUNTRY_CODE and labels[-2] in _SECOND_LEVELS
    return ".".join(labels[-_MAX_LABELS:] if two_levels else labels[-2:])
