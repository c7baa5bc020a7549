"""The demo: what a newcomer sees first has to be right."""

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from service.demo.show import ARTICLES, Demo, read_articles, run_demo

GOLD: dict[str, dict[str, Any]] = {
    article["external_id"]: article
    for article in map(json.loads, Path(ARTICLES).read_text(encoding="utf-8").splitlines())
}


@pytest.fixture(scope="module")
def told() -> Any:
    """What `benang demo --json` prints."""
    command = [sys.executable, "-m", "service.cli", "demo", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def demo() -> Demo:
    """The same with the answer to every article."""
    return run_demo(quiet=True)


def cluster_of(demo: Demo) -> dict[str, str]:
    return {outcome["external_id"]: outcome["cluster_id"] for outcome in demo.outcomes}


def test_sample_is_invented_and_complete() -> None:
    assert len(GOLD) == 64
    assert all(article["source"].endswith(".example") for article in GOLD.values())
    assert all({"cluster", "story", "copy_of"}.isdisjoint(article) for article in read_articles())


def test_every_article_is_answered(told: Any, demo: Demo) -> None:
    assert told["articles"] == 64
    assert [outcome["external_id"] for outcome in demo.outcomes] == list(GOLD)
    assert {outcome["status"] for outcome in demo.outcomes} == {"created"}


def test_the_command_tells_what_the_service_answered(told: Any, demo: Demo) -> None:
    """Two runs find the same: nothing depends on chance or on the IDs."""
    figures = {name: value for name, value in demo.as_dict().items() if name != "timelines"}
    assert {name: told[name] for name in figures} == figures
    assert told["sagas"] == len(told["timelines"])


def test_every_copy_is_found(demo: Demo) -> None:
    """Eight articles are printed by a second outlet, three of them shortened or under another title."""
    by_id = {outcome["id"]: outcome["external_id"] for outcome in demo.outcomes}
    found = {
        outcome["external_id"]: by_id[outcome["copy_of"]] for outcome in demo.outcomes if outcome["copy_of"]
    }
    assert found == {name: article["copy_of"] for name, article in GOLD.items() if article["copy_of"]}
    assert {outcome["relation"] for outcome in demo.outcomes} == {"original", "reprint"}


def test_no_cluster_mixes_two_events(demo: Demo) -> None:
    events = defaultdict(set)
    for name, cluster in cluster_of(demo).items():
        events[cluster].add(GOLD[name]["cluster"])
    assert [mixed for mixed in events.values() if len(mixed) > 1] == []


def test_look_alikes_stay_apart(demo: Demo) -> None:
    """The same words on another day are another event: exchange rates, gold, two earthquakes, two market fires."""
    clusters = cluster_of(demo)
    for prefix in ("rupiah-", "harga-emas-", "gempa-", "kebakaran-pasar-"):
        days = {
            article["cluster"]: clusters[name]
            for name, article in GOLD.items()
            if article["cluster"].startswith(prefix)
        }
        assert len(days) >= 2
        assert len(set(days.values())) == len(days)


def test_the_shipwreck_is_one_event_of_a_saga(demo: Demo, told: Any) -> None:
    """The wreck's first reports stand together, and the saga goes on to the search that found no more."""
    clusters = cluster_of(demo)
    stories = {outcome["external_id"]: outcome["story_id"] for outcome in demo.outcomes}

    assert len({clusters[name] for name in ("demo-001", "demo-002", "demo-003")}) == 1
    assert clusters["demo-001"] != clusters["demo-008"]
    assert stories["demo-001"] == stories["demo-008"]
    saga = next(timeline for timeline in told["timelines"] if "Lintang Arunika" in timeline["title"])
    assert len(saga["events"]) >= 2
    assert [event["date"] for event in saga["events"]] == sorted(event["date"] for event in saga["events"])
    titles = {article["title"] for article in GOLD.values()}
    assert {event["headline"] for timeline in told["timelines"] for event in timeline["events"]} <= titles
