"""Compile what is compiled, before anyone waits for it: `python -m embeddings.warm`.

Half a minute the first time on a machine, a moment afterwards.
"""

from __future__ import annotations

import numpy as np

from embeddings.company import EVENT
from embeddings.encoder import BUNDLED
from embeddings.index import NeighbourIndex
from embeddings.pair_model import PairModel
from embeddings.shelf import Shelf
from embeddings.similarity import compare
from embeddings.terms import bundled_background, term_fields
from embeddings.vectors import ArticleVectors

DIMENSION = 2


def warm_up() -> None:
    """Compare two invented articles by every compiled function on the road of an article."""
    background = bundled_background()
    terms = term_fields(
        background, "Feri Lintang Tenggelam", "Feri Lintang tenggelam, Minggu (8/2). Tujuh tewas."
    )
    shelf = Shelf(DIMENSION, background.rarity)
    shelf.extend([ArticleVectors(np.ones(DIMENSION, dtype=np.int8), terms)] * 2, [0.0, 1.0], [1, 2])
    index = NeighbourIndex(shelf, EVENT.reach)
    index.add(range(2))
    index.by_terms(range(2))
    index.remove(0)
    compared = compare(shelf, np.array([1]), np.array([0]))
    PairModel.load(BUNDLED / "event.json").probability(compared.features)


if __name__ == "__main__":
    warm_up()
