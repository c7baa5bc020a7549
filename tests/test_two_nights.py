"""Labelled news over two nights: IDs stay, every ID resolves, nothing flickers, and the groups get better."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.nights import Kept, kept, nights
from service.gold import read_gold
from service.settings import Settings

DEV = Path(__file__).parents[2] / "shared" / "gold" / "dev.ndjson.gz"


def test_kept_by_hand() -> None:
    """Two articles stay together under one ID, a third stays alone under another, a pair is torn."""
    before = {"a": ("1", "s"), "b": ("1", "s"), "c": ("2", "s"), "d": ("3", "s"), "e": ("3", "s")}
    after = {"a": ("1", "s"), "b": ("1", "s"), "c": ("4", "s"), "d": ("3", "s"), "e": ("5", "s")}

    assert kept(before, after, 0) == Kept(3, 2)
    assert kept(before, after, 1) == Kept(5, 5)
    assert Kept(0, 0).share == 1


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.timeout(900)
def test_two_nights_on_labelled_news() -> None:
    if not DEV.exists():
        pytest.skip("third-party news is not beside the checkout")
    gold = read_gold(DEV)
    first, second, nothing_new = nights(gold, Settings())

    for night in (first, second, nothing_new):
        assert night.clusters.share >= 0.99
        assert night.stories.share >= 0.99
        assert night.resolving == night.answered
    assert nothing_new.moved == 0
    assert nothing_new.clusters == Kept(len(gold), len(gold))
    assert nothing_new.scores == second.scores
    assert second.scores.bcubed.f1 >= 0.88
    assert second.scores.pairwise.f1 >= 0.575
