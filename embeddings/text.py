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
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

TEXT_VERSION = 1
"""Raised whenever the same text would give other words: stored vectors then need `reembed`."""

MAX_CHARS = 50_000
SHINGLE_WORDS = 5
MIN_BODY_WORDS = 20
TERM_BITS = (1 << 31) - 1

_WORD = re.compile(r"[^\W_]+")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def normalise(text: str) -> str:
    """Return `text` in NFKC without invisible characters, at most `MAX_CHARS` long."""
    text = text[:MAX_CHARS]
    if text.isascii():
        return text
    # NFKC can grow a text eighteenfold (U+FDFA), so the cap is applied again.
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))[:MAX_CHARS]


def words(text: str) -> list[str]:
    """Return the words and numbers of `text` in order, as written."""
    return _WORD.findall(text)


def lower(tokens: Iterable[str]) -> list[str]:
    """Return `tokens` in lower case."""
    return [token.lower() for token in tokens]


# News repeats itself: three of four look-ups are answered by the cache, which costs about 40 MB when full.
@functools.lru_cache(maxsize=1 << 18)
def term_id(term: str) -> int:
    """Return the 31-bit identity of a term, the same in every process and version."""
    return zlib.crc32(term.encode("utf-8", "surrogatepass")) & TERM_BITS


def fingerprint(title: Sequence[str], body: Sequence[str]) -> bytes:
    """Return 16 bytes that two texts share only when their lower-case words are the same, in order.

    A body long enough to stand alone is fingerprinted without its title, so that the same report under a
    new headline is an exact copy; a shorter one needs the headline as well.
    """
    key = body if len(body) >= MIN_BODY_WORDS else [*title, "\n", *body]
    return hashlib.blake2b(" ".join(key).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def shingles(tokens: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the sorted distinct identities of all runs of five words (of all words if there are fewer)."""
    width = min(SHINGLE_WORDS, max(1, len(tokens)))
    runs = zip(*(tokens[start:] for start in range(width)), strict=False)
    return np.unique(np.fromiter((term_id(" ".join(run)) for run in runs), dtype=np.int64))


def overlap(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Return Jaccard similarity and containment (share of the smaller set found in the other)."""
    if not len(a) or not len(b):
        return 0.0, 0.0
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / (len(a) + len(b) - shared), shared / min(len(a), len(b))
