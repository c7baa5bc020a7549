"""Why an article is where it is, in sentences built from the stored reason and the two texts.  Pure.

Everything quoted is strangers' text: whoever puts these sentences into a page escapes them like any title.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from service.telling import (
    MIN_WORD_IDF,
    differing,
    key_of,
    phrases,
    tell,
    tells,
    weight,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from embeddings.terms import Background
    from service.telling import Figure, Telling, Word

MAX_NAMES = 8
MAX_WORDS = 12
MAX_FIGURES = 8
SHOWN = 4
_HOURS_A_DAY = 24
_MANY_DAYS = 3

Scope = Literal["cluster", "story"]


@dataclass(frozen=True, slots=True)
class Side:
    """One of two articles that are compared; `hours` is its time of publication in hours since 1970."""

    id: str
    title: str
    text: str
    source: str
    hours: float
    day_only: bool = False


@dataclass(frozen=True, slots=True)
class DifferingFigures:
    """A thing both articles count, without one number in common."""

    what: str
    here: tuple[str, ...]
    there: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two articles have in common in their headlines and first paragraphs, as the first one writes it.

    `hours_earlier` is positive when the other one was published before; names and words stand by weight.
    """

    hours_earlier: float
    same_outlet: bool
    shared_names: tuple[str, ...]
    shared_words: tuple[str, ...]
    shared_word_count: int
    shared_figures: tuple[str, ...]
    differing_figures: tuple[DifferingFigures, ...]
    names_only_here: tuple[str, ...]
    names_only_there: tuple[str, ...]


def compare(background: Background, here: Side, there: Side, *, chars: int) -> Comparison:
    """Compare two articles over their headlines and the first `chars` characters of their texts."""
    ours, theirs = (
        tell(background, side.title, side.text[:chars], outlets=(here.source, there.source))
        for side in (here, there)
    )
    names = shared_names(ours, theirs)
    named = {word.key for name in names for word in name}
    words = shared_words(ours, theirs, named)
    counted = {_count_of(figure) for figure in theirs.figures}
    agreed = [figure.written for figure in ours.figures if _count_of(figure) in counted]
    return Comparison(
        hours_earlier=round(here.hours - there.hours, 2),
        same_outlet=here.source == there.source,
        shared_names=tuple(written(name) for name in names[:MAX_NAMES]),
        shared_words=tuple(word.text.lower() for word in words[:MAX_WORDS]),
        shared_word_count=len(named) + len(words),
        shared_figures=tuple(agreed[:MAX_FIGURES]),
        differing_figures=_differences(ours.figures, theirs.figures),
        names_only_here=_only(ours, theirs),
        names_only_there=_only(theirs, ours),
    )


def shared_names(here: Telling, there: Telling) -> list[tuple[Word, ...]]:
    """Return the longest phrases that both texts write as names, the most telling first."""
    known = {key_of(phrase): phrase for run in there.names for phrase in phrases(run)}
    found: dict[tuple[str, ...], tuple[Word, ...]] = {}
    for run in here.names:
        place = 0
        while place < len(run):
            phrase = next(
                (one for one in phrases(run[place:]) if key_of(one) in known and one[0] is run[place]), None
            )
            if phrase is not None and weight(phrase) >= MIN_WORD_IDF:
                # A dateline writes in capitals what the other text may write as it is read.
                found.setdefault(
                    key_of(phrase), known[key_of(phrase)] if written(phrase).isupper() else phrase
                )
            place += 1 if phrase is None else len(phrase)
    whole = [phrase for key, phrase in found.items() if not any(_inside(key, other) for other in found)]
    return sorted(whole, key=lambda phrase: (-weight(phrase), key_of(phrase)))


def shared_words(here: Telling, there: Telling, named: set[str]) -> list[Word]:
    """Return the other telling words of both texts, the rarest first; one may write as a name what the other does not."""
    known = {word.key for word in _every_word(there)}
    both = {word.key: word for word in _every_word(here) if word.key in known and word.key not in named}
    return sorted(both.values(), key=lambda word: (-word.idf, word.key))


def _every_word(told: Telling) -> list[Word]:
    return [*told.words, *(word for run in told.names for word in run if tells(word))]


def sentences(
    scope: Scope, decision: Mapping[str, Any], other: Side | None, comparison: Comparison | None, **known: Any
) -> list[str]:
    """Say a decision in words: `decision` is the stored reason, `other` the article that spoke most for it.

    `known` may hold `relation` and `similarity` of a copy, the article's `labels`, `is_opener` (whether the story's
    decision was made on this very article) and `edited` (whether either text changed since).
    """
    rule = decision["rule"]
    if rule == "copy":
        told = _copy(known.get("relation"), known.get("similarity"), other, comparison)
    elif rule == "joined":
        told = _joined(scope, decision, other, comparison, is_opener=known.get("is_opener", True))
    elif rule == "opened":
        told = _opened(scope, decision, other, comparison, labels=known.get("labels", ()))
    elif rule == "regrouped":
        told = _regrouped(scope, decision, other, comparison)
    elif rule == "editor":
        told = [f"An editor put {'it' if scope == 'cluster' else 'its cluster'} here."]
    else:
        told = [f"It was placed by the rule “{rule}”.", *_odds(scope, decision)]
    if comparison is not None and known.get("edited"):
        told.append("A text was edited since; the words compared here are those of today.")
    return told


def _joined(
    scope: Scope,
    decision: Mapping[str, Any],
    other: Side | None,
    comparison: Comparison | None,
    *,
    is_opener: bool,
) -> list[str]:
    group = "this cluster" if scope == "cluster" else "this story"
    subject = "It" if scope == "cluster" else "Its cluster"
    verb = "joined" if scope == "cluster" else "continues"
    if other is None or comparison is None:
        return [f"{subject} {verb} {group} for an article that is no longer stored.", *_odds(scope, decision)]
    whose = "its" if is_opener else "the first report's"
    share = f"headline and first paragraphs share {_shared(comparison)} with {_named(other, comparison)}"
    return [
        f"{subject} {verb} {group} because {whose} {share}.",
        *_figures(comparison),
        *_odds(scope, decision),
    ]


def _regrouped(
    scope: Scope, decision: Mapping[str, Any], other: Side | None, comparison: Comparison | None
) -> list[str]:
    what, group = ("It", "this cluster") if scope == "cluster" else ("Its cluster", "this story")
    if other is None or comparison is None:
        return [f"A nightly run put {what.lower()} apart from where it was: nothing there was alike enough."]
    return [
        f"A nightly run moved {what.lower()} to {group}, where {_named(other, comparison)} is most like it.",
        f"They share {_shared(comparison)}.",
        *_figures(comparison),
        *_openings(decision),
        *_odds(scope, decision),
    ]


def _openings(decision: Mapping[str, Any]) -> list[str]:
    alike = [one["value"] for one in decision.get("evidence", ()) if one["name"] == "openings_cosine"]
    return [f"A transformer read both openings: {one:.2f} alike, where 1 is the same." for one in alike]


def _opened(
    scope: Scope,
    decision: Mapping[str, Any],
    other: Side | None,
    comparison: Comparison | None,
    *,
    labels: Iterable[str],
) -> list[str]:
    start = (
        "It opened a cluster of its own" if scope == "cluster" else "Its cluster opened a story of its own"
    )
    alone = sorted({"roundup", "live"} & set(labels))
    if alone:
        kinds = {"roundup": "a round-up of several matters", "live": "a live page"}
        return [f"{start}: it is {kinds[alone[0]]}, and those never join others."]
    if decision["nearest"] is None:
        what = "report" if scope == "cluster" else "event"
        return [f"{start}: no earlier {what} within reach was alike enough to be compared."]
    if other is None or comparison is None:
        return [f"{start}; what came closest is no longer stored.", *_odds(scope, decision)]
    return [
        f"{start}: {_named(other, comparison)} came closest, but not close enough.",
        f"They share {_shared(comparison)}.",
        *_apart(comparison),
        *_figures(comparison),
        *_odds(scope, decision),
    ]


def _copy(
    relation: str | None, similarity: float | None, other: Side | None, comparison: Comparison | None
) -> list[str]:
    how = "word for word" if relation == "exact_copy" or similarity == 1 else "almost word for word"
    degree = "" if similarity in {None, 1} else f" (likeness of the texts {similarity:.2f})"
    if other is None or comparison is None:
        told = f"It repeats {how} an article that is no longer stored{degree}."
    else:
        told = f"It repeats {_named(other, comparison)} {how}{degree}."
    reprint = ["The publishers differ, so it counts as a reprint."] if relation == "reprint" else []
    return [told, *reprint, "A copy stays with what it repeats and adds no weight to it."]


def _odds(scope: Scope, decision: Mapping[str, Any]) -> list[str]:
    event = "event" if scope == "cluster" else "story"
    probability, threshold = f"{decision['probability']:.2f}", f"{decision['threshold']:.2f}"
    if probability == threshold and decision["probability"] != decision["threshold"]:
        probability = f"{decision['probability']:.4f}"
    told = f"Probability of the same {event}: {probability}; {threshold} is needed."
    runner_up, chance = decision.get("runner_up"), decision.get("runner_up_probability")
    if runner_up is None:
        return [told]
    title = decision.get("runner_up_title")
    name = runner_up if title is None else f"{_quoted(title)} ({runner_up})"
    return [told, f"Next best was {name}{'' if chance is None else f' at {chance:.2f}'}."]


def _shared(comparison: Comparison) -> str:
    names, words = comparison.shared_names[:SHOWN], comparison.shared_words
    shown = [*names, *words[: max(SHOWN - len(names), 1)]][:SHOWN]
    if not shown:
        return "no telling word"
    rest = comparison.shared_word_count - sum(len(phrase.split()) for phrase in shown)
    more = [f"{rest} more telling word{'s' if rest > 1 else ''}"] if rest > 0 else []
    return _list([*map(_quoted, shown), *more])


def _figures(comparison: Comparison) -> list[str]:
    told = []
    if comparison.shared_figures:
        told.append(f"Figures agree: {', '.join(comparison.shared_figures[:SHOWN])}.")
    if comparison.differing_figures:
        pairs = [
            f"{one.what} {' and '.join(one.here)} here, {' and '.join(one.there)} there"
            for one in comparison.differing_figures[:SHOWN]
        ]
        told.append(f"Figures differ: {'; '.join(pairs)}.")
    return told


def _apart(comparison: Comparison) -> list[str]:
    told = []
    if comparison.names_only_here:
        told.append(f"only this one names {_list(map(_quoted, comparison.names_only_here))}")
    if comparison.names_only_there:
        told.append(f"only the other names {_list(map(_quoted, comparison.names_only_there))}")
    text = "; ".join(told)
    return [f"{text[0].upper()}{text[1:]}."] if text else []


def _named(other: Side, comparison: Comparison) -> str:
    outlet = f"also {other.source}" if comparison.same_outlet else other.source
    return f"{_quoted(other.title)} ({outlet}, {_gap(comparison.hours_earlier, day_only=other.day_only)})"


def _gap(hours: float, *, day_only: bool) -> str:
    way, size = ("earlier" if hours > 0 else "later"), abs(hours)
    if day_only and size < _HOURS_A_DAY:
        return "the same day or the next"
    if size * 60 < 1:
        return "at the same time"
    if size < 1:
        return f"{_count(round(size * 60), 'minute')} {way}"
    if size < _MANY_DAYS * _HOURS_A_DAY and not day_only:
        return f"{_count(round(size), 'hour')} {way}"
    return f"{_count(round(size / _HOURS_A_DAY), 'day')} {way}"


def _count_of(figure: Figure) -> str:
    """Return what makes two figures the same: one outlet's 14 people are another's 14 residents, but 3 may be anything."""
    return figure.number if len(figure.number) > 1 else f"{figure.number} {figure.unit}"


def _differences(here: Sequence[Figure], there: Sequence[Figure]) -> tuple[DifferingFigures, ...]:
    found = differing(here, there).items()
    return tuple(DifferingFigures(what, ours[:SHOWN], theirs[:SHOWN]) for what, (ours, theirs) in found)


def _only(here: Telling, there: Telling) -> tuple[str, ...]:
    """Return the most telling names of `here` none of whose words `there` has."""
    known = {word.key for run in there.names for word in run} | {word.key for word in there.words}
    found = {key_of(run): run for run in reversed(here.names) if not any(word.key in known for word in run)}
    best = sorted(found.values(), key=lambda run: (-weight(run[-2:]), key_of(run)))
    kept: list[tuple[Word, ...]] = []
    for run in best:
        if not any(_inside(key_of(run), key_of(one)) or _inside(key_of(one), key_of(run)) for one in kept):
            kept.append(run)
    return tuple(written(run) for run in kept[:3])


def _inside(key: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return len(key) < len(other) and any(
        other[start : start + len(key)] == key for start in range(len(other) - len(key) + 1)
    )


def _list(items: Iterable[str]) -> str:
    every = list(items)
    return every[0] if len(every) == 1 else f"{', '.join(every[:-1])} and {every[-1]}"


def _quoted(text: str) -> str:
    return f"“{text}”"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
