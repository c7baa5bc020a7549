"""The vectors of one article: dense codes and term vectors, and the bytes they are stored as."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from embeddings.encoder import encoder_text, quantise
from embeddings.terms import FIELDS, TermVector, term_fields

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    terms: Mapping[str, TermVector]

    def to_bytes(self) -> bytes:
        """Return the stored form: lengths, codes, then identities (int32) and weights (float16) of each field."""
        parts = [
            _HEADER.pack(len(self.codes), *(len(self.terms[name].ids) for name in FIELDS)),
            self.codes.tobytes(),
        ]
        for name in FIELDS:
            vector = self.terms[name]
            parts += [vector.ids.astype("<i4").tobytes(), vector.weights.astype("<f2").tobytes()]
        return b"".join(parts)

    @classmethod
    def from_bytes(cls, data: bytes, dimension: int) -> ArticleVectors:
        """Read what `to_bytes` wrote.

        Raises:
            DamagedVectorError: the lengths do not add up, or the codes have another dimension.
        """
        if len(data) < _HEADER.size:
            raise DamagedVectorError("a stored vector is shorter than its header")
        length, *counts = _HEADER.unpack_from(data)
        if length != dimension or len(data) != _HEADER.size + length + 6 * sum(counts):
            raise DamagedVectorError("a stored vector has the wrong length")
        codes = np.frombuffer(data, np.int8, length, _HEADER.size)
        offset = _HEADER.size + length
        terms = {}
        for name, count in zip(FIELDS, counts, strict=True):
            ids = np.frombuffer(data, "<i4", count, offset)
            weights = np.frombuffer(data, "<f2", count, offset + 4 * count)
            terms[name] = TermVector(ids, weights.astype(np.float32))
            offset += 6 * count
        return cls(codes, terms)


def vectorise(
    encoder: Encoder, background: Background, articles: Sequence[tuple[str, str]]
) -> list[ArticleVectors]:
    """Return the vectors of (title, text) pairs; the weights are those that survive storing."""
    return assemble(encoder, articles, [stored_terms(background, *article) for article in articles])


def stored_terms(background: Background, title: str, text: str) -> dict[str, TermVector]:
    """Return the term vectors of an article at the precision they are stored with.

    Deciding on the stored precision makes answers after a restart equal to those before it.
    """
    return {
        name: TermVector(vector.ids, vector.weights.astype(np.float16).astype(np.float32))
        for name, vector in term_fields(background, title, text).items()
    }


def assemble(
    encoder: Encoder, articles: Sequence[tuple[str, str]], terms: Sequence[Mapping[str, TermVector]]
) -> list[ArticleVectors]:
    """Add dense codes to the term vectors of (title, text) pairs."""
    codes = quantise(encoder.encode([encoder_text(title, text) for title, text in articles]))
    return [ArticleVectors(row, vectors) for row, vectors in zip(codes, terms, strict=True)]
