"""Stored vectors read by number, for whoever compares them outside the writer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from service.batch import prepare_vectors
from service.store import snapshot
from service.store.write import find_article, outcome_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from service.learned import Models
    from service.stage import Numbers

CHUNK = 500


class StoreVectors:
    """The vectors of a store; those whose checksum is wrong are computed anew from the text."""

    def __init__(self, engine: Engine, models: Models) -> None:
        self._engine = engine
        self._models = models
        self._process = os.getpid()

    def read(self, seqs: Numbers) -> Iterator[bytes | None]:
        """Yield the vectors of articles by `seq`, in the order asked; None for those that are not there."""
        if self._process != os.getpid():  # connections do not survive a fork
            self._engine.dispose(close=False)
            self._process = os.getpid()
        with self._engine.connect() as connection:
            for start in range(0, len(seqs), CHUNK):
                part = seqs[start : start + CHUNK].tolist()
                found = snapshot.read_vectors(connection, part)
                for seq in part:
                    blob = found.get(seq)
                    yield self._anew(seq) if blob is None and seq in found else blob

    def _anew(self, seq: int) -> bytes:
        with self._engine.connect() as connection:
            row = find_article(connection, snapshot.id_of(connection, seq))
        assert row is not None
        return prepare_vectors(self._models, [outcome_of(row).article])[0].vectors.to_bytes()
