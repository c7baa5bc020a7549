"""Text to words, fingerprints and shingles: the steps every comparison starts from."""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

TEXT_VERSION = 1
"""Raised whenever the same text would give other words: stored vectors then need `reembed`."""

MAX_CHARS = 50_000
SHINGLE_WORDS = 5
MIN_BODY_WORDS = 20
TERM_BITS = (1 << 31) - 1
_SHINGLE_BASE = np.uint64(0x9E3779B97F4A7C15)

_WORD = re.compile(r"[^\W_]+")
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
    return _WORD.findall(text)


# News repeats itself: three of four look-ups are answered by the cache, which costs about 40 MB when full.
@functools.lru_cache(maxsize=1 << 18)
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


def shingles(text: str) -> npt.NDArray[np.uint64]:
    """Return the sorted distinct identities of all runs of five words (of all words if there are fewer)."""
    ids = identities(words(text)).astype(np.uint64)
    if not len(ids):
        return ids  # a text without words repeats nothing
    width = min(SHINGLE_WORDS, len(ids))
    runs = np.zeros(len(ids) - width + 1, dtype=np.uint64)
    # A polynomial hash over 64 bits, wrapping: two of a billion runs would share an identity.
    for start in range(width):
        runs = runs * _SHINGLE_BASE + ids[start : start + len(runs)]
    return np.unique(runs)


def overlap(a: npt.NDArray[np.uint64], b: npt.NDArray[np.uint64]) -> tuple[float, float]:
    """Return Jaccard similarity and containment (share of the smaller set found in the other)."""
    if not len(a) or not len(b):
        return 0.0, 0.0
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / (len(a) + len(b) - shared), shared / min(len(a), len(b))
