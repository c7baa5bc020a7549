"""The bundled encoder: a table with one vector a word, looked up and added up.

The folder is one of sentence-transformers (a word-level tokenizer, a static embedding in the format of model2vec, a
normalisation); `SentenceEncoder` reads it to the same codes, but with PyTorch, which takes seconds to import, and a
tokenizer that takes ten times as long as the look-up.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import load_file

from embeddings.compiled import compiled
from embeddings.encoder import BUNDLED, revision, unit
from embeddings.text import normalise, words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

_UNKNOWN = 0


class _Places(dict[str, int]):
    """The row of each word in the table; the first row, all zeros, stands for a word it does not know."""

    def __missing__(self, _word: str) -> int:
        return _UNKNOWN


class WordTable:
    """An `Encoder` whose texts are the sum of their words."""

    def __init__(self, folder: Path = BUNDLED) -> None:
        """Load the model that `embeddings.training.encoder` wrote to `folder`."""
        tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        table = load_file(folder / "model.safetensors")
        self._places = _Places(tokenizer["model"]["vocab"])
        self._codes, self._scales = table["embeddings"], table["weights"]
        self.folder = folder
        self.dimension: int = self._codes.shape[1]
        self.name: str = f"{folder.name}@{revision(folder)}"

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return one unit vector a text (see `Encoder.encode`)."""
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            tokens = words(normalise(text).lower())
            places = np.fromiter(map(self._places.__getitem__, tokens), dtype=np.int64, count=len(tokens))
            _add_up(places, self._codes, self._scales, row)
        return unit(rows)


@compiled
def _add_up(
    places: npt.NDArray[np.int64],
    codes: npt.NDArray[np.int8],
    scales: npt.NDArray[np.float32],
    total: npt.NDArray[np.float32],
) -> None:
    """Add the vectors at `places`, in their order, to `total`."""
    for place in places:
        for column in range(len(total)):
            total[column] += scales[place] * codes[place, column]
