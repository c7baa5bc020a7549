"""How much a likeness across weeks is worth.  Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

FREE_DAYS = 3.0
COST_A_DOUBLING = 1.5
CREDIT_OF_KEY_NAME = 3.0
MAX_GAIN_A_DOUBLING = 0.2


def across_time(probability: Floats, days: Floats, key_name: Floats) -> Floats:
    """Return the probability of 'same story' for clusters `days` apart, from that of clusters of one week.

    Labelled stories span days, sagas months, so the gap is no learnt feature. With every doubling of it beyond three
    days topic says less (elections come again) and a rare name that both sides turn on says more: each doubling costs
    log-odds, less what the key name (0 to 1, see `similarity.compare`) gives back.
    """
    clipped = np.clip(probability, 1e-6, 1 - 1e-6)
    doublings = np.log2(np.maximum(days, FREE_DAYS) / FREE_DAYS)
    gain = np.minimum(CREDIT_OF_KEY_NAME * key_name - COST_A_DOUBLING, MAX_GAIN_A_DOUBLING)
    log_odds = np.log(clipped / (1 - clipped)) + gain * doublings
    return np.asarray(np.round(1 / (1 + np.exp(-log_odds)), 6))
