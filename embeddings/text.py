"""Text to words and fingerprints, and what two texts keep of one another: the steps every comparison starts from."""

from __future__ import annotations

import hashlib
import re
import unicodedata
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

TEXT_VERSION = 2
"""Raised whenever the same text would give other words: stored vectors then need `reembed`."""

MAX_CHARS = 50_000
MIN_BODY_WORDS = 20
TERM_BITS = (1 << 31) - 1

_WORD = re.compile(r"[^\W_]+")
_BETWEEN_WORDS = {code: " " for code in range(128) if not chr(code).isalnum()}
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
MAX_MARKS = 30
"""Accents on one letter; Unicode's stream-safe text (UAX #15) allows as many."""
# All that can become a combining mark: no letter does but the two half-width Japanese sound marks.
_MARKS = re.compile(rf"(?:[^\w\s]|[\uff9e\uff9f]){{{MAX_MARKS + 1},}}")


def normalise(text: str) -> str:
    """Return `text` in NFKC without invisible characters, at most `MAX_CHARS` long."""
    text = text[:MAX_CHARS]
    if text.isascii():
        return text
    # Invisible characters leave first: a letter and its accent compose only side by side. Marks in piles leave
    # too, for Python sorts them in quadratic time (50,000 took 5 s).
    text = _MARKS.sub(_without_piles, _INVISIBLE.sub("", text))
    # NFKC can grow a text eighteenfold (U+FDFA), so the cap is applied again.
    return unicodedata.normalize("NFKC", text)[:MAX_CHARS]


def _without_piles(run: re.Match[str]) -> str:
    kept, marks = [], 0
    for character in run[0]:
        parts = unicodedata.normalize("NFKD", character)
        marks = marks + len(parts) if unicodedata.combining(parts[0]) else 0
        if marks <= MAX_MARKS:
            kept.append(character)
    return "".join(kept)


def words(text: str) -> list[str]:
    """Return the words and numbers of `text` in order, as written."""
    if text.isascii():  # most are, and are split several times faster
        return text.translate(_BETWEEN_WORDS).split()
    return _WORD.findall(text)


def term_id(term: str) -> int:
    """Return the 31-bit identity of a term, the same in every process and version."""
    return zlib.crc32(term.encode("utf-8", "surrogatepass")) & TERM_BITS


def identities(tokens: Sequence[str]) -> npt.NDArray[np.int32]:
    """Return the identity of each token in lower case."""
    return np.fromiter(map(term_id, map(str.lower, tokens)), dtype=np.int32, count=len(tokens))


def fingerprint(title: str, text: str) -> bytes:
    """Return 16 bytes that two articles share only when they read the same, word for word, whatever the case.

    A body long enough to stand alone is fingerprinted without its title, so that the same report under a
    new headline is an exact copy; a shorter one needs the headline as well.
    """
    body = words(text.lower())
    key = body if len(body) >= MIN_BODY_WORDS else [*words(title.lower()), "\n", *body]
    return hashlib.blake2b(" ".join(key).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def kept_in_order(a: Sequence[str], b: Sequence[str]) -> int:
    """Return how many words the two sequences have in common in the same order, others between them or not.

    The length of the longest common subsequence. Source: the bit-parallel recurrence of Hyyrö 2004 over one whole
    number of len(a) bits: len(b) additions instead of a table of len(a) x len(b).
    """
    places: dict[str, int] = {}
    for place, word in enumerate(a):
        places[word] = places.get(word, 0) | 1 << place
    whole = (1 << len(a)) - 1
    free = whole
    for word in b:
        match = free & places.get(word, 0)
        if match:
            free = (free + match | free - match) & whole
    return len(a) - free.bit_count()
