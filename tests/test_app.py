"""The whole service with the real desk and the bundled model: what is posted is what is read."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from test_api import assert_problem

from service.app import create_app
from service.settings import Settings

DEMO = Path(__file__).resolve().parents[1] / "service" / "demo" / "articles.ndjson"
GOLD_ONLY = ("cluster", "story", "copy_of")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    app = create_app(Settings(data=tmp_path_factory.mktemp("data")))
    with TestClient(app, raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture(scope="module")
def posted(client: TestClient) -> list[dict[str, Any]]:
    lines = DEMO.read_text(encoding="utf-8").splitlines()
    articles = [{k: v for k, v in json.loads(line).items() if k not in GOLD_ONLY} for line in lines]
    answer = client.post("/v1/articles/bulk", json=articles)
    assert not answer.json()["errors"]
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_every_posted_article_is_read_back(client: TestClient, posted: list[dict[str, Any]]) -> None:
    shared = (
        "id",
        "external_id",
        "url",
        "source",
        "title",
        "published_at",
        "relation",
        "copy_of",
        "cluster_id",
        "story_id",
    )
    for item in posted:
        found = client.get(f"/v1/articles/{item['id']}").json()
        assert {name: item[name] for name in shared} == {name: found[name] for name in shared}


def test_posting_again_changes_nothing(client: TestClient, posted: list[dict[str, Any]]) -> None:
    line = DEMO.read_text(encoding="utf-8").splitlines()[3]
    body = {k: v for k, v in json.loads(line).items() if k not in GOLD_ONLY}
    answer = client.post("/v1/articles", json=body)

    assert (answer.status_code, answer.json()["status"]) == (200, "unchanged")
    assert (posted[3]["id"], posted[3]["cluster_id"]) == (answer.json()["id"], answer.json()["cluster_id"])


def test_groups_add_up(client: TestClient, posted: list[dict[str, Any]]) -> None:
    """Counts of clusters and stories are those of the articles that were answered."""
    for kind, key in (("clusters", "cluster_id"), ("stories", "story_id")):
        expected = Counter(item[key] for item in posted)
        found = client.get(f"/v1/{kind}?limit=100").json()["items"]
        assert dict(expected) == {one["id"]: one["article_count"] for one in found}
    for story in {item["story_id"] for item in posted}:
        events = client.get(f"/v1/stories/{story}/timeline").json()["events"]
        inside = {item["cluster_id"] for item in posted if item["story_id"] == story}
        assert inside == {one["cluster_id"] for one in events}


def test_every_article_is_explained(client: TestClient, posted: list[dict[str, Any]]) -> None:
    for item in posted:
        found = client.get(f"/v1/articles/{item['id']}/explanation").json()
        assert item["probability"] == found["cluster"]["probability"]
        assert item["cluster_id"] == found["cluster_id"]


def test_explanations_are_sentences(client: TestClient, posted: list[dict[str, Any]]) -> None:
    """Each names the article it turned on by its headline, and says by how much."""
    titles = {item["id"]: item["title"] for item in posted}
    rules = set()
    for item in posted:
        found = client.get(f"/v1/articles/{item['id']}/explanation").json()
        for decision in (found["cluster"], found["story"]):
            told = " ".join(decision["sentences"])
            rules.add(decision["rule"])
            if decision["nearest"] is None:
                assert decision["comparison"] is None
                assert "no earlier" in told or "never join" in told
                continue
            assert titles[decision["nearest"]] == decision["nearest_title"]
            assert f"“{decision['nearest_title']}”" in told
            assert decision["rule"] == "copy" or f"{decision['threshold']:.2f} is needed" in told
            assert decision["comparison"]["shared_word_count"] > 0
    assert rules == {"opened", "joined", "copy"}


def test_service_is_ready_and_counts(client: TestClient, posted: list[dict[str, Any]]) -> None:
    assert all(client.get("/readyz").json()["conditions"].values())
    metrics = client.get("/metrics").text
    assert f'benang_articles_total{{status="created"}} {len(posted)}.0' in metrics
    assert 'benang_build_info{model="' in metrics


def test_deleted_article_leaves_its_cluster(client: TestClient, posted: list[dict[str, Any]]) -> None:
    """Runs last: the others count what was posted."""
    crowd = Counter(item["cluster_id"] for item in posted)
    cluster, before = crowd.most_common(1)[0]
    gone = next(item["id"] for item in posted if item["cluster_id"] == cluster)

    assert client.delete(f"/v1/articles/{gone}").status_code == 204
    assert_problem(client.get(f"/v1/articles/{gone}"), "gone")
    assert client.get(f"/v1/clusters/{cluster}").json()["article_count"] == before - 1
    assert client.get("/v1/stats").json()["article_count"] == len(posted) - 1
