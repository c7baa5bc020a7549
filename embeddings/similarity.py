"""Two articles to a probability: features of the pair, then a logistic model with a calibrated output.

Lexical cosines are the backbone, dense cosine and shared names help where words differ, time and outlet decide
between look-alikes (Miranda et al. 2018; Staykovski et al. 2019).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from embeddings.shelf import Shelf

    Rows = npt.NDArray[np.intp]
    Floats = npt.NDArray[np.float64]

FEATURES = (
    "lead_cosine",
    "whole_cosine",
    "title_cosine",
    "dense_cosine",
    "name_cosine",
    "shared_names",
    "key_name",
    "number_cosine",
    "number_conflict",
    "log_days",
    "same_outlet",
)
"""Columns of `pair_features`, in order."""


def pair_features(shelf: Shelf, left: Rows, right: Rows) -> Floats:
    """Return float64 (pairs, len(FEATURES)) for the rows `left[i]`, `right[i]` of `shelf`.

    Cosines lie in [-1, 1]; `shared_names` is log(1 + count); `key_name` is the weight of the name that matters most to both,
    times its rarity, 0 to 1; `number_conflict` is 1 where both name figures and share
    none; `log_days` is log(1 + days apart). Every pair is computed on its own, so its values do not depend on the
    other pairs of the call.
    """
    if len(left) == 0:  # scipy refuses matrices without rows
        return np.zeros((0, len(FEATURES)))
    products = {}
    for name, column in shelf.terms.items():
        a, b = column.gather(left), column.gather(right)
        shared = a.multiply(b)
        products[name] = np.asarray(shared.sum(axis=1), dtype=np.float64).ravel()
        if name == "names":
            shared = shared.tocsr()
            shared_names = np.log1p(np.diff(shared.indptr))
            key_name = _row_maxima(
                np.sqrt(shared.data) * shelf.rarity[shared.indices % len(shelf.rarity)], shared.indptr
            )
        elif name == "numbers":
            both = (np.diff(a.indptr) > 0) & (np.diff(b.indptr) > 0)
            conflict = both & (products[name] <= 0)
    hours = np.asarray(shelf.hours.values, dtype=np.float64)
    outlets = shelf.outlets.values
    return np.column_stack(
        [
            products["lead"],
            products["whole"],
            products["title"],
            dense_cosine(shelf, left, right),
            products["names"],
            shared_names,
            key_name,
            products["numbers"],
            conflict,
            np.log1p(np.abs(hours[left] - hours[right]) / 24),
            outlets[left] == outlets[right],
        ]
    )


def likeness(shelf: Shelf, left: Rows, right: Rows) -> Floats:
    """Return lead cosine plus dense cosine of each pair, from -1 to 2: a cheap first look.

    Of the pairs that `event.json` gives a probability of 0.05 or more, 99.9 % reach 0.7; two thirds of all candidates
    do not, and need no further features.
    """
    if len(left) == 0:
        return np.zeros(0)
    lead = shelf.terms["lead"]
    product = lead.gather(left).multiply(lead.gather(right))
    return np.asarray(product.sum(axis=1), dtype=np.float64).ravel() + dense_cosine(shelf, left, right)


def _row_maxima(values: Floats, indptr: npt.NDArray[np.integer[Any]]) -> Floats:
    """Return the largest value of each compressed row, 0 for an empty one."""
    maxima = np.zeros(len(indptr) - 1)
    filled = np.flatnonzero(np.diff(indptr))
    if len(filled):
        maxima[filled] = np.maximum.reduceat(values, indptr[filled])
    return maxima


def dense_cosine(shelf: Shelf, left: Rows, right: Rows) -> Floats:
    """Return the cosines of the dense codes, 0 where either article has none."""
    a, b = shelf.codes.values[left].astype(np.int32), shelf.codes.values[right].astype(np.int32)
    product = np.einsum("ij,ij->i", a, b).astype(np.float64)
    norms = np.sqrt(
        np.einsum("ij,ij->i", a, a).astype(np.float64) * np.einsum("ij,ij->i", b, b).astype(np.float64)
    )
    return np.asarray(np.divide(product, norms, out=np.zeros_like(product), where=norms > 0))


@dataclass(frozen=True, slots=True)
class PairModel:
    """A logistic model over some of `FEATURES`, stored as plain numbers."""

    name: str
    features: tuple[str, ...]
    weights: tuple[float, ...]
    bias: float

    @classmethod
    def load(cls, path: Path) -> PairModel:
        """Read a model written by `save`.

        Raises:
            ValueError: the file names features this version does not compute.
        """
        data = json.loads(path.read_text(encoding="utf-8"))
        unknown = set(data["features"]) - set(FEATURES)
        if unknown or len(data["features"]) != len(data["weights"]):
            raise ValueError(f"{path}: features {sorted(unknown)} are not computed by this version")
        return cls(data["name"], tuple(data["features"]), tuple(data["weights"]), float(data["bias"]))

    def save(self, path: Path) -> None:
        """Write the model as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    def probability(self, features: Floats) -> Floats:
        """Return P(same) for each row of `pair_features`, rounded so that ties are ties everywhere."""
        columns = [FEATURES.index(name) for name in self.features]
        # A sum over columns, not a matrix product: BLAS may add in another order for another number of rows.
        logits = np.full(len(features), self.bias)
        for column, weight in zip(columns, self.weights, strict=True):
            logits = logits + features[:, column] * weight
        return np.asarray(np.round(1 / (1 + np.exp(-np.clip(logits, -50, 50))), 6))
