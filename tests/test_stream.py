"""Changes as server-sent events: nothing missing, nothing twice, nothing piled up, and an end when it is time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from newsroom import FakeDesk, example
from served import served
from test_api import assert_problem
from test_changes import random_changes, told
from test_cli import await_service, start
from test_desk import PATIENCE_S, opened
from wire import look_alikes

from service.api import stream
from service.bell import Bell
from service.keyring import FRESH_S
from service.keys import Key, digest_of
from service.settings import Settings
from service.store.changes import Change, Page
from service.store.keys import add_key, revoke_key

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from service.desk import Desk


@dataclass(frozen=True, slots=True)
class Event:
    id: int
    kind: str
    data: dict[str, Any]


@contextmanager
def listening(url: str, *, last: int | None = None, **query: Any) -> Iterator[httpx.Response]:
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    with httpx.stream(
        "GET", f"{url}/v1/changes/stream", params=query, headers=headers, timeout=PATIENCE_S, trust_env=False
    ) as answer:
        yield answer


def heard(answer: httpx.Response) -> Generator[Event, None, None]:
    """Parse the events of a stream as the standard says, comments left out."""
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        else:
            if "data" in fields:
                yield Event(int(fields["id"]), fields["event"], json.loads(fields["data"]))
            fields = {}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[FakeDesk]:
    made = FakeDesk(Settings(data=tmp_path, max_streams=2))
    yield made
    made.close()


@pytest.fixture
def url(desk: FakeDesk) -> Iterator[str]:
    with served(desk) as address:
        yield address


def tell_of(desk: FakeDesk, *found: Change) -> None:
    told(desk, list(found))
    desk.bell.ring()


def story(number: int) -> Change:
    return Change("story.created", story_id=f"sto_{number}")


def wait_for(holds: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- what is heard ----------------------------------------------------------------------------------------------------


def test_a_client_that_comes_and_goes_misses_nothing_and_hears_nothing_twice(tmp_path: Path) -> None:
    """Articles come while it listens; it leaves at random and resumes by `Last-Event-ID`: every number once, in order."""
    items = look_alikes(5, 90)
    chance = random.Random(5)
    with opened(tmp_path, batch_size=8) as real, served(real) as address:
        writer = threading.Thread(target=post_slowly, args=(real, items))
        writer.start()
        found: list[Event] = []
        while writer.is_alive() or len(found) < newest(address):
            patience = chance.randrange(1, 40)
            with listening(address, last=found[-1].id if found else None) as answer:
                for event in heard(answer):
                    found.append(event)
                    patience -= 1
                    if not patience or (not writer.is_alive() and len(found) == newest(address)):
                        break
        pages = httpx.get(f"{address}/v1/changes?limit=1000", trust_env=False).json()
    assert [event.id for event in found] == list(range(1, pages["last"] + 1))
    assert [event.data for event in found] == pages["items"]
    assert [event.kind for event in found] == [item["kind"] for item in pages["items"]]


def post_slowly(desk: Desk, items: list[Any]) -> None:
    for place in range(0, len(items), 3):
        desk.submit(items[place : place + 3]).result(PATIENCE_S)


def newest(address: str) -> int:
    return int(httpx.get(f"{address}/v1/changes?limit=1", trust_env=False).json()["last"])


def test_news_is_heard_well_within_a_second(tmp_path: Path) -> None:
    """From the answer to a POST until the event is there; the median of twenty."""
    waits = []
    with opened(tmp_path) as real, served(real) as address, listening(address) as answer:
        events = heard(answer)
        for number in range(20):
            body = example(number, title=f"Judul {number}")
            assert httpx.post(f"{address}/v1/articles", json=body, trust_env=False).status_code == 201
            since = time.monotonic()
            while next(events).kind != "article.assigned":
                pass
            waits.append(time.monotonic() - since)
    assert sorted(waits)[10] < 0.25


def test_only_the_wanted_kinds_are_heard(desk: FakeDesk, url: str) -> None:
    expected = random_changes(4, 500)
    kinds = ["article.moved", "story.merged"]
    tell_of(desk, *expected)
    told_all = {*kinds, "store.restored"}  # whoever mirrors has to hear of that
    wanted = [(seq, one.kind) for seq, one in enumerate(expected, 1) if one.kind in told_all and seq > 100]
    with listening(url, after=100, kind=kinds) as answer:
        events = heard(answer)
        found = [(event.id, event.kind) for _, event in zip(wanted, events, strict=False)]
    assert found == wanted


def test_the_place_of_a_client_that_resumes_wins(desk: FakeDesk, url: str) -> None:
    """A browser repeats the address it was given and adds the number it came to."""
    tell_of(desk, *map(story, range(9)))
    with listening(url, last=7, after=2) as answer:
        assert next(heard(answer)).id == 8


def test_headers_tell_that_it_is_a_stream(desk: FakeDesk, url: str) -> None:
    tell_of(desk, story(1))
    with listening(url) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        assert "x-request-id" in answer.headers
        lines = answer.iter_lines()
        head = [next(lines) for _ in range(7)]
    assert head[:5] == [": benang", "", "event: story.created", head[3], "id: 1"]
    assert head[3].startswith('data: {"seq":1,"at":"')
    assert head[5:] == ["retry: 2000", ""]


def test_silence_is_filled_with_signs_of_life(
    desk: FakeDesk, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when there is news all the time, but none of the wanted kind."""
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.1)
    with listening(url, kind="article.moved") as answer:
        lines = answer.iter_lines()
        assert [next(lines), next(lines)] == [": benang", ""]
        for number in range(5):
            tell_of(desk, story(number))
            assert [next(lines), next(lines)] == [":", ""]


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "headers", "pointer", "code"),
    [
        ("after=1", {}, "/query/after", "after_ahead"),
        ("after=0", {"Last-Event-ID": "1"}, "/header/Last-Event-ID", "after_ahead"),
        ("", {"Last-Event-ID": "x"}, "/header/Last-Event-ID", "wrong_type"),
        ("limit=1", {}, "/query/limit", "unknown_field"),
        ("kind=x", {}, "/query/kind/0", "unknown_value"),
    ],
)
def test_parameters_are_strict(
    url: str, query: str, headers: dict[str, str], pointer: str, code: str
) -> None:
    answer = httpx.get(f"{url}/v1/changes/stream?{query}", headers=headers, trust_env=False)

    (error,) = assert_problem(answer, "invalid")["errors"]
    assert (error["pointer"], error["code"]) == (pointer, code)


def test_only_so_many_streams_are_open(desk: FakeDesk, url: str) -> None:
    """The third is told to come back; a place is free again once a client has left, and refusals take none."""
    tell_of(desk, story(1))
    with listening(url) as one, contextlib.closing(heard(one)) as of_one:
        next(of_one)
        with listening(url) as two, contextlib.closing(heard(two)) as of_two:
            next(of_two)
            assert desk.metrics.streams._value.get() == 2
            third = httpx.get(f"{url}/v1/changes/stream", trust_env=False)
            assert_problem(third, "too_many_streams")
            assert third.headers["retry-after"] == "5"
        wait_for(lambda: desk.metrics.streams._value.get() == 1)
        for _ in range(3):
            assert httpx.get(f"{url}/v1/changes/stream?after=5", trust_env=False).status_code == 422
        with listening(url) as again:
            assert next(heard(again)).id == 1
    wait_for(lambda: desk.metrics.streams._value.get() == 0)


# --- clients that do not read -----------------------------------------------------------------------------------------


@contextmanager
def deaf(url: str) -> Iterator[socket.socket]:
    """A client that asks for the stream and then takes nothing."""
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((host, int(port)))
        client.sendall(b"GET /v1/changes/stream HTTP/1.1\r\nHost: x\r\n\r\n")
        yield client


def test_nothing_piles_up_for_a_client_that_does_not_read(
    desk: FakeDesk, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading stops when the socket is full; others are served meanwhile, and the slow client gets everything in the end."""
    tell_of(desk, *map(story, range(50_000)))
    reads: list[int] = []
    write = stream.frame

    def counting(item: dict[str, Any], retry_ms: int | None = None) -> bytes:
        reads.append(item["seq"])
        return write(item, retry_ms)

    monkeypatch.setattr(stream, "frame", counting)
    with deaf(url) as client:
        stopped = 0
        while stopped == 0 or stopped < len(reads):
            stopped = len(reads)
            time.sleep(0.5)
        assert stopped < 45_000
        assert httpx.get(f"{url}/livez", trust_env=False).status_code == 200
        client.settimeout(PATIENCE_S)
        tail = b""
        while b'"seq":50000,' not in tail:
            tail = tail[-200:] + client.recv(1 << 16)
    assert reads == list(range(1, 50_001))


def test_a_client_that_does_not_read_loses_its_place(
    desk: FakeDesk, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "SEND_TIMEOUT_S", 0.2)
    tell_of(desk, *map(story, range(50_000)))
    with deaf(url):
        wait_for(lambda: desk.metrics.streams._value.get() == 1)
        wait_for(lambda: desk.metrics.streams._value.get() == 0)


def test_pages_are_read_one_at_a_time() -> None:
    """The next page is asked for when the last one is taken, never ahead."""
    asked: list[int] = []

    def read(after: int) -> Page:
        asked.append(after)
        items = [{"seq": after + 1, "kind": "story.created"}]
        return Page(items, after + 1, 1000)

    async def take() -> None:
        events = stream.events(read, Bell(), 0)
        await anext(events)
        for number in range(5):
            assert asked == list(range(number))
            await anext(events)
        await events.aclose()

    asyncio.run(take())


# --- the end ----------------------------------------------------------------------------------------------------------


def test_a_stream_ends_with_the_service(desk: FakeDesk) -> None:
    """The drain does not wait for it, and the client sees a proper end."""
    with served(desk) as address:
        tell_of(desk, story(1))
        answer = httpx.Client(trust_env=False, timeout=PATIENCE_S).send(
            httpx.Request("GET", f"{address}/v1/changes/stream"), stream=True
        )
        lines = answer.iter_lines()
        assert next(lines) == ": benang"
        since = time.monotonic()
    assert time.monotonic() - since < 2
    assert "id: 1" in list(lines)


@pytest.mark.parametrize("is_silent", [False, True])
def test_a_stream_ends_with_its_key(desk: FakeDesk, is_silent: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What becomes true after the key was revoked is not told; a silent stream ends at its next sign of life."""
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.5 if is_silent else PATIENCE_S)
    key = Key("key_a", "", "read", digest_of(b"benang_a"), 0)
    with desk.writer.begin() as connection:
        add_key(connection, key)
    with served(desk) as address:
        tell_of(desk, story(1))
        with httpx.stream(
            "GET",
            f"{address}/v1/changes/stream",
            headers={"Authorization": "Bearer benang_a"},
            timeout=PATIENCE_S,
            trust_env=False,
        ) as answer:
            events = heard(answer)
            assert next(events).id == 1
            tell_of(desk, story(2))
            assert next(events).id == 2
            with desk.writer.begin() as connection:
                revoke_key(connection, "key_a", 1)
            time.sleep(FRESH_S)
            if not is_silent:
                tell_of(desk, story(3))
            assert list(events) == []


def test_a_stream_without_a_key_ends_with_the_first(desk: FakeDesk) -> None:
    with served(desk) as address, listening(address) as answer:
        tell_of(desk, story(1))
        events = heard(answer)
        assert next(events).id == 1
        with desk.writer.begin() as connection:
            add_key(connection, Key("key_a", "", "read", b"digest", 0))
        time.sleep(FRESH_S)
        tell_of(desk, story(2))
        assert list(events) == []


def test_a_signal_ends_the_service_although_streams_are_open(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        service = await_service(process, tmp_path)
        with listening(service.url) as answer:
            lines = answer.iter_lines()
            next(lines)
            process.send_signal(signal.SIGTERM)
            since = time.monotonic()
            assert list(lines) == [""]
        assert process.wait(PATIENCE_S) == 0
        assert time.monotonic() - since < 5
