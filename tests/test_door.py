"""The door: every route has a scope, no key opens more than its own, and nothing that is shown for a key breaks anything."""

import asyncio
import json
import random
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient
from newsroom import NOW, NOW_US, FakeDesk, example
from served import served
from structlog.testing import capture_logs
from test_api import assert_problem

from service import app as wiring
from service.api.entrances import NEEDS, Entrances
from service.app import create_app
from service.door import is_loopback
from service.errors import StoreUnavailable
from service.keyring import FRESH_S, KeyRing, Known
from service.keys import SCOPES, Key, Scope, digest_of, new_secret
from service.settings import Settings
from service.store.keys import add_key, revoke_key
from service.telemetry import Metrics

OWN = "what-stands-in-the-folder"
ID = "01J8ZC5W5E6Q8R9S0T1V2W3X4Y"
ROUTES = [route for router in wiring._ROUTERS for route in router.routes]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[FakeDesk]:
    made = FakeDesk(Settings(data=tmp_path, body_timeout_s=5, failure_rate=0))
    yield made
    made.close()


@pytest.fixture
def client(desk: FakeDesk) -> Iterator[TestClient]:
    app = create_app(desk.settings, desk, clock=lambda: NOW, own_secret=OWN)
    with TestClient(app, raise_server_exceptions=False) as opened:
        yield opened


def give_key(desk: FakeDesk, scope: Scope, **changes: Any) -> str:
    secret = new_secret()
    key = Key(f"key_{secret[-8:]}", scope, scope, digest_of(secret.encode()), 0)
    with desk.writer.begin() as connection:
        add_key(connection, replace(key, **changes))
    return secret


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def ask(client: TestClient, name: str, **options: Any) -> Any:
    """Ask a route as `NEEDS` names it; a stream is not waited for."""
    method, path = name.split(" ")
    for word in ("article", "cluster", "story", "edit", "run", "webhook", "key"):
        path = path.replace(f"{{{word}_id}}", f"{word[:3]}_{ID}")
    if path.endswith("/stream"):
        path += "?after=9"  # refused for what it asks, after the door
    return client.request(method, path, **options)


# --- every route ------------------------------------------------------------------------------------------------------


def test_every_route_declares_its_scope() -> None:
    """The table is the list of routes, no more and no less, and a route that it does not name does not start."""
    names = {f"{method} {route.path}" for route in ROUTES for method in route.methods}  # type: ignore[attr-defined]
    assert set(NEEDS) == names

    router = APIRouter()

    @router.get("/v1/secrets")
    def secrets() -> None: ...

    with pytest.raises(LookupError, match="GET /v1/secrets"):
        Entrances([*ROUTES, *router.routes], {})


@pytest.mark.parametrize("name", NEEDS)
def test_the_guard_enters_where_the_router_does(name: str) -> None:
    method, path = name.split(" ")
    filled = path.replace("{", "").replace("}", "")
    entrance = Entrances(ROUTES, {}).find(method, filled)
    assert (entrance.template, entrance.scope) == (path, NEEDS[name])


def test_unknown_addresses_need_a_key_too() -> None:
    """Nobody without one learns which addresses there are."""
    find = Entrances(ROUTES, {}).find
    for method, path in (
        ("GET", "/nix"),
        ("PUT", "/v1/articles"),
        ("GET", "/livez/"),
        ("HEAD", "/livez"),
        ("POST", "/docs"),
        ("GET", "//v1/articles"),
    ):
        assert find(method, path).scope == "read"


def test_no_route_opens_without_a_key(client: TestClient, desk: FakeDesk) -> None:
    give_key(desk, "admin")
    for name, needed in NEEDS.items():
        answer = ask(client, name)
        if needed is None:
            assert answer.status_code == 200, name
            continue
        assert_problem(answer, "unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert_problem(ask(client, name, headers=bearer(new_secret())), "unauthenticated")


@pytest.mark.parametrize("held", SCOPES)
def test_scopes_open_what_they_should(held: Scope, client: TestClient, desk: FakeDesk) -> None:
    """The whole table: each key opens every route of its scope and of those it includes, and no other."""
    opens = {"read": {"read"}, "write": {"read", "write"}, "admin": {"read", "write", "admin"}}[held]
    shown = bearer(give_key(desk, held))
    for name, needed in NEEDS.items():
        answer = ask(client, name, headers=shown)
        if needed is None or needed in opens:
            assert answer.status_code not in {401, 403}, (name, answer.text)
            continue
        assert_problem(answer, "forbidden")
        expected = f'Bearer error="insufficient_scope", scope="{needed}"'
        assert answer.headers["www-authenticate"] == expected


def test_openapi_tells_the_scope_of_each_operation(client: TestClient) -> None:
    document = client.get("/openapi.json").json()

    (scheme,) = document["components"]["securitySchemes"].items()
    assert (scheme[1]["type"], scheme[1]["scheme"]) == ("http", "bearer")
    shown = {
        f"{method.upper()} {path}": operation["security"]
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert shown == {name: [] if NEEDS[name] is None else [{scheme[0]: [NEEDS[name]]}] for name in shown}
    assert {"POST /v1/articles", "GET /metrics", "GET /livez"} <= set(shown)
    answers = document["paths"]["/v1/webhooks"]["post"]["responses"]
    assert "`unauthenticated`" in answers["401"]["description"]
    assert {"`forbidden`", "`webhooks_off`"} <= set(answers["403"]["description"].split(" · "))
    assert "401" not in document["paths"]["/livez"]["get"]["responses"]


def test_docs_show_the_scope_of_each_operation(client: TestClient) -> None:
    """In the part of each route, between its heading and the next."""
    parts = client.get("/docs").text.split("<h3>")[1:]
    shown = {}
    for part in parts:
        heading = re.match(r"<span class='method'>(\w+)</span> <code>([^<]+)</code>", part)
        if heading is not None:
            scope = re.search(r"Scope: <code>(\w+)</code>", part.partition("<h3")[0])
            shown[f"{heading[1]} {heading[2]}"] = None if scope is None else scope[1]
    assert len(shown) > 30
    assert shown == {name: NEEDS[name] for name in shown}


def test_pages_can_be_taken_away(tmp_path: Path) -> None:
    """Nobody learns from them what there is; all else answers as before."""
    desk = FakeDesk(Settings(data=tmp_path, docs=False))
    with capture_logs(), TestClient(create_app(desk.settings, desk)) as bare:
        for path in ("/", "/docs", "/docs.css", "/openapi.json"):
            assert_problem(bare.get(path), "not_found")
        assert bare.get("/livez").status_code == 200
        give_key(desk, "read")
        bare.app._app.state.keys.forget()  # type: ignore[attr-defined]
        assert_problem(bare.get("/docs"), "unauthenticated")
    desk.close()


# --- keys -------------------------------------------------------------------------------------------------------------


def status(client: TestClient, *shown: bytes) -> int:
    """Ask with these `Authorization` headers, byte by byte, of a service that looks its keys up anew."""
    guard: Any = client.app
    guard._app.state.keys.forget()
    found: list[int] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            found.append(message["status"])

    raw = [(b"authorization", one) for one in shown]
    asked = {"type": "http", "method": "GET", "path": "/v1/stats", "headers": raw, "query_string": b""}
    asyncio.run(guard(asked, receive, send))
    (answered,) = found
    return answered


def of(secret: str) -> bytes:
    return f"Bearer {secret}".encode()


def test_open_until_there_is_a_key_and_never_again(client: TestClient, desk: FakeDesk) -> None:
    assert status(client) == 200
    assert status(client, b"Basic d2hhdGV2ZXI6YSBwcm94eSBhZGRz") == 200

    secret = give_key(desk, "read")
    assert status(client) == 401
    assert status(client, of(secret)) == 200

    with desk.writer.begin() as connection:
        assert revoke_key(connection, f"key_{secret[-8:]}", NOW_US)
    assert status(client, of(secret)) == 401
    assert status(client) == 401
    assert status(client, of(OWN)) == 200


def test_expired_and_revoked_keys_open_nothing(client: TestClient, desk: FakeDesk) -> None:
    expected = {
        give_key(desk, "admin", expires_us=NOW_US + 1): 200,
        give_key(desk, "admin", expires_us=NOW_US): 401,
        give_key(desk, "admin", revoked_us=NOW_US - 1): 401,
        give_key(desk, "admin"): 200,
    }
    assert {secret: status(client, of(secret)) for secret in expected} == expected


def test_non_ascii_key_is_401(client: TestClient, desk: FakeDesk) -> None:
    """P24: whatever stands in the header, the answer is 401 and never 500."""
    secret = give_key(desk, "admin").encode()
    odd: list[tuple[bytes, ...]] = [
        (),
        (b"",),
        (b"Bearer",),
        (b"Bearer ",),
        ("Bearer kunci-rahasia-é".encode(),),
        (b"Bearer \xff\xfe\x80",),
        (b"\xff" * 5000,),
        (b"Bearer " + b"a" * 60_000,),
        (b"Basic " + secret,),
        (secret,),
        (b"Bearer" + secret,),
        (b"Bearer " + secret + b" x",),
        (b"Bearer " + secret + b",Bearer " + secret,),
        (b"Bearer \t" + secret,),
        (b"Bearer " + secret[:-1],),
        (b"Bearer " + secret.swapcase(),),
        (b"Bearer " + secret, b"Bearer " + secret),
        (b"Bearer " + secret, b""),
    ]
    chance = random.Random(24)
    odd += [(chance.randbytes(chance.randrange(60)).translate(None, b"\r\n\0"),) for _ in range(300)]
    for shown in odd:
        assert status(client, *shown) == 401, shown
    for shown in ((b"Bearer " + secret,), (b"bearer   " + secret,), (b"BEARER " + secret + b" ",)):
        assert status(client, *shown) == 200, shown


def test_body_of_a_stranger_is_not_read(desk: FakeDesk) -> None:
    """The answer comes before a byte of the body is asked for, and the connection ends with it."""
    give_key(desk, "read")
    with served(desk) as url:
        asked = 0

        def body() -> Iterator[bytes]:
            nonlocal asked
            for _ in range(1000):
                asked += 1
                yield b"x" * 2**16

        with httpx.Client(trust_env=False) as http:
            try:
                answer = http.post(f"{url}/v1/articles/bulk", content=body())
            except httpx.TransportError:
                pass  # it was refused while it was sending
            else:
                assert answer.status_code == 401
                assert answer.headers["connection"] == "close"
        assert asked < 1000
    assert desk.batches == []


def test_key_not_in_db_or_logs(desk: FakeDesk, client: TestClient, tmp_path: Path) -> None:
    """P24: what is stored and logged tells which key it was, never what opens."""
    secret = give_key(desk, "write")
    client.app._app.state.keys.forget()  # type: ignore[attr-defined]
    with capture_logs() as logs:
        for headers in (bearer(secret), {"Authorization": secret}, bearer(secret + "x")):
            client.post("/v1/articles", json=example(1), headers=headers)
            client.get(f"/v1/articles/{secret}", headers=headers)
            client.get("/v1/webhooks", headers=headers)

    lines = json.dumps(logs)
    callers = [line["caller"] for line in logs]
    assert callers == [f"key_{secret[-8:]}"] * 3 + [None] * 6, "also of one that is refused for its scope"
    assert lines.count(secret) == 3, "in the path where a client wrote it itself"
    assert all(secret not in json.dumps({**line, "path": ""}) for line in logs)
    files = [file for file in tmp_path.iterdir() if file.is_file()]
    assert {"benang.db"} <= {file.name for file in files}
    whole = b"".join(file.read_bytes() for file in files)
    assert digest_of(secret.encode()) in whole
    assert secret.removeprefix("benang_").encode() not in whole


def test_revoking_takes_effect_within_a_second(desk: FakeDesk) -> None:
    """Also where another process wrote to the store."""
    secret = give_key(desk, "read")
    with served(desk) as url, httpx.Client(base_url=url, headers=bearer(secret), trust_env=False) as http:
        assert http.get("/v1/stats").status_code == 200
        with desk.writer.begin() as connection:
            revoke_key(connection, f"key_{secret[-8:]}", NOW_US)
        since = time.monotonic()
        while http.get("/v1/stats").status_code == 200:
            time.sleep(0.02)
        assert time.monotonic() - since < 1


# --- the ring ---------------------------------------------------------------------------------------------------------


def test_ring_is_read_again_when_it_is_old() -> None:
    now = 100.0
    answers: list[Any] = []
    reads = 0

    def read() -> Known:
        nonlocal reads
        reads += 1
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        assert isinstance(found, Known)
        return found

    metrics = Metrics()
    ring = KeyRing(read, metrics=metrics, clock=lambda: now)
    assert not ring.is_fresh()
    assert ring.is_needed, "nobody is let in before it is known that nobody needs a key"
    answers[:] = [StoreUnavailable()]
    with pytest.raises(StoreUnavailable):
        ring.refresh()

    key = Key("key_1", "", "read", digest_of(b"secret"), 0)
    answers[:] = [Known(has_keys=True, keys=(key,))]
    ring.refresh()
    assert ring.is_fresh()
    assert ring.find(b"secret", NOW_US) is key
    now += FRESH_S
    assert not ring.is_fresh()
    answers[:] = [StoreUnavailable()]
    with capture_logs() as logs:
        ring.refresh()
    assert [line["event"] for line in logs] == ["keys_not_read"]
    assert metrics.registry.get_sample_value("benang_store_errors_total", {"kind": "other"}) == 1
    assert ring.is_fresh(), "a store that fails is not asked at every request"
    assert ring.find(b"secret", NOW_US) is key
    ring.forget()
    assert not ring.is_fresh()
    answers[:] = [Known(has_keys=True, keys=())]
    ring.refresh()
    assert ring.find(b"secret", NOW_US) is None
    assert reads == 4


def test_a_store_that_never_answered_lets_nobody_in(client: TestClient, desk: FakeDesk) -> None:
    with desk.writer.begin() as connection:
        connection.exec_driver_sql("DROP TABLE keys")

    assert_problem(client.get("/v1/stats"), "store_unavailable")
    assert client.get("/livez").status_code == 200


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("::ffff:10.0.0.1", False),
        ("testclient", False),
        ("", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_a_proxy_on_this_machine_is_believed(desk: FakeDesk) -> None:
    """The address is that of its caller; what the caller itself claims stands to the left of it and does not count."""
    with served(desk) as url, capture_logs() as logs, httpx.Client(base_url=url, trust_env=False) as http:
        for told in (None, "192.0.2.7", "127.0.0.1, 192.0.2.7"):
            http.get("/v1/stats", headers={} if told is None else {"X-Forwarded-For": told})
    assert [line["caller"] for line in logs] == ["loopback", "anyone", "anyone"]


@pytest.mark.parametrize(("address", "caller"), [("127.0.0.1", "loopback"), ("192.0.2.7", "anyone")])
def test_log_says_who_came_without_a_key(address: str, caller: str, desk: FakeDesk) -> None:
    app = create_app(desk.settings, desk)
    with capture_logs() as logs, TestClient(app, client=(address, 5)) as opened:
        opened.get("/v1/stats")
        opened.get("/livez")

    assert [line["caller"] for line in logs if line["event"] == "request"] == [caller, None]
