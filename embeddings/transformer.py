"""A small transformer that reads openings: headline and first words to one vector.

A BERT (Devlin et al. 2019) whose last states are averaged, as multilingual E5 does (Wang et al. 2024). Each text is read by
itself, so that its vector does not depend on what else is asked. Weights are whole numbers with one scale a block of 32
columns: of four bits where those suffice, else of eight.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from embeddings.bundle import check_bundle
from embeddings.encoder import ModelError, revision, unit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

READER = Path(__file__).parent / "models" / "id-news-reader"
BLOCK = 32
_NIBBLES, _CODES, _SCALES = ".nibbles", ".codes", ".scales"
_TOP = 7
_HIGH = 4


class Transformer:
    """An `Encoder` whose texts are openings (`opening_of`)."""

    def __init__(self, folder: Path = READER) -> None:
        """Load what `embeddings.training.transformer` wrote to `folder`; from then on torch uses one thread.

        Raises:
            ModelError: it is missing or damaged.
        """
        # torch takes seconds to import: only who reads pays for it.
        import torch  # noqa: PLC0415

        from embeddings.layers import Layers  # noqa: PLC0415

        check_bundle(folder)
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            self.lead_words: int = config["lead_words"]
            share, likeness, constant = config["adds"]
            self.adds = (float(share), float(likeness), float(constant))
            """How the cosine of two openings adds to log-odds of 'same event': factors of both, and a constant."""
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._tokenizer.enable_truncation(config["most_tokens"])
            weights = unpacked(load_file(folder / "model.safetensors"))
            self._layers = Layers(weights, config["layers"], config["heads"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"The transformer in {folder} cannot be loaded: {error}") from error
        # Two threads read a quarter more than one and hang processes that are forked off; two processes read twice as much.
        torch.set_num_threads(1)
        self.dimension: int = weights["word"].shape[1]
        self.name: str = f"{folder.name}@{revision(folder)}"

    def encode(self, texts: Sequence[str]) -> Floats:
        """Return one unit vector a text (see `Encoder.encode`)."""
        import torch  # noqa: PLC0415

        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        with torch.inference_mode():
            for row, text in zip(rows, texts, strict=True):
                states = self._layers.embedded(self._tokenizer.encode(text).ids)
                row[:] = self._layers.through(states[None], 0, self._layers.count)[0].mean(0).numpy()
        return unit(rows)


def opening_of(title: str, text: str, lead_words: int) -> str:
    """Return what is read of an article: the headline and the first words."""
    return f"{title}. {' '.join(text.split(maxsplit=lead_words)[:lead_words])}"


def packed(weights: Mapping[str, Floats]) -> dict[str, npt.NDArray[np.generic]]:
    """Return matrices (rows, a multiple of 32) as blocks of whole numbers with float16 scales, and vectors as they are.

    A matrix each of whose blocks is a scale times numbers from -8 to 7 takes four bits a number, and loses nothing.
    """
    found: dict[str, npt.NDArray[np.generic]] = {}
    for name, value in weights.items():
        if value.ndim == 1:
            found[name] = value
            continue
        blocks = value.reshape(len(value), -1, BLOCK)
        small, scales = _in_four_bits(blocks)
        if np.array_equal(small * scales.astype(np.float32), blocks):
            whole = (small.astype(np.int8) + _TOP + 1).astype(np.uint8).reshape(len(value), -1)
            found[name + _NIBBLES] = whole[:, ::2] | whole[:, 1::2] << _HIGH
        else:
            most = np.iinfo(np.int8).max
            scales = (np.abs(blocks).max(axis=2, keepdims=True) / most).astype(np.float16)
            whole = np.clip(_whole(blocks, scales), -most, most)  # a scale may have been rounded down
            found[name + _CODES] = whole.astype(np.int8).reshape(value.shape)
        found[name + _SCALES] = scales[..., 0]
    return found


def unpacked(stored: Mapping[str, npt.NDArray[np.generic]]) -> dict[str, Floats]:
    """Return as float32 what `packed` made."""
    found: dict[str, Floats] = {}
    for name, value in stored.items():
        whole, _, form = name.rpartition(".")
        if f".{form}" == _NIBBLES:
            bytes_ = value.astype(np.uint8)
            halves = np.stack([bytes_ & 15, bytes_ >> _HIGH], axis=-1)
            numbers = halves.reshape(len(value), -1).astype(np.float32) - (_TOP + 1)
        elif f".{form}" == _CODES:
            numbers = value.astype(np.float32)
        else:
            if f".{form}" != _SCALES:
                found[name] = value.astype(np.float32)
            continue
        scales = stored[whole + _SCALES].astype(np.float32)
        blocks = numbers.reshape(*scales.shape, BLOCK)
        found[whole] = (blocks * scales[..., None]).reshape(numbers.shape)
    return found


def _in_four_bits(blocks: Floats) -> tuple[Floats, npt.NDArray[np.float16]]:
    """Return blocks as numbers from -8 to 7 and their scales, as near as that goes (the format Q4_0 of GGML).

    There the number of largest size is -8.
    """
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=2)[..., None], axis=2)
    scales = (largest / -(_TOP + 1)).astype(np.float16)
    return np.clip(_whole(blocks, scales), -_TOP - 1, _TOP), scales


def _whole(blocks: Floats, scales: npt.NDArray[np.float16]) -> Floats:
    wide = scales.astype(np.float32)
    return np.rint(np.divide(blocks, wide, out=np.zeros_like(blocks), where=wide != 0))
