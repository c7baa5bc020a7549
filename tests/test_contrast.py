"""Contrastive training on an invented corpus: what belongs together ends together."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from helpers import unhurried
from hypothesis import given
from hypothesis import strategies as st

from embeddings.training import contrast as training
from embeddings.training.contrast import (
    GROUP,
    MIN_REST,
    OPENING_WORDS,
    REST_WORDS,
    SEEDS,
    Parts,
    contrast,
    parts_of,
)

WORDS, DIMENSION, MATTERS = 240, 24, 60


def corpus(size: int = 180, seed: int = 0) -> list[Parts]:
    """Articles on matters that a headline names in words that no body uses, and the body in others."""
    chance = np.random.default_rng(seed)
    articles = []
    for number in range(size):
        matter = number % MATTERS
        headline = [matter, int(chance.integers(WORDS - 40, WORDS))]
        body = [MATTERS + matter, 2 * MATTERS + matter, *chance.integers(WORDS - 40, WORDS, 12).tolist()]
        articles.append(Parts(headline, body[:8], [MATTERS + matter, *body[8:]]))
    return articles


def word_vectors(seed: int = 1) -> Any:
    return np.random.default_rng(seed).normal(0, 1, (WORDS, DIMENSION)).astype(np.float32)


def encoded(vectors: Any, texts: Sequence[list[int]]) -> Any:
    rows = np.stack([vectors[text].sum(axis=0, dtype=np.float64) for text in texts])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def own_body_found(vectors: Any, articles: Sequence[Parts]) -> float:
    """How often the opening nearest to a headline is one of its own matter."""
    likeness = (
        encoded(vectors, [one.headline for one in articles])
        @ encoded(vectors, [one.opening for one in articles]).T
    )
    return float((likeness.argmax(axis=1) % MATTERS == np.arange(len(articles)) % MATTERS).mean())


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred-and-eightieth of a real corpus needs larger steps."""
    monkeypatch.setattr(training, "EPOCHS", 6)
    monkeypatch.setattr(training, "LEARNING_RATE", 0.05)


def losses(printed: str) -> list[float]:
    return [float(found) for found in re.findall(r"loss (\d+\.\d+)", printed)]


def test_headlines_learn_to_find_their_bodies(hasty: None, capsys: pytest.CaptureFixture[str]) -> None:
    """The loss falls from pass to pass, and headlines it never saw find bodies of their matter."""
    start = word_vectors()
    trained = contrast(start, corpus())
    falling = losses(capsys.readouterr().out)
    new = corpus(120, seed=9)

    assert len(falling) == 6
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] < 0.7 * falling[0]
    assert own_body_found(start, new) < 0.1
    assert own_body_found(trained, new) > 0.7
    assert trained.shape == start.shape
    assert trained.dtype == np.float32


def test_words_that_no_article_holds_stay_where_they_were(hasty: None) -> None:
    """Only what is read is moved; all vectors are scaled alike at the start."""
    start = word_vectors()
    trained = contrast(start, corpus())
    unread = 3 * MATTERS + 5
    assert not any(unread in [*one.headline, *one.opening, *one.rest] for one in corpus())

    np.testing.assert_allclose(
        trained[unread], start[unread] / np.linalg.norm(start, axis=1).mean(), rtol=1e-5
    )


def test_the_same_input_gives_the_same_bytes() -> None:
    """Whatever was drawn before; another seed gives others, and the vectors handed in are left alone."""
    start = word_vectors()
    first = contrast(start, corpus())
    torch.rand(7)
    np.random.default_rng().random(7)

    assert first.tobytes() == contrast(start, corpus()).tobytes()
    assert first.tobytes() != contrast(start, corpus(), seed=1).tobytes()
    np.testing.assert_array_equal(word_vectors(), start)


@pytest.mark.parametrize("size", [1, 2, GROUP, 2 * GROUP, 2 * GROUP + 1])
def test_a_small_corpus_is_trained_on_too(size: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Fewer articles than an article has neighbours: all of them are its neighbours."""
    trained = contrast(word_vectors(), corpus(size))

    assert np.isfinite(trained).all()
    assert len(losses(capsys.readouterr().out)) == training.EPOCHS


@pytest.mark.parametrize("size", [5, 100, 180])
def test_batches_are_articles_with_their_neighbours(size: int) -> None:
    """Every article is a seed once; beside the seeds stand only such as are among the nearest of one of them."""
    vectors = encoded(word_vectors(), [one.opening for one in corpus(size)])
    order = np.random.default_rng(3).permutation(size)
    batches = list(training._batches(vectors, np.random.default_rng(3)))
    nearest = np.argsort(-(vectors @ vectors.T), axis=1)[:, : 2 * GROUP]

    assert len(batches) == -(-size // SEEDS)
    for number, batch in enumerate(batches):
        seeds = set(order[number * SEEDS : (number + 1) * SEEDS].tolist())
        neighbours = set(nearest[sorted(seeds)].ravel().tolist())
        assert seeds <= set(batch.tolist()) <= seeds | neighbours
        assert batch.tolist() == sorted(set(batch.tolist()))
        assert len(batch) <= GROUP * SEEDS


def test_the_loss_is_that_of_the_formula() -> None:
    """InfoNCE in both directions: the mean of minus log softmax at the own place, by rows and by columns."""
    chance = np.random.default_rng(4)
    one, other = (encoded(word_vectors(), chance.integers(0, WORDS, (5, 3)).tolist()) for _ in "ab")
    scale = 1.5
    likeness = np.exp(one @ other.T * np.exp(scale))
    own = np.diag(likeness)
    expected = -(np.log(own / likeness.sum(axis=1)) + np.log(own / likeness.sum(axis=0))).mean() / 2
    actual = training._apart(torch.from_numpy(one), torch.from_numpy(other), torch.tensor(scale))

    assert pytest.approx(expected, rel=1e-6) == actual.item()


def test_a_text_is_the_direction_of_the_sum_of_its_words() -> None:
    """Texts of several lengths, repeated words counting twice."""
    table = torch.nn.EmbeddingBag.from_pretrained(torch.from_numpy(word_vectors()), mode="sum")
    texts = [[3], [5, 5, 7], [1, 2, 3, 4, 5], [239]]

    np.testing.assert_allclose(
        training._encode(table, texts).numpy(), encoded(word_vectors(), texts), atol=1e-6
    )


@unhurried
@given(
    st.lists(st.integers(0, 9), max_size=4),
    st.integers(0, 2) | st.integers(OPENING_WORDS - 2, OPENING_WORDS + REST_WORDS + 5),
)
def test_an_article_is_cut_into_headline_opening_and_rest(headline: list[int], length: int) -> None:
    """The first 80 words, the next 160; a rest of under 40 words is the opening again; no part is empty."""
    parts = parts_of(headline, list(range(length)))

    if not headline or not length:
        assert parts is None
        return
    assert parts is not None
    assert parts.headline == headline
    assert parts.opening == list(range(min(length, 80)))
    assert parts.rest == (list(range(80, min(length, 240))) if length >= 80 + MIN_REST else parts.opening)


@pytest.mark.parametrize(("length", "rest"), [(119, range(80)), (120, range(80, 120)), (500, range(80, 240))])
def test_cuts_worked_by_hand(length: int, rest: range) -> None:
    """At the edges: 39 words are too few for a rest, 40 are enough, and the 240th is the last that is read."""
    assert parts_of([7], list(range(length))) == Parts([7], list(range(80)), list(rest))
