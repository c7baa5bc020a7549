"""The audit trail: everything that others may ask about, by whom and under which request, as true as what was done."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import IntegrityError
from test_api import assert_problem
from test_cli import run
from wire import FIRE, FIRE_RETOLD, FLOOD, models

from service.app import create_app
from service.desk import Desk
from service.keys import Key, digest_of
from service.model import ACTIONS
from service.settings import Settings
from service.store.engine import migrate, writer_engine
from service.store.keys import add_key
from service.store.trail import FOLDER, SCHEDULE, By, list_trail, record
from service.telemetry import Metrics

PATIENCE_S = 60
SECRET = "benang_for_the_test"
KEY = {"Authorization": f"Bearer {SECRET}"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    settings = Settings(data=tmp_path_factory.mktemp("data"), webhook_hosts="hooks.example")
    with Desk.open(settings, Metrics(), models=models()) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(desk: Desk) -> Iterator[TestClient]:
    with TestClient(create_app(desk.settings, desk), raise_server_exceptions=False) as opened:
        yield opened


def trail(client: TestClient, limit: int = 100) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = client.get(f"/v1/audit?limit={limit}", headers=KEY).json()["items"]
    return items


def post(client: TestClient, path: str, body: Any, request_id: str) -> dict[str, Any]:
    answer = client.post(path, json=body, headers={**KEY, "X-Request-ID": request_id})
    assert answer.status_code in {200, 201, 202}, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_everything_is_noted_with_its_key_and_request(desk: Desk, client: TestClient) -> None:
    """One of each action, in order, and nothing for what is only read, sent or refused."""
    desk.write(
        lambda connection: add_key(connection, Key("key_a", "", "admin", digest_of(SECRET.encode()), 0))
    ).result(PATIENCE_S)
    articles = [
        post(
            client,
            "/v1/articles",
            {"external_id": name, "source": "a.example", "title": name, "text": text},
            "in",
        )
        for name, text in (
            ("Pasar Terbakar", FIRE),
            ("Sungai Meluap", FLOOD),
            ("Pasar Rengasdengkul Terbakar", FIRE_RETOLD),
            ("Lain", "Rapat desa di balai."),
        )
    ]
    one, other, same, _ = (article["cluster_id"] for article in articles)
    assert same == one
    assert trail(client) == []

    word = {"actor": "ana"}
    merged = post(client, f"/v1/clusters/{one}/merge", word | {"other_id": other}, "r1")
    post(client, f"/v1/edits/{merged['id']}/undo", word, "r2")
    split = post(client, f"/v1/clusters/{one}/split", word | {"article_ids": [articles[2]["id"]]}, "r3")
    night = post(client, "/v1/reclusterings", {"dry_run": True}, "r4")
    hook = post(client, "/v1/webhooks", {"url": "https://hooks.example/x"}, "r5")
    gone = {**KEY, "X-Request-ID": "r6"}
    assert client.delete(f"/v1/webhooks/{hook['id']}", headers=gone).status_code == 204
    assert client.delete(f"/v1/articles/{articles[3]['id']}", headers=gone).status_code == 204
    key = post(client, "/v1/keys", {"name": "a", "scope": "read"}, "r7")
    assert client.delete(f"/v1/keys/{key['id']}", headers=gone).status_code == 204
    for path in ("articles", "webhooks", "keys"):
        assert client.delete(f"/v1/{path}/x", headers=gone).status_code == 404
    assert_problem(client.delete(f"/v1/articles/{articles[3]['id']}", headers=gone), "gone")
    assert_problem(
        client.post(f"/v1/clusters/{one}/merge", json=word | {"other_id": one}, headers=KEY), "invalid"
    )

    items = trail(client)
    assert [(item["action"], item["target"], item["request_id"]) for item in reversed(items)] == [
        ("edit.merged", merged["id"], "r1"),
        ("edit.undone", merged["id"], "r2"),
        ("edit.split", split["id"], "r3"),
        ("reclustering.started", night["id"], "r4"),
        ("webhook.created", hook["id"], "r5"),
        ("webhook.deleted", hook["id"], "r6"),
        ("article.deleted", articles[3]["id"], "r6"),
        ("key.created", key["id"], "r7"),
        ("key.revoked", key["id"], "r6"),
    ]
    assert {item["action"] for item in items} == set(ACTIONS)
    assert {item["caller"] for item in items} == {"key_a"}
    times = [item["at"] for item in items]
    assert times == sorted(times, reverse=True)
    assert SECRET not in str(items)
    assert key["secret"] not in str(items)


def test_trail_is_read_in_pages(client: TestClient) -> None:
    whole = trail(client)
    assert len(whole) >= 9
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        asked = f"/v1/audit?limit=2&cursor={cursor}" if cursor else "/v1/audit?limit=2"
        page = client.get(asked, headers=KEY).json()
        found += page["items"]
        cursor = page["next_cursor"]
    assert found == whole
    assert_problem(client.get("/v1/audit?cursor=x", headers=KEY), "invalid")


def test_scheduled_nights_are_the_service_s_own(desk: Desk, client: TestClient) -> None:
    desk._nights.join()
    run_id = desk.recluster(dry_run=True)
    desk._nights.join()
    (latest, *_) = trail(client)
    assert (latest["action"], latest["target"], latest["caller"]) == (
        "reclustering.started",
        run_id,
        SCHEDULE.caller,
    )


def test_trail_is_undone_with_what_it_tells(tmp_path: Path) -> None:
    """Both or neither: what fails after it was noted was not done."""
    engine = writer_engine(tmp_path)
    migrate(engine)
    key = Key("key_a", "", "read", b"digest", 0)
    with engine.begin() as connection:
        add_key(connection, key)
    with pytest.raises(IntegrityError), engine.begin() as connection:  # noqa: PT012  the block is the transaction
        record(connection, FOLDER, "key.created", "key_a", 1)
        add_key(connection, key)
    with engine.begin() as connection:
        assert list_trail(connection, limit=9) == ([], None)
        record(connection, By("key_a", "r1"), "key.revoked", "key_b", 1)
        items, _ = list_trail(connection, limit=9)
    assert items == [
        {
            "at": "1970-01-01T00:00:00.000001+00:00",
            "caller": "key_a",
            "action": "key.revoked",
            "target": "key_b",
            "request_id": "r1",
        }
    ]
    engine.dispose()


def test_commands_on_the_folder_are_noted(tmp_path: Path) -> None:
    """Alone, without a service: keys, editors and nights."""
    settings = Settings(data=tmp_path)
    with (
        Desk.open(settings, Metrics(), models=models()) as opened,
        TestClient(create_app(settings, opened)) as http,
    ):
        clusters = [
            http.post(
                "/v1/articles",
                json={"external_id": name, "source": "a.example", "title": name, "text": text},
            ).json()["cluster_id"]
            for name, text in (("Pasar Terbakar", FIRE), ("Sungai Meluap", FLOOD))
        ]
    for arguments in (
        ("keys", "create", "a"),
        ("merge", *clusters, "--actor", "ana"),
        ("recluster", "--dry-run"),
    ):
        result = run(*arguments, "--data", tmp_path)
        assert result.exit_code in {0, 2}, result.stderr
    told = run("audit", "--data", tmp_path).stdout
    lines = [line.split() for line in told.splitlines()]
    assert [(line[1], line[-1]) for line in lines] == [
        ("reclustering.started", "folder"),
        ("edit.merged", "folder"),
        ("key.created", "folder"),
    ]
    assert len(run("audit", "--limit", "1", "--data", tmp_path).stdout.splitlines()) == 1
