"""Term vectors against a plain-Python TF-IDF."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from helpers import random_background, unhurried, weights_by_term
from hypothesis import given
from hypothesis import strategies as st

from embeddings.encoder import BUNDLED
from embeddings.stem import stem
from embeddings.terms import (
    BUCKETS,
    DATE_CHARS,
    FIELDS,
    LEAD_WORDS,
    MIN_NAME_SHARE,
    NUMBER_CHARS,
    OPENING_WORDS,
    UNKNOWN_SHARE,
    WHOLE_TERMS,
    WHOLE_WORDS,
    Background,
    TermVector,
    term_fields,
)
from embeddings.text import term_id

BACKGROUND = random_background()
CALENDAR = ["senin", "ahad", "mei", "desember", "wit"]
# Letters only: a digit would be a figure as well.
WORDS = [
    start + chr(97 + n // 26) + chr(97 + n % 26) for n in range(400) for start in ("kata", "Nama", "KPK", "I")
]
TOKENS = st.lists(st.sampled_from([*WORDS[:120], "Di", "KY"]), max_size=30)


def tf_idf(tokens: Sequence[int], limit: int | None = None) -> dict[int, float]:
    weights = {
        term: (1 + math.log(count)) * float(BACKGROUND.idf[term % BUCKETS])
        for term, count in Counter(tokens).items()
    }
    heaviest = sorted(weights, key=lambda term: (-weights[term], term))[:limit]
    norm = math.sqrt(sum(weights[term] ** 2 for term in heaviest))
    return {term: weights[term] / norm for term in sorted(heaviest)}


def of_words(tokens: Sequence[str], limit: int | None = None) -> dict[int, float]:
    return tf_idf([term_of(token) for token in tokens], limit)


def of_figures(figures: Sequence[str]) -> dict[int, float]:
    return tf_idf([term_id(figure) for figure in figures])


def term_of(word: str) -> int:
    """The word itself where news knows it as a name, its stem else."""
    lowered = word.lower()
    return term_id(lowered if is_known_name(word) else stem(lowered))


def assert_same(expected: dict[int, float], actual: TermVector, precision: float = 1e-3) -> None:
    """Fields are kept as float16, which has three and a half figures."""
    assert list(expected) == actual.ids.tolist()
    assert pytest.approx(list(expected.values()), rel=precision) == actual.weights.tolist()
    assert actual.ids.dtype == np.int32
    assert actual.weights.dtype == np.float32


def is_known_name(word: str) -> bool:
    share = int(BACKGROUND.name_share[term_id(word.lower()) % BUCKETS])
    return share == UNKNOWN_SHARE or share / 254 > MIN_NAME_SHARE


def is_name(word: str) -> bool:
    return word[0].isupper() and len(word) >= 3 and is_known_name(word)


@unhurried
@given(
    st.lists(
        st.integers(0, 30) | st.integers(BUCKETS, BUCKETS + 30) | st.integers(0, 2**31 - 1), max_size=40
    ),
    st.none() | st.integers(1, 12),
)
def test_vector_equals_tf_idf_worked_out_in_plain_python(ids: list[int], limit: int | None) -> None:
    """Log-scaled frequency times idf, the heaviest terms kept (ties: lower identity), unit length."""
    assert_same(tf_idf(ids, limit), BACKGROUND.vector(np.array(ids, dtype=np.int32), limit=limit), 1e-6)


@unhurried
@given(TOKENS, TOKENS)
def test_fields_equal_tf_idf_of_the_words_they_are_made_of(head: list[str], body: list[str]) -> None:
    """The headline counts twice in lead, opening, whole and names, once in title and title names; others are stemmed."""
    fields = term_fields(BACKGROUND, " ".join(head), ", ".join(body))
    twice = [*head, *head, *body]

    assert tuple(fields) == FIELDS
    assert_same(of_words(twice), fields["lead"])
    assert_same(of_words(twice, WHOLE_TERMS), fields["whole"])
    assert_same(of_words(head), fields["title"])
    assert_same(of_words([*head, *head, *body[:OPENING_WORDS]]), fields["opening"])
    assert_same(of_words([token for token in twice if is_name(token)]), fields["names"])
    assert_same(of_words([token for token in head if is_name(token)]), fields["title_names"])
    assert_same({}, fields["numbers"])
    assert_same({}, fields["dates"])


def test_long_texts_are_cut_where_the_fields_say() -> None:
    """Opening ends at 25 words, lead at 80, whole and names at 400, whole keeps 96 terms."""
    head, body = WORDS[:5], WORDS[5 : 5 + WHOLE_WORDS + 50]
    fields = term_fields(BACKGROUND, " ".join(head), " ".join(body))

    assert_same(of_words([*head, *head, *body[:OPENING_WORDS]]), fields["opening"])
    assert_same(of_words([*head, *head, *body[:LEAD_WORDS]]), fields["lead"])
    assert_same(of_words([*head, *head, *body[:WHOLE_WORDS]], WHOLE_TERMS), fields["whole"])
    names = [token for token in [*head, *head, *body[:WHOLE_WORDS]] if is_name(token)]
    assert_same(of_words(names), fields["names"])


@pytest.mark.parametrize(
    ("title", "text", "figures"),
    [
        ("Rp 12.500 naik 3,5 persen", "", ["12.500", "3,5"]),
        ("Jakarta (12/3/2026)", "Pada Senin (1/2) sebanyak 40 orang", ["40"]),
        ("Piala Dunia 2026", "sejak 1998 hingga 2045, 1899 dan 2100", ["1899", "2100"]),
        ("3 tewas", "3 tewas, 17 luka pukul 20.15 WIB", ["3", "3", "17", "20.15"]),
        ("1.234.567,89", "7. 8, 9.", ["1.234.567,89", "7", "8", "9"]),
        ("B1234XY", "2000-an; Rp2024", ["1234", "2024"]),
        ("", "5 " + "x" * NUMBER_CHARS + " 6", ["5"]),
    ],
)
def test_numbers_are_the_figures_that_are_not_dates(title: str, text: str, figures: list[str]) -> None:
    """Amounts, scores and tolls count; dates in brackets, years and figures far down do not."""
    assert_same(of_figures(figures), term_fields(BACKGROUND, title, text)["numbers"])


@pytest.mark.parametrize(
    ("title", "text", "days"),
    [
        ("Gempa (16/9/2019)", "Senin (16/9) atau 16 September 2019, 016 September", ["16/9", "16/9", "16/9"]),
        ("7 MEI", "1 juni, 12 Januari2020, 3 Marett, x9 Mei, 123 Mei (1/2", ["7/5", "1/6"]),
        ("", "x" * DATE_CHARS + " 1 Juni", []),
    ],
)
def test_dates_are_the_days_that_the_opening_names(title: str, text: str, days: list[str]) -> None:
    """In figures within brackets or with the name of the month, in the first 500 characters."""
    assert_same(of_figures(days), term_fields(BACKGROUND, title, text)["dates"])


def test_an_empty_article_has_empty_fields() -> None:
    """No headline and no text give no terms, and no error."""
    for fields in (term_fields(BACKGROUND, "", ""), term_fields(BACKGROUND, " … ", "\n–\n")):
        assert [weights_by_term(fields[name]) for name in FIELDS] == [{}] * len(FIELDS)


@pytest.mark.parametrize(("title", "text"), [("Gempa", ""), ("", "Gempa"), ("gempa", "GEMPA")])
def test_a_single_word_weighs_all(title: str, text: str) -> None:
    """One word, wherever it stands, is a vector of weight 1."""
    fields = term_fields(BACKGROUND, title, text)

    assert {term_id("gempa"): 1.0} == weights_by_term(fields["lead"]) == weights_by_term(fields["whole"])
    assert weights_by_term(fields["title"]) == ({term_id("gempa"): 1.0} if title else {})


def test_background_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Idf is log((documents + 1) / (frequency + 1)); name shares come back, but no weekday or month is a name."""
    chance = np.random.default_rng(1)
    frequency = chance.integers(0, 90_000, BUCKETS)
    share = chance.integers(0, 256, BUCKETS).astype(np.uint8)
    Background.save(tmp_path / "background.safetensors", 100_000, frequency, share)
    background = Background.load(tmp_path / "background.safetensors")

    expected = [math.log(100_001 / (min(count, 65_535) + 1)) for count in frequency[:5000].tolist()]
    assert pytest.approx(expected, rel=1e-6) == background.idf[:5000].tolist()
    assert background.idf.dtype == np.float32
    changed = set(np.flatnonzero(background.name_share != share).tolist())
    assert all(background.name_share[term_id(word) % BUCKETS] == 0 for word in CALENDAR)
    assert len(changed) <= 28
    assert not background.name_share[sorted(changed)].any()


def test_rarity_is_idf_scaled_to_one() -> None:
    """The rarest bucket has rarity 1, and rarity keeps the proportions of idf."""
    assert BACKGROUND.rarity.max() == 1.0
    np.testing.assert_allclose(BACKGROUND.rarity * BACKGROUND.idf.max(), BACKGROUND.idf, rtol=1e-6)


def test_bundled_background_knows_indonesian_news() -> None:
    """Function words weigh less than events; places and the unheard-of are names, weekdays are not."""
    background = Background.load(BUNDLED / "background.safetensors")
    idf = {
        word: float(background.idf[term_id(word) % BUCKETS]) for word in ("yang", "di", "polisi", "tsunami")
    }
    names = ["jakarta", "prabowo", "xyzzyplugh", "yang", "senin", "februari", "wib"]

    assert sorted(idf, key=lambda word: idf[word])[2:] == ["polisi", "tsunami"]
    assert min(idf.values()) > 0
    assert [background.is_name(term_id(name)) for name in names] == [
        True,
        True,
        True,
        False,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize("name", FIELDS)
def test_bundled_fields_have_unit_length(name: str) -> None:
    """A real report gives sorted terms of length 1 in every field."""
    background = Background.load(BUNDLED / "background.safetensors")
    vector = term_fields(
        background,
        "Gempa M 5,6 Guncang Cianjur, 162 Orang Tewas",
        "CIANJUR - Gubernur Ridwan Kamil menyebut 162 orang meninggal pada Senin (21/11).",
    )[name]

    assert pytest.approx(1.0, abs=1e-3) == math.sqrt(
        math.fsum(weight**2 for weight in vector.weights.tolist())
    )
    assert (np.diff(vector.ids) > 0).all()
