"""How much a likeness across days and weeks is worth.  Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

LEARNT_DAYS = 2.0
COST_OF_DAYS = 2.17
FREE_DAYS = 3.0
COST_A_DOUBLING = 1.5
CREDIT_OF_KEY_NAME = 3.0
MAX_GAIN_A_DOUBLING = 0.2


def across_days(probability: Floats, days: Floats) -> Floats:
    """Return the probability of 'same event' for articles `days` apart, from what a pair model says of them.

    Labelled files span two to four days and trees go on level beyond what they have seen, so a report of next week would
    count as one of the day after tomorrow. Beyond two days log(1 + days) costs log-odds, as many as a logistic model
    gave it on the same labels.
    """
    clipped = np.clip(probability, 1e-6, 1 - 1e-6)
    beyond = np.log1p(np.maximum(days, LEARNT_DAYS)) - np.log1p(LEARNT_DAYS)
    log_odds = np.log(clipped / (1 - clipped)) - COST_OF_DAYS * beyond
    return np.where(beyond > 0, np.round(1 / (1 + np.exp(-log_odds)), 6), probability)


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
