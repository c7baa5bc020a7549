"""Every article of a window grouped anew, and every cluster: what the night sees and the day could not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from embeddings.company import EVENT, STORY, whole_company
from embeddings.similarity import compare
from service.candidates import event_probability, may_meet, story_probability
from service.recluster import FREE, Bonds, both_ways, event_linkage, partition, story_linkage
from service.window import STANDS_ALONE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy.typing as npt

    from embeddings.shelf import Rows
    from embeddings.similarity import Floats
    from service.ingest import Cuts, Models
    from service.recluster import Linkage
    from service.window import Window

    Labels = npt.NDArray[np.int64]
    Pairs = tuple[Rows, Rows, Floats]
    Search = Callable[[Sequence[int]], Pairs]
    Run = Callable[[Search, Sequence[Sequence[int]]], Iterable[Pairs]]

BATCH = 512
INERTIA = 0.5
"""Log-odds that a pair gains by having been settled together, and loses by having been settled apart."""
CERTAIN = 1e-6


@dataclass(frozen=True, slots=True)
class Past:
    """How an earlier night left each row: its group as a number, and whether that was settled."""

    groups: Labels
    settled: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Compared:
    """Pairs that were looked at closely, with their probability and features."""

    left: Rows
    right: Rows
    probability: Floats
    features: Floats


def one_by_one(search: Search, batches: Sequence[Sequence[int]]) -> Iterator[Pairs]:
    """Search batch after batch, here."""
    return map(search, batches)


def group_articles(
    window: Window,
    models: Models,
    cuts: Cuts,
    rows: Rows,
    past: Past,
    bonds: Bonds = FREE,
    run: Run = one_by_one,
) -> Labels:
    """Return for each row of the shelf the first row of its cluster; rows not in `rows` stand alone.

    `rows` are in the article index of the window; `past` is given for every row of the shelf.
    """

    def search(batch: Sequence[int]) -> Pairs:
        return _packed(compared_articles(window, models, batch))

    pairs = _all_pairs(window, rows, search, run)
    return _grouped(len(window.shelf), pairs, past, event_linkage(cuts.event), bonds)


def group_clusters(
    window: Window,
    models: Models,
    cuts: Cuts,
    heads: Rows,
    past: Past,
    bonds: Bonds = FREE,
    run: Run = one_by_one,
) -> Labels:
    """Return for each row of the shelf the first row of its story; rows that stand for no cluster stand alone.

    The head index of the window holds the rows that stand for clusters. Those in `heads` look for others; of the rest,
    which only answer, those of one story stay together.
    """

    def search(batch: Sequence[int]) -> Pairs:
        return _packed(compared_clusters(window, models, batch))

    pairs = _all_pairs(window, heads, search, run)
    silent = np.setdiff1d(window.heads.rows(), heads)
    ties = _links(silent, past.groups)
    tied = tuple(np.concatenate(sides) for sides in zip(bonds.tied, ties, strict=True))
    bonds = Bonds((tied[0], tied[1]), bonds.barred)
    return _grouped(len(window.shelf), pairs, past, story_linkage(cuts.story), bonds)


def compared_articles(window: Window, models: Models, batch: Sequence[int]) -> Compared:
    """Compare each row of `batch` with those it may share an event with."""
    left, right = may_meet(window, *whole_company(window.articles, batch))
    found = compare(window.shelf, left, right, EVENT.min_likeness)
    chance = event_probability(models.event, found.features)
    return Compared(left[found.kept], right[found.kept], chance, found.features)


def compared_clusters(window: Window, models: Models, batch: Sequence[int]) -> Compared:
    """Compare each row of `batch`, which stands for a cluster, with those whose story it may share."""
    left, right = whole_company(window.heads, batch)
    found = compare(window.shelf, left, right, STORY.min_likeness)
    chance = story_probability(models.story, found.features)
    return Compared(left[found.kept], right[found.kept], chance, found.features)


def first_of_each(rows: Rows, labels: Labels) -> Rows:
    """Return the first row of each group, in order."""
    return np.unique(labels[rows]).astype(np.intp)


def _packed(found: Compared) -> Pairs:
    """Return the pairs in half the room: a night holds all of them at once."""
    return found.left.astype(np.int32), found.right.astype(np.int32), found.probability.astype(np.float32)


def _all_pairs(window: Window, rows: Rows, search: Search, run: Run) -> Pairs:
    """Return the pairs that `rows` find, each once, but those with a round-up on a side."""
    batches = [rows[start : start + BATCH].tolist() for start in range(0, len(rows), BATCH)]
    found = list(run(search, batches))
    if not found:
        none = np.zeros(0, dtype=np.intp)
        return none, none, np.zeros(0)
    left, right, probability = (np.concatenate(part) for part in zip(*found, strict=True))
    heard = (window.flags[left] | window.flags[right]) & STANDS_ALONE == 0
    return both_ways(left[heard], right[heard], probability[heard].astype(np.float64))


def _grouped(count: int, pairs: Pairs, past: Past, linkage: Linkage, bonds: Bonds) -> Labels:
    """Group anew every connected part of the graph in which something is not settled; the others stay as they are."""
    left, right, probability = pairs
    strong = probability >= linkage.floor
    left, right, probability = left[strong], right[strong], probability[strong]
    settled = np.flatnonzero(past.settled).astype(np.intp)
    links = _links(settled, past.groups)
    ends = [np.concatenate(sides) for sides in zip((left, right), links, bonds.tied, strict=True)]
    graph = coo_array((np.ones(len(ends[0]), dtype=np.int8), (ends[0], ends[1])), shape=(count, count))
    _, part = connected_components(graph, directed=False)
    astir = np.zeros(part.max(initial=-1) + 1, dtype=bool)
    astir[part[~past.settled]] = True
    stays = ~astir[part]
    # What stays bears the first row of its old group.
    labels = np.arange(count, dtype=np.int64)
    labels[links[1]] = links[0]
    moves = ~stays[left]
    found = partition(
        count,
        left[moves],
        right[moves],
        _with_inertia(left[moves], right[moves], probability[moves], past),
        linkage,
        bonds,
    )
    return np.where(stays, labels, found)


def _with_inertia(left: Rows, right: Rows, probability: Floats, past: Past) -> Floats:
    """Return the probabilities shifted towards what is settled, so that groups do not flicker from night to night."""
    both = past.settled[left] & past.settled[right]
    together = past.groups[left] == past.groups[right]
    clipped = np.clip(probability, CERTAIN, 1 - CERTAIN)
    log_odds = np.log(clipped / (1 - clipped)) + np.where(together, INERTIA, -INERTIA)
    return np.where(both, 1 / (1 + np.exp(-log_odds)), probability)


def _links(rows: Rows, groups: Labels) -> tuple[Rows, Rows]:
    """Return pairs that tie the rows of each group to the first of them."""
    order = rows[np.argsort(groups[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    first = np.repeat(order[starts], np.diff(np.append(starts, len(order))))
    others = first != order
    return first[others], order[others]
