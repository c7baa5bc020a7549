"""Words for articles that nobody wrote: real words as often as news uses them, names and figures that are made up.

A text is a bag of draws: from all words, from those of its topic (near a word in the encoder's table), from those of its
story, of its event, and from a few that it repeats itself. The shares were chosen so that reports of one event, of one
story and of nothing in common are as alike as in labelled news (`benchmarks/README.md`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import load_file

from embeddings.encoder import BUNDLED
from embeddings.terms import BUCKETS, MIN_NAME_SHARE, bundled_background
from embeddings.text import term_id

if TYPE_CHECKING:
    from datetime import datetime

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Numbers = npt.NDArray[np.int64]

BODY_SHARES = (0.43, 0.28, 0.12, 0.13, 0.04)
TITLE_SHARES = (0.08, 0.14, 0.34, 0.42, 0.02)
"""Of words drawn from: all, the topic, the story, the event, the article's own few."""
TITLE_FOCUS = 1.7
TOPICS = 1200
COMMON = 1.3
"""Words that belong to no topic are drawn in proportion to this power of how often news uses them."""
NEARNESS, NEAREST = 20.0, 0.6
"""How much more often a topic uses a word of some cosine than one of cosine 0, as a logarithm for each 1 of cosine; and
the cosine from which it makes no difference, so that a topic is no single word."""
POOL, TOPIC_POOL = 1 << 20, 1 << 13
STORY_WORDS, STORY_NAMES = 24, 9
EVENT_WORDS, EVENT_NAMES, EVENT_FIGURES = 22, 5, 2
OWN_WORDS = 12
INVENTED = 0.4
"""Share of an event's names that no other has."""
SKEW = 0.8
"""The nth word of a story or an event is drawn in proportion to n^-SKEW."""
SENTENCE = 16
CHANGED, CUT = 0.06, 0.25
"""A copy changes up to so much of its words, and leaves out up to so much of its end."""
_ONSETS = (*"bcdfghjklmnprstwy", "br", "dr", "kr", "pr", "sr", "tr", "ng", "ny")
_SYLLABLES = [
    onset + vowel + coda
    for onset in _ONSETS
    for vowel in ("a", "a", "a", "i", "i", "u", "u", "e", "o", "ai", "au")
    for coda in ("", "", "", "n", "r", "s", "h", "ng", "t", "m", "k")
]


@dataclass(frozen=True, slots=True)
class Subject:
    """What an event's reports draw from; codes below the size of the vocabulary are its words, others are `local`."""

    topic: Numbers
    story: Numbers
    event: Numbers
    local: list[str]


class Lexicon:
    """The words of one stream."""

    def __init__(self, seed: int) -> None:
        tokenizer = json.loads((BUNDLED / "tokenizer.json").read_text(encoding="utf-8"))
        places: dict[str, int] = tokenizer["model"]["vocab"]
        known = sorted(places, key=places.__getitem__)[1:]
        buckets = np.array([term_id(word) % BUCKETS for word in known])
        background = bundled_background()
        is_name = background.name_share[buckets].astype(np.float64)
        named = (is_name > MIN_NAME_SHARE * 254) & (is_name < 255)
        self._words = [word.capitalize() if name else word for word, name in zip(known, named, strict=True)]
        held = np.exp(-background.idf[buckets].astype(np.float64))
        # A word that a share of texts hold is drawn that often when draws are independent.
        self._often = -np.log1p(-np.minimum(held, 0.999))
        self._often /= self._often.sum()
        table = load_file(BUNDLED / "model.safetensors")
        vectors = table["embeddings"][1:].astype(np.float32)
        self._vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        chance = np.random.default_rng((seed, 1))
        self._seed = seed
        common = self._often**COMMON
        self._pool = chance.choice(len(known), POOL, p=common / common.sum())
        rooted = np.sqrt(self._often) * named
        self._names = chance.choice(len(known), POOL, p=rooted / rooted.sum())
        middling = (held > 0.001) & (held < 0.02) & ~named
        self._centres = chance.choice(np.flatnonzero(middling), TOPICS)
        self._topics: dict[int, Numbers] = {}

    def event(self, event: int, story: int) -> Subject:
        """Return what the reports of an event draw from; events of one story share topic, words and names."""
        saga = np.random.default_rng((self._seed, 2, story, 0) if story >= 0 else (self._seed, 2, event, 1))
        topic = self._topic(int(saga.integers(TOPICS)))
        local: list[str] = []
        shared = [*self._choose(saga, topic, STORY_WORDS), *self._name(saga, STORY_NAMES, local)]
        saga.shuffle(shared)
        chance = np.random.default_rng((self._seed, 2, event, 2))
        own = [
            *self._choose(chance, topic, EVENT_WORDS),
            *self._name(chance, EVENT_NAMES, local),
            *self._figures(chance, EVENT_FIGURES, local),
        ]
        chance.shuffle(own)
        return Subject(topic, _skewed(shared), _skewed(own), local)

    def report(
        self,
        chance: np.random.Generator,
        subject: Subject,
        title_words: int,
        body_words: int,
        day: datetime | None,
    ) -> tuple[str, str]:
        """Return title and text of so many words; `day` is named in the opening."""
        own = self._pool[chance.integers(POOL, size=OWN_WORDS)]
        title = self._drawn(chance, subject, own, max(title_words, 1), TITLE_SHARES, TITLE_FOCUS)
        body = self._drawn(chance, subject, own, max(body_words, 1), BODY_SHARES, 1)
        if day is not None:
            body.insert(min(8, len(body)), f"({day.day}/{day.month}/{day.year})")
        sentences = [" ".join(body[at : at + SENTENCE]) for at in range(0, len(body), SENTENCE)]
        text = " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences)
        return " ".join(word[0].upper() + word[1:] for word in title), text

    def copy(self, chance: np.random.Generator, title: str, text: str) -> tuple[str, str]:
        """Return a printed text with a few words changed and some of its end missing."""
        kept = text.split(" ")
        kept = kept[: max(1, round(len(kept) * (1 - CUT * chance.random())))]
        for place in np.flatnonzero(chance.random(len(kept)) < CHANGED * chance.random()).tolist():
            kept[place] = self._words[self._pool[chance.integers(POOL)]]
        return title, " ".join(kept)

    def _topic(self, number: int) -> Numbers:
        """Draw the words of a topic once and for all."""
        if number not in self._topics:
            nearness = self._vectors @ self._vectors[self._centres[number]]
            shares = self._often * np.exp(NEARNESS * np.clip(nearness, 0, NEAREST))
            chance = np.random.default_rng((self._seed, 4, number))
            self._topics[number] = chance.choice(len(shares), TOPIC_POOL, p=shares / shares.sum())
        return self._topics[number]

    def _choose(self, chance: np.random.Generator, topic: Numbers, count: int) -> list[int]:
        """Choose words, half of them from the topic; frequent ones seldom."""
        drawn = np.concatenate(
            [
                topic[chance.integers(TOPIC_POOL, size=3 * count)],
                self._pool[chance.integers(POOL, size=3 * count)],
            ]
        )
        rare = np.argsort(self._often[drawn] * chance.exponential(size=len(drawn)))
        return list(map(int, np.unique(drawn[rare[: 2 * count]])[:count]))

    def _name(self, chance: np.random.Generator, count: int, local: list[str]) -> list[int]:
        codes = self._names[chance.integers(POOL, size=count)]
        for place in np.flatnonzero(chance.random(count) < INVENTED).tolist():
            codes[place] = len(self._words) + len(local)
            local.append(invented_name(chance))
        return list(map(int, codes))

    def _figures(self, chance: np.random.Generator, count: int, local: list[str]) -> list[int]:
        start = len(self._words) + len(local)
        local += [str(int(10 ** chance.uniform(0.3, 4))) for _ in range(count)]
        return list(range(start, start + count))

    def _drawn(
        self,
        chance: np.random.Generator,
        subject: Subject,
        own: Numbers,
        count: int,
        shares: tuple[float, ...],
        focus: float,
    ) -> list[str]:
        """Draw so many words; with more `focus`, more often the first of a story or event."""
        sources = (self._pool, subject.topic, subject.story, subject.event, own)
        source = np.searchsorted(np.cumsum(shares)[:-1], chance.random(count), side="right")
        lengths = np.array([len(one) for one in sources])
        places = (chance.random(count) ** focus * lengths[source]).astype(np.int64)
        codes = np.empty(count, dtype=np.int64)
        for number, one in enumerate(sources):
            mine = source == number
            codes[mine] = one[places[mine]]
        size = len(self._words)
        return [self._words[code] if code < size else subject.local[code - size] for code in codes.tolist()]


def invented_name(chance: np.random.Generator) -> str:
    """Return a name of two to four syllables."""
    drawn = chance.integers(len(_SYLLABLES), size=4)[: 2 + int(chance.integers(3))]
    return "".join(_SYLLABLES[one] for one in drawn.tolist()).capitalize()


def _skewed(codes: list[int]) -> Numbers:
    """Repeat the first codes more often than the last, so that even draws are skewed."""
    ranks = np.arange(1, len(codes) + 1)
    times = np.ceil(8 * ranks**-SKEW).astype(np.int64)
    return np.repeat(np.asarray(codes, dtype=np.int64), times)
