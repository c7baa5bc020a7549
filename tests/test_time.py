"""P13: a clock that jumps decides nothing, loses nothing and turns nothing round."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from fastapi.testclient import TestClient
from test_desk import opened
from wire import NOW, Groups, cut, faults, groups, look_alikes

from service.app import create_app
from service.store.changes import read_page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    import pytest

    from service.model import Article

JUMPS = (timedelta(0), timedelta(days=-1), timedelta(hours=1), timedelta(days=40), timedelta(days=-300))
"""Also to before what is reported happened."""
STEADY = (timedelta(0),)


def body_of(item: Article) -> dict[str, Any]:
    return {
        "external_id": item.external_id,
        "source": item.source,
        "title": item.title,
        "text": item.text,
        "published_at": item.published_at.isoformat(),
    }


def told_under(
    jumps: tuple[timedelta, ...], folder: Path, patch: pytest.MonkeyPatch
) -> tuple[Groups, list[dict[str, Any]]]:
    """Post one stream in parts while both clocks, of receipt and of the commit, jump from part to part."""
    ticks: Iterator[datetime] = (NOW + jump for jump in itertools.cycle(jumps))
    now = [NOW]
    patch.setattr("service.desk._now_us", lambda: round(now[0].timestamp() * 1_000_000))
    with opened(folder, future_tolerance_s=1e9) as desk:
        with TestClient(create_app(desk.settings, desk, clock=lambda: now[0])) as client:
            for part in cut(look_alikes(17, 60), 17):
                now[0] = next(ticks)
                items = client.post("/v1/articles/bulk", json=[body_of(item) for item in part]).json()[
                    "items"
                ]
                assert {item["status"] for item in items} == {"created"}
            listed = client.get("/v1/articles?limit=100").json()["items"]
        assert faults(desk.reader) == []
        with desk.reader.connect() as connection:
            told = read_page(connection, 0, 1000).items
        assert [one["published_at"] for one in listed] == sorted(
            (one["published_at"] for one in listed), reverse=True
        )
        return groups(desk.reader), told


def test_clock_jumps_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day back, an hour ahead, forty days ahead between requests: the groups of a steady clock, the feed in its order."""
    # A claim never lies after its receipt, so only jumps that stay behind what is reported are without effect.
    steady, told = told_under(STEADY, tmp_path / "steady", monkeypatch)
    jumped, told_too = told_under(JUMPS[:4], tmp_path / "jumped", monkeypatch)

    assert jumped == steady
    assert [one["kind"] for one in told_too] == [one["kind"] for one in told]
    assert [one["seq"] for one in told_too] == [*range(1, len(told) + 1)]
    assert [one["at"] for one in told_too] != sorted(one["at"] for one in told_too), "the clock never jumped"


def test_a_clock_before_the_news_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Received before they happened: their claims are not believed, and every one is stored, grouped and told of."""
    found, told = told_under(JUMPS, tmp_path, monkeypatch)

    assert len(found.revisions) == 60
    assert sum(one["kind"] == "article.assigned" for one in told) == 60
