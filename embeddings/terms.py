"""Sparse term vectors: what a text says, weighted by how rarely news says it.

The weights are log-scaled term frequency times inverse document frequency (Salton & Buckley 1988), with document
frequencies from a fixed background of Indonesian news, so that vectors made years apart stay comparable.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import load_file, save_file

from embeddings.stem import stem
from embeddings.text import identities, term_id, words
from embeddings.weighing import weigh

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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

MAX_LEXICON = 1 << 18
"""Words as written that are remembered: about 45 MB."""

# Patterns that begin with what they look for are searched several times faster than those that begin with a choice.
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_DATE = re.compile(r"\(\d{1,2}/\d{1,2}(?:/\d{2,4})?\)|1(?<!\w.)9\d\d\b|2(?<!\w.)0\d\d\b")
_MONTHS = {
    name: str(number)
    for number, name in enumerate(
        [
            "januari",
            "februari",
            "maret",
            "april",
            "mei",
            "juni",
            "juli",
            "agustus",
            "september",
            "oktober",
            "november",
            "desember",
        ],
        1,
    )
}
_DAY_AND_MONTH = re.compile(r"\((\d{1,2})/(\d{1,2})(?:/\d{2,4})?\)")
_DAY_AND_NAME = re.compile(rf"\d(?<=\b\d)\d? (?:{'|'.join(_MONTHS)})\b", re.IGNORECASE)
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


@dataclass(frozen=True, slots=True, eq=False)
class FieldVectors(Mapping[str, TermVector]):
    """A `TermVector` for each of `FIELDS`, end to end at the precision they are stored with.

    `ids` is int32 and `weights` float16; `lengths` says how many terms each field has, in order. Deciding on the
    stored precision makes answers after a restart equal to those before it.
    """

    ids: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float16]
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, fields: Mapping[str, TermVector]) -> FieldVectors:
        """Join the vectors of all `FIELDS`."""
        vectors = [fields[name] for name in FIELDS]
        return cls(
            np.concatenate([vector.ids for vector in vectors]),
            np.concatenate([vector.weights for vector in vectors]).astype(np.float16),
            tuple(len(vector.ids) for vector in vectors),
        )

    def __getitem__(self, name: str) -> TermVector:
        place = FIELDS.index(name)
        start = sum(self.lengths[:place])
        own = slice(start, start + self.lengths[place])
        return TermVector(self.ids[own], self.weights[own].astype(np.float32))

    def __iter__(self) -> Iterator[str]:
        return iter(FIELDS)

    def __len__(self) -> int:
        return len(FIELDS)


class _Lexicon(dict[str, int]):
    """Words as written, each as the identity of its term * 2, plus 1 for a name; empties itself when full.

    News repeats itself: of a hundred words all but two have been looked up before.
    """

    def __init__(self, background: Background) -> None:
        super().__init__()
        self._background = background

    def __missing__(self, word: str) -> int:
        if len(self) >= MAX_LEXICON:
            self.clear()
        lowered = word.lower()
        identity = term_id(lowered)
        news_name = self._background.is_name(identity)
        written = len(word) >= MIN_NAME_LENGTH and word[0].isupper()
        term = identity if news_name else term_id(stem(lowered))
        code = self[word] = term << 1 | (news_name and written)
        return code


@dataclass(frozen=True, slots=True)
class Background:
    """How often news uses a term, and how often it writes it with a capital.

    `idf` is float32 and `name_share` uint8 (0–254 for 0–100 %, 255 unknown), both of length `BUCKETS`, addressed by
    `term_id % BUCKETS`.
    """

    idf: npt.NDArray[np.float32]
    name_share: npt.NDArray[np.uint8]
    _lexicon: _Lexicon = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_lexicon", _Lexicon(self))

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

    def is_name(self, identity: int) -> bool:
        """Say whether news writes a word with a capital, or has never used it."""
        share = int(self.name_share[identity % BUCKETS])
        return share == UNKNOWN_SHARE or share > MIN_NAME_SHARE * 254

    def coded(self, tokens: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return each word as the identity of its term * 2, plus 1 where it is written as a name.

        The term is the word itself if news knows it as a name, else its stem.
        """
        return np.fromiter(map(self._lexicon.__getitem__, tokens), dtype=np.int64, count=len(tokens))


@functools.cache
def bundled_background() -> Background:
    """Return the background that comes with the package, read once a process."""
    return Background.load(Path(__file__).parent / "models" / "id-news" / "background.safetensors")


def term_fields(background: Background, title: str, text: str) -> FieldVectors:
    """Return the vectors of an article, one for each of `FIELDS`.

    `lead` is the headline twice and the first 80 words, `opening` the headline twice and the first 25, `whole` the 96
    heaviest terms of the headline twice and the first 400 words, `title` the headline, `names` capitalised words and
    `title_names` those of the headline, `numbers` the figures that are not dates, `dates` the days the opening names.
    Words that are no names count by their stem.
    """
    head = words(title)
    figures = _NUMBER.findall(_DATE.sub(" ", f"{title} {text[:NUMBER_CHARS]}"))
    ids, weights, lengths = weigh(
        background.coded(head + words(text)[:WHOLE_WORDS]),
        len(head),
        identities(figures),
        identities(days_named(f"{title}\n{text[:DATE_CHARS]}")),
        background.idf,
        OPENING_WORDS,
        LEAD_WORDS,
        WHOLE_TERMS,
    )
    return FieldVectors(ids, weights.astype(np.float16), tuple(lengths.tolist()))


def days_named(text: str) -> list[str]:
    """Return the days that `text` names in full, as "day/month": "(16/9/2019)" and "16 September" are both "16/9"."""
    found = [f"{int(day)}/{int(month)}" for day, month in _DAY_AND_MONTH.findall(text)]
    for named in _DAY_AND_NAME.findall(text):
        day, _, month = named.partition(" ")
        found.append(f"{int(day)}/{_MONTHS[month.lower()]}")
    return found
