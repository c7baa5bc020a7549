"""Pair features and pair models against one pair at a time in plain Python."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import HashingEncoder, article_vectors, random_background, term_weights, unhurried
from hypothesis import given
from hypothesis import strategies as st

from embeddings.encoder import BUNDLED
from embeddings.shelf import Shelf
from embeddings.similarity import FEATURES, PairModel, dense_cosine, first_look, pair_features
from embeddings.terms import FIELDS
from embeddings.vectors import ArticleVectors, vectorise

RARITY = np.array([0.25, 0.5, 1.0], dtype=np.float32)
CORPUS = (
    "Gempa bumi mengguncang Cianjur pada Senin siang dan merusak 2.345 rumah warga di 17 kecamatan",
    "Sebanyak 162 orang tewas akibat gempa Cianjur kata Gubernur Jawa Barat Ridwan Kamil",
    "Harga cabai rawit merah di Pasar Senen naik menjadi Rp 90.000 per kilogram jelang Lebaran",
    "KPK menahan tersangka korupsi proyek jalan senilai Rp 1,5 miliar di Jakarta",
    "Timnas Indonesia menang 2-1 atas Vietnam di Stadion Gelora Bung Karno Jakarta",
    "",
)


@st.composite
def articles(draw: st.DrawFn) -> tuple[ArticleVectors, float, int]:
    codes = draw(st.lists(st.integers(-127, 127), min_size=4, max_size=4) | st.just([0] * 4))
    vectors = article_vectors(codes, **{name: draw(term_weights()) for name in FIELDS})
    return vectors, draw(st.floats(-1e6, 1e6)), draw(st.sampled_from([0, 1, -1, 2**62]))


def weights(vectors: ArticleVectors, name: str) -> dict[int, float]:
    vector = vectors.terms[name]
    return dict(zip(vector.ids.tolist(), vector.weights.tolist(), strict=True))


def slow_cosine(left: ArticleVectors, right: ArticleVectors) -> float:
    a, b = left.codes.tolist(), right.codes.tolist()
    norm = math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / norm if norm else 0.0


def slow_features(
    left: tuple[ArticleVectors, float, int], right: tuple[ArticleVectors, float, int]
) -> dict[str, float]:
    """What the documentation of `pair_features` says, one pair, one dictionary."""
    shared = {}
    for name in FIELDS:
        a, b = weights(left[0], name), weights(right[0], name)
        shared[name] = {term: a[term] * b[term] for term in a.keys() & b.keys()}
    figures = [weights(part[0], "numbers") for part in (left, right)]
    return {
        "lead_cosine": sum(shared["lead"].values()),
        "whole_cosine": sum(shared["whole"].values()),
        "title_cosine": sum(shared["title"].values()),
        "dense_cosine": slow_cosine(left[0], right[0]),
        "name_cosine": sum(shared["names"].values()),
        "shared_names": math.log(1 + len(shared["names"])),
        "key_name": max(
            (math.sqrt(product) * float(RARITY[term % 3]) for term, product in shared["names"].items()),
            default=0.0,
        ),
        "number_cosine": sum(shared["numbers"].values()),
        "number_conflict": float(all(figures) and not shared["numbers"]),
        "log_days": math.log(1 + abs(left[1] - right[1]) / 24),
        "same_outlet": float(left[2] == right[2]),
    }


@unhurried
@given(st.lists(articles(), min_size=1, max_size=5), st.data())
def test_features_equal_those_of_one_pair_at_a_time(
    rows: list[tuple[ArticleVectors, float, int]], data: st.DataObject
) -> None:
    """Every feature of every pair, a row with itself included, is what its description says."""
    shelf = Shelf(4, RARITY)
    shelf.extend([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])
    number = st.integers(0, len(rows) - 1)
    pairs = data.draw(st.lists(st.tuples(number, number), max_size=8))
    left, right = (np.array([pair[side] for pair in pairs], dtype=np.intp) for side in (0, 1))
    features = pair_features(shelf, left, right)

    assert (len(pairs), len(FEATURES)) == features.shape
    look = first_look(shelf, left, right)
    for (a, b), actual, likeness in zip(pairs, features.tolist(), look.likeness, strict=True):
        expected = slow_features(rows[a], rows[b])
        assert pytest.approx(expected, rel=1e-6, abs=1e-6) == dict(zip(FEATURES, actual, strict=True))
        assert pytest.approx(expected["lead_cosine"] + expected["dense_cosine"], abs=1e-6) == likeness


def test_a_pair_has_the_same_features_in_any_company() -> None:
    """Alone, in bulk, in another order or turned round: bit for bit the same numbers."""
    chance = np.random.default_rng(2)
    tokens = " ".join(CORPUS).split()
    texts = [(" ".join(chance.choice(tokens, 8)), " ".join(chance.choice(tokens, 150))) for _ in range(40)]
    background = random_background()
    shelf = Shelf(64, background.rarity)
    shelf.extend(
        vectorise(HashingEncoder(), background, [*texts, ("", "")]),
        chance.uniform(0, 900, 41).tolist(),
        chance.integers(0, 3, 41).tolist(),
    )
    left, right = (chance.integers(0, 41, 500) for _ in "ab")
    order = chance.permutation(500)
    together = pair_features(shelf, left, right)
    look = first_look(shelf, left, right)
    model = PairModel.load(BUNDLED / "event.json")
    probability = model.probability(together)

    np.testing.assert_array_equal(together[order], pair_features(shelf, left[order], right[order]))
    np.testing.assert_array_equal(together, pair_features(shelf, right, left))
    np.testing.assert_array_equal(together, pair_features(shelf, left, right, look))
    half = order % 2 > 0
    np.testing.assert_array_equal(
        together[half], pair_features(shelf, left[half], right[half], look.of(half))
    )
    for pair in range(0, 500, 5):
        only = slice(pair, pair + 1)
        alone = pair_features(shelf, left[only], right[only])
        np.testing.assert_array_equal(together[only], alone)
        alone_look = first_look(shelf, left[only], right[only])
        np.testing.assert_array_equal(look.likeness[only], alone_look.likeness)
        np.testing.assert_array_equal(probability[only], model.probability(alone))


def test_an_article_is_most_like_itself() -> None:
    """Cosines of a real article with itself are 1, and only related articles come near."""
    background = random_background()
    shelf = Shelf(64, background.rarity)
    shelf.extend(vectorise(HashingEncoder(), background, [(text, text) for text in CORPUS]), [0] * 6, [0] * 6)
    same = dict(zip(FEATURES, pair_features(shelf, np.arange(5), np.arange(5)).T.tolist(), strict=True))
    others = pair_features(shelf, np.zeros(5, dtype=np.intp), np.arange(1, 6))

    for name in ("lead_cosine", "whole_cosine", "title_cosine", "dense_cosine"):
        assert pytest.approx([1.0] * 5, abs=2e-3) == same[name]
    assert others[:, 0].argmax() == 0
    assert others[:, 0].max() < 0.5
    assert others[4].tolist() == [*[0.0] * 10, 1.0]


def test_no_pairs_have_no_features() -> None:
    """An empty call answers with nothing, in the same shape."""
    none = np.zeros(0, dtype=np.intp)

    assert pair_features(Shelf(2), none, none).shape == (0, len(FEATURES))
    assert (
        first_look(Shelf(2), none, none).likeness.tolist()
        == dense_cosine(Shelf(2), none, none).tolist()
        == []
    )


def test_dense_cosines_of_long_codes_do_not_overflow() -> None:
    """The largest codes of the largest models give exactly 1 and -1."""
    shelf = Shelf(4096)
    shelf.extend([article_vectors([code] * 4096) for code in (127, -127, 0)], [0] * 3, [0] * 3)

    assert dense_cosine(shelf, np.array([0, 0, 0]), np.array([0, 1, 2])).tolist() == [1.0, -1.0, 0.0]


numbers = st.floats(-20, 20)


@unhurried
@given(
    st.dictionaries(st.sampled_from(FEATURES), numbers),
    numbers,
    st.lists(st.lists(st.floats(-3, 3), min_size=len(FEATURES), max_size=len(FEATURES)), max_size=5),
)
def test_probability_is_the_logistic_of_the_weighted_sum(
    weighted: dict[str, float], bias: float, rows: list[list[float]]
) -> None:
    """Only the named features count; the result is rounded to six places and never leaves [0, 1]."""
    model = PairModel("test", tuple(weighted), tuple(weighted.values()), bias)
    features = np.array(rows, dtype=np.float64).reshape(len(rows), len(FEATURES))
    expected = []
    for row in rows:
        logit = bias + sum(row[FEATURES.index(name)] * weight for name, weight in weighted.items())
        expected.append(1 / (1 + math.exp(-logit)) if logit > -700 else 0.0)
    actual = model.probability(features).tolist()

    assert pytest.approx(expected, abs=1.1e-6) == actual
    assert [round(value, 6) for value in actual] == actual
    assert all(0 <= value <= 1 for value in actual)


def test_a_model_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Name, features, weights and bias come back exactly."""
    model = PairModel("event-9", ("log_days", "lead_cosine"), (-0.1, 1 / 3), -7.25)
    model.save(tmp_path / "model.json")

    assert model == PairModel.load(tmp_path / "model.json")


@pytest.mark.parametrize(
    "changes",
    [{"features": ["lead_cosine", "colour"]}, {"weights": [1.0]}, {"features": [], "weights": [1.0]}],
)
def test_a_model_of_other_features_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    """A file with an unknown feature, or with more or fewer weights than features, is not loaded."""
    path = tmp_path / "model.json"
    good = {"name": "x", "features": ["lead_cosine", "log_days"], "weights": [1.0, 2.0], "bias": 0.5}
    path.write_text(json.dumps(good | changes), encoding="utf-8")

    with pytest.raises(ValueError, match=r"model\.json"):
        PairModel.load(path)


@pytest.mark.parametrize("file", ["event.json", "story.json"])
def test_bundled_models_tell_like_from_unlike(file: str) -> None:
    """Two equal articles of one hour are probably the same matter, two without anything in common are not."""
    model = PairModel.load(BUNDLED / file)
    alike = dict.fromkeys(FEATURES, 0.0) | dict.fromkeys(
        ("lead_cosine", "whole_cosine", "title_cosine", "dense_cosine", "name_cosine", "key_name"), 1.0
    )
    alike["shared_names"] = math.log(6)
    unlike = dict.fromkeys(FEATURES, 0.0) | {"log_days": math.log(31)}
    probable, improbable = model.probability(np.array([list(alike.values()), list(unlike.values())])).tolist()

    assert (probable > 0.95, improbable < 0.01) == (True, True)
