"""One spelling for characters and the repair of debris that lost links leave in crawled bodies."""

import html
import re
import unicodedata

# Typographic signs give way to plain ones, so that copies from different outlets read the same.
_SIGNS = (
    ("¬†", " "),  # a no-break space read as Mac Roman, in 2019 crawls of Tempo
    ("\xa0", " "),
    ("\u202f", " "),
    ("\u2007", " "),
    ("\u2009", " "),
    ("\u3000", " "),
    ("“", '"'),
    ("”", '"'),
    ("„", '"'),
    ("‘", "'"),
    ("’", "'"),
    ("\xad", ""),
    ("\u200b", ""),
    ("\u200c", ""),
    ("\u200d", ""),
    ("\u200e", ""),
    ("\u200f", ""),
    ("\u2060", ""),
    ("\ufeff", ""),
    ("\u2028", "\n"),
    ("\u2029", "\n"),
)
_BREAKS = (("\r\n", "\n"), ("\r", "\n"), ("\t", " "), ("\x0b", "\n"), ("\x0c", "\n"), ("\x00", ""))
_ENTITY = re.compile(r"&(?:[a-zA-Z]{2,8}|#[0-9]{2,6}|#x[0-9a-fA-F]{2,5});")
_SPACES = re.compile(" {2,}")
_COMMAS = re.compile(",(?: ?,)+ ?")
# Crawls of 2019 join paragraphs with a comma: `di sana.,Dia`, `katanya.,"Kami`.
_JOINED = re.compile(r""",(?:(?<=[.!?],)(?=[^\s,.])|(?<=["'],)(?=[A-Z"]))""")
_MAX_LINES = 50_000
_CLOSING = frozenset("\"'.!?);:\n")
_SCROLL = re.compile(r"(?:ADVERTISEMENT ?)?SCROLL TO (?:CONTINUE|RESUME)(?: WITH)? CONTENT")
_GAMBAS = re.compile(r"\[Gambas: ?[^\]\n]{0,80}\]")


def normalise(text: str) -> str:
    """Give characters one spelling: NFC, plain quotes and spaces, no invisible signs, entities resolved."""
    if "&" in text and _ENTITY.search(text):
        text = html.unescape(text)
    if not text.isascii():
        for bad, good in _SIGNS:
            if bad in text:
                text = text.replace(bad, good)
        if not unicodedata.is_normalized("NFC", text):
            text = unicodedata.normalize("NFC", text)
    for bad, good in _BREAKS:
        if bad in text:
            text = text.replace(bad, good)
    if "  " in text:
        text = _SPACES.sub(" ", text)
    return text


def mend(text: str) -> str:
    """Repair what lost links and widgets leave inside a body: comma runs, joined paragraphs, ad marks."""
    if "SCROLL TO" in text:
        text = _SCROLL.sub("\n", text)
    if "[Gambas:" in text:
        text = _GAMBAS.sub("\n", text)
    if " ," in text:
        text = text.replace(" ,", ",")
    if "\n," in text:
        text = text.replace("\n,", ",")
    if ",," in text or ", ," in text:
        text = _COMMAS.sub(_one_comma, text)
    if ",." in text:
        text = text.replace(",.", ".")
    if ".," in text or '",' in text or "?," in text or "!," in text:
        text = _JOINED.sub("\n", text)
    return text


def lines_of(text: str) -> list[str]:
    """Split a text into its stripped lines, empty ones left out; no article has more than 50,000."""
    return [line for raw in text.split("\n", _MAX_LINES)[:_MAX_LINES] if (line := raw.strip())]


def _one_comma(match: re.Match[str]) -> str:
    after = match.string[match.end() : match.end() + 1]
    before = match.string[match.start() - 1 : match.start()]
    if before in _CLOSING and after and after not in _CLOSING:
        return "," if before in ".!?\"'" else ""
    return "," if after in _CLOSING else ", "
