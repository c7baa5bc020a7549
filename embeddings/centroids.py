"""Where codes gather: fixed points by which a large index sorts its rows, so that a search looks near the query alone.

They were learnt once, from a corpus (`embeddings/training/centroids.py`), and depend on nothing that is stored: any order
of adding, and any rebuild, puts a row into the same list.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
from safetensors import safe_open

from embeddings.encoder import BUNDLED, CENTROIDS

if TYPE_CHECKING:
    import numpy.typing as npt

    Codes = npt.NDArray[np.int8]
    Numbers = npt.NDArray[np.int64]


class Centroids:
    """Centroids of one encoder's codes."""

    def __init__(self, codes: Codes) -> None:
        """Take centroids as int8 (lists, dimension)."""
        self._rows = np.ascontiguousarray(codes, dtype=np.float32)

    def __len__(self) -> int:
        return len(self._rows)

    def nearest(self, codes: npt.NDArray[np.int8] | npt.NDArray[np.float32], count: int) -> Numbers:
        """Return, for each of `codes`, the numbers of the `count` centroids of largest product, the largest first.

        Products are whole numbers, exact in float32: of equal ones the same is taken whatever the batch.
        """
        codes = codes.astype(np.float32)
        # A single code is not worth waking the threads of a matrix product.
        products = np.einsum("ij,kj->ik", codes, self._rows) if len(codes) == 1 else codes @ self._rows.T
        if count == 1:
            return np.asarray(np.argmax(products, axis=1)[:, None], dtype=np.int64)
        nearest = np.argpartition(products, -min(count, len(self)), axis=1)[:, -count:]
        order = np.argsort(-np.take_along_axis(products, nearest, axis=1), axis=1, kind="stable")
        return np.asarray(np.take_along_axis(nearest, order, axis=1), dtype=np.int64)


@functools.cache
def centroids_for(encoder: str) -> Centroids | None:
    """Return the centroids of the encoder of this name; None where none were learnt for it."""
    with safe_open(BUNDLED / CENTROIDS, "np") as file:
        if file.metadata()["encoder"] != encoder:
            return None
        return Centroids(file.get_tensor("centroids"))
