"""The window made anew from the store: at start, and whenever it can no longer be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from embeddings.centroids import centroids_for
from embeddings.vectors import ArticleVectors
from service.batch import prepare_vectors
from service.store import write
from service.window import Entry, Window, flags_of, outlet_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Engine

    from service.learned import Models

CHUNK = 2000


def rebuild(
    engine: Engine,
    models: Models,
    *,
    window_days: float,
    story_horizon_days: float,
    progress: Callable[[int], None] = lambda _rows: None,
    mended: Callable[[int, bytes], None] = lambda _article_seq, _blob: None,
) -> Window:
    """Return a window that holds every compared article of the store, in the order decisions saw them.

    A damaged vector is computed again from its article's text; `mended` hears of it, to have it written.
    """
    window = Window(
        models.encoder.dimension,
        window_days=window_days,
        story_horizon_days=story_horizon_days,
        rarity=models.background.rarity,
        centroids=centroids_for(models.encoder.name),
    )
    with engine.connect() as connection:
        chunk: list[write.StoredVector] = []
        for stored in write.load_vectors(connection):
            chunk.append(stored)
            if len(chunk) == CHUNK:
                _shelve(connection, window, models, chunk, mended)
                progress(len(chunk))
                chunk = []
        _shelve(connection, window, models, chunk, mended)
        progress(len(chunk))
    return window


def _shelve(
    connection: Connection,
    window: Window,
    models: Models,
    chunk: Sequence[write.StoredVector],
    mended: Callable[[int, bytes], None],
) -> None:
    entries = [
        Entry(
            stored.article_id,
            _vectors(connection, models, stored, mended),
            stored.event_us,
            outlet_id(stored.source),
            flags_of(stored.labels),
        )
        for stored in chunk
    ]
    rows = window.shelve(entries)
    for row, stored in zip(rows, chunk, strict=True):
        cluster = window.cluster_number(stored.cluster_id, stored.story_id)
        window.place(row, cluster, is_copy=stored.is_copy)
    window.articles.add(rows)
    window.heads.add([row for row, stored in zip(rows, chunk, strict=True) if stored.opens_cluster])


def _vectors(
    connection: Connection,
    models: Models,
    stored: write.StoredVector,
    mended: Callable[[int, bytes], None],
) -> ArticleVectors:
    if stored.intact:
        return ArticleVectors.from_bytes(stored.blob, models.encoder.dimension)
    row = write.find_article(connection, stored.article_id)
    assert row is not None
    vectors = prepare_vectors(models, [write.outcome_of(row).article])[0].vectors
    mended(stored.article_seq, vectors.to_bytes())
    return vectors
