"""Sparse term vectors: what a text says, weighted by how rarely news says it.

The weights are log-scaled term frequency times inverse document frequency (Salton & Buckley 1988), with document
frequencies from a fixed background of Indonesian news, so that vectors made years apart stay comparable.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import load_file, save_file

from embeddings.text import lower, term_id, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import numpy.typing as npt

FIELDS = ("lead", "whole", "title", "names", "numbers")
"""The term vectors kept of every article, in the order they are stored."""

BUCKETS = 1 << 19
LEAD_WORDS = 80
WHOLE_WORDS = 400
WHOLE_TERMS = 96
NAME_WORDS = 400
TITLE_WEIGHT = 2
MIN_NAME_SHARE = 0.7
UNKNOWN_SHARE = 255

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_DATE = re.compile(r"\(\d{1,2}/\d{1,2}(?:/\d{2,4})?\)|\b(?:19|20)\d\d\b")
_CALENDAR = frozenset(
    "senin selasa rabu kamis jumat sabtu minggu ahad januari februari maret april mei juni juli agustus "
    "september oktober november desember wib wita wit".split()
)


@dataclass(frozen=True, slots=True)
class TermVector:
    """A unit vector over terms: sorted int32 identities and float32 weights of the same length."""

    ids: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Background:
    """How often news uses a term, and how often it writes it with a capital.

    `idf` is float32 and `name_share` uint8 (0–254 for 0–100 %, 255 unknown), both of length `BUCKETS`, addressed by
    `term_id % BUCKETS`.
    """

    idf: npt.NDArray[np.float32]
    name_share: npt.NDArray[np.uint8]

    @classmethod
    def load(cls, path: Path) -> Background:
        """Read a background written by `save`."""
        table = load_file(path)
        documents = float(table["documents"][0])
        frequency = table["frequency"].astype(np.float32)
        return cls(np.log((documents + 1) / (frequency + 1)).astype(np.float32), table["name_share"])

    @staticmethod
    def save(
        path: Path, documents: int, frequency: npt.NDArray[np.int64], name_share: npt.NDArray[np.uint8]
    ) -> None:
        """Write document frequencies (clipped to 65,535) and name shares to `path`."""
        save_file(
            {
                "documents": np.array([documents], dtype=np.int64),
                "frequency": np.minimum(frequency, 65_535).astype(np.uint16),
                "name_share": name_share,
            },
            path,
        )

    def vector(self, counts: Mapping[str, int], *, limit: int | None = None) -> TermVector:
        """Return the unit vector of `counts`, cut to its `limit` heaviest terms."""
        ids = np.fromiter((term_id(term) for term in counts), dtype=np.int32, count=len(counts))
        frequency = np.fromiter(counts.values(), dtype=np.float32, count=len(counts))
        weights = (1 + np.log(frequency)) * self.idf[ids % BUCKETS]
        # Equal terms of one bucket and one identity cannot occur; equal weights are cut by identity.
        order = np.argsort(ids, kind="stable")
        ids, weights = ids[order], weights[order]
        if limit is not None and len(ids) > limit:
            kept = np.sort(np.argsort(-weights, kind="stable")[:limit])
            ids, weights = ids[kept], weights[kept]
        keep = np.ones(len(ids), dtype=bool)
        keep[1:] = ids[1:] != ids[:-1]
        ids, weights = ids[keep], weights[keep]
        norm = float(np.linalg.norm(weights))
        return TermVector(ids, (weights / norm if norm > 0 else weights).astype(np.float32))

    def is_name(self, word: str) -> bool:
        """Say whether news writes this lower-case word with a capital, or has never used it."""
        share = self.name_share[term_id(word) % BUCKETS]
        return bool(share == UNKNOWN_SHARE or share > MIN_NAME_SHARE * 254)


def term_fields(background: Background, title: str, text: str) -> dict[str, TermVector]:
    """Return the vectors of an article, one for each of `FIELDS`.

    `lead` is the headline twice and the first 80 words, `whole` the 96 heaviest terms of the headline twice and the
    first 400 words, `title` the headline, `names` capitalised words, `numbers` the figures that are not dates.
    """
    head, body = words(title), words(text)
    title_words, body_words = lower(head), lower(body[:WHOLE_WORDS])
    doubled = dict.fromkeys(title_words, 0)
    for word in title_words:
        doubled[word] += TITLE_WEIGHT
    lead, whole = Counter(body_words[:LEAD_WORDS]), Counter(body_words)
    for word, count in doubled.items():
        lead[word] += count
        whole[word] += count
    return {
        "lead": background.vector(lead),
        "whole": background.vector(whole, limit=WHOLE_TERMS),
        "title": background.vector(Counter(title_words)),
        "names": background.vector(_names(background, head, body[:NAME_WORDS])),
        "numbers": background.vector(_numbers(title, text)),
    }


def _names(background: Background, head: Iterable[str], body: Iterable[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for weight, tokens in ((TITLE_WEIGHT, head), (1, body)):
        for token in tokens:
            if token[0].isupper() and len(token) > 2 and not token.isdigit():  # noqa: PLR2004  initials say nothing
                found[token.lower()] += weight
    return Counter(
        {
            word: count
            for word, count in found.items()
            if word not in _CALENDAR and background.is_name(word)
        }
    )


def _numbers(title: str, text: str) -> Counter[str]:
    return Counter(_NUMBER.findall(_DATE.sub(" ", f"{title} {text[:1500]}")))
