"""The files to deploy from: what they name is there, and what is there they show."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from service.telemetry import Metrics

DEPLOY = Path(__file__).resolve().parents[1] / "docs" / "deploy"


def panels() -> Iterator[dict[str, Any]]:
    dashboard = json.loads((DEPLOY / "grafana.json").read_text(encoding="utf-8"))
    yield from (one for one in dashboard["panels"] if one["type"] != "row")


def samples() -> dict[str, set[str]]:
    """The names under which Prometheus stores what the service tells, and their labels; each metric has moved once."""
    metrics = Metrics()
    metrics.accepted("created", "original")
    metrics.refused("invalid")
    metrics.answered(route="/livez", method="GET", status=200, seconds=0.1)
    metrics.describe_build(version="1", model="bundled", store="sqlite")
    metrics.stage_seconds.labels(stage="encode").observe(0.1)
    found: dict[str, set[str]] = {}
    for family in metrics.registry.collect():
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_the_dashboard_asks_for_what_is_there() -> None:
    """Every metric and label it names is one of the service's, in one job; panels do not lie on each other."""
    known = samples()
    for panel in panels():
        for target in panel["targets"]:
            names = re.findall(r"\b((?:benang|process)_\w+)\{", target["expr"])
            labels = set().union(*(known[name] for name in names))
            by = re.findall(r"by \(([\w, ]+)\)", target["expr"])
            assert names, target["expr"]
            assert target["expr"].count('{job="$job"') == len(names)
            assert {one for part in by for one in part.split(", ")} <= labels
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels())
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(taken) == len(set(taken))


def test_the_dashboard_shows_every_metric() -> None:
    shown = " ".join(target["expr"] for panel in panels() for target in panel["targets"])
    own = [family.name for family in Metrics().registry.collect() if family.name.startswith("benang_")]

    assert [name for name in own if not re.search(rf"\b{name}(_total|_bucket)?\{{", shown)] == []


def test_alerts_ask_for_what_is_there() -> None:
    """Each rule has a sentence and something to do, and names metrics of the service alone."""
    groups = yaml.safe_load((DEPLOY / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    known = samples().keys()
    rules = [rule for group in groups for rule in group["rules"]]
    assert rules
    for rule in rules:
        assert set(re.findall(r"\bbenang_\w+", rule["expr"])) <= known
        assert rule["expr"].startswith("up{") or "benang_" in rule["expr"]
        assert rule["annotations"].keys() == {"summary", "action"}
