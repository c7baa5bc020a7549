"""The transformer that reads openings: the same states as the library's, each text by itself, whole or not at all."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.numpy import load_file
from transformers import BertConfig, BertModel

from embeddings.encoder import ModelError
from embeddings.transformer import BLOCK, READER, Transformer, opening_of, packed, unpacked

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = [
    "Kapal Feri Lintang tenggelam di Selat Sunda. Tujuh penumpang tewas, kata Basarnas, Minggu (8/2).",
    "“GEMPA”—Guncang (kota)! Rp2.500 – naik 3,5 persen",
    "",
    "zxqv wvuqx 你好 \U0001f600",
    "jakarta " * 500,
]
PLACES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "heard": "attention.output.dense",
    "attended": "attention.output.LayerNorm",
    "inner": "intermediate.dense",
    "outer": "output.dense",
    "done": "output.LayerNorm",
}


@pytest.fixture(scope="module")
def transformer() -> Transformer:
    return Transformer()


@pytest.fixture(scope="module")
def library() -> BertModel:
    """The same weights in the model of the transformers library."""
    weights = {
        name: torch.from_numpy(one) for name, one in unpacked(load_file(READER / "model.safetensors")).items()
    }
    words, width = weights["word"].shape
    layers = 1 + max(int(name.split(".")[0]) for name in weights if name[0].isdigit())
    config = BertConfig(
        vocab_size=words,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=12,
        intermediate_size=len(weights["0.inner.weight"]),
        max_position_embeddings=len(weights["position"]),
    )
    model: BertModel = BertModel(config, add_pooling_layer=False)
    state = {
        "embeddings.word_embeddings.weight": weights["word"],
        "embeddings.position_embeddings.weight": weights["position"],
        "embeddings.token_type_embeddings.weight": torch.zeros(2, width),
        "embeddings.LayerNorm.weight": weights["embedded.weight"],
        "embeddings.LayerNorm.bias": weights["embedded.bias"],
    }
    for layer in range(layers):
        for name, place in PLACES.items():
            for kind in ("weight", "bias"):
                state[f"encoder.layer.{layer}.{place}.{kind}"] = weights[f"{layer}.{name}.{kind}"]
    model.load_state_dict(state)
    model.train(mode=False)
    return model


def test_vectors_are_the_mean_of_the_librarys_states(transformer: Transformer, library: BertModel) -> None:
    """Our own layers are those of BERT."""
    for text, ours in zip(TEXTS, transformer.encode(TEXTS), strict=True):
        with torch.inference_mode():
            tokens = torch.tensor([transformer._tokenizer.encode(text).ids])
            theirs = torch.nn.functional.normalize(library(tokens).last_hidden_state[0].mean(0), dim=0)
        np.testing.assert_allclose(ours, theirs.numpy(), atol=2e-5)


def test_vectors_do_not_depend_on_the_batch(transformer: Transformer) -> None:
    """A text has the same vector, to the last bit, alone and among others; every one has length 1."""
    together = transformer.encode(TEXTS)

    np.testing.assert_array_equal(np.concatenate([transformer.encode([text]) for text in TEXTS]), together)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    assert transformer.encode([]).shape == (0, transformer.dimension)


def test_likeness_is_what_a_reader_would_say(transformer: Transformer) -> None:
    """One event in other words is nearer than another event of the same kind."""
    told, retold, other = transformer.encode(
        [
            "Feri Lintang karam di Selat Sunda, tujuh orang meninggal. Kapal penyeberangan itu terbalik dihantam ombak.",
            "Tujuh penumpang tewas dalam tenggelamnya KMP Lintang. Badan SAR mengevakuasi korban dari perairan Sunda.",
            "Bus Sinar Kelana terguling di Tol Cipali, tujuh orang meninggal. Polisi memeriksa sopir bus itu.",
        ]
    )

    assert told @ retold > told @ other


def test_an_opening_is_the_headline_and_the_first_words() -> None:
    assert opening_of("Judul", "satu  dua\ntiga empat", 3) == "Judul. satu dua tiga"
    assert opening_of("", "", 3) == ". "


@given(
    arrays.arrays(np.int8, (3, 2 * BLOCK), elements=st.integers(-8, 7)),
    arrays.arrays(np.float16, (3, 2), elements=st.floats(2**-10, 4, width=16)),
)
@settings(max_examples=50)
def test_what_fits_into_four_bits_loses_nothing(whole: np.ndarray, scales: np.ndarray) -> None:
    """Numbers from -8 to 7 times a scale, -8 among them, come back as they were."""
    whole[:, ::BLOCK] = -8
    matrix = (whole.reshape(3, 2, BLOCK) * scales.astype(np.float32)[..., None]).reshape(whole.shape)
    stored = packed({"a.weight": matrix, "a.bias": scales[:, 0].astype(np.float32)})

    assert "a.weight.nibbles" in stored
    np.testing.assert_array_equal(unpacked(stored)["a.weight"], matrix)
    np.testing.assert_array_equal(unpacked(stored)["a.bias"], scales[:, 0])


@given(arrays.arrays(np.float32, (2, BLOCK), elements=st.floats(-8, 8, width=32)))
@settings(max_examples=50)
def test_what_does_not_is_a_hundredth_off_at_most(matrix: np.ndarray) -> None:
    """Eight bits a number: half a step of a 127th of the largest of its block, and what the scale is rounded by."""
    stored = packed({"a": matrix})

    largest = np.abs(matrix).max(axis=1, keepdims=True)
    assert (np.abs(unpacked(stored)["a"] - matrix) <= largest / 127 * 0.6 + 1e-4).all()


def test_a_damaged_model_is_refused(tmp_path: Path) -> None:
    """One bit off, or a file gone, is told with what to do."""
    folder = tmp_path / "reader"
    shutil.copytree(READER, folder)
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1000] ^= 1
    weights.write_bytes(data)

    with pytest.raises(ModelError, match=r"model\.safetensors is damaged"):
        Transformer(folder)
    weights.unlink()
    with pytest.raises(ModelError, match="not whole"):
        Transformer(folder)


def test_pytorch_is_not_imported_by_a_night_that_reads_nothing() -> None:
    code = "import sys, service.shift; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
