"""Features of pairs to calibrated probabilities: boosted trees, stored as plain numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from embeddings.compiled import compiled
from embeddings.similarity import FEATURES

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Whole = npt.NDArray[np.int64]

LEAF = -1
DECIMALS = 6
MAX_NUMBER = 1e300
_WHOLE = ("roots", "feature", "left", "right")
_REAL = ("threshold", "value")


@dataclass(frozen=True, slots=True)
class PairModel:
    """Boosted regression trees over some of `FEATURES`; their leaves add up to log-odds (Friedman 2001).

    Node i of all trees laid end to end goes to `left[i]` where feature number `feature[i]` is at most `threshold[i]`, and
    to `right[i]` otherwise; a leaf has feature -1 and adds `value[i]`. `roots` says where each tree begins, `bias` is
    added to every sum.
    """

    name: str
    features: tuple[str, ...]
    bias: float
    roots: tuple[int, ...]
    feature: tuple[int, ...]
    threshold: tuple[float, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    value: tuple[float, ...]
    _compiled: tuple[Any, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        columns = np.array([FEATURES.index(name) for name in self.features], dtype=np.int64)
        nodes = np.asarray(self.feature, dtype=np.int64)
        inner = nodes != LEAF
        nodes[inner] = columns[nodes[inner]]
        whole = (np.asarray(part, dtype=np.int64) for part in (self.roots, self.left, self.right))
        roots, left, right = whole
        threshold, value = np.asarray(self.threshold, np.float64), np.asarray(self.value, np.float64)
        object.__setattr__(self, "_compiled", (float(self.bias), roots, nodes, threshold, left, right, value))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a model written by `save`.

        Raises:
            ValueError: the file names features this version does not compute, or its trees are damaged.
        """
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict):
            raise ValueError(f"{path}: not a model")  # noqa: TRY004  a damaged file, like the others
        if {one.name for one in fields(cls) if one.init} != set(data):
            raise ValueError(f"{path}: this is no pair model of this version")
        parts: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
        }
        if not all(isinstance(parts[name], tuple) for name in ("features", *_WHOLE, *_REAL)):
            raise ValueError(f"{path}: the trees are damaged")
        unknown = [name for name in parts["features"] if name not in FEATURES]
        if unknown:
            raise ValueError(f"{path}: features {unknown} are not computed by this version")
        if not _is_sound(parts):
            raise ValueError(f"{path}: the trees are damaged")
        return cls(**parts)

    def as_dict(self) -> dict[str, Any]:
        """Return the model as JSON values."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.init}

    def save(self, path: Path) -> None:
        """Write the model as JSON, one line a field."""
        lines = (f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in self.as_dict().items())
        path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")

    def probability(self, features: Floats) -> Floats:
        """Return P(same) for each row of `Compared.features`, rounded so that ties are ties everywhere."""
        logits = _add_up(np.ascontiguousarray(features), *self._compiled)
        return np.asarray(np.round(1 / (1 + np.exp(-np.clip(logits, -50, 50))), DECIMALS))


def _is_finite(number: object) -> bool:
    return isinstance(number, int | float) and abs(number) < MAX_NUMBER


def _is_sound(parts: dict[str, Any]) -> bool:
    """Say whether every walk through the trees ends at a number: children stand behind their parent."""
    if not all(type(number) is int for name in _WHOLE for number in parts[name]):
        return False
    if not all(_is_finite(number) for number in (parts["bias"], *parts["threshold"], *parts["value"])):
        return False
    features, feature, left, right = (parts[name] for name in ("features", "feature", "left", "right"))
    nodes = len(feature)
    if {len(parts["threshold"]), len(left), len(right), len(parts["value"])} != {nodes}:
        return False
    inner = [place for place in range(nodes) if feature[place] != LEAF]
    return all(0 <= root < nodes for root in parts["roots"]) and all(
        0 <= feature[place] < len(features) and place < left[place] < nodes and place < right[place] < nodes
        for place in inner
    )


@compiled
def _add_up(
    features: Floats,
    bias: float,
    roots: Whole,
    feature: Whole,
    threshold: Floats,
    left: Whole,
    right: Whole,
    value: Floats,
) -> Floats:
    sums = np.full(len(features), bias)
    for row in range(len(features)):
        for root in roots:
            node = root
            while feature[node] != LEAF:
                node = left[node] if features[row, feature[node]] <= threshold[node] else right[node]
            sums[row] += value[node]
    return sums
