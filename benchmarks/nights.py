"""Do IDs survive the nights?  `python -m benchmarks.nights ../shared/gold/dev.ndjson.gz`.

Labelled news come in two halves with a nightly run after each, and a third run with nothing new. Told are the IDs that
articles keep, whether every ID ever answered resolves, and how the groups score as answered and after the nights.
`--publish` writes the table into `benchmarks/README.md`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.table import markdown, publish
from service.desk import Desk
from service.evaluate import Grouping, Scores, after_a_night, record_of, score
from service.feed import feed
from service.gold import read_gold
from service.reading import Rejected
from service.settings import Settings
from service.store.read import assignments, reading
from service.store.redirect import resolved
from service.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.gold import GoldArticle
    from service.intake import Record
    from service.model import Outcome

    Places = dict[str, tuple[str, str]]

HEAD = (
    "after",
    "articles",
    "clusters unchanged: articles that keep their ID",
    "stories unchanged: articles that keep their ID",
    "articles in another cluster",
    "IDs ever answered, and those that resolve",
    "events B³ F1",
    "pairwise F1",
)


@dataclass(frozen=True, slots=True)
class Kept:
    """Of the articles whose group has the same members as before, how many there are and how many keep its ID."""

    same: int
    kept: int

    @property
    def share(self) -> float:
        """The share that keep it, 1 where no group stayed."""
        return self.kept / self.same if self.same else 1.0


@dataclass(frozen=True, slots=True)
class Night:
    """What a night did to the IDs that people held before it."""

    name: str
    articles: int
    clusters: Kept
    stories: Kept
    moved: int
    answered: int
    resolving: int
    scores: Scores


def nights(gold: Sequence[GoldArticle], settings: Settings) -> list[Night]:
    """Replay `gold` in two halves with a night after each, then a night with nothing new; what was answered comes first."""
    half = len(gold) // 2
    outcomes: list[Outcome] = []

    def keep(_records: list[Record], results: list[Outcome | Rejected]) -> None:
        outcomes.extend(one for one in results if not isinstance(one, Rejected))

    found: list[Night] = []
    answered: set[str] = set()
    with (
        tempfile.TemporaryDirectory(prefix="benang-nights-") as folder,
        Desk.open(settings.in_folder(Path(folder)), Metrics()) as desk,
    ):
        for name, part in (("first half", gold[:half]), ("second half", gold[half:]), ("nothing new", [])):
            feed(desk, [record_of(one) for one in part], on_chunk=keep)
            with reading(desk.reader) as connection:
                before = assignments(connection)
            answered |= {group for places in before.values() for group in places}
            answered |= {outcome.placement.cluster_id for outcome in outcomes}
            answered |= {outcome.placement.story_id for outcome in outcomes}
            after = after_a_night(desk)
            with reading(desk.reader) as connection:
                now = resolved(connection, answered)
            standing = {group for places in after.values() for group in places}
            found.append(
                Night(
                    name,
                    len(after),
                    kept(before, after, 0),
                    kept(before, after, 1),
                    sum(before[one][0] != after[one][0] for one in after),
                    len(answered),
                    sum(one in standing for one in now.values()),
                    score(gold[: len(outcomes)], grouping(after, outcomes)),
                )
            )
    return found


def kept(before: Places, after: Places, level: int) -> Kept:
    """Return how many articles stand in a group of the same members, and how many of these under the same ID."""
    old, new = (groups(places, level) for places in (before, after))
    same = [one for one in before if old[before[one][level]] == new[after[one][level]]]
    return Kept(len(same), sum(before[one][level] == after[one][level] for one in same))


def groups(places: Places, level: int) -> dict[str, frozenset[str]]:
    """Return the members of each group."""
    found: dict[str, set[str]] = defaultdict(set)
    for one, place in places.items():
        found[place[level]].add(one)
    return {group: frozenset(members) for group, members in found.items()}


def grouping(places: Places, outcomes: Sequence[Outcome]) -> Grouping:
    """Return the groups of articles in the order they came."""
    return Grouping([places[one.id][0] for one in outcomes], [places[one.id][1] for one in outcomes])


def table(found: Sequence[Night]) -> str:
    """Return the nights as a table."""
    return markdown(
        HEAD,
        [
            [
                night.name,
                f"{night.articles:,}",
                f"{night.clusters.kept:,} of {night.clusters.same:,}",
                f"{night.stories.kept:,} of {night.stories.same:,}",
                f"{night.moved:,}",
                f"{night.answered:,}, {night.resolving:,}",
                f"{night.scores.bcubed.f1:.3f}",
                f"{night.scores.pairwise.f1:.3f}",
            ]
            for night in found
        ],
    )


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gold", type=Path)
    parser.add_argument("--publish", action="store_true", help="write the table into benchmarks/README.md")
    given = parser.parse_args()
    text = table(nights(read_gold(given.gold), Settings()))
    if given.publish:
        publish("nights", text)
    else:
        print(text)


if __name__ == "__main__":
    main()
