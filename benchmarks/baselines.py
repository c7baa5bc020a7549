"""What simple ways of grouping reach: nothing joined, whole stories joined, and one cosine with average link.

The thresholds of the cosines are chosen on other files than the one that is scored. Term weights come from the bundled
background, as those of the service do, and not from the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import csr_array, hstack
from scipy.spatial.distance import squareform

from service import metrics
from service.evaluate import Grouping

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from benchmarks.road import Labelled
    from embeddings.vectors import ArticleVectors
    from service.gold import GoldArticle

    Floats = npt.NDArray[np.float64]
    Likeness = Callable[[Sequence[ArticleVectors]], Floats]

THRESHOLDS = tuple(round(0.02 * step, 2) for step in range(1, 50))
TERM_FIELDS = ("lead", "whole")


@dataclass(frozen=True, slots=True)
class Tree:
    """The merges of a file by average link, cut at whichever likeness one likes."""

    merges: Floats

    def cut(self, threshold: float) -> list[str]:
        """Return the group of each article when groups less alike on average than `threshold` stay apart."""
        return [str(group) for group in fcluster(self.merges, 1 - threshold, "distance").tolist()]


def all_singletons(gold: Sequence[GoldArticle]) -> Grouping:
    """Join nothing: each article is an event and a story of its own."""
    alone = [article.external_id for article in gold]
    return Grouping(alone, alone)


def whole_stories(gold: Sequence[GoldArticle]) -> Grouping:
    """Take each labelled story for one event."""
    groups = [f"event {one.cluster}" if one.story is None else f"story {one.story}" for one in gold]
    return Grouping(groups, groups)


def term_likeness(vectors: Sequence[ArticleVectors]) -> Floats:
    """Return the mean of the term cosines of lead and whole text, of every two articles."""
    columns = hstack([_sparse(vectors, name) for name in TERM_FIELDS], format="csr")
    return np.asarray((columns @ columns.T).toarray() / len(TERM_FIELDS), dtype=np.float64)


def dense_likeness(vectors: Sequence[ArticleVectors]) -> Floats:
    """Return the cosine of the dense codes of every two articles, 0 where either has none."""
    codes = np.stack([one.codes for one in vectors]).astype(np.float64)
    norms = np.linalg.norm(codes, axis=1, keepdims=True)
    unit = codes / np.where(norms > 0, norms, 1)
    return np.asarray(unit @ unit.T)


def average_link(likeness: Floats) -> Tree:
    """Merge the two groups that are most alike on average, again and again."""
    distance = np.clip(1 - likeness, 0, None)
    np.fill_diagonal(distance, 0)
    return Tree(np.asarray(linkage(squareform(distance, checks=False), method="average")))


def tree_of(labelled: Labelled, likeness: Likeness) -> Tree:
    """Return the merges of a labelled file under a likeness."""
    return average_link(likeness([item.vectors for item in labelled.prepared]))


def best_threshold(trees: Sequence[Tree], files: Sequence[Sequence[GoldArticle]]) -> float:
    """Return the threshold with the best mean BCubed F1 of events over `files` (ties: the lowest)."""
    events = [[article.cluster for article in gold] for gold in files]

    def reached(threshold: float) -> float:
        found = (
            metrics.bcubed(gold, tree.cut(threshold)).f1 for gold, tree in zip(events, trees, strict=True)
        )
        return sum(found) / len(events)

    return max(THRESHOLDS, key=reached)


def _sparse(vectors: Sequence[ArticleVectors], name: str) -> csr_array:
    terms = [one.terms[name] for one in vectors]
    ends = np.cumsum([0, *(len(one.ids) for one in terms)])
    known, columns = np.unique(np.concatenate([one.ids for one in terms]), return_inverse=True)
    weights = np.concatenate([one.weights for one in terms])
    return csr_array((weights, columns, ends), shape=(len(terms), len(known)))
