"""Who reads alike: the neighbours of an article, stored or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from embeddings.similarity import FEATURES, compare
from service.batch import prepare_vectors
from service.candidates import event_probability
from service.copies import Wording, near_copy, relation, wording
from service.store import write
from service.window import entry_of

if TYPE_CHECKING:
    import numpy.typing as npt
    from sqlalchemy import Engine, RowMapping

    from service.learned import Models
    from service.model import Article
    from service.window import Window

_LEAD = FEATURES.index("lead_cosine")
_NO_ID = "art_00000000000000000000000000"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A stored article that reads alike: cosine of the leads, and P(same event)."""

    id: str
    title: str
    source: str
    similarity: float
    probability: float
    cluster_id: str
    story_id: str
    relation: str


@dataclass(frozen=True, slots=True)
class _Asked:
    """The article whose neighbours are wanted, and what makes its text the same as another's."""

    article: Article
    fingerprint: bytes


def neighbours_of_text(
    engine: Engine, window: Window, models: Models, article: Article, limit: int
) -> list[Neighbour]:
    """Return the neighbours of an article without storing it; must run on the writer thread."""
    (prepared,) = prepare_vectors(models, [article])
    length = len(window.shelf)
    (row,) = window.shelve([entry_of(_NO_ID, article, prepared.vectors)])
    try:
        return _neighbours(engine, window, models, row, _Asked(article, prepared.fingerprint), limit)
    finally:
        window.unshelve(length)


def neighbours_of_article(
    engine: Engine, window: Window, models: Models, article_id: str, limit: int
) -> list[Neighbour] | None:
    """Return the neighbours of a stored article, or None when there is no such article."""
    with engine.connect() as connection:
        stored = write.find_article(connection, article_id)
    if stored is None:
        return None
    row = window.row_of(article_id)
    article = write.outcome_of(stored).article
    if row is None:  # an exact copy stands on no shelf of its own
        found = neighbours_of_text(engine, window, models, article, limit + 1)
        return [neighbour for neighbour in found if neighbour.id != article_id][:limit]
    return _neighbours(engine, window, models, row, _Asked(article, stored["fingerprint"]), limit)


def _neighbours(
    engine: Engine, window: Window, models: Models, row: int, asked: _Asked, limit: int
) -> list[Neighbour]:
    (dense,), (terms,) = window.articles.by_dense([row]), window.articles.by_terms([row])
    rows = np.union1d(dense, terms).astype(np.intp)
    features = compare(window.shelf, np.full(len(rows), row, dtype=np.intp), rows).features
    probability = event_probability(models.event, features)
    best = np.lexsort((rows, -features[:, _LEAD], -probability))[:limit]
    ids = [window.article_id(int(rows[place])) for place in best]
    own = wording(asked.article.title, asked.article.text, asked.article.event_us)
    with engine.connect() as connection:
        stored = {name: write.find_article(connection, name) for name in ids}
    return [
        _neighbour(stored[name], features[place], float(probability[place]), own, asked)
        for name, place in zip(ids, best, strict=True)
        if stored[name] is not None
    ]


def _neighbour(
    stored: RowMapping | None,
    features: npt.NDArray[np.float64],
    probability: float,
    own: Wording,
    asked: _Asked,
) -> Neighbour:
    assert stored is not None
    event_us = min(stored["published_us"], stored["received_us"])
    copy = near_copy(own, wording(stored["title"], stored["text"], event_us))
    return Neighbour(
        id=stored["id"],
        title=stored["title"],
        source=stored["source"],
        similarity=round(float(features[_LEAD]), 4),
        probability=round(probability, 4),
        cluster_id=stored["cluster_id"],
        story_id=stored["story_id"],
        relation="original"
        if copy is None
        else relation(
            exact=asked.fingerprint == stored["fingerprint"],
            same_publisher=asked.article.publisher == stored["publisher"],
        ),
    )
