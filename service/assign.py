"""Which group does an article belong to?  Pure: one rule for clusters and stories, two settings of it.

Each candidate speaks for its group with the probability that the pair belongs together. A group's support mixes its
best voice with the mean of its best few, so that neither one chance likeness nor a drifting centre decides. The best
group is joined if its support reaches the cut; otherwise the article opens a group of its own.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Voice(NamedTuple):
    """One candidate: its row, the group it speaks for, and the probability of belonging together."""

    row: int
    group: int
    probability: float


@dataclass(frozen=True, slots=True)
class Choice:
    """The outcome: the group joined (None: open one), its support, and what else came close."""

    group: int | None
    support: float
    nearest: Voice | None
    runner_up: int | None


@dataclass(frozen=True, slots=True)
class Rule:
    """`cut` in (0, 1); the mean of the best `depth` voices weighs `mean_weight`, the best voice the rest."""

    cut: float
    depth: int
    mean_weight: float


def event_rule(cut: float) -> Rule:
    """Return the rule by which an article joins a cluster."""
    return Rule(cut, depth=5, mean_weight=0.5)


def story_rule(cut: float) -> Rule:
    """Return the rule by which a cluster joins a story: sagas are chains, so the best voice decides."""
    return Rule(cut, depth=1, mean_weight=0.0)


def choose(voices: Sequence[Voice], size: Callable[[int], int], rule: Rule) -> Choice:
    """Return the group to join, by `rule`; `size(group)` counts its members, silent ones included.

    Members that no search proposed count as probability 0. Equal support goes to the group of the lowest row.
    """
    groups: dict[int, list[Voice]] = defaultdict(list)
    for voice in voices:
        groups[voice.group].append(voice)
    if not groups:
        return Choice(None, 0.0, None, None)
    ranked = sorted(
        [
            (-_support(members, size(group), rule), min(voice.row for voice in members), group)
            for group, members in groups.items()
        ]
    )
    support, group = -ranked[0][0], ranked[0][2]
    nearest = min(groups[group], key=lambda voice: (-voice.probability, voice.row))
    runner_up = ranked[1][2] if len(ranked) > 1 else None
    return Choice(group if support >= rule.cut else None, round(support, 6), nearest, runner_up)


def _support(voices: Sequence[Voice], size: int, rule: Rule) -> float:
    if len(voices) == 1:  # most have one
        best = total = voices[0].probability
    else:
        loudest = sorted([voice.probability for voice in voices], reverse=True)[: rule.depth]
        best, total = loudest[0], sum(loudest)
    return (1 - rule.mean_weight) * best + rule.mean_weight * (total / min(max(size, 1), rule.depth))
