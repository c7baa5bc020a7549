"""Editors' words and nightly runs over HTTP: what is answered, what is refused, and what a caller may never break."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from newsroom import NOW, FakeDesk
from places import settings_of
from test_api import JSON, assert_problem
from wire import FIRE, FIRE_RETOLD, FLOOD, dump, faults, models

from service.app import create_app
from service.desk import Desk
from service.edit_schemas import MAX_SPLIT
from service.errors import QueueFull, Refused, StorageFull, StoreUnavailable
from service.schemas import MAX_NOTE
from service.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.slow_on_postgresql]

BURNT = "Kebakaran Pasar Rengasdengkul Hanguskan Puluhan Kios"
EDIT = {
    "id",
    "level",
    "kind",
    "group_id",
    "other_id",
    "actor",
    "note",
    "at",
    "undone_at",
    "undone_by",
}
RUN = {
    "id",
    "status",
    "dry_run",
    "window_days",
    "created_at",
    "finished_at",
    "stage",
    "fraction",
    "diff",
    "error",
}
UNKNOWN = "7" * 26
PATIENCE_S = 60


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk.open(settings_of(tmp_path, body_timeout_s=5), Metrics(), models=models()) as made:
        yield made
        assert faults(made.reader) == []


@pytest.fixture
def client(desk: Desk) -> Iterator[TestClient]:
    with TestClient(create_app(desk.settings, desk), raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture
def posted(client: TestClient) -> dict[str, dict[str, Any]]:
    return post(client)


@pytest.fixture(scope="module")
def still(
    database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Desk, TestClient, dict[str, Any]]]:
    """A desk that many tests share: all they ask of it is refused."""
    own = settings_of(tmp_path_factory.mktemp("data"), body_timeout_s=5)
    with (
        Desk.open(own, Metrics(), models=models()) as made,
        TestClient(create_app(own, made), raise_server_exceptions=False) as opened,
    ):
        yield made, opened, post(opened)


def post(client: TestClient) -> dict[str, dict[str, Any]]:
    """Two reports of a fire, a copy of the first, and one of a flood, as they were answered."""
    told = {
        "a": ("kabarlima.example", BURNT, FIRE, 8),
        "b": (
            "wartatiga.example",
            "Pasar Rengasdengkul Wanasegara Terbakar, Puluhan Kios Habis",
            FIRE_RETOLD,
            9,
        ),
        "copy": ("harianenam.example", BURNT, FIRE, 10),
        "f": ("kabarlima.example", "Sungai Citamiang Meluap, Empat Kelurahan Terendam", FLOOD, 8),
    }
    items = [
        {
            "external_id": name,
            "source": source,
            "title": title,
            "text": text,
            "published_at": f"2026-02-09T{hour:02}:00:00+07:00",
        }
        for name, (source, title, text, hour) in told.items()
    ]
    found = client.post("/v1/articles/bulk", json=items).json()["items"]
    return {one["external_id"]: one for one in found}


def said(client: TestClient, path: str, **word: Any) -> dict[str, Any]:
    answer = client.post(path, json={"actor": "ana"} | word)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert set(body) == EDIT
    return body


# --- words ------------------------------------------------------------------------------------------------------------


def test_a_merge_is_answered_and_its_id_leads_on(client: TestClient, posted: dict[str, Any]) -> None:
    """The word comes back; the merged ID answers 200 with the group it leads to and says so."""
    fire, flood = posted["a"]["cluster_id"], posted["f"]["cluster_id"]

    word = said(client, f"/v1/clusters/{fire}/merge", other_id=flood, note="one disaster")

    assert word["id"].startswith("edt_")
    assert (word["level"], word["kind"], word["group_id"], word["other_id"]) == (
        "cluster",
        "merge",
        fire,
        flood,
    )
    assert (word["actor"], word["note"], word["undone_at"], word["undone_by"]) == (
        "ana",
        "one disaster",
        None,
        None,
    )
    for asked, into in ((flood, fire), (fire, None)):
        shown = client.get(f"/v1/clusters/{asked}").json()
        assert (shown["id"], shown["requested_id"], shown["merged_into"]) == (fire, asked, into)
        assert (shown["article_count"], shown["copy_count"]) == (4, 1)
    story = posted["f"]["story_id"]
    assert client.get(f"/v1/stories/{story}").json()["merged_into"] == posted["a"]["story_id"]
    timeline = client.get(f"/v1/stories/{story}/timeline").json()
    assert (timeline["story_id"], timeline["requested_id"]) == (posted["a"]["story_id"], story)
    listed = client.get(f"/v1/articles?cluster_id={flood}").json()["items"]
    assert {one["id"] for one in listed} == {one["id"] for one in posted.values()}


def test_a_split_is_answered_and_says_where_it_came_from(client: TestClient, posted: dict[str, Any]) -> None:
    fire = posted["a"]["cluster_id"]

    word = said(client, f"/v1/clusters/{fire}/split", article_ids=[posted["a"]["id"]])

    assert (word["kind"], word["group_id"], word["note"]) == ("split", fire, "")
    new = client.get(f"/v1/clusters/{word['other_id']}").json()
    assert (new["split_from"], new["merged_into"], new["article_count"]) == (fire, None, 2)
    assert client.get(f"/v1/articles/{posted['copy']['id']}").json()["cluster_id"] == word["other_id"]
    explained = client.get(f"/v1/articles/{posted['a']['id']}/explanation").json()
    assert explained["cluster"]["rule"] == "editor"
    assert explained["cluster"]["sentences"]


def test_stories_are_merged_split_and_put_back(client: TestClient, posted: dict[str, Any]) -> None:
    saga, other = posted["a"]["story_id"], posted["f"]["story_id"]
    merged = said(client, f"/v1/stories/{saga}/merge", other_id=other)
    assert client.get(f"/v1/stories/{saga}").json()["cluster_count"] == 2

    undone = client.post(f"/v1/edits/{merged['id']}/undo", json={"actor": "budi"}).json()

    assert set(undone) == EDIT
    assert (undone["id"], undone["undone_by"]) == (merged["id"], "budi")
    again = client.get(f"/v1/articles/{posted['f']['id']}").json()["story_id"]
    assert again not in {saga, other}
    said(client, f"/v1/clusters/{posted['a']['cluster_id']}/split", article_ids=[posted["b"]["id"]])
    leaving = client.get(f"/v1/articles/{posted['b']['id']}").json()["cluster_id"]
    word = said(client, f"/v1/stories/{saga}/split", cluster_ids=[leaving])
    assert (word["level"], word["group_id"]) == ("story", saga)
    assert client.get(f"/v1/stories/{word['other_id']}").json()["split_from"] == saga


def test_words_and_histories_are_read(client: TestClient, posted: dict[str, Any]) -> None:
    fire, flood = posted["a"]["cluster_id"], posted["f"]["cluster_id"]
    merged = said(client, f"/v1/clusters/{fire}/merge", other_id=flood)

    listed = client.get("/v1/edits").json()
    history = client.get(f"/v1/clusters/{flood}/history").json()

    assert listed == {"items": [merged]}
    assert (history["id"], history["current_id"], history["complete"]) == (flood, fire, True)
    assert [row["kind"] for row in history["items"]] == ["article.moved", "cluster.merged"]
    for row in history["items"]:
        assert set(row) == {
            "seq",
            "at",
            "kind",
            "article_id",
            "cluster_id",
            "story_id",
            "other_id",
            "cause",
            "edit",
        }
        assert (row["cause"], row["edit"]) == (merged["id"], merged)
    told = client.get(f"/v1/stories/{posted['f']['story_id']}/history").json()
    assert told["current_id"] == posted["a"]["story_id"]
    assert [row["kind"] for row in told["items"]] == ["story.merged"]


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_contradictions_answer_409_and_change_nothing(
    client: TestClient, desk: Desk, posted: dict[str, Any]
) -> None:
    fire = posted["a"]["cluster_id"]
    word = said(client, f"/v1/clusters/{fire}/split", article_ids=[posted["b"]["id"]])
    before = dump(desk.reader)

    answer = client.post(f"/v1/clusters/{fire}/merge", json={"actor": "budi", "other_id": word["other_id"]})

    body = assert_problem(answer, "contradiction")
    assert [(one["pointer"], one["code"]) for one in body["errors"]] == [
        (f"/edits/{word['id']}", "contradicts")
    ]
    assert before == dump(desk.reader)


def test_what_is_not_there(client: TestClient, desk: Desk, posted: dict[str, Any]) -> None:
    """404 for what never was, 410 for what was deleted, on every route that takes an ID."""
    assert client.delete(f"/v1/articles/{posted['f']['id']}").status_code == 204
    fire, before = posted["a"]["cluster_id"], dump(desk.reader)
    for groups, kind, gone, known in (
        ("clusters", "clu", posted["f"]["cluster_id"], fire),
        ("stories", "sto", posted["f"]["story_id"], posted["a"]["story_id"]),
    ):
        part = {"clusters": "article_ids", "stories": "cluster_ids"}[groups]
        for one, code in ((f"{kind}_{UNKNOWN}", "not_found"), ("x", "not_found"), (gone, "gone")):
            merge = {"actor": "ana", "other_id": known}
            assert_problem(client.post(f"/v1/{groups}/{one}/merge", json=merge), code)
            back = {"actor": "ana", "other_id": one}
            assert_problem(client.post(f"/v1/{groups}/{known}/merge", json=back), code)
            assert_problem(client.post(f"/v1/{groups}/{one}/split", json={"actor": "ana", part: ["x"]}), code)
            assert_problem(client.get(f"/v1/{groups}/{one}"), code)
        assert_problem(client.get(f"/v1/{groups}/{kind}_{UNKNOWN}/history"), "not_found")
        assert client.get(f"/v1/{groups}/{gone}/history").json()["items"] == []
        assert_problem(
            client.get(f"/v1/{groups}/{'sto' if kind == 'clu' else 'clu'}_{UNKNOWN}/history"), "not_found"
        )
    for one in (f"edt_{UNKNOWN}", "x", "%00"):
        assert_problem(client.post(f"/v1/edits/{one}/undo", json={"actor": "ana"}), "not_found")
    assert before == dump(desk.reader)


def test_a_history_is_that_of_its_own_kind(client: TestClient, posted: dict[str, Any]) -> None:
    """A story's ID is no cluster's, though the feed names both."""
    saga, other = posted["a"]["story_id"], posted["f"]["story_id"]
    said(client, f"/v1/stories/{saga}/merge", other_id=other)

    for one in (saga, other):
        assert_problem(client.get(f"/v1/clusters/{one}/history"), "not_found")
    assert_problem(client.get(f"/v1/stories/{posted['f']['cluster_id']}/history"), "not_found")


@pytest.mark.parametrize(
    ("path", "body", "pointer", "code"),
    [
        ("clusters/{fire}/merge", {}, "/actor", "missing"),
        ("clusters/{fire}/merge", {"actor": "ana"}, "/other_id", "missing"),
        ("clusters/{fire}/merge", {"actor": " ", "other_id": "{flood}"}, "/actor", "blank"),
        ("clusters/{fire}/merge", {"actor": "a\x00", "other_id": "{flood}"}, "/actor", "nul"),
        ("clusters/{fire}/merge", {"actor": "ana", "other_id": "{fire}"}, "/other_id", "same_group"),
        ("clusters/{fire}/merge", {"actor": "ana", "other_id": 7}, "/other_id", "wrong_type"),
        (
            "clusters/{fire}/merge",
            {"actor": "ana", "other_id": "{flood}", "why": "x"},
            "/why",
            "unknown_field",
        ),
        (
            "clusters/{fire}/merge",
            {"actor": "ana", "other_id": "{flood}", "note": "x" * (MAX_NOTE + 1)},
            "/note",
            "too_long",
        ),
        ("clusters/{fire}/split", {"actor": "ana"}, "/article_ids", "missing"),
        ("clusters/{fire}/split", {"actor": "ana", "article_ids": []}, "/article_ids", "too_short"),
        (
            "clusters/{fire}/split",
            {"actor": "ana", "article_ids": ["x"] * (MAX_SPLIT + 1)},
            "/article_ids",
            "too_long",
        ),
        (
            "clusters/{fire}/split",
            {"actor": "ana", "article_ids": ["{a}", "{copy}"]},
            "/article_ids/1",
            "is_copy",
        ),
        ("clusters/{fire}/split", {"actor": "ana", "article_ids": ["{f}"]}, "/article_ids/0", "not_inside"),
        (
            "clusters/{fire}/split",
            {"actor": "ana", "article_ids": ["{a}", "{b}"]},
            "/article_ids",
            "leaves_nothing",
        ),
        ("clusters/{fire}/split", {"actor": "ana", "cluster_ids": ["x"]}, "/article_ids", "missing"),
        (
            "stories/{saga}/split",
            {"actor": "ana", "cluster_ids": ["{fire}"]},
            "/cluster_ids",
            "leaves_nothing",
        ),
        (
            "stories/{saga}/split",
            {"actor": "ana", "cluster_ids": ["{flood}"]},
            "/cluster_ids/0",
            "not_inside",
        ),
        ("edits/x/undo", {"actor": "ana", "note": "x"}, "/note", "unknown_field"),
        ("edits/x/undo", [], "", "wrong_type"),
        ("reclusterings", {"window_days": 0}, "/window_days", "out_of_range"),
        ("reclusterings", {"window_days": 40_000}, "/window_days", "out_of_range"),
        ("reclusterings", {"window_days": "x"}, "/window_days", "wrong_type"),
        ("reclusterings", {"dry_run": "maybe"}, "/dry_run", "wrong_type"),
        ("reclusterings", {"days": 3}, "/days", "unknown_field"),
    ],
)
def test_bad_words_are_refused_by_field(
    still: tuple[Desk, TestClient, dict[str, Any]], path: str, body: Any, pointer: str, code: str
) -> None:
    desk, client, posted = still
    names = {
        "fire": posted["a"]["cluster_id"],
        "flood": posted["f"]["cluster_id"],
        "saga": posted["a"]["story_id"],
        **{name: one["id"] for name, one in posted.items()},
    }

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: filled(one) for name, one in value.items()}
        if isinstance(value, list):
            return [filled(one) for one in value]
        return value.format(**names) if isinstance(value, str) else value

    before = dump(desk.reader)

    found = assert_problem(client.post(f"/v1/{filled(path)}", json=filled(body)), "invalid")["errors"]

    assert (pointer, code) in [(one["pointer"], one["code"]) for one in found]
    assert before == dump(desk.reader)


def test_a_word_is_taken_back_once(client: TestClient, posted: dict[str, Any]) -> None:
    word = said(client, f"/v1/clusters/{posted['a']['cluster_id']}/split", article_ids=[posted["b"]["id"]])
    assert client.post(f"/v1/edits/{word['id']}/undo", json={"actor": "ana"}).status_code == 200

    answer = client.post(f"/v1/edits/{word['id']}/undo", json={"actor": "ana"})

    (error,) = assert_problem(answer, "invalid")["errors"]
    assert (error["pointer"], error["code"]) == ("/edit_id", "undone_already")


PATHS = (
    "clusters/x/merge",
    "clusters/x/split",
    "stories/x/merge",
    "stories/x/split",
    "edits/x/undo",
    "reclusterings",
)


@pytest.mark.parametrize("path", PATHS)
def test_bodies_are_guarded(still: tuple[Desk, TestClient, dict[str, Any]], path: str) -> None:
    """Every route that takes a body takes JSON alone, strictly, within its bound."""
    desk, client, _ = still
    url = f"/v1/{path}"
    large = b'{"actor": "' + b"x" * desk.settings.max_body_bytes + b'"}'

    assert_problem(
        client.post(url, content=b"{}", headers={"Content-Type": "text/plain"}), "unsupported_media_type"
    )
    assert_problem(
        client.post(url, content=b"{}", headers=JSON | {"Content-Encoding": "gzip"}), "unsupported_encoding"
    )
    for broken in (b"{", b'{"actor": NaN}', b'{"actor": "\xff"}', b'"\\ud800"'):
        assert_problem(client.post(url, content=broken, headers=JSON), "malformed_json")
    assert_problem(client.post(url, content=large, headers=JSON), "body_too_large")
    assert_problem(client.put(url, json={}), "method_not_allowed")


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x"])
def test_lists_of_words_are_bounded(still: tuple[Desk, TestClient, dict[str, Any]], query: str) -> None:
    _, client, _ = still
    assert (
        assert_problem(client.get(f"/v1/edits?{query}"), "invalid")["errors"][0]["pointer"] == "/query/limit"
    )


def test_the_latest_words_come_first(client: TestClient, posted: dict[str, Any]) -> None:
    fire = posted["a"]["cluster_id"]
    one = said(client, f"/v1/clusters/{fire}/split", article_ids=[posted["b"]["id"]])
    other = said(client, f"/v1/clusters/{fire}/merge", other_id=posted["f"]["cluster_id"])

    assert [word["id"] for word in client.get("/v1/edits").json()["items"]] == [other["id"], one["id"]]
    assert client.get("/v1/edits?limit=1").json() == {"items": [other]}


# --- nightly runs -----------------------------------------------------------------------------------------------------


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeDesk]:
    made = FakeDesk(settings_of(tmp_path))
    yield made
    made.close()


@pytest.fixture
def runs(fake: FakeDesk) -> Iterator[TestClient]:
    app = create_app(fake.settings, fake, clock=lambda: NOW)
    with TestClient(app, raise_server_exceptions=False) as opened:
        yield opened


def test_runs_are_started_listed_and_shown(runs: TestClient) -> None:
    """202 with the run; the list has counts alone, a run everything; the latest comes first."""
    first = runs.post("/v1/reclusterings", json={})
    second = runs.post("/v1/reclusterings", json={"dry_run": True, "window_days": 3.5})

    assert (first.status_code, second.status_code) == (202, 202)
    assert set(first.json()) == RUN
    assert [(one.json()["dry_run"], one.json()["window_days"]) for one in (first, second)] == [
        (False, 14.0),
        (True, 3.5),
    ]
    shown = runs.get(f"/v1/reclusterings/{first.json()['id']}").json()
    assert (shown["status"], shown["fraction"], shown["stage"], shown["error"]) == ("done", 1.0, None, None)
    assert shown["diff"]["articles_moved"] == []
    listed = runs.get("/v1/reclusterings").json()["items"]
    assert [one["id"] for one in listed] == [second.json()["id"], first.json()["id"]]
    assert {one["diff"]["articles_moved"] for one in listed} == {None}
    assert len(runs.get("/v1/reclusterings?limit=1").json()["items"]) == 1
    assert_problem(runs.get("/v1/reclusterings?limit=101"), "invalid")
    for one in (f"run_{UNKNOWN}", "x"):
        assert_problem(runs.get(f"/v1/reclusterings/{one}"), "not_found")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused("reclustering_running"), "reclustering_running"),
        (QueueFull(), "queue_full"),
        (StoreUnavailable(), "store_unavailable"),
        (StorageFull(), "storage_full"),
    ],
)
def test_a_desk_that_refuses_is_a_problem(runs: TestClient, fake: FakeDesk, error: Any, code: str) -> None:
    fake.refuses = error

    assert_problem(runs.post("/v1/reclusterings", json={}), code)
    if code != "reclustering_running":
        assert_problem(runs.post("/v1/clusters/x/merge", json={"actor": "ana", "other_id": "y"}), code)


def test_a_real_run_over_http(tmp_path: Path) -> None:
    """A dry run says what would change and changes nothing; a run settles every article; a word stands through it."""
    with TestClient(create_app(settings_of(tmp_path)), raise_server_exceptions=False) as client:
        found = [
            client.post(
                "/v1/articles",
                json={
                    "external_id": name,
                    "source": "kabarlima.example",
                    "title": name,
                    "text": text,
                    "published_at": "2026-02-09",
                },
            ).json()
            for name, text in (("Kebakaran Pasar", FIRE), ("Sungai Meluap", FLOOD))
        ]
        merge = {"actor": "ana", "other_id": found[1]["cluster_id"]}
        assert client.post(f"/v1/clusters/{found[0]['cluster_id']}/merge", json=merge).status_code == 200
        dry = ended(client, client.post("/v1/reclusterings", json={"dry_run": True}).json())
        assert client.get(f"/v1/articles/{found[0]['id']}").json()["provisional"]
        run = ended(client, client.post("/v1/reclusterings", json={}).json())

        for one in (dry, run):
            assert (one["status"], one["error"]) == ("done", None)
            assert (one["diff"]["articles"], one["diff"]["clusters"], one["diff"]["stories"]) == (2, 1, 1)
            assert set(one["diff"]["counts"].values()) == {0}
        shown = [client.get(f"/v1/articles/{one['id']}").json() for one in found]
        assert {one["cluster_id"] for one in shown} == {found[0]["cluster_id"]}
        assert [one["provisional"] for one in shown] == [False, False]


def ended(client: TestClient, run: dict[str, Any]) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_S
    while run["status"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.1)
        run = client.get(f"/v1/reclusterings/{run['id']}").json()
    return run
