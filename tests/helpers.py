"""Small, exact stand-ins shared by the tests: an encoder without a model, a background without a corpus."""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from embeddings.encoder import unit
from embeddings.terms import BUCKETS, FIELDS, Background, FieldVectors, TermVector
from embeddings.text import words
from embeddings.vectors import ArticleVectors

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

unhurried = settings(deadline=None)
"""For properties whose single examples may meet a busy machine."""


class HashingEncoder:
    """An `Encoder` without a model: a text is the sum of its words' hashes, so shared words make texts alike."""

    def __init__(self, dimension: int = 64) -> None:
        self.dimension = dimension
        self.name = f"hashing-{dimension}"

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            row[:] = sum(_word_vector(word, self.dimension) for word in words(text.lower()))
        return unit(rows)


@functools.lru_cache(maxsize=1 << 16)
def _word_vector(word: str, dimension: int) -> npt.NDArray[np.float32]:
    # Whole numbers add up exactly, so a text's vector does not depend on the order of its words.
    digest = hashlib.shake_128(word.encode("utf-8", "surrogatepass")).digest(dimension)
    return np.frombuffer(digest, dtype=np.int8).astype(np.float32)


def random_background(seed: int = 0) -> Background:
    """A background in which each bucket has a weight of its own, and about half of the words are names."""
    chance = np.random.default_rng(seed)
    return Background(
        chance.uniform(0.5, 9, BUCKETS).astype(np.float32),
        chance.choice(np.array([0, 100, 177, 178, 254, 255], dtype=np.uint8), BUCKETS),
    )


def weights_by_term(vector: TermVector) -> dict[int, float]:
    return dict(zip(vector.ids.tolist(), vector.weights.tolist(), strict=True))


def term_vector(weights: dict[int, float]) -> TermVector:
    terms = sorted(weights)
    return TermVector(
        np.array(terms, dtype=np.int32), np.array([weights[term] for term in terms], dtype=np.float32)
    )


def article_vectors(codes: Sequence[int], **terms: dict[int, float]) -> ArticleVectors:
    """Vectors written out by hand; fields left out are empty."""
    return ArticleVectors(
        np.array(codes, dtype=np.int8),
        FieldVectors.of({name: term_vector(terms.get(name, {})) for name in FIELDS}),
    )


def term_weights(max_id: int = 9, max_size: int = 6) -> st.SearchStrategy[dict[int, float]]:
    """Terms with weights in 64ths: sums and products of those are exact, so every tie is a true tie."""
    return st.dictionaries(
        st.integers(0, max_id), st.integers(1, 64).map(lambda part: part / 64), max_size=max_size
    )
