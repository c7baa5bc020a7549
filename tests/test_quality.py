"""Floors on news of our own writing: a guard of the path, and not a figure of quality.

`small_gold_id.ndjson` and `small_gold_en.ndjson` are invented, small and labelled by those who wrote them. What is reached on
them says nothing about real news (`benchmarks/README.md` does); but when a change to models, search, rules or the night
breaks something, it shows here within seconds and without anyone else's texts.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from service.evaluate import Report, evaluate
from service.gold import read_gold
from service.learned import load_models
from service.settings import Settings

DATA = Path(__file__).parent / "data"
LEEWAY = 0.02
"""What a floor lies below the figure that was measured (2026-11, bundled models)."""
MARGIN = 0.1
"""By how much BCubed F1 exceeds that of every article alone."""
MEASURED: dict[str, dict[str, float]] = {
    "small_gold_id": {
        "online.bcubed": 0.950,
        "online.pairwise": 0.831,
        "online.stories_all": 0.804,
        "online.stories_labelled": 0.702,
        "nightly.bcubed": 0.960,
        "nightly.pairwise": 0.876,
        "nightly.stories_all": 0.745,
        "nightly.stories_labelled": 0.528,
        "copies": 1.0,
    },
    "small_gold_en": {
        "online.bcubed": 0.920,
        "online.pairwise": 0.773,
        "online.stories_all": 0.785,
        "online.stories_labelled": 0.753,
        "nightly.bcubed": 0.923,
        "nightly.pairwise": 0.799,
        "nightly.stories_all": 0.752,
        "nightly.stories_labelled": 0.655,
        "copies": 1.0,
    },
}


def f1(report: Report, name: str) -> float:
    found: object = report
    for part in name.split("."):
        found = getattr(found, part)
    return float(found.f1)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", MEASURED)
def test_nothing_falls_below_its_floor(name: str) -> None:
    """Each figure is at most 0.02 below the measured one, and clusters are far better than none at all."""
    gold = read_gold(DATA / f"{name}.ndjson")
    report = evaluate(gold, Settings(), models=load_models("bundled"))

    assert report.articles == len(gold) > 100
    fallen = {
        what: (measured, f1(report, what))
        for what, measured in MEASURED[name].items()
        if f1(report, what) < measured - LEEWAY
    }
    assert fallen == {}
    for scores in (report.online, report.nightly):
        assert scores.bcubed.f1 >= report.bcubed_all_singletons + MARGIN
