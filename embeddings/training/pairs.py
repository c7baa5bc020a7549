"""Fit the pair models: `python -m embeddings.training.pairs GOLD.ndjson.gz GOLD.ndjson.gz ...`.

Puts each labelled file (NDJSON: title, text, source, published_at, cluster, story; in order of time) through the encoder
and the index, compares every article with its company as the service does, online (those before it) and at night (those
on both sides), and fits two models of boosted trees: 'same event' on all articles, 'same story' on the article that
opens each event. Pairs of a large event count less, so that one event cannot rule the model. Pass training files only;
what is reported on must not be among them.
"""

from __future__ import annotations

import argparse
import gzip
import json
import zlib
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier

from embeddings.company import EVENT, STORY, Company, earlier_company, whole_company
from embeddings.encoder import BUNDLED, SentenceEncoder
from embeddings.index import NeighbourIndex
from embeddings.pair_model import DECIMALS, LEAF, PairModel
from embeddings.shelf import Shelf
from embeddings.similarity import FEATURES, compare
from embeddings.terms import Background
from embeddings.text import normalise
from embeddings.vectors import vectorise

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from embeddings.encoder import Encoder

EVENT_FEATURES = FEATURES
STORY_FEATURES = tuple(name for name in FEATURES if name not in {"log_days", "same_day", "same_outlet"})
"""Labelled stories span days, so that time says too much in them (see `service/stories.py`)."""
BATCH = 256
FULL_WEIGHT_GROUP = 5
FULL_WEIGHT_STORY = 10
TREES = 150
LEAVES = 12
RATE = 0.07


@dataclass(frozen=True, slots=True)
class Pairs:
    """Rows (pairs, 2), features (pairs, len(FEATURES)), labels and weights of pairs."""

    rows: npt.NDArray[np.intp]
    features: npt.NDArray[np.float64]
    same: npt.NDArray[np.bool_]
    weight: npt.NDArray[np.float64]


def _hours(published_at: str) -> float:
    moment = published_at if "T" in published_at else f"{published_at}T00:00:00+07:00"
    return datetime.fromisoformat(moment).timestamp() / 3600


def company_pairs(
    encoder: Encoder, background: Background, rows: Sequence[dict[str, str]], company: Company
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Return rows (pairs, 2) and features of every pair of `rows`, compared on arrival and then again as a whole."""
    shelf = Shelf(encoder.dimension, background.rarity)
    index = NeighbourIndex(shelf, company.reach)
    pairs, features = [], []

    def keep(left: npt.NDArray[np.intp], right: npt.NDArray[np.intp]) -> None:
        compared = compare(shelf, left, right, company.min_likeness)
        pairs.append(np.column_stack([left, right])[compared.kept])
        features.append(compared.features)

    parts = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    for part in parts:
        texts = [(normalise(row["title"]), normalise(row["text"])) for row in part]
        batch = shelf.extend(
            vectorise(encoder, background, texts),
            [_hours(row["published_at"]) for row in part],
            [zlib.crc32(row["source"].encode()) for row in part],
        )
        keep(*earlier_company(index, batch))
        index.add_dense(batch)
    for start in range(0, len(rows), BATCH):
        keep(*whole_company(index, range(start, min(start + BATCH, len(rows)))))
    return np.concatenate(pairs), np.concatenate(features)


def event_pairs(encoder: Encoder, background: Background, rows: Sequence[dict[str, str]]) -> Pairs:
    """Return the pairs of all articles, labelled by event."""
    pairs, features = company_pairs(encoder, background, rows, EVENT)
    return _labelled(pairs, features, [row["cluster"] for row in rows], FULL_WEIGHT_GROUP)


def story_pairs(encoder: Encoder, background: Background, rows: Sequence[dict[str, str]]) -> Pairs:
    """Return the pairs of opening articles, labelled by story."""
    first = {row["cluster"]: row for row in reversed(rows)}
    heads = [row for row in rows if first[row["cluster"]] is row]
    pairs, features = company_pairs(encoder, background, heads, STORY)
    groups = [row["story"] or f"event {row['cluster']}" for row in heads]
    return _labelled(pairs, features, groups, FULL_WEIGHT_STORY)


def _labelled(
    pairs: npt.NDArray[np.intp], features: npt.NDArray[np.float64], groups: Sequence[str], full_weight: int
) -> Pairs:
    group = np.array(groups)
    size = Counter(groups)
    same = group[pairs[:, 0]] == group[pairs[:, 1]]
    weight = np.ones(len(same))
    weight[same] = [min(1.0, full_weight / size[name]) for name in group[pairs[same, 0]].tolist()]
    return Pairs(pairs, features, same, weight)


def fit(name: str, columns: tuple[str, ...], parts: Sequence[Pairs]) -> PairModel:
    """Fit boosted trees and return them as plain numbers; the same input gives the same model."""
    positions = [FEATURES.index(column) for column in columns]
    same = np.concatenate([part.same for part in parts])
    # Few pairs need broad leaves to be learnt from at all, many pairs would only be learnt by heart.
    leaf = max(5, min(40, len(same) // 200))
    model = GradientBoostingClassifier(
        n_estimators=TREES,
        learning_rate=RATE,
        max_leaf_nodes=LEAVES,
        max_depth=None,
        min_samples_leaf=leaf,
        subsample=0.5,
        max_features=max(1, len(columns) // 3),
        random_state=0,
    )
    model.fit(
        np.concatenate([part.features for part in parts])[:, positions],
        same,
        sample_weight=np.concatenate([part.weight for part in parts]),
    )
    return _plain(name, columns, model)


def _plain(name: str, columns: tuple[str, ...], model: GradientBoostingClassifier) -> PairModel:
    trees = [stage[0].tree_ for stage in model.estimators_]
    roots = np.cumsum([0, *(tree.node_count for tree in trees[:-1])]).tolist()
    prior = float(model.init_.class_prior_[1])
    leaves = [tree.children_left == LEAF for tree in trees]

    def joined(parts: Sequence[npt.NDArray[np.float64]]) -> tuple[float, ...]:
        return tuple(np.round(np.concatenate(parts), DECIMALS).tolist())

    def children(side: str) -> tuple[int, ...]:
        moved = [
            np.where(leaf, LEAF, getattr(tree, side) + root)
            for tree, leaf, root in zip(trees, leaves, roots, strict=True)
        ]
        return tuple(np.concatenate(moved).tolist())

    return PairModel(
        name=name,
        features=columns,
        bias=round(float(np.log(prior / (1 - prior))), DECIMALS),
        roots=tuple(roots),
        feature=tuple(
            np.concatenate(
                [np.where(leaf, LEAF, tree.feature) for tree, leaf in zip(trees, leaves, strict=True)]
            ).tolist()
        ),
        threshold=joined(
            [np.where(leaf, 0, tree.threshold) for tree, leaf in zip(trees, leaves, strict=True)]
        ),
        left=children("children_left"),
        right=children("children_right"),
        value=joined(
            [np.where(leaf, RATE * tree.value[:, 0, 0], 0) for tree, leaf in zip(trees, leaves, strict=True)]
        ),
    )


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a labelled file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def main() -> None:
    """Fit and write both models."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("gold", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=BUNDLED)
    options = parser.parse_args()
    encoder, background = SentenceEncoder(), Background.load(BUNDLED / "background.safetensors")
    files = [read_rows(path) for path in options.gold]
    event = fit("event-2", EVENT_FEATURES, [event_pairs(encoder, background, rows) for rows in files])
    story = fit("story-2", STORY_FEATURES, [story_pairs(encoder, background, rows) for rows in files])
    for model, file in ((event, "event.json"), (story, "story.json")):
        model.save(options.out / file)
        print(f"{file}: {len(model.roots)} trees over {len(model.features)} features")


if __name__ == "__main__":
    main()
