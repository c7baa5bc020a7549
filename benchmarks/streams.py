"""Synthetic streams of news, as long as one likes: `python -m benchmarks.streams 1000000 --days 14 > stream.ndjson`.

How many reports an event has, how many events a saga, how far apart they come, who prints them, who copies and how long
texts are is drawn from what labelled news measures (`MEASURED`; `--measure GOLD…` prints it anew). Words are those of
the bundled encoder as often as its background has seen them, with invented names and figures of each event's own. Who
reads it sees no news: order, grammar and meaning are chance. Same seed, same stream.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, fields
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.invented import Lexicon, Subject
from embeddings.text import words
from service.gold import read_gold

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from service.gold import GoldArticle

    Floats = npt.NDArray[np.float64]
    Numbers = npt.NDArray[np.int64]

WIB = timezone(timedelta(hours=7))
BEGIN = datetime(2026, 2, 2, tzinfo=WIB)
QUANTILES = np.linspace(0, 1, 21)
_DAY_NAMED = re.compile(r"\(\d{1,2}/\d{1,2}")


@dataclass(frozen=True, slots=True)
class Shape:
    """What a stream is drawn from; quantiles are those at 0, 5, …, 100 %."""

    event_sizes: tuple[tuple[int, int], ...]
    """Reports of an event, and how many events have so many."""
    story_sizes: tuple[tuple[int, int], ...]
    """Events of a story, and how many stories have so many."""
    told_in_stories: float
    """Share of events that belong to a story."""
    outlets: tuple[int, ...]
    """Articles of each outlet, the largest first."""
    copies: float
    """Share of the reports after an event's first that repeat another text."""
    copies_at_home: float
    """Share of copies that the outlet of the original prints."""
    dated: float
    """Share of texts whose opening names the day in brackets."""
    body_words: tuple[float, ...]
    title_words: tuple[float, ...]
    report_hours: tuple[float, ...]
    """From the first report of an event to each other one."""
    chapter_hours: tuple[float, ...]
    """From one event of a story to the next."""
    by_hour: tuple[int, ...]
    """Articles of each hour of the day (UTC+7)."""


# fmt: off
MEASURED = Shape(
    event_sizes=((1, 4197), (2, 723), (3, 276), (4, 153), (5, 77), (6, 44), (7, 25), (8, 12), (9, 20), (10,
        8), (11, 10), (12, 4), (13, 3), (14, 3), (15, 3), (16, 2), (17, 3), (18, 1), (19, 2), (22, 1), (24, 2),
        (31, 1), (32, 1), (34, 1), (38, 1), (114, 1)),
    story_sizes=((2, 128), (3, 64), (4, 33), (5, 18), (6, 16), (7, 16), (8, 11), (9, 3), (10, 3), (11, 2),
        (12, 3), (13, 4), (14, 2), (15, 1), (16, 2), (19, 2), (21, 2), (24, 1), (25, 1), (26, 2), (40, 1), (46,
        2), (52, 1), (59, 1), (78, 1), (79, 1), (121, 1), (124, 1), (163, 1), (203, 1)),
    told_in_stories=0.4306,
    outlets=(2404, 2045, 1689, 989, 919, 443, 391, 92, 31, 2),
    copies=0.0536,
    copies_at_home=0.2989,
    dated=0.2943,
    body_words=(17.0, 104.2, 126.4, 139.6, 151.0, 163.0, 174.0, 185.0, 196.0, 207.0, 218.0, 229.0, 242.0,
        255.0, 270.0, 289.0, 310.0, 341.0, 389.0, 486.8, 3017.0),
    title_words=(1.0, 7.0, 7.0, 8.0, 8.0, 8.0, 8.0, 9.0, 9.0, 9.0, 9.0, 10.0, 10.0, 10.0, 10.0, 11.0, 11.0,
        11.0, 12.0, 13.0, 19.0),
    report_hours=(0.0, 0.25, 0.48, 0.77, 1.07, 1.37, 1.8, 2.18, 2.73, 3.27, 3.92, 4.92, 6.13, 7.33, 8.93,
        10.83, 12.95, 15.8, 19.65, 27.65, 90.12),
    chapter_hours=(0.0, 0.02, 0.05, 0.08, 0.13, 0.2, 0.28, 0.4, 0.55, 0.72, 0.98, 1.25, 1.62, 2.05, 2.82,
        4.0, 5.84, 8.98, 14.44, 24.11, 86.77),
    by_hour=(108, 93, 76, 94, 106, 224, 347, 366, 407, 437, 489, 547, 484, 525, 562, 612, 597, 574, 485,
        496, 525, 401, 273, 177),
)
# fmt: on
"""Of `train_a` and `train_b` together: 9,005 articles of six days of September 2019."""


def measured(files: Sequence[Sequence[GoldArticle]]) -> Shape:
    """Measure labelled files; events and stories of two files are never the same."""
    everything = [article for file in files for article in file]
    sizes: Counter[int] = Counter()
    story_sizes: Counter[int] = Counter()
    in_stories = at_home = 0
    report_hours: list[float] = []
    chapter_hours: list[float] = []
    for file in files:
        events: dict[str, list[float]] = defaultdict(list)
        stories: dict[str, set[str]] = defaultdict(set)
        sources = {article.external_id: article.source for article in file}
        for article in file:
            events[article.cluster].append(_hour(article))
            if article.story is not None:
                stories[article.story].add(article.cluster)
            at_home += article.copy_of is not None and sources[article.copy_of] == article.source
        sizes.update(map(len, events.values()))
        story_sizes.update(map(len, stories.values()))
        in_stories += len(set().union(*stories.values()))
        for hours in events.values():
            first = min(hours)
            report_hours += sorted(hour - first for hour in hours)[1:]
        for chapters in stories.values():
            openings = sorted(min(events[event]) for event in chapters)
            chapter_hours += [later - earlier for earlier, later in pairwise(openings)]
    copies = sum(article.copy_of is not None for article in everything)
    clock = Counter(datetime.fromisoformat(article.published_at).hour for article in everything)
    return Shape(
        tuple(sorted(sizes.items())),
        tuple(sorted(story_sizes.items())),
        round(in_stories / sizes.total(), 4),
        tuple(count for _, count in Counter(article.source for article in everything).most_common()),
        round(copies / len(report_hours), 4),
        round(at_home / max(copies, 1), 4),
        round(
            sum(bool(_DAY_NAMED.search(article.text[:500])) for article in everything) / len(everything), 4
        ),
        _quantiles([len(words(article.text)) for article in everything]),
        _quantiles([len(words(article.title)) for article in everything]),
        _quantiles(report_hours),
        _quantiles(chapter_hours),
        tuple(clock[hour] for hour in range(24)),
    )


def _hour(article: GoldArticle) -> float:
    at = datetime.fromisoformat(article.published_at)
    return (at if at.tzinfo else at.replace(tzinfo=WIB)).timestamp() / 3600


def _quantiles(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(np.round(np.quantile(values, QUANTILES), 2).tolist())


@dataclass(frozen=True, slots=True)
class Plan:
    """Who reports what when: parallel arrays over articles in order of time, and the story of each event (-1: none)."""

    hours: Floats
    """Since the beginning."""
    events: Numbers
    reports: Numbers
    """Place among the reports of the event, the earliest 0."""
    story_of: Numbers


def plan(count: int, days: float, shape: Shape, seed: int) -> Plan:
    """Draw sizes and times of `count` articles.

    An event or a story that would not fit into the days begins at another time; a story longer than the days is pressed
    together.
    """
    chance = np.random.default_rng((seed, 0))
    sizes = _drawn(chance, shape.event_sizes, count)
    total = len(sizes)
    story_of = np.full(total, -1)
    chapters = _drawn(chance, shape.story_sizes, round(total * shape.told_in_stories))
    chosen = chance.permutation(total)[: chapters.sum()]
    story_of[chosen] = np.repeat(np.arange(len(chapters)), chapters)
    span = days * 24
    begins = _times_of_day(chance, total, span, shape)
    # The events of a story stand together in `chosen`, the first of them where it happens to begin.
    gaps = np.interp(chance.random(len(chosen)), QUANTILES, shape.chapter_hours)
    firsts = np.cumsum(chapters) - chapters
    gaps[firsts] = 0
    since = np.cumsum(gaps)
    since -= np.repeat(since[firsts], chapters)
    lasts = since[firsts + chapters - 1]
    since *= np.repeat(np.minimum(1, span / np.maximum(lasts, 1)), chapters)
    opening = _fitted(chance, begins[chosen[firsts]], np.minimum(lasts, span), span)
    begins[chosen] = np.repeat(opening, chapters) + since
    events = np.repeat(np.arange(total), sizes)
    delays = np.minimum(np.interp(chance.random(count), QUANTILES, shape.report_hours), span)
    delays[np.cumsum(sizes) - sizes] = 0
    longest = np.zeros(total)
    np.maximum.at(longest, events, delays)
    hours = _fitted(chance, begins, longest, span)[events] + delays
    order = np.lexsort((np.arange(count), hours))
    place = np.empty(count, dtype=np.int64)
    place[order] = np.arange(count)
    by_event = np.lexsort((place, events))
    reports = np.empty(count, dtype=np.int64)
    reports[by_event] = np.arange(count) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return Plan(hours[order], events[order], reports[order], story_of)


def _drawn(chance: np.random.Generator, histogram: Sequence[tuple[int, int]], total: int) -> Numbers:
    """Draw sizes until they add up to `total`; the last one is cut."""
    sizes, counts = np.array(histogram, dtype=np.int64).T
    if total <= 0:
        return np.zeros(0, dtype=np.int64)
    drawn = chance.choice(sizes, total, p=counts / counts.sum())
    ends = np.cumsum(drawn)
    kept = int(np.searchsorted(ends, total)) + 1
    drawn = drawn[:kept]
    drawn[-1] -= ends[kept - 1] - total
    return drawn


def _fitted(chance: np.random.Generator, begins: Floats, lengths: Floats, span: float) -> Floats:
    """Return `begins`, drawn anew where what is so long would not end within `span`."""
    return np.where(begins + lengths < span, begins, chance.random(len(begins)) * (span - lengths))


def _times_of_day(chance: np.random.Generator, count: int, span: float, shape: Shape) -> Floats:
    shares = np.array(shape.by_hour, dtype=np.float64)
    hour = chance.choice(24, count, p=shares / shares.sum()) + chance.random(count)
    days = np.floor(chance.random(count) * max(1, span / 24)) * 24
    return np.where(days + hour < span, days + hour, chance.random(count) * span)


@dataclass(frozen=True, slots=True)
class _Printed:
    number: int
    outlet: int
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class _Event:
    """An event that still has reports to come: what they tell, and those printed so far that are no copies."""

    subject: Subject
    printed: list[_Printed]


def stream(
    count: int, days: float = 14, *, seed: int = 0, shape: Shape = MEASURED, begin: datetime = BEGIN
) -> Iterator[dict[str, Any]]:
    """Yield `count` articles in order of time, as `benang ingest` and `read_gold` take them."""
    planned = plan(count, days, shape, seed)
    left = np.bincount(planned.events)
    lexicon = Lexicon(seed)
    shares = np.cumsum(shape.outlets) / sum(shape.outlets)
    running: dict[int, _Event] = {}
    rows = zip(planned.hours.tolist(), planned.events.tolist(), planned.reports.tolist(), strict=True)
    for number, (hour, event, report) in enumerate(rows):
        chance = np.random.default_rng((seed, 3, number))
        at = begin + timedelta(hours=hour)
        story = int(planned.story_of[event])
        if report == 0:
            running[event] = _Event(lexicon.event(event, story), [])
        told = running[event]
        outlet = int(np.searchsorted(shares, chance.random(), side="right"))
        copied = None
        if report and chance.random() < shape.copies:
            copied = told.printed[int(chance.integers(len(told.printed)))]
            if chance.random() < shape.copies_at_home:
                outlet = copied.outlet
            title, text = lexicon.copy(chance, copied.title, copied.text)
        else:
            body = round(float(np.interp(chance.random(), QUANTILES, shape.body_words)))
            head = round(float(np.interp(chance.random(), QUANTILES, shape.title_words)))
            title, text = lexicon.report(
                chance, told.subject, head, body, at if chance.random() < shape.dated else None
            )
            told.printed.append(_Printed(number, outlet, title, text))
        left[event] -= 1
        if not left[event]:
            del running[event]
        yield {
            "external_id": f"synthetic-{number}",
            "url": f"https://outlet-{outlet}.example/{number}",
            "source": f"outlet-{outlet}.example",
            "title": title,
            "text": text,
            "published_at": at.isoformat(timespec="seconds"),
            "cluster": f"event-{event}",
            "story": None if story < 0 else f"story-{story}",
            "copy_of": None if copied is None else f"synthetic-{copied.number}",
        }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("count", type=int, nargs="?", default=10_000)
    parser.add_argument("--days", type=float, default=14)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--measure", type=Path, nargs="+", metavar="GOLD")
    options = parser.parse_args()
    if options.measure:
        shape = measured([read_gold(path) for path in options.measure])
        for one in fields(shape):
            print(f"    {one.name}={getattr(shape, one.name)},")
        return
    for article in stream(options.count, options.days, seed=options.seed):
        sys.stdout.write(json.dumps(article, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
