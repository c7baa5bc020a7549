"""Vectors of an article: what is stored is what was decided on, and damage is noticed."""

import numpy as np
import pytest
from helpers import HashingEncoder, random_background, unhurried
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from embeddings.encoder import encoder_text, quantise
from embeddings.terms import FIELDS, FieldVectors, TermVector, term_fields
from embeddings.vectors import ArticleVectors, DamagedVectorError, vectorise

ENCODER, BACKGROUND = HashingEncoder(), random_background()
ARTICLES = [
    (
        "Gempa M 5,6 Guncang Cianjur",
        "CIANJUR - Sebanyak 162 orang tewas dan 326 orang luka-luka akibat gempa.",
    ),
    ("Harga Cabai Naik", "Harga cabai rawit di Pasar Senen naik menjadi Rp 90.000 per kilogram."),
    ("", ""),
    ("Gempa", ""),
    ("", "Timnas Indonesia menang 2-1 atas Vietnam di Stadion Gelora Bung Karno, Jakarta. " * 40),
]


@st.composite
def term_vectors(draw: st.DrawFn) -> TermVector:
    ids = sorted(draw(st.sets(st.integers(0, 2**31 - 1), max_size=5)))
    weights = draw(hnp.arrays(np.float16, len(ids), elements=st.floats(0, 1, width=16)))
    return TermVector(np.array(ids, dtype=np.int32), weights.astype(np.float32))


@st.composite
def any_vectors(draw: st.DrawFn) -> ArticleVectors:
    codes = draw(hnp.arrays(np.int8, st.integers(0, 9)))
    return ArticleVectors(codes, FieldVectors.of({name: draw(term_vectors()) for name in FIELDS}))


def assert_same(expected: ArticleVectors, actual: ArticleVectors) -> None:
    np.testing.assert_array_equal(expected.codes, actual.codes, strict=True)
    assert list(expected.terms) == list(actual.terms) == list(FIELDS)
    for name in FIELDS:
        np.testing.assert_array_equal(expected.terms[name].ids, actual.terms[name].ids, strict=True)
        np.testing.assert_array_equal(expected.terms[name].weights, actual.terms[name].weights, strict=True)


@unhurried
@given(any_vectors())
def test_stored_vectors_are_read_as_they_were_written(vectors: ArticleVectors) -> None:
    """Codes, identities and weights come back bit for bit, and so do the bytes."""
    data = vectors.to_bytes()
    read = ArticleVectors.from_bytes(data, len(vectors.codes))

    assert_same(vectors, read)
    assert data == read.to_bytes()


@unhurried
@given(any_vectors(), st.data())
def test_bytes_of_another_length_are_damaged(vectors: ArticleVectors, data: st.DataObject) -> None:
    """Bytes cut anywhere, bytes with something behind them, and codes of another dimension are refused."""
    whole = vectors.to_bytes()
    cut = data.draw(st.integers(0, len(whole) - 1))
    more = data.draw(st.binary(min_size=1, max_size=9))
    other = data.draw(st.integers(0, 12).filter(lambda dimension: dimension != len(vectors.codes)))

    for damaged, dimension in (
        (whole[:cut], len(vectors.codes)),
        (whole + more, len(vectors.codes)),
        (whole, other),
    ):
        with pytest.raises(DamagedVectorError):
            ArticleVectors.from_bytes(damaged, dimension)


@given(st.binary(max_size=60), st.integers(0, 40))
def test_any_bytes_are_vectors_or_damaged(data: bytes, dimension: int) -> None:
    """Nothing else than `DamagedVectorError` comes of foreign bytes."""
    try:
        vectors = ArticleVectors.from_bytes(data, dimension)
    except DamagedVectorError:
        return
    assert dimension == len(vectors.codes)


def test_vectors_are_what_survives_storing() -> None:
    """What is decided on before a restart equals what is read after it: weights have float16 precision."""
    for vectors in vectorise(ENCODER, BACKGROUND, ARTICLES):
        assert_same(vectors, ArticleVectors.from_bytes(vectors.to_bytes(), ENCODER.dimension))


def test_vectors_are_the_codes_and_fields_of_the_article() -> None:
    """Codes are those of the encoder's text, terms those of `term_fields`."""
    for (title, text), vectors in zip(ARTICLES, vectorise(ENCODER, BACKGROUND, ARTICLES), strict=True):
        codes = quantise(ENCODER.encode([encoder_text(title, text)]))[0]

        assert_same(ArticleVectors(codes, term_fields(BACKGROUND, title, text)), vectors)


def test_vectors_of_an_article_do_not_depend_on_its_batch() -> None:
    """Alone or among others, an article has the same vectors; no articles have none."""
    together = vectorise(ENCODER, BACKGROUND, ARTICLES)

    for article, vectors in zip(ARTICLES, together, strict=True):
        assert_same(vectors, vectorise(ENCODER, BACKGROUND, [article])[0])
    assert vectorise(ENCODER, BACKGROUND, []) == []
