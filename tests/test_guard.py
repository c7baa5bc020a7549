"""The guard: bounds on what comes in, the same headers on all that goes out, nothing that a client can hang or fill."""

import asyncio
import gzip
import json
import random
import time
import tracemalloc
import zlib
from collections.abc import Iterable
from typing import Any

import pytest
import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse
from structlog.testing import capture_logs

from service.api.entrances import Entrance
from service.door import Door, Limits
from service.guard import SECURITY_HEADERS, BodyRule, Guard
from service.keyring import KeyRing, Known
from service.keys import Key, digest_of
from service.telemetry import Metrics, set_up_logging

LIMIT = 100_000
INFLATED = 400_000
ONE = BodyRule(LIMIT, frozenset({"application/json"}), is_article=True)
BULK = BodyRule(
    LIMIT, frozenset({"application/json", "application/x-ndjson"}), inflated_limit=INFLATED, is_held=True
)
RULES = {("POST", "/one"): ONE, ("POST", "/bulk"): BULK}
OPEN = Door(
    KeyRing(lambda: Known(has_keys=False, keys=()), metrics=Metrics()),
    Limits(None, None, None),
    now_us=lambda: 0,
    metrics=Metrics(),
)
JSON = {"content-type": "application/json"}
GZIP = JSON | {"content-encoding": "gzip"}


class Answer:
    """What a server would have sent."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.read_bytes = 0

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["code"])


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body = await Request(scope, receive).body()
    await JSONResponse({"bytes": len(body), "crc": zlib.crc32(body)})(scope, receive, send)


async def broken(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError("rahasia")


async def cut(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise RuntimeError("rahasia")


def guard(app: Any = echo, *, timeout_s: float = 5.0, metrics: Metrics | None = None) -> Guard:
    return Guard(
        app, entrance_of=entrance_of, door=OPEN, body_timeout_s=timeout_s, metrics=metrics or Metrics()
    )


def entrance_of(method: str, path: str) -> Entrance:
    rule = RULES.get((method, path))
    return Entrance(None if rule is None else path, "write", rule)


async def ask(
    wall: Guard,
    path: str,
    pieces: Iterable[bytes] = (b"",),
    headers: dict[str, str] | None = None,
    *,
    method: str = "POST",
    delay_s: float = 0.0,
    leaves: bool = False,
) -> Answer:
    """Send one request, piece by piece, as a server would hand it on."""
    answer = Answer()
    waiting = iter(pieces)
    following: list[bytes | None] = [next(waiting, b"")]

    async def receive() -> dict[str, Any]:
        if delay_s:
            await asyncio.sleep(delay_s)
        piece = following.pop() if following else None
        if piece is None:
            return {"type": "http.disconnect"}
        answer.read_bytes += len(piece)
        later = next(waiting, None)
        following.append(later)
        if leaves:
            following[:] = [None]
        return {"type": "http.request", "body": piece, "more_body": later is not None or leaves}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        else:
            answer.body += message.get("body", b"")

    raw = [
        (name.encode(), value.encode("latin-1"))
        for name, value in (JSON if headers is None else headers).items()
    ]
    scope = {"type": "http", "method": method, "path": path, "headers": raw, "query_string": b""}
    await wall(scope, receive, send)
    return answer


def asked(*args: Any, **options: Any) -> Answer:
    return asyncio.run(ask(*args, **options))


def split(raw: bytes, size: int) -> list[bytes]:
    return [raw[start : start + size] for start in range(0, len(raw), size)] or [b""]


# --- size and time --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, LIMIT])
def test_body_within_the_limit_arrives_whole(size: int) -> None:
    body = random.Random(size).randbytes(size)
    for piece in (1000, 10**6):
        answer = asked(guard(), "/one", split(body, piece))
        assert {"bytes": size, "crc": zlib.crc32(body)} == json.loads(answer.body)


def test_declared_length_is_refused_unread() -> None:
    for length in (str(LIMIT + 1), "9" * 5000):
        answer = asked(guard(), "/one", [b"x"] * 9, JSON | {"content-length": length})
        assert (
            answer.status,
            answer.code,
            answer.read_bytes,
            answer.headers["connection"],
        ) == (413, "body_too_large", 0, "close")


@pytest.mark.parametrize("length", ["-1", "1e3", "²", "", "1, 1"])
def test_broken_length_is_refused(length: str) -> None:
    assert asked(guard(), "/one", [b"x"], JSON | {"content-length": length}).status == 400


def test_endless_chunked_body_is_413_and_flat() -> None:
    """Hundreds of megabytes in chunks cost one limit of memory and no more of the client's time."""
    chunk = b" " * 65_536
    tracemalloc.start()
    answer = asked(guard(), "/one", (chunk for _ in range(5000)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (answer.status, answer.code) == (413, "body_too_large")
    assert answer.read_bytes <= LIMIT + len(chunk)
    assert peak < 2_000_000


def test_slow_body_is_408() -> None:
    started = time.monotonic()
    answer = asked(guard(timeout_s=0.2), "/one", [b"x"] * 1000, delay_s=0.05)

    assert (answer.status, answer.code, answer.headers["connection"]) == (408, "body_timeout", "close")
    assert time.monotonic() - started < 1


def test_silent_client_is_408() -> None:
    assert asked(guard(timeout_s=0.1), "/one", [b"x"], delay_s=9).status == 408


def test_client_that_leaves_is_an_outcome() -> None:
    with capture_logs() as logs:
        answer = asked(guard(), "/one", [b"x"], leaves=True)

    assert answer.status == 0
    assert [(line["event"], line["status"]) for line in logs] == [("request", 499)]


def test_fifth_bulk_body_waits_for_room() -> None:
    """Four bulk bodies are held at once; one more is told to come back when none is answered in time."""

    async def crowd() -> list[int]:
        async def slow(scope: Any, receive: Any, send: Any) -> None:
            await asyncio.sleep(1)
            await echo(scope, receive, send)

        wall = guard(slow, timeout_s=0.3)
        return [answer.status for answer in await asyncio.gather(*(ask(wall, "/bulk") for _ in range(5)))]

    assert sorted(asyncio.run(crowd())) == [200] * 4 + [429]


# --- what it is said to be --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "given", "status"),
    [
        ("/one", "application/json", 200),
        ("/one", "Application/JSON; charset=utf-8", 200),
        ("/one", "application/x-ndjson", 415),
        ("/one", "text/plain", 415),
        ("/one", "application/x-www-form-urlencoded", 415),
        ("/one", "multipart/form-data; boundary=x", 415),
        ("/one", "application/json, text/plain", 415),
        ("/one", "\xff", 415),
        ("/bulk", "application/x-ndjson", 200),
        ("/bulk", "application/json", 200),
        ("/bulk", "text/csv", 415),
        ("/nix", "text/plain", 200),
    ],
)
def test_media_types(path: str, given: str, status: int) -> None:
    answer = asked(guard(), path, [b"[]"], {"content-type": given, "content-length": "2"})

    assert status == answer.status


def test_missing_media_type_needs_an_empty_body() -> None:
    assert asked(guard(), "/one", [b""], {}).status == 200
    assert asked(guard(), "/one", [b"{}"], {"content-length": "2"}).status == 415
    assert asked(guard(), "/one", [b"{}"], {"transfer-encoding": "chunked"}).status == 415


@pytest.mark.parametrize("coding", ["br", "zstd", "deflate", "gzip, gzip", "x-gzip", "gzip;q=1", "\xff"])
def test_other_codings_are_415(coding: str) -> None:
    for path, offered in (("/bulk", "gzip"), ("/one", "identity")):
        answer = asked(guard(), path, [b"x"], JSON | {"content-encoding": coding})
        assert (415, "unsupported_encoding", offered) == (
            answer.status,
            answer.code,
            answer.headers["accept-encoding"],
        )


def test_gzip_where_it_is_not_offered_is_415() -> None:
    answer = asked(guard(), "/one", [gzip.compress(b"{}")], GZIP)

    assert (answer.status, answer.headers["accept-encoding"]) == (415, "identity")
    assert asked(guard(), "/one", [b"{}"], JSON | {"content-encoding": "identity"}).status == 200


def test_route_without_a_rule_has_its_body_left_alone() -> None:
    answer = asked(guard(JSONResponse({})), "/nix", (b"x" for _ in range(10)))

    assert (answer.status, answer.read_bytes) == (200, 0)


def test_connection_closes_on_a_body_nobody_reads() -> None:
    for headers in ({"content-length": "9"}, {"transfer-encoding": "chunked"}):
        assert asked(guard(JSONResponse({})), "/nix", [b"x"], headers).headers["connection"] == "close"
    assert "connection" not in asked(guard(JSONResponse({})), "/nix", [b""], {}, method="GET").headers


# --- what goes out ------------------------------------------------------------------------------------------------------


def test_headers_stand_on_every_answer() -> None:
    answers = [
        asked(guard(), "/one", [b"{}"]),
        asked(guard(), "/one", [b"{}"], {"content-type": "text/plain"}),
        asked(guard(), "/one", [b"x" * (LIMIT + 1)]),
        asked(guard(broken), "/one", [b"{}"]),
        asked(guard(), "/bulk", [b"x"], GZIP),
    ]

    assert [answer.status for answer in answers] == [200, 415, 413, 500, 400]
    for answer in answers:
        for name, value in SECURITY_HEADERS.items():
            assert value == answer.headers[name.lower()]
        assert answer.headers["x-request-id"]


def test_who_is_turned_away_is_not_read() -> None:
    """Not a byte of the body, nor the application; the answer is a problem like any other and ends the connection."""
    key = Key("key_a", "", "read", digest_of(b"benang_a"), 0)
    ring = KeyRing(lambda: Known(has_keys=True, keys=(key,)), metrics=Metrics())
    door = Door(ring, Limits(None, None, None), now_us=lambda: 0, metrics=Metrics())
    wall = Guard(broken, entrance_of=entrance_of, door=door, body_timeout_s=1, metrics=Metrics())
    for shown, status, code in ((None, 401, "unauthenticated"), ("Bearer benang_a", 403, "forbidden")):
        headers = JSON | {"content-length": "9"} | ({} if shown is None else {"authorization": shown})
        answer = asked(wall, "/one", [b"x" * 9], headers)
        assert (answer.status, answer.code, answer.read_bytes) == (status, code, 0)
        assert answer.headers["connection"] == "close"
        assert answer.headers["content-type"] == "application/problem+json"
        assert set(map(str.lower, SECURITY_HEADERS)) <= set(answer.headers)


def test_application_cannot_weaken_the_headers() -> None:
    async def weak(scope: Any, receive: Any, send: Any) -> None:
        await JSONResponse({}, headers={"Content-Security-Policy": "default-src *"})(scope, receive, send)

    assert "default-src 'none'" in asked(guard(weak), "/one", [b"{}"]).headers["content-security-policy"]


def test_500_is_a_constant() -> None:
    with capture_logs() as logs:
        answer = asked(guard(broken), "/one", [b"{}"])

    assert (answer.status, answer.code) == (500, "internal")
    assert "rahasia" not in answer.body.decode() + json.dumps(logs)
    assert [line["event"] for line in logs] == ["request_failed", "request"]
    assert logs[0]["error"] == "RuntimeError"


def test_answer_cut_in_the_middle_closes_the_connection() -> None:
    with pytest.raises(RuntimeError):
        asked(guard(cut), "/one", [b"{}"])


def test_sane_request_ids_are_kept() -> None:
    assert (
        asked(guard(), "/one", [b"{}"], JSON | {"x-request-id": "abc-1.2_3"}).headers["x-request-id"]
        == "abc-1.2_3"
    )
    for bad in ("", "a" * 65, "a b", "a\r\nx: y", "é"):
        answer = asked(guard(), "/one", [b"{}"], JSON | {"x-request-id": bad})
        assert len(answer.headers["x-request-id"]) == 32


def test_one_canonical_line_per_request() -> None:
    with capture_logs() as logs:
        asked(guard(), "/one", [b"{}"], JSON | {"x-request-id": "r1"})

    (line,) = logs
    assert tuple(
        line[name] for name in ("event", "request_id", "method", "route", "status", "problem", "body_bytes")
    ) == ("request", "r1", "POST", "/one", 200, None, 2)


def test_logs_are_json_lines_without_contents(capsys: pytest.CaptureFixture[str]) -> None:
    """Newlines and colours in a path cannot forge a line; a traceback shows places, never messages or locals."""
    before = structlog.get_config()
    try:
        set_up_logging()
        asked(guard(broken), '/one\n{"event": "forged"}\x1b[31m', [b"{}"])
        structlog.get_logger().error("failed", exc_info=ValueError("rahasia"))
    finally:
        structlog.configure(**before)
    out = capsys.readouterr().out

    assert [json.loads(line)["event"] for line in out.splitlines()] == ["request_failed", "request", "failed"]
    assert "rahasia" not in out
    assert "\x1b" not in out


def test_metrics_have_closed_labels() -> None:
    metrics = Metrics()
    wall = guard(metrics=metrics)
    for number in range(20):
        asked(wall, f"/nix/{number}", method=f"M{number}")
    asked(wall, "/bulk", [b"x"], GZIP)
    asked(wall, "/one", [b"x"], {"content-type": "text/plain"})
    text = metrics.render().decode()

    assert 'benang_http_requests_total{method="other",route="unmatched",status_class="2xx"} 20.0' in text
    assert 'benang_rejected_total{reason="unsupported_media_type"} 1.0' in text
    assert "benang_inflate_refused_total 1.0" in text
    assert "/nix" not in text


def test_other_scopes_pass() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    asyncio.run(guard(app)({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert seen == ["lifespan"]
