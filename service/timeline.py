"""How a story is told: which article speaks for an event, what each event adds, what a story is about."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from math import log1p
from typing import TYPE_CHECKING

import numpy as np

from embeddings.text import identities, normalise, words
from service.extract.labels import labels_of
from service.telling import COMMON_WORDS, VAGUE_UNITS, key_of, keys, phrases, tells, weight, written

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from embeddings.terms import Background
    from service.telling import Telling, Word

    Key = tuple[str, ...]

MAX_TERMS = 8
MAX_KEYWORDS = 8
MAX_NEW = 6
MAX_NEW_NAMES = 4
MAX_NEW_FIGURES = 2
MIN_NEW_IDF = 4.0
MIN_NEW_WORD_IDF = 4.5
MIN_HEADLINE_IDF = 3.5
MAX_TITLE_CHARS = 110
MIN_TITLE_WORDS = 4
EARLIEST_ORIGINAL = "earliest_original"
EARLIEST = "earliest"

_MIN_LENGTH = 3
_ONCE = 0.6
"""What a name that a report writes once weighs, against one that it comes back to."""
_TITLE_WORD = 0.8
_TEXT_WORD = 0.5
_COVERS = 0.5
"""A longer name stands for a shorter one inside it when it is used at least this often beside it."""
# "5 Fakta …", "Ini …", "Simak …": headlines about the article, not about what happened.
_ABOUT_ITSELF = re.compile(
    r"[?!]|(?<!hari )(?<!pagi )(?<!siang )(?<!sore )(?<!malam )(?<!pekan )(?<!bulan )(?<!tahun )(?<!musim )(?<!saat )(?<!kali )\bini\b|\.\.\.|…|^\W*(?:[0-9]{1,2} (?:fakta|hal|cara|alasan|poin|potret|foto)\b|begini\b|simak\b|intip\b|viral\b|heboh\b)",
    re.IGNORECASE,
)


def title_terms(title: str) -> list[str]:
    """List the words of a title that say something, in order."""
    found = words(normalise(title).lower())
    return [
        word for word in found if len(word) >= _MIN_LENGTH and word not in COMMON_WORDS and not word.isdigit()
    ]


def top_terms(titles: Iterable[str], *, known: Iterable[str] = (), limit: int = MAX_TERMS) -> list[str]:
    """List the words that most of `titles` have and `known` lacks; ties stand in order of appearance."""
    counts: Counter[str] = Counter()
    for title in titles:
        counts.update(list(dict.fromkeys(title_terms(title))))
    for word in known:
        counts.pop(word, None)
    return [word for word, _ in counts.most_common(limit)]


def new_terms(events: Sequence[Sequence[str]], *, limit: int = MAX_TERMS) -> list[list[str]]:
    """For each event, given as the titles of its articles in order of time, list the words no earlier one had."""
    known: set[str] = set()
    found = []
    for titles in events:
        found.append(top_terms(titles, known=known, limit=limit))
        known.update(word for title in titles for word in title_terms(title))
    return found


def representative(relations: Sequence[str]) -> tuple[int, str]:
    """Choose the article that speaks for an event: the earliest original, else the earliest.

    `relations` stand in order of time; the answer is a position and the reason.
    """
    for position, relation in enumerate(relations):
        if relation == "original":
            return position, EARLIEST_ORIGINAL
    return 0, EARLIEST


def story_title(background: Background, titles: Sequence[str], sizes: Sequence[int]) -> int:
    """Choose which headline names a story: the one nearest to what all say, each event by the logarithm of its size.

    `titles` are those of the events in order of time and `sizes` their articles; the answer is a position. Round-ups,
    questions, capitals throughout, very long and very short headlines are taken only when there is nothing else.
    """
    vectors = [background.vector(identities(words(normalise(title)))) for title in titles]
    centre: dict[int, float] = defaultdict(float)
    for vector, size in zip(vectors, sizes, strict=True):
        for term, share in zip(vector.ids.tolist(), vector.weights.tolist(), strict=True):
            centre[term] += share * log1p(size)
    nearness = [
        float(np.dot(vector.weights, [centre[term] for term in vector.ids.tolist()]))
        if len(vector.ids)
        else 0.0
        for vector in vectors
    ]
    return min(
        range(len(titles)), key=lambda place: (_is_unfit(titles[place]), -round(nearness[place], 4), place)
    )


def _is_unfit(title: str) -> bool:
    return bool(
        title.isupper()
        or len(title) > MAX_TITLE_CHARS
        or len(words(title)) < MIN_TITLE_WORDS
        or _ABOUT_ITSELF.search(title)
        or labels_of(title)
    )


def keywords(told: Sequence[Telling], *, limit: int = MAX_KEYWORDS) -> list[str]:
    """List the names and words that set articles apart from other news, as they write them, the weightiest first.

    A name counts for each article that has it, more where it comes back; a word must stand in a quarter of them, and
    where there is but one article, in its headline.
    """
    strength, forms = _names_of(told)
    ranked = [(key, (strength[key] / len(told)) ** 0.75 * weight(forms[key])) for key in strength]
    ranked += [((key,), strong) for key, strong in _words_of(told)]
    found: list[str] = []
    used: set[str] = set()
    for key, _ in sorted(ranked, key=lambda one: (-round(one[1], 6), one[0])):
        if len(found) == limit:
            break
        if len(key) == 1 and key[0] in used:
            continue
        whole = _whole_name(key, strength) if key in strength else key
        # One word of a name that is told already says nothing more.
        choices = [whole, key] if len(key) > 1 else [whole]
        chosen = next((one for one in choices if used.isdisjoint(one)), None)
        if chosen is not None:
            found.append(written(forms[chosen]) if chosen in forms else chosen[0])
            used |= set(chosen)
    return found


def _words_of(told: Sequence[Telling]) -> list[tuple[str, float]]:
    """Return the words that are no names and stand in enough of the articles, with their weight."""
    count: Counter[str] = Counter(word.key for one in told for word in one.words)
    idf = {word.key: word.idf for one in told for word in one.words}
    headlines = {word for one in told for word in one.title}
    least = max(min(len(told), 2), len(told) / 4)
    return [
        (key, (_TITLE_WORD if key in headlines else _TEXT_WORD) * (number / len(told)) ** 0.75 * idf[key])
        for key, number in count.items()
        if number >= least and (len(told) > 1 or key in headlines)
    ]


def _names_of(told: Sequence[Telling]) -> tuple[dict[Key, float], dict[Key, tuple[Word, ...]]]:
    """Return how strongly articles use each phrase of their names, and how it is written."""
    strength: dict[Key, float] = defaultdict(float)
    forms: dict[Key, tuple[Word, ...]] = {}
    for one in told:
        counts: Counter[Key] = Counter()
        for run in one.names:
            for phrase in phrases(run):
                key = key_of(phrase)
                counts[key] += 1
                # A dateline in capitals is a name that others write as it is read.
                if key not in forms or written(forms[key]).isupper():
                    forms[key] = phrase
        for key, number in counts.items():
            if any(tells(word) for word in forms[key]):
                strength[key] += 1.0 if number > 1 else _ONCE
    return strength, forms


def _whole_name(key: Key, strength: dict[Key, float]) -> Key:
    """Return the longest name around `key` that is used about as often."""
    around = [
        other
        for other in strength
        if len(other) > len(key)
        and strength[other] >= _COVERS * strength[key]
        and any(other[start : start + len(key)] == key for start in range(len(other) - len(key) + 1))
    ]
    return max(around, key=lambda other: (len(other), strength[other], other)) if around else key


def seen_words(text: str) -> set[str]:
    """Return the words of a text in lower case, and those that end in -nya also without."""
    found = keys(text)
    return found | {word.removesuffix("nya") for word in found}


def what_is_new(
    told: Telling, seen: Collection[str], numbers: Collection[str], *, limit: int = MAX_NEW
) -> list[str]:
    """List the names, figures and words of an event's article that the earlier events did not have, as written.

    `seen` holds the words of the earlier events (`seen_words`), `numbers` their figures. Names come first, then figures,
    each in the order in which the article brings them; words fill what is left.
    """
    names = _distinct(phrase for run in told.names for phrase in _new_parts(run, seen))
    read = {
        key_of(phrase): phrase
        for run in told.names
        for phrase in phrases(run)
        if not written(phrase).isupper()
    }
    shown = [written(read.get(key_of(name), name)) for name in names]
    figures = {
        figure.number: figure.written
        for figure in reversed(told.figures)
        if figure.number not in numbers
        and (figure.unit or not figure.number.isdigit())
        and (figure.unit not in VAGUE_UNITS or keys(figure.written) <= told.title)
    }
    rest = [
        word.text.lower()
        for word in told.words
        if word.idf >= (MIN_HEADLINE_IDF if word.key in told.title else MIN_NEW_WORD_IDF)
        and word.key not in seen
        and word.key.removesuffix("nya") not in seen
    ]
    return [*shown[:MAX_NEW_NAMES], *list(reversed(figures.values()))[:MAX_NEW_FIGURES], *rest][:limit]


def _new_parts(run: Sequence[Word], seen: Collection[str]) -> list[tuple[Word, ...]]:
    """Return what of a name is new: all of a short one, of a long one the parts between words that were seen."""
    if not any(word.key not in seen and word.idf >= MIN_NEW_IDF for word in run):
        return []
    if len(run) <= 3:  # noqa: PLR2004  a title and two names are read as one
        return [tuple(run)]
    parts: list[list[Word]] = [[]]
    for word in run:
        if word.key in seen:
            parts.append([])
        else:
            parts[-1].append(word)
    return [tuple(part) for part in parts if any(word.idf >= MIN_NEW_IDF for word in part)]


def _distinct(names: Iterable[tuple[Word, ...]]) -> list[tuple[Word, ...]]:
    """Return the names each once, without those that add at most a word to what earlier ones have."""
    found: list[tuple[Word, ...]] = []
    used: set[str] = set()
    for name in names:
        rare = {word.key for word in name if word.idf >= MIN_NEW_IDF}
        if not rare & used or len(rare - used) > 1:
            found.append(name)
            used |= rare
    return found
