"""Webhooks: every change at least once and in order, whatever the receiver does, and never to where it must not go."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from mirror import Mirror, apply
from newsroom import FakeDesk
from places import settings_of
from receiver import Receiver, first_seen, receiving
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from test_api import assert_problem
from test_changes import truth
from test_desk import PATIENCE_S, held, opened
from test_docs import API
from test_stream import story, tell_of, wait_for
from wire import look_alikes

from service import courier
from service.app import create_app
from service.model import KINDS
from service.store.changes import Change, last_change, tell, tell_restored
from service.store.webhooks import MAX_WEBHOOKS, add_webhook, list_webhooks, remove_webhook
from service.webhooks import (
    Webhook,
    allowed_hosts,
    body_of,
    delivery_id,
    is_due,
    may_connect,
    refusal_of,
    signature,
    wait_s,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from service.desk import Desk

HOSTS = "127.0.0.1, localhost,hooks.example,10.1.2.3"
SECRET = "rahasia"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures are tried again within milliseconds."""
    monkeypatch.setattr(courier, "GATHER_S", 0.01)
    monkeypatch.setattr(courier, "AGAIN_S", 0.05)
    monkeypatch.setattr(courier, "wait_s", lambda failures, _chance: min(0.01 * failures, 0.05))


@pytest.fixture
def desk(tmp_path: Path, database: str) -> Iterator[Desk]:
    with opened(tmp_path, webhook_hosts=HOSTS) as one:
        yield one


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def hook(url: str, number: int = 1, **changes: Any) -> Webhook:
    values: dict[str, Any] = {
        "id": f"whk_{number:026d}",
        "url": url,
        "secret": SECRET,
        "kinds": (),
        "after_seq": 0,
    }
    return Webhook(**(values | {"created_us": 0} | changes))


def register(desk: Desk, *webhooks: Webhook) -> None:
    for one in webhooks:
        desk.write(lambda connection, one=one: add_webhook(connection, one)).result(PATIENCE_S)  # type: ignore[misc]


def stored(desk: Desk) -> list[Webhook]:
    with desk.reader.connect() as connection:
        return list_webhooks(connection)


def newest(desk: Desk) -> int:
    with desk.reader.connect() as connection:
        return last_change(connection)


def tell_stories(desk: Desk, *found: Change) -> None:
    desk.write(lambda connection: tell(connection, found, 0)).result(PATIENCE_S)


def all_confirmed(desk: Desk) -> bool:
    return all(one.after_seq == newest(desk) for one in stored(desk))


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://hooks.example/x", None),
        ("https://HOOKS.example:8443/x?y=1", None),
        ("http://hooks.example/x", "https_needed"),
        ("http://10.1.2.3/x", "https_needed"),
        ("https://10.1.2.3/x", None),
        ("http://localhost:9000/x", None),
        ("http://127.0.0.1/x", None),
        ("http://127.0.0.2/x", "host_not_allowed"),
        ("http://[::1]/x", "host_not_allowed"),
        ("https://sub.hooks.example/", "host_not_allowed"),
        ("https://hooks.example.evil.example/", "host_not_allowed"),
        ("https://hooks.example@evil.example/", "host_not_allowed"),
        ("https://2130706433/", "host_not_allowed"),
        ("https://hooks.example./", "host_not_allowed"),
        ("https://höoks.example/", "bad_url"),
    ],
)
def test_only_named_hosts_are_told(url: str, code: str | None) -> None:
    assert refusal_of(url, allowed_hosts(HOSTS)) == code


def test_no_host_is_allowed_unless_named() -> None:
    assert allowed_hosts("") == allowed_hosts(" , ") == frozenset()


_SPECIAL = [
    "127.0.0.1",
    "127.8.8.8",
    "::1",
    "0.0.0.0",
    "::",
    "169.254.169.254",
    "169.254.0.1",
    "fe80::1",
    "fd00:ec2::254",
    "100.100.100.200",
    "224.0.0.1",
    "ff02::1",
    "240.0.0.1",
    "255.255.255.255",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "2002:a9fe:a9fe::1",
    "64:ff9b::a9fe:a9fe",
]
_USUAL = [
    "93.184.216.34",
    "10.0.0.8",
    "172.16.3.4",
    "192.168.1.1",
    "2606:2800:220:1::1",
    "fd12::7",
    "::ffff:10.0.0.8",
]


@pytest.mark.parametrize("address", _SPECIAL)
def test_a_name_may_not_lead_into_the_machine_or_its_cloud(address: str) -> None:
    assert not may_connect("hooks.example", ip_address(address))


@pytest.mark.parametrize("address", _USUAL)
def test_a_name_may_lead_outside_and_to_private_networks(address: str) -> None:
    assert may_connect("hooks.example", ip_address(address))
    assert not may_connect("localhost", ip_address(address))


def test_an_address_that_is_named_is_taken_at_its_word() -> None:
    assert may_connect("169.254.169.254", ip_address("169.254.169.254"))
    assert not may_connect("10.0.0.1", ip_address("10.0.0.2"))
    assert may_connect("localhost", ip_address("127.0.0.1"))


@given(failures=st.integers(1, 10_000), chance=st.floats(0, 1))
def test_waits_double_up_to_an_hour(failures: int, chance: float) -> None:
    longest = min(3600, 2 ** min(failures - 1, 20))
    assert longest / 2 <= wait_s(failures, chance) <= longest


def test_a_wait_that_no_failure_gives_is_over() -> None:
    """A clock set back by a day does not keep a receiver waiting for a day."""
    waiting = hook("https://hooks.example", after_seq=3, failures=1, next_try_us=10_000_000_000)
    assert is_due(waiting, 4, 10_000_000_000)
    assert not is_due(waiting, 4, 9_999_999_999)
    assert is_due(waiting, 4, 10_000_000_000 - 3_600_000_001)
    assert not is_due(waiting, 3, 10_000_000_000)


def receivers_code() -> Callable[..., bool]:
    """The function that `docs/api.md` gives to receivers."""
    start = API.index("```python\n") + len("```python\n")
    names: dict[str, Any] = {}
    exec(API[start : API.index("```", start)], names)
    found: Callable[..., bool] = names["is_genuine"]
    return found


@given(secret=st.text(max_size=50), body=st.binary(max_size=200), at=st.integers(0, 2**40))
def test_the_documented_check_takes_what_is_signed(secret: str, body: bytes, at: int) -> None:
    secret = secret.encode("utf-8", "replace").decode()
    header = signature(secret, body, at)
    is_genuine = receivers_code()

    assert is_genuine(secret, header, body, tolerance_s=2**41)
    assert not is_genuine(secret + "x", header, body, tolerance_s=2**41)
    assert not is_genuine(secret, header, body + b" ", tolerance_s=2**41)
    assert not is_genuine(secret, header.replace(f"t={at}", f"t={at + 1}"), body, tolerance_s=2**41)


@pytest.mark.parametrize(
    "header", ["", "t=1", "v1=ab", "t=x,v1=ab", "t=²,v1=ab", ",,,", "t=1,v1=é", "=", "t=-1,v1="]
)
def test_the_documented_check_refuses_what_is_no_signature(header: str) -> None:
    assert not receivers_code()("s", header, b"{}", tolerance_s=2**41)


def test_the_documented_check_refuses_what_is_old() -> None:
    now = int(time.time())
    assert receivers_code()("s", signature("s", b"{}", now - 200), b"{}")
    assert not receivers_code()("s", signature("s", b"{}", now - 400), b"{}")


# --- deliveries -------------------------------------------------------------------------------------------------------


def test_a_receiver_gets_every_change_once_and_in_order(desk: Desk, receiver: Receiver) -> None:
    """What it is sent builds a mirror equal to the store, and each delivery is signed and named."""
    register(desk, hook(receiver.url))
    items = look_alikes(9, 60)
    for place in range(0, 60, 7):
        desk.submit(items[place : place + 7]).result(PATIENCE_S)
    wait_for(lambda: all_confirmed(desk))

    assert receiver.taken == list(range(1, newest(desk) + 1))
    mirror = Mirror()
    after = 0
    for one in receiver.got:
        assert one.content["webhook_id"] == hook("").id
        assert one.headers["Benang-Delivery"] == f"{hook('').id}.{after}-{one.content['next_after']}"
        assert one.headers["Content-Type"] == "application/json"
        assert one.headers["Host"] == receiver.url.split("/")[2]
        assert receivers_code()(SECRET, one.headers["Benang-Signature"], one.body)
        after = one.content["next_after"]
        for change in one.content["items"]:
            apply(mirror, change)
    assert mirror == truth(desk.reader)


def test_a_batch_has_at_most_five_hundred_changes(desk: Desk, receiver: Receiver) -> None:
    tell_stories(desk, *map(story, range(1234)))
    register(desk, hook(receiver.url))
    wait_for(lambda: all_confirmed(desk))

    assert [len(one.seqs) for one in receiver.got] == [500, 500, 234]
    assert receiver.taken == list(range(1, 1235))


def test_what_is_confirmed_while_the_courier_looks_is_not_sent_again(
    desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks at the store while a delivery is under way, and goes by what it saw only after that was confirmed."""
    looking = threading.Event()
    one = desk._courier
    look = one._look

    def late() -> tuple[list[Webhook], int]:
        seen = look()
        if one._busy and not looking.is_set():
            looking.set()
            wait_for(lambda: not one._busy)
        return seen

    def answer(number: int) -> int:
        if number == 0:
            one._from_outside(one._news.set)
            assert looking.wait(PATIENCE_S)
        return 200

    monkeypatch.setattr(one, "_look", late)
    receiver.answer = answer
    register(desk, hook(receiver.url))
    tell_stories(desk, story(1))
    wait_for(lambda: looking.is_set() and all_confirmed(desk))
    tell_stories(desk, story(2))
    wait_for(lambda: all_confirmed(desk))

    assert receiver.taken == [1, 2]


def test_only_wanted_kinds_are_sent_and_the_others_passed_over(desk: Desk, receiver: Receiver) -> None:
    found = [Change(KINDS[number % 12], story_id="sto_x") for number in range(600)]
    register(desk, hook(receiver.url, kinds=("story.split", "story.merged")))
    tell_stories(desk, *found)
    wait_for(lambda: all_confirmed(desk))
    tell_stories(desk, story(1))
    wait_for(lambda: all_confirmed(desk))

    assert receiver.taken == [
        seq for seq, one in enumerate(found, 1) if one.kind in {"story.split", "story.merged"}
    ]
    assert stored(desk)[0].after_seq == 601


def test_a_receiver_that_fails_first_loses_nothing(desk: Desk, receiver: Receiver) -> None:
    """Refused batches come again, with later changes behind them, until they are taken; failures are counted from there."""
    receiver.answer = lambda number: (500, 404, 429, 204, 500, 202)[number] if number < 6 else 200
    register(desk, hook(receiver.url))
    for number in range(12):
        tell_stories(desk, story(number))
        time.sleep(0.03)
    wait_for(lambda: all_confirmed(desk))

    assert receiver.taken == list(range(1, 13))
    assert [one.status for one in receiver.got[:6]] == [500, 404, 429, 204, 500, 202]
    (kept,) = stored(desk)
    assert (kept.failures, kept.last_error, kept.next_try_us) == (0, None, 0)
    assert desk.metrics.deliveries.labels(outcome="failed")._value.get() == 4


def test_a_redirect_is_a_failure_and_leads_nowhere(desk: Desk, receiver: Receiver) -> None:
    with receiving() as elsewhere:
        receiver.answer = lambda _number: 307
        receiver.headers["Location"] = elsewhere.url
        register(desk, hook(receiver.url))
        tell_stories(desk, story(1))
        wait_for(lambda: len(receiver.got) > 2)

        assert elsewhere.got == []
    (kept,) = stored(desk)
    assert (kept.after_seq, kept.last_error) == (0, "Answered 307.")
    assert kept.failures > 0


def test_a_dead_receiver_is_kept_and_told_when_it_lives(desk: Desk) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    register(desk, hook(f"http://127.0.0.1:{port}/"))
    tell_stories(desk, *map(story, range(3)))
    wait_for(lambda: stored(desk)[0].failures > 3)

    assert stored(desk)[0].last_error == "No connection."
    with receiving(port=port) as alive:
        wait_for(lambda: all_confirmed(desk))
        assert alive.taken == [1, 2, 3]
    assert stored(desk)[0].last_error is None


def test_a_slow_receiver_holds_up_nobody(
    desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is cut off in time and tried again, while another gets everything at once."""
    monkeypatch.setattr(courier, "TIMEOUT_S", 0.5)
    with receiving() as slow:

        def late(_number: int) -> int:
            time.sleep(1)
            return 200

        slow.answer = late
        register(desk, hook(slow.url, 1), hook(receiver.url, 2))
        since = time.monotonic()
        for number in range(5):
            tell_stories(desk, story(number))
            wait_for(lambda number=number: receiver.taken == list(range(1, number + 2)))  # type: ignore[misc]
        assert time.monotonic() - since < 2
        wait_for(lambda: stored(desk)[0].failures > 0)
        assert stored(desk)[0].last_error == "No answer within 0.5 seconds."
        assert stored(desk)[0].after_seq == 0
        slow.answer = lambda _number: 200
        wait_for(lambda: all_confirmed(desk))
        assert first_seen(slow.taken) == [1, 2, 3, 4, 5]


def test_a_receiver_that_never_ends_its_answer_is_not_read(tmp_path: Path) -> None:
    with receiving(body=b"x" * 50_000_000) as talker, opened(tmp_path, webhook_hosts=HOSTS) as desk:
        register(desk, hook(talker.url))
        for number in range(3):
            tell_stories(desk, story(number))
        since = time.monotonic()
        wait_for(lambda: all_confirmed(desk))
        assert time.monotonic() - since < 2


def test_nothing_is_sent_to_a_host_that_is_no_longer_named(tmp_path: Path, receiver: Receiver) -> None:
    with opened(tmp_path, webhook_hosts="hooks.example") as desk:
        register(desk, hook(receiver.url))
        tell_stories(desk, story(1))
        wait_for(lambda: stored(desk)[0].failures > 1)
        assert stored(desk)[0].last_error == "The host is not allowed by the setting webhook_hosts."
    with opened(tmp_path) as desk:
        assert not desk._courier._thread.is_alive()
    assert receiver.got == []


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1"])
def test_a_name_that_leads_inside_is_not_followed(
    desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """Rebinding: the name was allowed, its address is not; the connection goes to what was checked or nowhere."""
    port = int(receiver.url.split(":")[2].split("/")[0])
    asked: list[str] = []

    def look_up(host: str, *_: Any, **__: Any) -> Any:
        asked.append(host)
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port),
            )
        ]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    register(desk, hook(f"https://hooks.example:{port}/"))
    tell_stories(desk, story(1))
    wait_for(lambda: stored(desk)[0].failures > 0)

    assert stored(desk)[0].last_error == "The host has an address that is not allowed."
    assert receiver.got == []
    assert set(asked) == {"hooks.example"}


def test_a_name_nobody_knows_is_a_failure(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    register(desk, hook("https://hooks.example/"))
    tell_stories(desk, story(1))
    wait_for(lambda: stored(desk)[0].failures > 0)

    assert stored(desk)[0].last_error == "The name of the host cannot be resolved."


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    key, cert = folder / f"{name}.key", folder / f"{name}.pem"
    more = ["-keyout", key, "-out", cert, "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    try:
        subprocess.run([*command, *map(str, more)], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    return cert, key


@pytest.mark.parametrize(("name", "error"), [("localhost", None), ("other.example", "No secure connection.")])
def test_the_certificate_must_be_that_of_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, error: str | None
) -> None:
    """The connection goes to an address that was looked up before, the certificate is held against the name."""
    cert, key = certificate(tmp_path, name)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(cert, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    with receiving(tls=tls) as receiver, opened(tmp_path / "data", webhook_hosts=HOSTS) as desk:
        register(desk, hook(receiver.url))
        tell_stories(desk, story(1))
        wait_for(lambda: bool(stored(desk)[0].failures or stored(desk)[0].after_seq))
        assert stored(desk)[0].last_error == error
        assert receiver.taken == ([] if error else [1])
        if not error:
            assert receiver.got[0].headers["Host"] == receiver.url.split("/")[2]


def test_a_webhook_that_is_deleted_is_told_no_more(desk: Desk, receiver: Receiver) -> None:
    register(desk, hook(receiver.url))
    tell_stories(desk, story(1))
    wait_for(lambda: all_confirmed(desk))
    assert desk.write(lambda connection: remove_webhook(connection, hook("").id)).result(PATIENCE_S)
    tell_stories(desk, story(2))
    time.sleep(0.2)

    assert receiver.taken == [1]


def test_a_busy_writer_makes_nobody_hear_twice(tmp_path: Path, receiver: Receiver) -> None:
    """A place that cannot be noted at once is noted later, without sending again."""
    with opened(tmp_path, webhook_hosts=HOSTS, queue_size=1) as desk:
        register(desk, hook(receiver.url))
        tell_stories(desk, story(1))
        with held(desk):
            wait_for(lambda: len(receiver.got) == 1)
            time.sleep(0.5)
        wait_for(lambda: all_confirmed(desk))
        assert receiver.taken == [1]


def test_a_failing_store_makes_nobody_hear_twice(desk: Desk, receiver: Receiver) -> None:
    failing = iter([True] * 3)

    def fail(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE webhooks") and next(failing, False):
            raise OperationalError(statement, None, OSError())

    register(desk, hook(receiver.url))
    event.listen(desk._engine, "before_cursor_execute", fail)
    tell_stories(desk, story(1))
    wait_for(lambda: all_confirmed(desk))

    assert receiver.taken == [1]
    assert next(failing, None) is None


def test_a_desk_that_closes_lets_a_delivery_end(tmp_path: Path, receiver: Receiver) -> None:
    def late(_number: int) -> int:
        time.sleep(0.5)
        return 200

    receiver.answer = late
    with opened(tmp_path, webhook_hosts=HOSTS) as desk:
        register(desk, hook(receiver.url))
        tell_stories(desk, story(1))
        time.sleep(0.2)
    with opened(tmp_path) as desk:
        assert stored(desk)[0].after_seq == 1
    assert receiver.taken == [1]


def test_a_desk_that_closes_does_not_wait_for_ever(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A delivery cut off is made again after the start."""
    monkeypatch.setattr(courier, "GRACE_S", 0.1)

    def late(number: int) -> int:
        time.sleep(0 if number else 2)
        return 200

    receiver.answer = late
    with opened(tmp_path, webhook_hosts=HOSTS) as desk:
        register(desk, hook(receiver.url))
        tell_stories(desk, story(1))
        time.sleep(0.2)
        since = time.monotonic()
    assert time.monotonic() - since < 1.5
    with opened(tmp_path, webhook_hosts=HOSTS) as desk:
        wait_for(lambda: all_confirmed(desk))
    wait_for(lambda: len(receiver.got) == 2)
    assert receiver.taken == [1, 1]
    assert len({one.headers["Benang-Delivery"] for one in receiver.got}) == 1


# --- the routes -------------------------------------------------------------------------------------------------------


@pytest.fixture
def newsroom(tmp_path: Path) -> Iterator[FakeDesk]:
    made = FakeDesk(settings_of(tmp_path, webhook_hosts=HOSTS))
    yield made
    made.close()


@pytest.fixture
def client(newsroom: FakeDesk) -> Iterator[TestClient]:
    with TestClient(create_app(newsroom.settings, newsroom), raise_server_exceptions=False) as opened_client:
        yield opened_client


def test_a_webhook_is_made_listed_and_deleted(client: TestClient, newsroom: FakeDesk) -> None:
    """The secret is shown once and never again; without `after` it begins with what comes next."""
    tell_of(newsroom, *map(story, range(5)))
    body = {"url": "https://hooks.example/x", "kinds": ["story.split", "story.split"]}
    first = client.post("/v1/webhooks", json=body)
    second = client.post("/v1/webhooks", json={"url": "http://localhost:1/", "after": 2})

    assert (first.status_code, second.status_code) == (201, 201)
    assert len(first.json()["secret"]) >= 43
    assert first.json()["secret"] != second.json()["secret"]
    assert first.json()["id"].startswith("whk_")
    tell_of(newsroom, story(6))
    listed = client.get("/v1/webhooks")
    assert first.json()["secret"] not in listed.text
    one, two = listed.json()["items"]
    assert one == {
        "id": first.json()["id"],
        "url": "https://hooks.example/x",
        "kinds": ["story.split"],
        "created_at": first.json()["created_at"],
        "after_seq": 5,
        "lag": 1,
        "failures": 0,
        "next_try_at": None,
        "last_error": None,
    }
    assert (two["after_seq"], two["lag"], two["kinds"]) == (2, 4, [])
    with newsroom.writer.begin() as connection:
        marked = tell_restored(connection, 1_800_000_000_000_000)
    assert [item["lag"] for item in client.get("/v1/webhooks").json()["items"]] == [2, 5]
    lost = client.post("/v1/webhooks", json={"url": "https://hooks.example/y", "after": marked - 1})
    assert assert_problem(lost, "invalid")["errors"][0]["code"] == "after_ahead"
    assert client.delete(f"/v1/webhooks/{one['id']}").status_code == 204
    assert_problem(client.delete(f"/v1/webhooks/{one['id']}"), "not_found")
    assert [item["id"] for item in client.get("/v1/webhooks").json()["items"]] == [two["id"]]


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/url", "missing"),
        ({"url": "https://evil.example/"}, "/url", "host_not_allowed"),
        ({"url": "http://hooks.example/"}, "/url", "https_needed"),
        ({"url": "https://a:b@hooks.example/"}, "/url", "url_credentials"),
        ({"url": "ftp://hooks.example/"}, "/url", "bad_url"),
        ({"url": "https://hooks.example\\@evil.example/"}, "/url", "bad_url"),
        ({"url": "https://hooks.example/", "after": 1}, "/after", "after_ahead"),
        ({"url": "https://hooks.example/", "after": -1}, "/after", "out_of_range"),
        ({"url": "https://hooks.example/", "kinds": ["story"]}, "/kinds/0", "unknown_value"),
        ({"url": "https://hooks.example/", "secret": "x"}, "/secret", "unknown_field"),
    ],
)
def test_what_a_webhook_asks_is_checked(
    client: TestClient, body: dict[str, Any], pointer: str, code: str
) -> None:
    (error,) = assert_problem(client.post("/v1/webhooks", json=body), "invalid")["errors"]

    assert (error["pointer"], error["code"]) == (pointer, code)
    assert client.get("/v1/webhooks").json() == {"items": []}


def test_webhooks_are_off_until_a_host_is_named(tmp_path: Path) -> None:
    desk = FakeDesk(settings_of(tmp_path))
    with TestClient(create_app(desk.settings, desk), raise_server_exceptions=False) as client:
        assert_problem(client.post("/v1/webhooks", json={"url": "https://hooks.example/"}), "webhooks_off")
        assert client.get("/v1/webhooks").json() == {"items": []}
    desk.close()


def test_there_are_only_so_many_webhooks(client: TestClient) -> None:
    for _ in range(MAX_WEBHOOKS):
        assert client.post("/v1/webhooks", json={"url": "https://hooks.example/"}).status_code == 201

    assert_problem(client.post("/v1/webhooks", json={"url": "https://hooks.example/"}), "too_many_webhooks")


def test_a_delivery_is_named_by_what_it_holds() -> None:
    assert delivery_id(hook("", after_seq=7), 9) == f"{hook('').id}.7-9"
    assert body_of("whk_x", [{"seq": 1}], 1) == b'{"webhook_id":"whk_x","items":[{"seq":1}],"next_after":1}'
