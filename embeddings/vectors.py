"""The vectors of one article: dense codes and term vectors, and the bytes they are stored as."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from embeddings.encoder import encoder_text, quantise
from embeddings.terms import FIELDS, FieldVectors, term_fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from embeddings.encoder import Encoder
    from embeddings.terms import Background

_HEADER = struct.Struct(f"<H{len(FIELDS)}H")


class DamagedVectorError(ValueError):
    """Stored bytes are not the vectors of an article."""


@dataclass(frozen=True, slots=True)
class ArticleVectors:
    """Dense int8 codes of length d (zeros: nothing known) and one `TermVector` a field."""

    codes: npt.NDArray[np.int8]
    terms: FieldVectors

    @classmethod
    def none(cls, dimension: int) -> ArticleVectors:
        """Return the vectors of an article of which nothing is known."""
        empty = FieldVectors(np.zeros(0, np.int32), np.zeros(0, np.float16), (0,) * len(FIELDS))
        return cls(np.zeros(dimension, np.int8), empty)

    def to_bytes(self) -> bytes:
        """Return the stored form: lengths, codes, then identities (int32) and weights (float16) of all fields."""
        return b"".join(
            (
                _HEADER.pack(len(self.codes), *self.terms.lengths),
                self.codes.tobytes(),
                self.terms.ids.astype("<i4", copy=False).tobytes(),
                self.terms.weights.astype("<f2", copy=False).tobytes(),
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes, dimension: int) -> ArticleVectors:
        """Read what `to_bytes` wrote.

        Raises:
            DamagedVectorError: the lengths do not add up, or the codes have another dimension.
        """
        if len(data) < _HEADER.size:
            raise DamagedVectorError("a stored vector is shorter than its header")
        length, *counts = _HEADER.unpack_from(data)
        terms = sum(counts)
        if length != dimension or len(data) != _HEADER.size + length + 6 * terms:
            raise DamagedVectorError("a stored vector has the wrong length")
        start = _HEADER.size + length
        return cls(
            np.frombuffer(data, np.int8, length, _HEADER.size),
            FieldVectors(
                np.frombuffer(data, "<i4", terms, start),
                np.frombuffer(data, "<f2", terms, start + 4 * terms),
                tuple(counts),
            ),
        )


def vectorise(
    encoder: Encoder, background: Background, articles: Sequence[tuple[str, str]]
) -> list[ArticleVectors]:
    """Return the vectors of (title, text) pairs; the weights are those that survive storing."""
    return assemble(encoder, articles, [term_fields(background, *article) for article in articles])


def assemble(
    encoder: Encoder, articles: Sequence[tuple[str, str]], terms: Sequence[FieldVectors]
) -> list[ArticleVectors]:
    """Add dense codes to the term vectors of (title, text) pairs."""
    codes = quantise(encoder.encode([encoder_text(title, text) for title, text in articles]))
    return [ArticleVectors(row, vectors) for row, vectors in zip(codes, terms, strict=True)]
