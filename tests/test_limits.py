"""Token buckets: the arithmetic against a bucket that is really filled, and what callers are told and made to wait."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from newsroom import NOW, FakeDesk
from structlog.testing import capture_logs
from test_api import assert_problem
from test_door import OWN, bearer, give_key

from service.app import create_app
from service.door import place_of
from service.limits import Buckets, Rate, take
from service.settings import Settings

SECOND = 1_000_000_000


@dataclass
class Pail:
    """A bucket as one would build it: tokens drip in with time, a request takes a whole one."""

    rate: Rate
    tokens: Fraction = field(init=False)
    at: int = 0

    def __post_init__(self) -> None:
        self.tokens = Fraction(self.rate.burst)

    def take(self, now: int) -> tuple[bool, int]:
        dripped = Fraction(now - self.at, self.rate.every_ns)
        self.tokens = min(Fraction(self.rate.burst), self.tokens + dripped)
        self.at = now
        if self.tokens < 1:
            return False, 0
        self.tokens -= 1
        return True, int(self.tokens)


rates = st.builds(Rate, st.integers(1, 50), st.integers(1, 9))


@given(rates, st.lists(st.integers(0, 120), max_size=200))
def test_bucket_equals_a_real_one(rate: Rate, pauses: list[int]) -> None:
    """Every answer, what is left, and the wait to the nanosecond."""
    pail, full_at, now = Pail(rate), 0, 0
    for pause in pauses:
        now += pause
        allowed, left = pail.take(now)
        taken = take(full_at, now, rate)
        full_at = taken.full_at
        assert (taken.wait_ns == 0, taken.remaining) == (allowed, left)
        assert Fraction(full_at - now, rate.every_ns) == rate.burst - pail.tokens
        if not allowed:
            assert take(full_at, now + taken.wait_ns, rate).wait_ns == 0
            assert take(full_at, now + taken.wait_ns - 1, rate).wait_ns == 1


@given(rates, st.lists(st.integers(0, 9), min_size=1, max_size=300))
def test_bucket_never_lets_more_through_than_its_rate(rate: Rate, pauses: list[int]) -> None:
    """In any stretch of time: what it holds, and what drips in meanwhile."""
    full_at, now, allowed = 0, 0, []
    for pause in pauses:
        now += pause
        taken = take(full_at, now, rate)
        full_at = taken.full_at
        if not taken.wait_ns:
            allowed.append(now)
    for first, start in enumerate(allowed):
        for last in range(first, len(allowed)):
            assert last - first + 1 <= rate.burst + (allowed[last] - start) / rate.every_ns


@given(rates, st.integers(0, 10**6), st.integers(0, 10**6))
def test_bucket_is_never_emptier_than_empty(rate: Rate, full_at: int, now: int) -> None:
    """A clock that goes back costs a caller what the bucket holds, and no more."""
    taken = take(full_at, now, rate)
    assert taken.full_at - now <= rate.burst * rate.every_ns
    assert taken.wait_ns <= rate.every_ns


@pytest.mark.parametrize(
    ("per_s", "burst_s", "expected"),
    [
        (100, 10, Rate(10_000_000, 1000)),
        (0.5, 10, Rate(2_000_000_000, 5)),
        (0.001, 10, Rate(1_000_000_000_000, 1)),
        (0, 10, None),
    ],
)
def test_bucket_rates(per_s: float, burst_s: float, expected: Rate | None) -> None:
    assert Rate.of(per_s, burst_s) == expected


def test_buckets_are_bounded_and_apart() -> None:
    """Names do not share; of too many the one that was silent longest is forgotten."""
    now = 0
    buckets = Buckets(Rate(SECOND, 2), clock_ns=lambda: now, most=3)

    def waits(name: str) -> int:
        return buckets.take(name)[0].wait_ns

    assert [waits("a") for _ in range(3)] == [0, 0, SECOND]
    assert [waits("b"), waits("c"), waits("a")] == [0, 0, SECOND]
    assert waits("d") == 0
    assert len(buckets) == 3
    assert [waits("a"), waits("d"), waits("d")] == [SECOND, 0, SECOND], "b was the one"
    for number in range(10_000):
        waits(str(number))
    assert len(buckets) == 3
    now = SECOND
    assert waits("a") == 0


def test_bucket_tells_whole_seconds() -> None:
    now = 0
    buckets = Buckets(Rate(SECOND * 3 // 2, 2), clock_ns=lambda: now)
    told = [buckets.take("a")[1] for _ in range(3)]

    limit = {"RateLimit-Limit": "2"}
    assert told == [
        limit | {"RateLimit-Remaining": "1", "RateLimit-Reset": "2"},
        limit | {"RateLimit-Remaining": "0", "RateLimit-Reset": "3"},
        limit | {"RateLimit-Remaining": "0", "RateLimit-Reset": "3", "Retry-After": "2"},
    ]


# --- at the door ------------------------------------------------------------------------------------------------------


class House:
    """A service with limits of three at once and one a second, under a clock that the test moves."""

    def __init__(self, folder: Path) -> None:
        self.now_ns = 0
        settings = Settings(data=folder, key_rate=1, address_rate=1, failure_rate=1, burst_s=3)
        self.desk = FakeDesk(settings)
        self.app = create_app(
            settings, self.desk, clock=lambda: NOW, clock_ns=lambda: self.now_ns, own_secret=OWN
        )

    def ask(self, path: str = "/v1/stats", *, at: str = "192.0.2.7", key: str | None = None) -> Any:
        client = TestClient(self.app, raise_server_exceptions=False, client=(at, 5))
        return client.get(path, headers={} if key is None else bearer(key))

    def counted(self) -> float | None:
        return self.desk.metrics.registry.get_sample_value("benang_rate_limited_total")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    with capture_logs():
        yield made
    made.desk.close()


def test_bucket_of_a_key(house: House) -> None:
    """Each key has its own, wherever it comes from; a 403 costs as much; health and pages are free."""
    one, other = give_key(house.desk, "read"), give_key(house.desk, "read")
    answers = [
        house.ask(key=one),
        house.ask("/v1/keys", key=one),
        house.ask("/nix", key=one, at="198.51.100.1"),
        house.ask(key=one),
    ]

    assert [answer.status_code for answer in answers] == [200, 403, 404, 429]
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0"]
    problem = assert_problem(answers[-1], "rate_limited")
    assert problem["errors"] == []
    assert answers[-1].headers["retry-after"] == "1"
    assert house.counted() == 1
    assert house.ask(key=other).status_code == 200
    for path in ("/livez", "/readyz", "/docs"):
        answer = house.ask(path, key=one)
        assert (answer.status_code, "ratelimit-limit" in answer.headers) == (200, False)

    house.now_ns = SECOND - 1
    assert house.ask(key=one).status_code == 429
    house.now_ns = SECOND
    assert [house.ask(key=one).status_code for _ in range(2)] == [200, 429]


def test_bucket_of_failures(house: House) -> None:
    """Who shows what is no key is soon told to wait; a key that comes from the same address opens as before."""
    secret = give_key(house.desk, "read")
    assert [house.ask(key="benang_x").status_code for _ in range(5)] == [401, 401, 401, 429, 429]
    refused = house.ask()
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert house.ask(key=secret).status_code == 200
    assert house.ask(at="198.51.100.1").status_code == 401
    assert house.counted() == 3


def test_bucket_of_an_address_without_keys(house: House) -> None:
    for address in ("192.0.2.7", "127.0.0.1", "2001:db8::1"):
        assert [house.ask(at=address).status_code for _ in range(4)] == [200, 200, 200, 429]
    # One subscriber has all the addresses of a /64.
    assert house.ask(at="2001:db8::2").status_code == 429
    assert house.ask(at="2001:db8:0:1::1").status_code == 200


def test_bucket_is_not_asked_of_the_folder(house: House) -> None:
    for has_keys in (False, True):
        if has_keys:
            give_key(house.desk, "read")
        assert {house.ask(key=OWN).status_code for _ in range(20)} == {200}


def test_no_rate_no_limit(tmp_path: Path) -> None:
    desk = FakeDesk(Settings(data=tmp_path, key_rate=0, failure_rate=0))
    secret = give_key(desk, "read")
    with capture_logs(), TestClient(create_app(desk.settings, desk, clock=lambda: NOW)) as client:
        answers = [client.get("/v1/stats", headers=bearer(secret)) for _ in range(50)]
        assert {answer.status_code for answer in answers} == {200}
        assert "ratelimit-limit" not in answers[0].headers
        assert {client.get("/v1/stats").status_code for _ in range(50)} == {401}
    desk.close()


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_place_of_an_address(address: str, place: str) -> None:
    assert place_of(address) == place
