"""Labelled files on the road of the service: read once, decided as often as there are models to try."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from service.batch import prepare_vectors
from service.desk import Desk
from service.evaluate import Grouping, Replay, after_a_night
from service.gold import read_gold
from service.intake import Record
from service.reading import Reader, Rejected
from service.telemetry import Metrics

if TYPE_CHECKING:
    from service.batch import Prepared
    from service.gold import GoldArticle
    from service.learned import Models
    from service.model import Article, Outcome
    from service.settings import Settings

CHUNK = 256
_STARTED = time.monotonic()


@dataclass(frozen=True, slots=True)
class Labelled:
    """A labelled file, and its articles with all that can be computed without looking at any other."""

    name: str
    gold: list[GoldArticle]
    prepared: list[Prepared]


def say(text: str) -> None:
    """Print a line of progress with the seconds since the start, beside the tables and not among them."""
    print(f"{time.monotonic() - _STARTED:6.0f} s  {text}", file=sys.stderr, flush=True)


def name_of(path: Path) -> str:
    """Return the name of a file without its endings."""
    return path.name.partition(".")[0]


def load(path: Path, settings: Settings, models: Models) -> Labelled:
    """Read a labelled file and compute its vectors.

    Raises:
        ValueError: an article is refused.
    """
    return prepared(name_of(path), read_gold(path), settings, models)


def prepared(name: str, gold: list[GoldArticle], settings: Settings, models: Models) -> Labelled:
    """Compute the vectors of labelled articles.

    Raises:
        ValueError: an article is refused.
    """
    reader = Reader(settings.future_tolerance_s, settings.extraction_timeout_s)
    try:
        articles = [_read(reader, article) for article in gold]
    finally:
        reader.close()
    say(f"{name}: {len(gold):,} articles read")
    return Labelled(name, gold, prepare_vectors(models, articles))


def _read(reader: Reader, article: GoldArticle) -> Article:
    # Identity is the labelled file's own ID alone: two of its articles may share an address.
    names = ("external_id", "source", "title", "text", "published_at")
    found = reader.read(Record(article.external_id, {name: getattr(article, name) for name in names}))
    if isinstance(found, Rejected):
        raise ValueError(f"{found.place} is refused ({found.code}): {'; '.join(found.errors)}")  # noqa: TRY004  its content is refused, not its type
    return found


def decide(labelled: Labelled, settings: Settings, models: Models) -> Replay:
    """Decide the articles in their order in a new store, then ask what a night would make of them."""
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="benang-benchmark-") as folder:
        own = settings.in_folder(Path(folder))
        with Desk.open(own, Metrics(), models=models) as desk:
            start = time.perf_counter()
            for first in range(0, len(labelled.prepared), CHUNK):
                outcomes += desk.submit_prepared(labelled.prepared[first : first + CHUNK]).result()
            seconds = time.perf_counter() - start
            regrouped = after_a_night(desk)
    groups = [regrouped[outcome.id] for outcome in outcomes]
    return Replay(outcomes, seconds, Grouping([one for one, _ in groups], [one for _, one in groups]))
