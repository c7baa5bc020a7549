"""Fit the pair models: `python -m embeddings.training.pairs GOLD.ndjson.gz GOLD.ndjson.gz ...`.

Replays each labelled file (NDJSON: title, text, source, published_at, cluster, story; in order of time) through the
encoder and the index, and fits two logistic models on the candidate pairs: 'same event' on all articles, 'same story'
on the article that opens each event. Pairs of a large event count less, so that one event cannot rule the model.
Pass training files only; what is reported on must not be among them.
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
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from embeddings.encoder import BUNDLED, SentenceEncoder
from embeddings.index import NeighbourIndex, Reach
from embeddings.shelf import Shelf
from embeddings.similarity import FEATURES, PairModel, pair_features
from embeddings.terms import Background
from embeddings.text import normalise
from embeddings.vectors import vectorise

if TYPE_CHECKING:
    import numpy.typing as npt

    from embeddings.encoder import Encoder

EVENT_FEATURES = (
    "lead_cosine",
    "whole_cosine",
    "title_cosine",
    "dense_cosine",
    "name_cosine",
    "number_conflict",
    "log_days",
    "same_outlet",
)
STORY_FEATURES = (
    "lead_cosine",
    "whole_cosine",
    "title_cosine",
    "dense_cosine",
    "name_cosine",
    "shared_names",
    "key_name",
)
EVENT_REACH = Reach("lead", horizon_days=14, partition_days=7)
STORY_REACH = Reach("names", horizon_days=180, partition_days=30)
BATCH = 256
FULL_WEIGHT_GROUP = 5
FULL_WEIGHT_STORY = 10


@dataclass(frozen=True, slots=True)
class Pairs:
    """Features (pairs, len(FEATURES)), labels and weights of candidate pairs."""

    features: npt.NDArray[np.float64]
    same: npt.NDArray[np.bool_]
    weight: npt.NDArray[np.float64]


def _hours(published_at: str) -> float:
    moment = published_at if "T" in published_at else f"{published_at}T00:00:00+07:00"
    return datetime.fromisoformat(moment).timestamp() / 3600


def candidate_pairs(
    encoder: Encoder, background: Background, rows: list[dict[str, str]], reach: Reach
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Replay `rows` and return later row, earlier row and features of every candidate pair."""
    shelf = Shelf(encoder.dimension, background.rarity)
    index = NeighbourIndex(shelf, reach)
    later, earlier, features = [], [], []
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        texts = [(normalise(row["title"]), normalise(row["text"])) for row in part]
        batch = shelf.extend(
            vectorise(encoder, background, texts),
            [_hours(row["published_at"]) for row in part],
            [zlib.crc32(row["source"].encode()) for row in part],
        )
        proposals = zip(batch, index.by_dense(batch, batch), index.by_terms(batch, add=True), strict=True)
        for row, dense, terms in proposals:
            found = np.union1d(dense, terms)
            later.append(np.full(len(found), row, dtype=np.intp))
            earlier.append(found)
        index.add_dense(batch)
        size = len(batch)
        features.append(pair_features(shelf, np.concatenate(later[-size:]), np.concatenate(earlier[-size:])))
    return np.concatenate(later), np.concatenate(earlier), np.concatenate(features)


def event_pairs(encoder: Encoder, background: Background, rows: list[dict[str, str]]) -> Pairs:
    """Return the candidate pairs of all articles, labelled by event."""
    later, earlier, features = candidate_pairs(encoder, background, rows, EVENT_REACH)
    cluster = np.array([row["cluster"] for row in rows])
    size = Counter(cluster.tolist())
    same = cluster[later] == cluster[earlier]
    weight = np.ones(len(same))
    weight[same] = [min(1.0, FULL_WEIGHT_GROUP / size[name]) for name in cluster[later[same]].tolist()]
    return Pairs(features, same, weight)


def story_pairs(encoder: Encoder, background: Background, rows: list[dict[str, str]]) -> Pairs:
    """Return the candidate pairs of opening articles, labelled by story."""
    first = {row["cluster"]: row for row in reversed(rows)}
    heads = [row for row in rows if first[row["cluster"]] is row]
    later, earlier, features = candidate_pairs(encoder, background, heads, STORY_REACH)
    story = np.array([row["story"] or f"event {row['cluster']}" for row in heads])
    size = Counter(story.tolist())
    same = story[later] == story[earlier]
    weight = np.ones(len(same))
    weight[same] = [min(1.0, FULL_WEIGHT_STORY / size[name]) for name in story[later[same]].tolist()]
    return Pairs(features, same, weight)


def fit(name: str, columns: tuple[str, ...], parts: list[Pairs]) -> PairModel:
    """Fit one logistic model on standardised features and return it in raw units."""
    positions = [FEATURES.index(column) for column in columns]
    features = np.concatenate([part.features for part in parts])[:, positions]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))
    model.fit(
        features,
        np.concatenate([part.same for part in parts]),
        logisticregression__sample_weight=np.concatenate([part.weight for part in parts]),
    )
    scaler, logistic = model[0], model[-1]
    weights = logistic.coef_[0] / scaler.scale_
    bias = float(logistic.intercept_[0] - (weights * scaler.mean_).sum())
    return PairModel(name, columns, tuple(round(float(weight), 6) for weight in weights), round(bias, 6))


def _read(path: Path) -> list[dict[str, str]]:
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
    files = [_read(path) for path in options.gold]
    event = fit("event-1", EVENT_FEATURES, [event_pairs(encoder, background, rows) for rows in files])
    story = fit("story-1", STORY_FEATURES, [story_pairs(encoder, background, rows) for rows in files])
    for model, file in ((event, "event.json"), (story, "story.json")):
        model.save(options.out / file)
        print(file, dict(zip(model.features, model.weights, strict=True)), "bias", model.bias)


if __name__ == "__main__":
    main()
