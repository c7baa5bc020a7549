"""Sparse term vectors: what a text says, weighted by how rarely news says it.

The weights are log-scaled term frequency times inverse document frequency (Salton & Buckley 1988), with document
frequencies from a fixed background of Indonesian news, so that vectors made years apart stay comparable.
"""

from __future__ import annotations

import functools
import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import load_file, save_file

from embeddings.stem import stem
from embeddings.text import identities, term_id, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Ids = npt.NDArray[np.int32]

FIELDS = ("lead", "whole", "title", "opening", "names", "title_names", "numbers", "dates")
"""The term vectors kept of every article, in the order they are stored."""

BUCKETS = 1 << 19
OPENING_WORDS = 25
LEAD_WORDS = 80
WHOLE_WORDS = 400
WHOLE_TERMS = 96
NUMBER_CHARS = 1500
DATE_CHARS = 500
MIN_NAME_LENGTH = 3
MIN_NAME_SHARE = 0.7
UNKNOWN_SHARE = 255

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_DATE = re.compile(r"\(\d{1,2}/\d{1,2}(?:/\d{2,4})?\)|\b(?:19|20)\d\d\b")
_MONTHS = {
    name: str(number)
    for number, name in enumerate(
        "januari februari maret april mei juni juli agustus september oktober november desember".split(), 1
    )
}
_DAY = re.compile(
    r"\((?P<day>\d{1,2})/(?P<month>\d{1,2})(?:/\d{2,4})?\)"
    rf"|\b(?P<day_too>\d{{1,2}}) (?P<name>{'|'.join(_MONTHS)})\b",
    re.IGNORECASE,
)
# Written with a capital, but what they name is in every report of the day.
_CALENDAR = (
    "senin selasa rabu kamis jumat sabtu minggu ahad januari februari maret april mei juni juli agustus "
    "september oktober november desember wib wita wit"
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
        name_share = table["name_share"]
        name_share[[term_id(word) % BUCKETS for word in _CALENDAR.split()]] = 0
        return cls(np.log((documents + 1) / (frequency + 1)).astype(np.float32), name_share)

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

    @property
    def rarity(self) -> npt.NDArray[np.float32]:
        """Inverse document frequency scaled to [0, 1]: 1 for a term the background has never seen."""
        return np.asarray(self.idf / self.idf.max(), dtype=np.float32)

    def vector(self, ids: Ids, *, limit: int | None = None) -> TermVector:
        """Return the unit vector of a text given as the identities of its words, cut to its `limit` heaviest terms."""
        terms, frequency = np.unique(ids, return_counts=True)
        weights = (1 + np.log(frequency, dtype=np.float32)) * self.idf[terms % BUCKETS]
        if limit is not None and len(terms) > limit:
            kept = np.sort(np.argsort(-weights, kind="stable")[:limit])
            terms, weights = terms[kept], weights[kept]
        norm = float(np.linalg.norm(weights))
        return TermVector(terms, (weights / norm if norm > 0 else weights).astype(np.float32))

    def are_names(self, ids: Ids) -> npt.NDArray[np.bool_]:
        """Say of each word whether news writes it with a capital, or has never used it."""
        share = self.name_share[ids % BUCKETS]
        return np.asarray((share == UNKNOWN_SHARE) | (share > MIN_NAME_SHARE * 254))


@functools.cache
def bundled_background() -> Background:
    """Return the background that comes with the package, read once a process."""
    return Background.load(Path(__file__).parent / "models" / "id-news" / "background.safetensors")


def term_fields(background: Background, title: str, text: str) -> dict[str, TermVector]:
    """Return the vectors of an article, one for each of `FIELDS`.

    `lead` is the headline twice and the first 80 words, `opening` the headline twice and the first 25, `whole` the 96
    heaviest terms of the headline twice and the first 400 words, `title` the headline, `names` capitalised words and
    `title_names` those of the headline, `numbers` the figures that are not dates, `dates` the days the opening names.
    Words that are no names count by their stem.
    """
    head, body = words(title), words(text)[:WHOLE_WORDS]
    title_ids, in_title = _terms(background, head)
    body_ids, in_body = _terms(background, body)
    twice = np.concatenate([title_ids, title_ids])
    figures = _NUMBER.findall(_DATE.sub(" ", f"{title} {text[:NUMBER_CHARS]}"))
    title_names = title_ids[in_title]
    return {
        "lead": background.vector(np.concatenate([twice, body_ids[:LEAD_WORDS]])),
        "whole": background.vector(np.concatenate([twice, body_ids]), limit=WHOLE_TERMS),
        "title": background.vector(title_ids),
        "opening": background.vector(np.concatenate([twice, body_ids[:OPENING_WORDS]])),
        "names": background.vector(np.concatenate([title_names, title_names, body_ids[in_body]])),
        "title_names": background.vector(title_names),
        "numbers": background.vector(identities(figures)),
        "dates": background.vector(identities(days_named(f"{title}\n{text[:DATE_CHARS]}"))),
    }


def _terms(background: Background, tokens: Sequence[str]) -> tuple[Ids, npt.NDArray[np.bool_]]:
    """Return the identity of each word (of the word itself if news knows it as a name, else of its stem), and if it is written as a name."""
    ids = identities(tokens)
    names = background.are_names(ids)
    stems = np.fromiter(map(_stem_id, map(str.lower, tokens)), dtype=np.int32, count=len(tokens))
    capital = [token[0].isupper() and len(token) >= MIN_NAME_LENGTH for token in tokens]
    return np.where(names, ids, stems), names & np.array(capital, dtype=bool)


def days_named(text: str) -> list[str]:
    """Return the days that `text` names in full, as "day/month": "(16/9/2019)" and "16 September" are both "16/9"."""
    found = []
    for match in _DAY.finditer(text):
        day, month = int(match["day"] or match["day_too"]), match["month"] or _MONTHS[match["name"].lower()]
        found.append(f"{day}/{int(month)}")
    return found


@functools.lru_cache(maxsize=1 << 18)
def _stem_id(word: str) -> int:
    return term_id(stem(word))
