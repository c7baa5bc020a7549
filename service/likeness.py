"""How alike two groups are: what their pairs, sizes and outlets say, weighed by a logistic model.  Pure, compiled."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from embeddings.compiled import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

EVIDENCE = (
    "best pair",
    "mean of all pairs",
    "size of the larger",
    "size of the smaller",
    "outlets in both",
    "outlets in all",
    "mean within the larger",
    "mean within the smaller",
)
"""What is known of two groups: probabilities between them as log-odds, sizes as logarithms; pairs never compared are 0."""
EVENT_WEIGHTS = (1.169, 0.033, 1.02, 0.037, -0.168, -0.211, 0.307, -1.654, 0.149)
"""A constant and the weights of `EVIDENCE`; fitted on labelled events by `make benchmark-linkage`."""
_LEAST, _MOST = 0.01, 0.99


@compiled
def evidence(
    sizes: tuple[float, float],
    within: tuple[float, float],
    best: float,
    total: float,
    shared: float,
    outlets: float,
) -> Floats:
    """Return the evidence (8,) of two groups of `sizes`, whose own pairs add up to `within` in either.

    The pairs between them add up to `total`; `shared` of all their `outlets` are in both.
    """
    large, small = (0, 1) if sizes[0] >= sizes[1] else (1, 0)
    pairs = sizes[0] * sizes[1]
    return np.array(
        [
            _log_odds(best),
            _log_odds(total / pairs),
            math.log(sizes[large]),
            math.log(sizes[small]),
            shared,
            outlets,
            _mean_within(within[large], sizes[large]),
            _mean_within(within[small], sizes[small]),
        ]
    )


@compiled
def weighed(weights: Floats, known: Floats) -> float:
    """Return how probable it is that two groups belong together, by `weights` (9,) and their evidence (8,)."""
    log_odds = weights[0]
    for place in range(len(known)):
        log_odds += weights[place + 1] * known[place]
    return 1 / (1 + math.exp(-log_odds))


@compiled
def _log_odds(chance: float) -> float:
    clipped = min(max(chance, _LEAST), _MOST)
    return math.log(clipped / (1 - clipped))


@compiled
def _mean_within(total: float, size: float) -> float:
    return 1.0 if size == 1 else total / (size * (size - 1) / 2)
