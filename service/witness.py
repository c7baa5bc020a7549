"""Who speaks for a place: the most probable partners of a member, with the likenesses by which they were judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from embeddings.similarity import FEATURES
from service.candidates import named

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from embeddings.similarity import Floats

    Numbers = npt.NDArray[np.int64]

REMEMBERED = 2
"""Partners of a member that a search remembers: nine of ten members end in a group with one of them."""
PARTS = 10_000
"""Likenesses are remembered as whole ten-thousandths, which is how they are recorded."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """The most probable partner of a member inside its own group, with the features of the pair; -1 for none."""

    place: int
    partner: int
    probability: float
    evidence: dict[str, float]

    def moved(self, by: int) -> Nearest:
        """Return the same where places are counted from `by` places earlier."""
        partner = self.partner if self.partner < 0 else self.partner + by
        return Nearest(self.place + by, partner, self.probability, self.evidence)


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Pairs (member, partner) with probability and `features` (pairs, likenesses); of a member the best first."""

    members: npt.NDArray[np.int32]
    partners: npt.NDArray[np.int32]
    probability: Floats
    features: npt.NDArray[np.int32]

    def moved(self, by: int) -> Witnesses:
        """Return the same where places are counted from `by` places earlier."""
        by_ = np.int32(by)
        return Witnesses(self.members + by_, self.partners + by_, self.probability, self.features)

    def nearest(self, asked: Numbers, groups: Numbers) -> tuple[list[Nearest], Numbers]:
        """Return the nearest of their group for those members asked who have it among these, and who has not.

        `groups` labels every member.
        """
        own = np.isin(self.members, asked) & (groups[self.members] == groups[self.partners])
        own_places = np.flatnonzero(own)
        _, first = np.unique(self.members[own_places], return_index=True)
        chosen = own_places[first]
        found = [
            Nearest(
                int(self.members[one]),
                int(self.partners[one]),
                round(float(self.probability[one]), 6),
                named(self.features[one] / PARTS),
            )
            for one in chosen.tolist()
        ]
        return found, np.setdiff1d(asked, self.members[chosen])


def witnesses_of(
    left: Numbers, right: Numbers, probability: Floats, features: Floats, most: int = REMEMBERED
) -> Witnesses:
    """Return the `most` most probable partners (ties: the first) of each left member."""
    order = np.lexsort((right, -probability, left))
    starts = np.flatnonzero(np.diff(left[order], prepend=-1))
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    best = order[rank < most]
    return Witnesses(
        left[best].astype(np.int32),
        right[best].astype(np.int32),
        probability[best],
        np.rint(features[best] * PARTS).astype(np.int32),
    )


def joined(parts: Iterable[Witnesses]) -> Witnesses:
    """Return all of them; no member may stand in two parts."""
    found = list(parts)
    if not found:
        none = np.zeros(0, dtype=np.int32)
        return Witnesses(none, none, np.zeros(0), none.reshape(0, len(FEATURES)))
    return Witnesses(
        np.concatenate([one.members for one in found]),
        np.concatenate([one.partners for one in found]),
        np.concatenate([one.probability for one in found]),
        np.concatenate([one.features for one in found]),
    )
