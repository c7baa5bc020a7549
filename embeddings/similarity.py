"""Two articles to a probability: features of the pair, then a logistic model with a calibrated output.

Lexical cosines are the backbone, dense cosine and shared names help where words differ, time and outlet decide
between look-alikes (Miranda et al. 2018; Staykovski et al. 2019).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from embeddings.encoder import CODE_MAX

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from embeddings.shared import Shared
    from embeddings.shelf import Shelf

    Rows = npt.NDArray[np.intp]
    Floats = npt.NDArray[np.float64]

WIB_HOURS = 7

FEATURES = (
    "lead_cosine",
    "whole_cosine",
    "title_cosine",
    "opening_cosine",
    "dense_cosine",
    "name_cosine",
    "shared_names",
    "key_name",
    "title_told_least",
    "title_told_most",
    "names_told_least",
    "names_told_most",
    "rarest_lead",
    "rarest_title",
    "rarest_title_name",
    "number_cosine",
    "number_conflict",
    "shared_date",
    "date_conflict",
    "log_days",
    "log_hours",
    "same_day",
    "same_outlet",
)
"""Columns of `pair_features`, in order."""

UNKNOWN_SHARE_TOLD = 0.5
"""Stands for the share of a headline's names that the other tells, where the headline has none."""


def pair_features(shelf: Shelf, left: Rows, right: Rows, look: FirstLook | None = None) -> Floats:
    """Return float64 (pairs, len(FEATURES)) for the rows `left[i]`, `right[i]` of `shelf`.

    Cosines lie in [-1, 1]; `shared_names` is log(1 + count); `key_name` is the weight of the name that matters most to
    both, times its rarity, 0 to 1. `title_told_least` and `…_most` say how much of one headline the other's lead tells,
    0 to 1, for the two directions, `names_told_…` how much of its names; `rarest_…` is the rarity of the rarest term
    both hold, 0 to 1. `number_conflict` is 1 where both name figures and share none, `date_conflict` the same of dates.
    `log_days` and `log_hours` are log(1 + time apart), `same_day` is 1 within one day of western Indonesia. Every pair is
    computed on its own, so its values do not depend on the other pairs of the call. `look` is what `first_look` said of
    the same pairs, where the caller has it.
    """
    look = look or first_look(shelf, left, right)
    terms = shelf.terms
    title, names = terms["title"].shared(left, right), terms["names"].shared(left, right)
    numbers, dates = terms["numbers"].shared(left, right), terms["dates"].shared(left, right)
    hours, outlets = shelf.hours.values, shelf.outlets.values
    apart = np.abs(hours[left] - hours[right])
    return np.column_stack(
        [
            look.lead,
            terms["whole"].shared(left, right).sums(),
            title.sums(),
            terms["opening"].shared(left, right).sums(),
            look.dense,
            names.sums(),
            np.log1p(names.counts),
            names.maxima(np.sqrt(names.products) * _rarity(shelf, names)),
            *_told(shelf, "title", left, right),
            *_told(shelf, "title_names", left, right),
            _rarest(shelf, terms["lead"].shared(left, right)),
            _rarest(shelf, title),
            _rarest(shelf, terms["title_names"].shared(left, right)),
            numbers.sums(),
            _both(shelf, "numbers", left, right) & (numbers.counts == 0),
            dates.counts > 0,
            _both(shelf, "dates", left, right) & (dates.counts == 0),
            np.log1p(apart / 24),
            np.log1p(apart),
            (hours[left] + WIB_HOURS) // 24 == (hours[right] + WIB_HOURS) // 24,
            outlets[left] == outlets[right],
        ]
    )


def _told(shelf: Shelf, field: str, left: Rows, right: Rows) -> tuple[Floats, Floats]:
    """Return the smaller and the larger share of one side's `field` that the other's lead tells."""
    column, lead = shelf.terms[field], shelf.terms["lead"]
    shares = []
    for one, other in ((left, right), (right, left)):
        told = column.shared(one, other, lead).covered()
        shares.append(np.where(column.lengths(one) > 0, told, UNKNOWN_SHARE_TOLD))
    return np.minimum(*shares), np.maximum(*shares)


def _both(shelf: Shelf, field: str, left: Rows, right: Rows) -> npt.NDArray[np.bool_]:
    column = shelf.terms[field]
    return np.asarray((column.lengths(left) > 0) & (column.lengths(right) > 0))


def _rarity(shelf: Shelf, shared: Shared) -> npt.NDArray[np.float32]:
    return np.asarray(shelf.rarity[shared.ids % len(shelf.rarity)])


def _rarest(shelf: Shelf, shared: Shared) -> Floats:
    return shared.maxima(_rarity(shelf, shared))


@dataclass(frozen=True, slots=True)
class FirstLook:
    """The two heaviest features of pairs, of which most go no further: cosines of leads and of dense codes."""

    lead: Floats
    dense: Floats

    @property
    def likeness(self) -> Floats:
        """The sum of both, from -1 to 2.

        Of the pairs that `event.json` gives a probability of 0.05 or more, 99.9 % reach 0.7; two thirds of all candidates
        do not, and need no further features.
        """
        return self.lead + self.dense

    def of(self, chosen: npt.NDArray[np.bool_]) -> FirstLook:
        """Return the look at the chosen pairs."""
        return FirstLook(self.lead[chosen], self.dense[chosen])


def first_look(shelf: Shelf, left: Rows, right: Rows) -> FirstLook:
    """Compare the rows `left[i]`, `right[i]` of `shelf` by lead and dense code alone."""
    return FirstLook(shelf.terms["lead"].shared(left, right).sums(), dense_cosine(shelf, left, right))


def dense_cosine(shelf: Shelf, left: Rows, right: Rows) -> Floats:
    """Return the cosines of the dense codes, 0 where either article has none."""
    codes, squares = shelf.codes.values, shelf.squares.values
    # Sums of whole numbers below 2 ** 24 are exact in float32, in whatever order they are added.
    wide = np.float32 if shelf.dimension * CODE_MAX**2 < 1 << 24 else np.float64
    product = np.vecdot(codes[left].astype(wide), codes[right].astype(wide)).astype(np.float64)
    norms = np.sqrt(squares[left].astype(np.float64) * squares[right].astype(np.float64))
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
