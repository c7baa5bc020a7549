"""The API as callers see it: answers, problems, and what may never happen."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from newsroom import NOW, FakeDesk, example

from service.app import body_rules, create_app
from service.errors import (
    PROBLEMS,
    BenangError,
    NotReady,
    QueueFull,
    StorageFull,
    StoreUnavailable,
)
from service.settings import Settings

PROBLEM_FIELDS = {"type", "title", "status", "detail", "instance", "request_id", "code", "errors"}
NDJSON = {"Content-Type": "application/x-ndjson"}
JSON = {"Content-Type": "application/json"}
PAGE = """Gempa Magnitudo 5,2 Guncang Kota Palaka Pagi Ini
Kompas.com - 16/02/2026, 12:59 WIB
PALAKA, KOMPAS.com - Gempa bermagnitudo 5,2 mengguncang Kota Palaka, Senin (16/2/2026) pagi. Warga keluar rumah.
Badan meteorologi mengatakan gempa tidak berpotensi tsunami dan meminta warga tetap tenang di rumah masing-masing.
"""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[FakeDesk]:
    made = FakeDesk(Settings(data=tmp_path, body_timeout_s=5))
    yield made
    made.close()


@pytest.fixture
def client(desk: FakeDesk) -> Iterator[TestClient]:
    app = create_app(desk.settings, desk, clock=lambda: NOW)
    with TestClient(app, raise_server_exceptions=False) as opened:
        yield opened


def assert_problem(answer: Any, code: str) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()

    assert answer.headers["content-type"] == "application/problem+json"
    assert set(body) == PROBLEM_FIELDS
    assert (PROBLEMS[code].status, PROBLEMS[code].status, code) == (
        answer.status_code,
        body["status"],
        body["code"],
    )
    assert answer.headers["x-request-id"] == body["request_id"]
    return body


def test_new_article_is_created_then_unchanged_then_revised(client: TestClient) -> None:
    """One article under one address: 201, then 200, and an edit is a revision with the old text kept."""
    first = client.post("/v1/articles", json=example(1))
    again = client.post("/v1/articles", json=example(1))
    edited = client.post(
        "/v1/articles", json=example(1, text="Gempa itu ternyata bermagnitudo 5,4, kata petugas.")
    )

    assert [answer.status_code for answer in (first, again, edited)] == [201, 200, 200]
    assert [answer.json()["status"] for answer in (first, again, edited)] == [
        "created",
        "unchanged",
        "revised",
    ]
    assert len({answer.json()["id"] for answer in (first, again, edited)}) == 1
    shown = client.get(f"/v1/articles/{first.json()['id']}").json()
    assert shown["revision"] == 2
    assert [old["revision"] for old in shown["revisions"]] == [1]
    assert "5,2" in shown["revisions"][0]["text"]


def test_answer_has_the_fields_of_the_contract(client: TestClient) -> None:
    """DESIGN §6 names what comes back."""
    body = client.post("/v1/articles", json=example(1, external_id="ext")).json()

    assert body["published_at"] == "2026-02-08T18:40:00+08:00"
    assert (body["published_at_precision"], body["published_at_source"]) == ("second", "given")
    expected = (
        "id external_id url source title published_at status relation copy_of similarity cluster_id story_id "
        "cluster_created probability provisional warnings published_at_precision published_at_source"
    )
    assert set(expected.split()) == set(body)


def test_missing_time_is_the_time_of_receipt(client: TestClient) -> None:
    body = client.post("/v1/articles", json=example(1, published_at=None)).json()

    assert (body["published_at_source"], body["warnings"]) == ("received", ["published_at_missing"])
    assert NOW.isoformat() == body["published_at"]


def test_pasted_page_is_found_again_without_any_identity(client: TestClient) -> None:
    """A page names itself: outlet, title, day and text."""
    first = client.post("/v1/articles", json={"page": PAGE})
    again = client.post("/v1/articles", json={"page": PAGE})

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert (first.json()["source"], first.json()["published_at"]) == (
        "kompas.com",
        "2026-02-16T12:59:00+07:00",
    )
    assert first.json()["published_at_source"] == "visible"


def test_html_is_extracted(client: TestClient) -> None:
    paragraphs = "".join(
        f"<p>Kalimat nomor {number} tentang gempa di kota itu, kata petugas.</p>" for number in range(9)
    )
    html = f"<html><head><title>Gempa Guncang Kota</title></head><body><article>{paragraphs}</article></body></html>"
    body = {"url": "https://www.contoh.example/x", "html": html, "title": "Judul Pengirim"}
    answer = client.post("/v1/articles", json=body)

    assert answer.status_code == 201
    assert answer.json()["title"] == "Judul Pengirim"
    assert "Kalimat nomor 3" in client.get(f"/v1/articles/{answer.json()['id']}").json()["text"]


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        (example(1, url=None, source="kompas.com"), "/url", "no_identity"),
        (example(1, url=None, external_id="x"), "/source", "source_needed"),
        (example(1, title=None), "/title", "title_needed"),
        (example(1, html="<p>x</p>"), "", "one_body"),
        (example(1, text=None), "", "one_body"),
        (example(1, text=" \u200b\n"), "/text", "blank"),
        (example(1, title="a\x00b"), "/title", "nul"),
        (example(1, publised_at="2026-02-08"), "/publised_at", "unknown_field"),
        (example(1, published_at="2026-02-08T18:40:00"), "/published_at", "naive_time"),
        (example(1, published_at="2026-02-08T18:40:00 07:00"), "/published_at", "plus_as_space"),
        (example(1, published_at="2026-03-02T00:00:00Z"), "/published_at", "in_future"),
        (example(1, published_at="1899-12-31"), "/published_at", "too_early"),
        (example(1, url="ftp://contoh.example/1"), "/url", "bad_url"),
        (example(1, url="https://a:b@contoh.example/1"), "/url", "url_credentials"),
        ({"page": "menu\nmenu"}, "/source", "source_not_found"),
    ],
)
def test_refusals_point_at_what_is_wrong(
    client: TestClient, body: dict[str, Any], pointer: str, code: str
) -> None:
    found = assert_problem(client.post("/v1/articles", json=body), "invalid")["errors"]

    assert (pointer, code) in [(one["pointer"], one["code"]) for one in found]


def test_page_bomb_is_too_complex_and_the_next_page_works(client: TestClient) -> None:
    assert_problem(client.post("/v1/articles", json={"html": "<a " * 30_000}), "page_too_complex")
    assert client.post("/v1/articles", json={"page": PAGE}).status_code == 201


def test_problems_never_echo_the_input(client: TestClient) -> None:
    secret = "r4h4s14"
    bodies: list[Any] = [
        example(1, title=[secret]),
        example(1, url=secret),
        [secret],
        secret,
        {"metadata": secret},
    ]
    for body in bodies:
        answer = client.post("/v1/articles", json=body)
        assert_problem(answer, "invalid")
        assert secret not in answer.text


@pytest.mark.parametrize(
    "raw", [b'{"title": NaN}', b"{", b"", b"\xff\xfe{\x00}\x00", b'"\\ud800"', b"[" * 5000]
)
def test_json_is_read_strictly(client: TestClient, raw: bytes) -> None:
    answer = client.post("/v1/articles", content=raw, headers=JSON)

    assert_problem(answer, "malformed_json" if raw else "invalid")


# --- the desk says no --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [QueueFull(), NotReady("writer_alive"), StoreUnavailable(), StorageFull()])
def test_desk_errors_become_problems_with_retry_after(
    client: TestClient, desk: FakeDesk, error: BenangError
) -> None:
    for refuses, fails in ((error, None), (None, error)):
        desk.refuses, desk.fails = refuses, fails
        for path, body in (("/v1/articles", example(1)), ("/v1/articles/bulk", [example(1)])):
            answer = client.post(path, json=body)
            assert_problem(answer, error.code)
            assert int(answer.headers["retry-after"]) > 0


def test_fault_of_ours_is_a_constant(client: TestClient, desk: FakeDesk) -> None:
    """A 500 has no traceback, no message, and the same headers as every answer."""
    desk.fails = RuntimeError("rahasia")
    answer = client.post("/v1/articles", json=example(1))

    assert_problem(answer, "internal")
    assert "rahasia" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_readiness_names_what_does_not_hold(client: TestClient, desk: FakeDesk) -> None:
    assert {"status": "ready", "conditions": desk.conditions} == client.get("/readyz").json()

    desk.conditions = {"writer_alive": True, "index_complete": False}
    body = assert_problem(client.get("/readyz"), "not_ready")
    assert [error["code"] for error in body["errors"]] == ["index_complete"]

    desk.fails = RuntimeError("rahasia")
    body = assert_problem(client.get("/readyz"), "not_ready")
    assert [error["code"] for error in body["errors"]] == ["store_reachable"]
    assert client.get("/livez").json() == {"status": "alive"}


def test_nothing_is_ready_before_the_desk_is_open(tmp_path: Path) -> None:
    client = TestClient(create_app(Settings(data=tmp_path)), raise_server_exceptions=False)

    assert client.get("/livez").status_code == 200
    for path in ("/readyz", "/v1/articles", "/v1/stats"):
        assert_problem(client.get(path), "not_ready")


def test_broken_store_is_unavailable(client: TestClient, desk: FakeDesk) -> None:
    with desk.writer.begin() as connection:
        connection.exec_driver_sql("DROP TABLE articles")

    assert_problem(client.get("/v1/articles"), "store_unavailable")


# --- reading ------------------------------------------------------------------------------------------------------


def test_deleted_article_is_gone_for_ever(client: TestClient) -> None:
    path = f"/v1/articles/{client.post('/v1/articles', json=example(1)).json()['id']}"

    assert client.delete(path).status_code == 204
    for answer in (
        client.get(path),
        client.delete(path),
        client.get(path + "/explanation"),
        client.get(path + "/similar"),
    ):
        assert_problem(answer, "gone")


def test_unknown_ids_are_not_found(client: TestClient) -> None:
    for kind, rest in (
        ("articles", ("", "/explanation", "/similar")),
        ("clusters", ("",)),
        ("stories", ("", "/timeline")),
    ):
        for name in ("nix", "x" * 3000, "%00", "%FF", "a%0Ab", "..%2f..", "\u202e"):
            for tail in rest:
                assert_problem(client.get(f"/v1/{kind}/{name}{tail}"), "not_found")
    assert_problem(client.delete("/v1/articles/nix"), "not_found")


def test_every_read_route_answers(client: TestClient) -> None:
    for number in range(3):
        client.post("/v1/articles", json=example(number, title="Gempa Guncang Kota"))
    first = client.get("/v1/articles").json()["items"][0]
    article, cluster, story = first["id"], first["cluster_id"], first["story_id"]

    assert len(client.get(f"/v1/clusters/{cluster}").json()["members"]) == 3
    assert cluster == client.get(f"/v1/clusters?story_id={story}").json()["items"][0]["id"]
    assert [cluster] == [one["id"] for one in client.get(f"/v1/stories/{story}").json()["clusters"]]
    assert [e["date"] for e in client.get(f"/v1/stories/{story}/timeline").json()["events"]] == ["2026-02-08"]
    assert client.get(f"/v1/articles/{article}/explanation").json()["cluster"]["evidence"] == [
        {"name": "title", "value": 0.5}
    ]
    assert len(client.get(f"/v1/articles/{article}/similar?limit=2").json()["items"]) == 2
    assert client.get("/v1/stats").json()["article_count"] == 3
    probe = {"title": "Gempa Guncang Kota", "text": "Gempa mengguncang kota."}
    assert len(client.post("/v1/similar", json=probe).json()["items"]) == 3
    assert client.get("/v1/stats").json()["article_count"] == 3


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ("limit=0", "/query/limit", "out_of_range"),
        ("limit=101", "/query/limit", "out_of_range"),
        ("limit=" + "9" * 5000, "/query/limit", "out_of_range"),
        ("limit=x", "/query/limit", "wrong_type"),
        ("cursor=nix", "/query/cursor", "bad_cursor"),
        ("cursor=" + "WzEs" * 9, "/query/cursor", "bad_cursor"),
        ("sorce=kompas.com", "/query/sorce", "unknown_field"),
        ("from=2026-01-01T00:00:00+07:00", "/query/from", "plus_as_space"),
        ("to=kemarin", "/query/to", "bad_time"),
        ("q=%00", "/query/q", "nul"),
    ],
)
def test_bad_parameters_are_refused(client: TestClient, query: str, pointer: str, code: str) -> None:
    for path in ("/v1/articles", "/v1/clusters", "/v1/stories"):
        found = assert_problem(client.get(f"{path}?{query}"), "invalid")["errors"]
        assert [(pointer, code)] == [(one["pointer"], one["code"]) for one in found]


def test_a_parameter_is_told_to_be_missing_and_never_null(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    parameters = {one["name"]: one for one in paths["/v1/clusters"]["get"]["parameters"]}

    assert not any(one["required"] for one in parameters.values())
    assert {one["schema"]["type"] for one in parameters.values()} == {"integer", "string"}
    assert parameters["min_sources"]["schema"]["maximum"] == 1_000_000


def test_wrong_method_names_all_that_fit(client: TestClient) -> None:
    answer = client.put("/v1/articles/x", json={})

    assert_problem(answer, "method_not_allowed")
    assert answer.headers["allow"] == "DELETE, GET"
    assert_problem(client.get("/nix"), "not_found")
    assert_problem(client.get("/v1/articles/"), "not_found")


# --- the document and the pages -----------------------------------------------------------------------------------


def test_every_route_with_a_body_has_a_rule(client: TestClient, desk: FakeDesk) -> None:
    """A route without a rule gets no body: forgetting one is seen at once."""
    paths = client.get("/openapi.json").json()["paths"]
    declared = {
        f"{m.upper()} {path}"
        for path, found in paths.items()
        for m, one in found.items()
        if "requestBody" in one
    }

    assert declared == set(body_rules(desk.settings))


def test_openapi_declares_problems_and_full_models(client: TestClient) -> None:
    document = client.get("/openapi.json").json()

    assert document["openapi"].startswith("3.1")
    assert {"ArticleIn", "Accepted", "Problem", "FieldProblem", "Bulk"} <= set(
        document["components"]["schemas"]
    )
    assert "HTTPValidationError" not in json.dumps(document)
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if status >= "400":
                    assert list(answer["content"]) == ["application/problem+json"]
    assert "metadata" in document["components"]["schemas"]["ArticleIn"]["properties"]


@pytest.mark.parametrize("path", ["/", "/docs", "/docs.css"])
def test_pages_load_nothing_from_elsewhere(client: TestClient, path: str) -> None:
    answer = client.get(path)

    assert answer.status_code == 200
    assert "<script" not in answer.text
    assert "//" not in answer.text.replace("http://127.0.0.1:8080/", "").replace("https://benang.example", "")
    assert "style=" not in answer.text


def test_every_route_is_shown_on_the_pages(client: TestClient) -> None:
    for path in client.get("/openapi.json").json()["paths"]:
        assert path in client.get("/").text
        assert path in client.get("/docs").text


def test_metrics_move_with_their_events(client: TestClient) -> None:
    client.post("/v1/articles", json=example(1))
    client.post("/v1/articles", json=example(1, title=None))
    client.post("/v1/articles/bulk", json=[example(1), 7])
    text = client.get("/metrics").text

    for line in (
        'benang_articles_total{status="created"} 1.0',
        'benang_articles_total{status="unchanged"} 1.0',
        'benang_articles_total{status="rejected"} 2.0',
        'benang_rejected_total{reason="invalid"} 2.0',
        'benang_relations_total{relation="original"} 1.0',
        'benang_http_requests_total{method="POST",route="/v1/articles",status_class="4xx"} 1.0',
        'benang_stage_seconds_count{stage="extract"} 2.0',
    ):
        assert line in text
