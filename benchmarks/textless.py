"""Labels without texts: `benchmarks/labelled/*.tsv` say which articles of a corpus report one event, by address alone.

A line is an article: the first 12 hex digits of the SHA-256 of its URL, its event (empty where it stands alone), its story
(empty where it has none) and the article that it repeats. Events and stories are numbers that mean something inside one
file only. The texts are another's and stay where they are.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from service.gold import GoldArticle

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

FOLDER = Path(__file__).with_name("labelled")
DIGITS = 12


class LabelsError(RuntimeError):
    """Labels and corpus do not fit together; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Label:
    """What one article was labelled with."""

    article: str
    event: str
    story: str
    copy_of: str


def name_of(url: str) -> str:
    """Return the name of an article in a file of labels."""
    return hashlib.sha256(url.encode()).hexdigest()[:DIGITS]


def event_of(label: Label) -> str:
    """Return the event, of its own where the article stands alone."""
    return f"event {label.event}" if label.event else f"alone {label.article}"


def story_of(label: Label) -> str | None:
    """Return the story, or nothing."""
    return f"story {label.story}" if label.story else None


def read_labels(path: Path) -> list[Label]:
    """Read a file of labels."""
    with path.open(encoding="utf-8", newline="") as file:
        return [Label(**row) for row in csv.DictReader(file, delimiter="\t")]


def read_corpus(path: Path) -> Iterable[Mapping[str, Any]]:
    """Yield the articles of a gzipped corpus."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def joined(labels: Iterable[Label], corpus: Iterable[Mapping[str, Any]]) -> list[GoldArticle]:
    """Give labels the texts of a corpus, in order of publication.

    Raises:
        LabelsError: the corpus lacks articles that are labelled.
    """
    wanted = {label.article: label for label in labels}
    found = {name: article for article in corpus if (name := name_of(article["url"])) in wanted}
    if missing := wanted.keys() - found.keys():
        raise LabelsError(
            f"{len(missing):,} of {len(wanted):,} labelled articles are not in this corpus; give the one that was labelled"
        )
    labelled = [_labelled(wanted[name], article) for name, article in found.items()]
    return sorted(labelled, key=lambda article: (article.published_at, article.external_id))


def _labelled(label: Label, article: Mapping[str, Any]) -> GoldArticle:
    return GoldArticle(
        external_id=label.article,
        url=article["url"],
        source=article["source"],
        title=article["title"],
        text=article["text"],
        published_at=article["published_at"],
        cluster=event_of(label),
        story=story_of(label),
        copy_of=label.copy_of or None,
    )
