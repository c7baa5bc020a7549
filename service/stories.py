"""How much a likeness across weeks is worth.  Pure."""

from __future__ import annotations

import numpy as np
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy.typing as npt

FREE_DAYS = 3.0
LOGIT_A_DOUBLING = 0.25


def across_time(
    probability: npt.NDArray[np.float64], days: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the probability of 'same story' for clusters `days` apart, from that of clusters of one week.

    Labelled stories span days, sagas months; so the gap is no learnt feature. Every doubling of it beyond three days
    costs a fixed amount of evidence (in logits): chapters of a saga weeks apart stay together when they share names
    and topic, and a chance likeness does not grow with the archive.
    """
    odds = np.log(np.clip(probability, 1e-6, 1 - 1e-6) / np.clip(1 - probability, 1e-6, 1))
    cost = LOGIT_A_DOUBLING * np.log2(np.maximum(days, FREE_DAYS) / FREE_DAYS)
    return np.round(1 / (1 + np.exp(cost - odds)), 6)
