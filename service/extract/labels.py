"""Titles that are not single events: round-ups, live pages, schedules, prices, galleries, opinion."""

import re

# `docs/INDONESIAN_NEWS.md` §9. "IHSG ... sepekan" is news; "Kaleidoskop ... Sepekan" is a round-up.
_RULES = (
    (
        "roundup",
        (
            r"^\[populer\b|^populer [^:]{2,40}:|^(?:berita )?terpopuler\b|\b[0-9]{1,2} (?:berita|artikel) (?:ter)?populer\b"
            r"|^[0-9]{1,2} populer\b|^top (?:[0-9]{1,2}|news)\b[^:]{0,40}:?|^top [0-9]{1,2} news\b|^rangkuman\b"
            r"|^(?!.*\b(?:ihsg|rupiah|saham|emas|dolar|bursa|harga|minyak|bitcoin|kripto)\b).*(?<!selama )(?<!dalam )(?<!tiap )\bsepekan$"
            r"|^kaleidoskop\b|^news in brief\b|^berita hari ini\b"
        ),
    ),
    (
        "live",
        r"^live\b|\blive (?:report|score|streaming|update)\b|\blink (?:live|siaran|nonton)\b|\bsiaran langsung\b",
    ),
    (
        "schedule",
        (
            r"^(?:link )?jadwal\b|\bjadwal (?:lengkap|siaran|imsak|sal?h?olat|buka puasa|puasa|tv|misa|krl|kapal|bioskop"
            r"|samsat|sim keliling|acara)\b|\bpr[ae]kiraan cuaca\b|\bcuaca (?:hari ini|besok)\b|\bimsakiyah\b"
            r"|\bramalan (?:zodiak|shio|bintang|cuaca)\b|^zodiak\b|\bhoroskop\b|\bkunci jawaban\b"
        ),
    ),
    (
        "price",
        (
            r"\bharga (?:[\w-]{1,20} ){1,5}hari ini\b|\bharga emas (?:antam|pegadaian|perhiasan)\b|^(?:update |daftar )harga\b"
            r"|\b(?:kurs|rupiah|ihsg)\b.*\bhari ini\b"
        ),
    ),
    ("gallery", r"^\[?(?:foto|fotos|galeri foto)\b ?[:\]|-]|^(?:[0-9]{1,2} )?potret\b|^\[?infografi[sk]\b"),
    ("video", r"^\[?video ?[:\]|-]|\| ?video$"),
    (
        "opinion",
        r"^\[?(?:opini|kolom(?: pakar)?|tajuk(?: rencana)?|editorial|esai|catatan)\b ?[:\]|]|^\[?kolom pakar\b|^oleh ?:",
    ),
    (
        "factcheck",
        (
            r"^\[?(?:hoaks|hoax|klarifikasi|disinformasi|salah|cek fakta|misinformasi)\b ?[!:\]]|^\[?cek fakta\b"
            r"|^hoaks!|^fakta atau hoaks\b"
        ),
    ),
    ("advertorial", r"\(adv\)|^\[?(?:adv|advertorial|info nasional|inforial)\b"),
)
# A title without one of these words carries no label: most titles never meet an expression.
_WORD = re.compile(r"[a-z]+")
_TRIGGERS = frozenset(
    [
        *("populer", "terpopuler", "top", "rangkuman", "sepekan", "kaleidoskop", "brief", "berita"),
        *(
            "live",
            "siaran",
            "nonton",
            "jadwal",
            "cuaca",
            "imsakiyah",
            "ramalan",
            "zodiak",
            "horoskop",
            "kunci",
        ),
        *(
            "harga",
            "kurs",
            "rupiah",
            "ihsg",
            "foto",
            "fotos",
            "potret",
            "infografis",
            "infografik",
            "galeri",
            "video",
            "vidio",
        ),
        *("opini", "kolom", "tajuk", "editorial", "esai", "catatan", "oleh", "hoaks", "hoax", "klarifikasi"),
        *("disinformasi", "misinformasi", "salah", "cek", "fakta", "adv", "advertorial", "info", "inforial"),
    ]
)
_EACH = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _RULES)
_PATHS = (
    ("advertorial", "/read/cm/"),
    ("advertorial", "/advertorial"),
    ("gallery", "/foto/"),
    ("video", "/video/"),
    ("video", "//video."),
    ("video", "/watch/"),
    ("opinion", "/kolom/"),
    ("opinion", "/opini/"),
)
_CAP = 300


def labels_of(title: str, url: str | None = None, *, paid: bool = False) -> tuple[str, ...]:
    """Label a title (and address) that does not stand for one event; () for ordinary news."""
    head = title[:_CAP].strip()
    found: list[str] = []
    if not _TRIGGERS.isdisjoint(_WORD.findall(head.lower())):
        found = [name for name, pattern in _EACH if pattern.search(head)]
    if url:
        lowered = url[:_CAP].lower()
        found += [name for name, part in _PATHS if part in lowered and name not in found]
    if paid and "advertorial" not in found:
        found.append("advertorial")
    return tuple(dict.fromkeys(found))
