"""Malformed requests by the thousand: whatever comes, it is never our fault."""

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from newsroom import NOW, FakeDesk, example
from served import served
from test_api import PAGE, PROBLEM_FIELDS
from wire import faults

from service.app import create_app
from service.desk import Desk
from service.learned import load_models
from service.settings import Settings
from service.telemetry import Metrics


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


def test_2000_malformed_requests_never_fail_us(client: TestClient) -> None:
    """No body, header or parameter gives a 5xx; whatever is refused is a problem."""
    assert {200, 201, 400, 404, 405, 415, 422} <= send(client, random.Random(5), 2000)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_100k_malformed(tmp_path: Path) -> None:
    """The real service on a socket: no server error, it stays ready, nothing is amiss, and memory is flat."""
    chance = random.Random(100)
    with Desk.open(Settings(data=tmp_path), Metrics(), models=load_models("bundled")) as desk:
        with served(desk) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            seen = send(client, chance, 20_000)
            before = resident_mib()
            for _ in range(4):
                seen |= send(client, chance, 20_000)
            grown = resident_mib() - before
            assert client.get("/readyz").status_code == 200
        assert faults(desk.reader) == []
    assert {200, 201, 400, 404, 405, 415, 422} <= seen
    # What is accepted is kept: a few thousand articles of some kilobytes each.
    assert grown < 150


NO_HTTP = (400, "Invalid HTTP request received.")
"""What the server answers by itself where the request is no HTTP (see docs/api.md)."""


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def send(client: httpx.Client | TestClient, chance: random.Random, count: int) -> set[int]:
    """Send so many malformed requests and return the statuses seen, all below 500; whatever is refused is a problem."""
    seen: set[int] = set()
    for _ in range(count):
        method, path, content, headers = _request(chance)
        answer = client.request(method, path, content=content, headers=headers)
        seen.add(answer.status_code)
        assert answer.status_code < 500, (method, path, content[:300], headers, answer.text)
        if answer.status_code >= 400 and (answer.status_code, answer.text) != NO_HTTP:
            assert set(answer.json()) == PROBLEM_FIELDS
    return seen


_ODD: list[Any] = [
    None, True, 0, -1, 1e308, 10**400, "", " ", "\x00", "a\u202eb", "\u200b", "x" * 600, "😀" * 300, "\ufdfa" * 400, [], {}, [[]],
    {"a": {"b": []}}, "2026-02-08", "2026-02-08T18:40:00", "2026-13-01", "0000-01-01", "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59", "2026-02-08T18:40:60Z", "https://", "https://[::1", "http://x:99999/", "javascript:alert(1)",
    "http://user:pw@x.id/", "https://x.id/" + "a" * 3000, "<a " * 40, "&#55296;" * 10, PAGE, "art_x", "id-ID-x-y-z-w",
]  # fmt: skip
_FIELDS = (
    *example(1),
    "html",
    "page",
    "external_id",
    "source",
    "author",
    "language",
    "metadata",
    "nix",
    "é",
    "a/b~c",
)
_WITH_BODY = ("/v1/articles", "/v1/similar", "/v1/articles/bulk", "/v1/webhooks")
_WITHOUT = (
    "/v1/articles", "/v1/clusters", "/v1/stories", "/v1/articles/x", "/v1/articles/%00/similar", "/v1/articles/x/explanation",
    "/v1/stories/%ff/timeline", "/nix", "//", "/v1/stats", "/v1/changes", "/v1/webhooks", "/v1/webhooks/x",
)  # fmt: skip
_TYPES = ("application/json",) * 20 + (
    "application/x-ndjson",
    "text/plain",
    "",
    "application/json; charset=utf-16",
    b"\xff",
)


def _request(chance: random.Random) -> tuple[str, str, bytes, dict[str, Any]]:
    takes_body = chance.random() < 0.85
    path = chance.choice(_WITH_BODY if takes_body else _WITHOUT)
    method = "POST" if takes_body else chance.choice(("GET", "GET", "GET", "DELETE"))
    if chance.random() < 0.05:
        method = chance.choice(("PUT", "PATCH", "GET", "POST", "NIX"))
    if chance.random() < 0.2:
        name = chance.choice(
            ("limit", "cursor", "q", "from", "to", "min_sources", "story_id", "nix", "source")
        )
        value = chance.choice(
            ("0", "-1", "99", "9" * 400, "%00", "%ff", "abc", "2026-02-08", "WzEsMl0", "%25_", "1e3")
        )
        path += f"?{name}={value}"
    headers: dict[str, Any] = {"Content-Type": chance.choice(_TYPES)}
    if chance.random() < 0.05:
        headers["Content-Encoding"] = chance.choice(("gzip", "br", "identity", "gzip, gzip", b"\xff"))
    if chance.random() < 0.05:
        headers["X-Request-ID"] = chance.choice(("a" * 65, "a b", b"\xff", "ok-1"))
    return method, path, _body(chance), headers


def _body(chance: random.Random) -> bytes:
    body: Any = example(chance.randrange(50))
    for _ in range(chance.choice((0, 0, 1, 1, 2))):
        body[chance.choice(_FIELDS)] = chance.choice(_ODD)
    for _ in range(chance.choice((0, 0, 0, 1))):
        body.pop(chance.choice(list(body)))
    shape = chance.random()
    if shape < 0.1:
        body = chance.choice(_ODD)
    elif shape < 0.3:
        body = [body, chance.choice(_ODD), example(chance.randrange(50))]
    raw = json.dumps(body).encode()
    if chance.random() < 0.4:
        return raw
    broken = bytearray(raw)
    for _ in range(chance.randrange(1, 4)):
        start = chance.randrange(len(broken) + 1)
        match chance.randrange(4):
            case 0:
                broken[start : start + chance.randrange(9)] = b""
            case 1:
                broken[start:start] = chance.randbytes(chance.randrange(1, 6))
            case 2:
                broken[start:start] = chance.choice(
                    (b"NaN", b"\\ud800", b"\x00", b"[" * 300, b'"', b"1e400", b"\xef\xbb\xbf")
                )
            case _:
                del broken[start:]
    return bytes(broken)
