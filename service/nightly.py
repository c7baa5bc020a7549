"""The night: every article of the window grouped anew.  So far a proposal, which nothing in the store follows yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from embeddings.company import EVENT, STORY, whole_company
from embeddings.index import NeighbourIndex
from embeddings.similarity import compare
from service.candidates import event_probability, may_meet, story_probability
from service.recluster import both_ways, event_linkage, partition, story_linkage
from service.window import IS_COPY, STANDS_ALONE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from embeddings.shelf import Rows
    from embeddings.similarity import Floats
    from service.ingest import Cuts, Models
    from service.window import Window

    Labels = npt.NDArray[np.int64]
    Pairs = tuple[Rows, Rows, Floats]

BATCH = 512


@dataclass(frozen=True, slots=True)
class Groups:
    """Group labels of articles that repeat no other, by row: the smallest row of the cluster, and of the story."""

    rows: Rows
    clusters: Labels
    stories: Labels


def regroup(window: Window, models: Models, cuts: Cuts) -> Groups:
    """Group every article in the window that is no copy, from all pairs at once."""
    rows = window.live_rows()
    rows = rows[window.flags[rows] & IS_COPY == 0]
    clusters = _clusters(window, models, cuts, rows)
    heads = _first_of_each(window, rows, clusters)
    stories = _stories(window, models, cuts, heads)
    return Groups(rows, clusters[rows], stories[heads_of(heads, clusters)[clusters[rows]]])


def heads_of(heads: Rows, clusters: Labels) -> Labels:
    """Return, for each cluster label, the row that opened the cluster."""
    opened = np.arange(len(clusters))
    opened[clusters[heads]] = heads
    return opened


def _clusters(window: Window, models: Models, cuts: Cuts, rows: Rows) -> Labels:
    def probability(features: Floats) -> Floats:
        return event_probability(models.event, features)

    def pairs(batch: Sequence[int]) -> Pairs:
        left, right = may_meet(window, *whole_company(window.articles, batch))
        return _compared(window, left, right, EVENT.min_likeness, probability)

    linkage = event_linkage(cuts.event)
    return partition(len(window.shelf), *_both_ways(window, rows, pairs, IS_COPY | STANDS_ALONE), linkage)


def _stories(window: Window, models: Models, cuts: Cuts, heads: Rows) -> Labels:
    index = NeighbourIndex(window.shelf, window.heads.reach)
    for row in heads.tolist():
        index.add_terms(row)
    index.add_dense(heads.tolist())

    def probability(features: Floats) -> Floats:
        return story_probability(models.story, features)

    def pairs(batch: Sequence[int]) -> Pairs:
        return _compared(window, *whole_company(index, batch), STORY.min_likeness, probability)

    linkage = story_linkage(cuts.story)
    return partition(len(window.shelf), *_both_ways(window, heads, pairs, STANDS_ALONE), linkage)


def _both_ways(window: Window, rows: Rows, pairs: Callable[[Sequence[int]], Pairs], silent: int) -> Pairs:
    """Return the pairs of all `rows` but those with a `silent` side, each once."""
    found = [pairs(rows[start : start + BATCH].tolist()) for start in range(0, len(rows), BATCH)]
    if not found:
        none = np.zeros(0, dtype=np.intp)
        return none, none, np.zeros(0)
    left, right, probability = (np.concatenate(part) for part in zip(*found, strict=True))
    heard = (window.flags[left] | window.flags[right]) & silent == 0
    return both_ways(left[heard], right[heard], probability[heard])


def _compared(
    window: Window, left: Rows, right: Rows, min_likeness: float, probability: Callable[[Floats], Floats]
) -> Pairs:
    compared = compare(window.shelf, left, right, min_likeness)
    return left[compared.kept], right[compared.kept], probability(compared.features)


def _first_of_each(window: Window, rows: Rows, clusters: Labels) -> Rows:
    """Return the earliest row of each cluster (ties: the first to come), in order of rows."""
    order = rows[np.lexsort((rows, window.shelf.hours.values[rows], clusters[rows]))]
    return np.sort(order[np.flatnonzero(np.diff(clusters[order], prepend=-1))])
