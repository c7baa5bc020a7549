"""Bulk bodies: every article has a fate of its own; the whole is refused only for its form."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from newsroom import NOW, FakeDesk, example
from test_api import JSON, assert_problem

from service.app import create_app
from service.settings import Settings

NDJSON = {"Content-Type": "application/x-ndjson"}


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


def lines(*items: Any) -> bytes:
    return b"\n".join(item if isinstance(item, bytes) else json.dumps(item).encode() for item in items)


def test_bad_line_never_fails_the_rest(client: TestClient, desk: FakeDesk) -> None:
    """Each line has a fate of its own, in order, and the good ones go to the writer together."""
    body = lines(
        example(1), b"{nope", example(2, title=7), b"  ", example(3), example(1), {"html": "<a " * 30_000}
    )
    answer = client.post("/v1/articles/bulk", content=body, headers=NDJSON)
    items = answer.json()["items"]

    assert (answer.status_code, answer.json()["errors"]) == (200, True)
    assert list(range(6)) == [item["index"] for item in items]
    assert [i["status"] for i in items] == [
        "created",
        "rejected",
        "rejected",
        "created",
        "unchanged",
        "rejected",
    ]
    codes = [items[index]["error"]["code"] for index in (1, 2, 5)]
    assert codes == ["malformed_json", "invalid", "page_too_complex"]
    assert [error["pointer"] for error in items[2]["error"]["errors"]] == ["/2/title"]
    assert [len(batch) for batch in desk.batches] == [3]


@pytest.mark.parametrize("piece", [1, 7, 1000, 10**6])
def test_array_lines_and_gzip_give_the_same(client: TestClient, piece: int) -> None:
    items = [example(number) for number in range(20)]
    zipped = gzip.compress(lines(*items[:9])) + gzip.compress(b"\n" + lines(*items[9:]))
    pieces = (zipped[start : start + piece] for start in range(0, len(zipped), piece))
    plain = client.post("/v1/articles/bulk", json=items).json()
    packed = client.post(
        "/v1/articles/bulk", content=pieces, headers=NDJSON | {"Content-Encoding": "gzip"}
    ).json()

    assert {"created"} == {item["status"] for item in plain["items"]}
    assert [item["id"] for item in plain["items"]] == [item["id"] for item in packed["items"]]
    assert {"unchanged"} == {item["status"] for item in packed["items"]}


def test_empty_bulk_is_fine(client: TestClient) -> None:
    for body, headers in ((b"[]", JSON), (b"", NDJSON), (b"\n\n", NDJSON)):
        answer = client.post("/v1/articles/bulk", content=body, headers=headers)
        assert answer.json() == {"errors": False, "items": []}


@pytest.mark.parametrize(
    ("raw", "headers", "code"),
    [
        (b"{}", JSON, "malformed_json"),
        (b"[{}", JSON, "malformed_json"),
        (b"[" + b"{}," * 1000 + b"{}]", JSON, "too_many_items"),
        (b"{}\n" * 1001, NDJSON, "too_many_items"),
        (b"[" + b"[]," * 2_500_000 + b"{}]", JSON, "too_many_items"),
        (b"[]", {"Content-Type": "text/plain"}, "unsupported_media_type"),
        (b"[]", JSON | {"Content-Encoding": "br"}, "unsupported_encoding"),
        (b"[]", JSON | {"Content-Encoding": "gzip"}, "malformed_gzip"),
        (b" " * (8 * 2**20 + 1), JSON, "body_too_large"),
        (gzip.compress(b" " * (32 * 2**20 + 1)), JSON | {"Content-Encoding": "gzip"}, "inflated_too_large"),
    ],
)
def test_whole_body_is_refused_only_for_its_form(
    client: TestClient, raw: bytes, headers: dict[str, str], code: str
) -> None:
    assert_problem(client.post("/v1/articles/bulk", content=raw, headers=headers), code)


def test_long_line_is_refused_alone(client: TestClient) -> None:
    body = lines(b'"' + b"a" * (2 * 2**20) + b'"', example(1))
    items = client.post("/v1/articles/bulk", content=body, headers=NDJSON).json()["items"]

    assert [item.get("error", {}).get("code") for item in items] == ["body_too_large", None]


def test_fault_of_ours_stays_with_its_article(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(item: Any, **_options: Any) -> None:
        raise ZeroDivisionError(item.title)

    monkeypatch.setattr("service.api.bulk.prepare", broken)
    answer = client.post("/v1/articles/bulk", json=[example(1), 5])

    assert [item["error"]["code"] for item in answer.json()["items"]] == ["internal", "invalid"]
    assert "Gempa" not in answer.text
