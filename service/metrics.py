"""How well a partition of articles matches the gold one: pure functions over labels.

Every function takes one label per document, in the same order on both sides; a label means nothing beyond
"same label, same cluster". A cluster of one has a label of its own, never a shared "none". Read no number
alone: BCubed pays two opposite useless answers, all singletons and whole stories, about the same.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.metrics import adjusted_mutual_info_score

_Ints: TypeAlias = npt.NDArray[np.int64]
_Floats: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Score:
    """Precision, recall and their harmonic mean, as fractions of one."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class _Overlap:
    """Sizes of the gold clusters, the predicted clusters and their non-empty intersections (cells)."""

    gold_sizes: _Ints
    predicted_sizes: _Ints
    cell_sizes: _Ints
    cell_gold: _Ints  # which gold cluster a cell lies in
    cell_predicted: _Ints
    cell_of: _Ints  # which cell a document lies in

    @classmethod
    def count(cls, gold: Sequence[str], predicted: Sequence[str]) -> "_Overlap":
        gold_of, predicted_of = _codes(gold, predicted)
        gold_sizes, predicted_sizes = np.bincount(gold_of), np.bincount(predicted_of)
        cells, cell_of, cell_sizes = np.unique(
            gold_of * len(predicted_sizes) + predicted_of, return_inverse=True, return_counts=True
        )
        cell_gold, cell_predicted = np.divmod(cells, len(predicted_sizes))
        return cls(gold_sizes, predicted_sizes, cell_sizes, cell_gold, cell_predicted, cell_of)


def bcubed(gold: Sequence[str], predicted: Sequence[str], over: Sequence[bool] | None = None) -> Score:
    """Average over documents how pure and how complete the cluster around each one is.

    `over` picks the documents to average; cluster sizes are counted over all documents all the same, so that
    a wrong merge across the border of a slice costs precision. F1 is that of the averages.

    Source: Bagga & Baldwin 1998; Amigó et al. 2008.
    """
    overlap = _Overlap.count(gold, predicted)
    precision = (overlap.cell_sizes / overlap.predicted_sizes[overlap.cell_predicted])[overlap.cell_of]
    recall = (overlap.cell_sizes / overlap.gold_sizes[overlap.cell_gold])[overlap.cell_of]
    if over is not None:
        _demand_same_length(len(gold), len(over), "over")
        chosen = np.asarray(over, dtype=np.bool_)
        precision, recall = precision[chosen], recall[chosen]
    return _score(_mean(precision), _mean(recall))


def pairwise(gold: Sequence[str], predicted: Sequence[str]) -> Score:
    """Compare the unordered pairs of documents that share a cluster.

    Where nothing is predicted to belong together precision is 1, where nothing does recall is 1.

    Source: the "standard" measure of Miranda et al. 2018 (arXiv 1809.00540).
    """
    overlap = _Overlap.count(gold, predicted)
    agreed = _pairs(overlap.cell_sizes)
    claimed, true = _pairs(overlap.predicted_sizes), _pairs(overlap.gold_sizes)
    return _score(agreed / claimed if claimed else 1.0, agreed / true if true else 1.0)


def ceaf_e(gold: Sequence[str], predicted: Sequence[str]) -> Score:
    """Match each gold cluster to one predicted cluster at most, so that fragments earn nothing.

    Source: Luo 2005, entity-based CEAF with phi4; the assignment is solved apart in each connected component
    of the overlaps, which is exact, because clusters without a common document add nothing to the sum.
    """
    overlap = _Overlap.count(gold, predicted)
    both = overlap.gold_sizes[overlap.cell_gold] + overlap.predicted_sizes[overlap.cell_predicted]
    similarity = 2 * overlap.cell_sizes / both
    total = math.fsum(
        _best_assignment(overlap.cell_gold[cells], overlap.cell_predicted[cells], similarity[cells])
        for cells in _components(overlap)
    )
    return _score(total / len(overlap.predicted_sizes), total / len(overlap.gold_sizes))


def ami(gold: Sequence[str], predicted: Sequence[str]) -> float:
    """Measure the information the two partitions share beyond chance.

    Two partitions that are both all singletons score 1, as do two that are both one cluster.

    Source: Vinh, Epps & Bailey 2010, as scikit-learn computes it with the arithmetic mean.
    """
    return float(adjusted_mutual_info_score(*_codes(gold, predicted), average_method="arithmetic"))


def copy_pairs(gold_copy_of: Mapping[str, str | None], predicted_copy_of: Mapping[str, str | None]) -> Score:
    """Compare the unordered pairs of documents that are copies of one another, directly or through others.

    The documents are all those named on either side, as a key or as an original; one that a side does not
    name is a copy of nothing there.

    Source: pairwise score over the transitive closure of `copy_of`, the convention of this project.
    """
    documents = sorted({*_named(gold_copy_of), *_named(predicted_copy_of)})
    return pairwise(_copy_groups(gold_copy_of, documents), _copy_groups(predicted_copy_of, documents))


def copied(copy_of: Mapping[str, str | None]) -> set[tuple[str, str]]:
    """Return the pairs of documents, each in order, that are copies of one another, directly or through others.

    Source: the pairs that `copy_pairs` compares.
    """
    documents = sorted(_named(copy_of))
    groups: dict[str, list[str]] = {}
    for document, group in zip(documents, _copy_groups(copy_of, documents), strict=True):
        groups.setdefault(group, []).append(document)
    return {pair for members in groups.values() for pair in combinations(members, 2)}


def sets(gold: set[tuple[str, str]], predicted: set[tuple[str, str]]) -> Score:
    """Compare two sets of pairs; precision is 1 where nothing is predicted, recall where there is nothing to find.

    Source: definition, with the conventions of `pairwise`.
    """
    agreed = len(gold & predicted)
    return _score(agreed / len(predicted) if predicted else 1.0, agreed / len(gold) if gold else 1.0)


def stories(
    gold_story: Sequence[str | None], gold_cluster: Sequence[str], predicted_story: Sequence[str]
) -> tuple[Score, Score]:
    """Score stories by BCubed twice: over all documents, then over those that gold puts in a story.

    A gold null is the story of that one event. The second score counts predicted members over all documents,
    so an outsider drawn into a story costs precision; it cannot be earned by linking nothing.

    Source: the convention of this project over BCubed (Amigó et al. 2008).
    """
    _demand_same_length(len(gold_story), len(gold_cluster), "gold_cluster")
    gold = [
        f"event {cluster}" if story is None else f"story {story}"  # a story may be named like an event
        for story, cluster in zip(gold_story, gold_cluster, strict=True)
    ]
    told = [story is not None for story in gold_story]
    return bcubed(gold, predicted_story), bcubed(gold, predicted_story, over=told)


def singleton_rate(labels: Sequence[str]) -> float:
    """Give the share of documents that stand alone in their cluster.

    Source: definition; documents are counted, not clusters.
    """
    _demand_documents(len(labels))
    return sum(size == 1 for size in Counter(labels).values()) / len(labels)


def _codes(gold: Sequence[str], predicted: Sequence[str]) -> tuple[_Ints, _Ints]:
    """Number the labels of both sides from 0."""
    _demand_documents(len(gold))
    _demand_same_length(len(gold), len(predicted), "predicted")
    return _numbered(gold), _numbered(predicted)


def _numbered(labels: Sequence[str]) -> _Ints:
    if None in labels:
        raise ValueError("a label is None: give every unassigned document a label of its own")
    number: dict[str, int] = {}
    # Not np.unique over the strings: numpy drops trailing NULs, which would join two labels.
    return np.array([number.setdefault(label, len(number)) for label in labels], dtype=np.int64)


def _demand_documents(count: int) -> None:
    if count == 0:
        raise ValueError("no documents: skip an empty slice instead of scoring it")


def _demand_same_length(expected: int, found: int, name: str) -> None:
    if expected != found:
        raise ValueError(f"{name} has {found} entries for {expected} documents: give one per document")


def _score(precision: float, recall: float) -> Score:
    both = precision + recall
    return Score(precision, recall, 2 * precision * recall / both if both else 0.0)


def _mean(values: _Floats) -> float:
    _demand_documents(len(values))
    return math.fsum(values) / len(values)  # exact sum: the order of documents cannot show


def _pairs(sizes: _Ints) -> int:
    return int((sizes * (sizes - 1) // 2).sum())


def _components(overlap: _Overlap) -> Iterator[_Ints]:
    """Yield the cells of each connected component of the graph gold cluster - predicted cluster."""
    golds, nodes = len(overlap.gold_sizes), len(overlap.gold_sizes) + len(overlap.predicted_sizes)
    edges = (overlap.cell_sizes, (overlap.cell_gold, golds + overlap.cell_predicted))
    _, component_of = connected_components(coo_array(edges, shape=(nodes, nodes)), directed=False)
    component = component_of[overlap.cell_gold]
    order = np.argsort(component, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(component[order])) + 1)


def _best_assignment(golds: _Ints, predicteds: _Ints, similarity: _Floats) -> float:
    """Sum the similarities of the best one-to-one match within one component."""
    rows, row_of = np.unique(golds, return_inverse=True)
    columns, column_of = np.unique(predicteds, return_inverse=True)
    if min(len(rows), len(columns)) == 1:
        return float(similarity.max())
    table = np.zeros((len(rows), len(columns)))
    table[row_of, column_of] = similarity
    return float(table[linear_sum_assignment(table, maximize=True)].sum())


def _named(copy_of: Mapping[str, str | None]) -> set[str]:
    return {*copy_of, *(original for original in copy_of.values() if original is not None)}


def _copy_groups(copy_of: Mapping[str, str | None], documents: Sequence[str]) -> list[str]:
    """Label each document with a representative of the copies it is connected to."""
    parent = {document: document for document in documents}

    def root(document: str) -> str:
        while parent[document] != document:
            parent[document] = parent[parent[document]]  # halve the path, so that long chains stay cheap
            document = parent[document]
        return document

    for copy, original in copy_of.items():
        if original is not None:
            parent[root(copy)] = root(original)
    return [root(document) for document in documents]
