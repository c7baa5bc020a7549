"""A process that only reads: the writer's answers, its news, and nothing that writes."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from places import place_of, settings_of
from pydantic import SecretStr
from served import served
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError
from test_desk import opened, post
from test_stream import heard, listening
from wire import dump, look_alikes

from service import app as wiring
from service.app import create_app
from service.readonly import ReadingDesk
from service.settings import Settings
from service.store.failures import StoreError
from service.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from service.desk import Desk

pytestmark = pytest.mark.usefixtures("database")
ROUTES = [
    (method, route.path)
    for router in wiring._ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in route.methods or ()
]
OWN = {"/readyz", "/metrics", "/v1/changes/stream", "/v1/articles/{article_id}/similar"}
"""What each process answers for itself."""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Desk]:
    with opened(tmp_path) as one:
        post(one, *look_alikes(5, 40, revise=True))
        yield one


@pytest.fixture
def reading(writer: Desk, tmp_path: Path) -> Iterator[ReadingDesk]:
    with ReadingDesk.open(settings_of(tmp_path, read_only=True), Metrics()) as one:
        yield one


def ids_of(client: TestClient) -> dict[str, str]:
    """An ID for every kind that a route asks for."""
    first = client.get("/v1/articles").json()["items"][0]
    return {"article": first["id"], "cluster": first["cluster_id"], "story": first["story_id"]}


def filled(path: str, ids: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)_id\}", lambda one: ids.get(one.group(1), "run_00000000000000000000000000"), path)


def test_every_answer_is_the_writers(writer: Desk, reading: ReadingDesk) -> None:
    """Each GET of the document, for what is there and what is not."""
    asked = [path for method, path in ROUTES if method == "GET" and path not in OWN]
    assert len(asked) > 15
    with (
        TestClient(create_app(writer.settings, writer)) as there,
        TestClient(create_app(reading.settings, reading)) as here,
    ):
        ids = ids_of(there)
        for path in asked:
            for known in (ids, dict.fromkeys(ids, "art_00000000000000000000000000")):
                expected, found = there.get(filled(path, known)), here.get(filled(path, known))
                assert plain(expected) == plain(found), path
        assert here.get("/readyz").json()["conditions"] == {"schema_current": True, "changes_followed": True}


def plain(answer: Any) -> tuple[int, Any]:
    if "json" not in answer.headers["content-type"]:
        return answer.status_code, answer.text
    body = answer.json()
    body.pop("request_id", None)
    return answer.status_code, body


def test_nothing_is_written(writer: Desk, reading: ReadingDesk) -> None:
    """P25: every other method is refused before its body is read, and so is what needs the index."""
    before = dump(writer.reader)
    with TestClient(create_app(reading.settings, reading)) as client:
        ids = ids_of(client)
        writing = [(method, path) for method, path in ROUTES if method not in {"GET", "HEAD"}]
        assert len(writing) > 8
        for method, path in [*writing, ("GET", "/v1/articles/{article_id}/similar")]:
            answer = client.request(method, filled(path, ids), json={"url": "https://a.example/b"})
            assert (answer.status_code, answer.json()["code"]) == (503, "read_only"), path
    assert before == dump(writer.reader)


def test_news_is_heard_from_the_other_process(writer: Desk, reading: ReadingDesk) -> None:
    """Streams tell what was written elsewhere, and how late this process heard of it is known."""
    with served(reading) as address, listening(address) as answer:
        events = heard(answer)
        last = httpx.get(f"{address}/v1/changes", trust_env=False).json()["last"]
        while next(events).id < last:
            pass
        start = time.time()
        post(writer, *look_alikes(6, 3))
        assert next(events).id == last + 1
        assert time.time() - start < 5
    lag = reading.metrics.feed_lag_seconds._value.get()
    assert 0 < lag < 5


def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="Start the service that writes"):
        ReadingDesk.open(settings_of(tmp_path / "none"), Metrics())


def test_a_role_that_may_only_select_is_enough(writer: Desk, database: str, tmp_path: Path) -> None:
    """P25: the reader's role needs no more; the database itself refuses it the rest."""
    if database == "sqlite":
        pytest.skip("roles are PostgreSQL's")
    url = str(place_of(tmp_path))
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("DROP ROLE IF EXISTS benang_reader"))
        connection.execute(text("CREATE ROLE benang_reader LOGIN PASSWORD 'x' IN ROLE pg_read_all_data"))
    engine.dispose()
    reader = make_url(url).set(username="benang_reader", password="x").render_as_string(hide_password=False)
    with (
        ReadingDesk.open(Settings(data=tmp_path, store=SecretStr(reader), read_only=True), Metrics()) as desk,
        TestClient(create_app(desk.settings, desk)) as client,
    ):
        assert len(client.get("/v1/articles").json()["items"]) > 0
        assert client.get("/readyz").status_code == 200
    engine = create_engine(reader)
    with engine.connect() as connection, pytest.raises(DBAPIError, match="permission denied"):
        connection.execute(text("INSERT INTO meta VALUES ('a', 'b')"))
    engine.dispose()
