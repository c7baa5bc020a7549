"""Gzip bodies: what is whole arrives whole, everything else is refused within bounds of time and memory."""

import gzip
import json
import random
import time
import tracemalloc
import zlib

import pytest
from test_guard import GZIP, INFLATED, LIMIT, asked, guard, split

from service.errors import Refused
from service.inflate import MAX_MEMBERS, Inflater


@pytest.mark.parametrize("piece", [1, 2, 3, 17, 1000, 65_536, 10**6])
def test_gzip_in_pieces_of_every_size_equals_the_plain_body(piece: int) -> None:
    body = json.dumps([random.Random(7).random() for _ in range(3000)]).encode()
    for raw in (
        gzip.compress(body),
        gzip.compress(body[:999]) + gzip.compress(b"") + gzip.compress(body[999:]),
    ):
        answer = asked(guard(), "/bulk", split(raw, piece), GZIP)
        assert {"bytes": len(body), "crc": zlib.crc32(body)} == json.loads(answer.body)


def test_gzip_bomb_is_413_and_flat() -> None:
    """A gigabyte in a megabyte: refused at the bound, in no time and hardly any memory."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(squeeze.compress(b"\x00" * 2**20) for _ in range(90)) + squeeze.flush()
    tracemalloc.start()
    started = time.perf_counter()
    answer = asked(guard(), "/bulk", split(bomb[:LIMIT], 65_536), GZIP)
    seconds = time.perf_counter() - started
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (answer.status, answer.code) == (413, "inflated_too_large")
    assert peak < 2_000_000
    assert seconds < 0.5


def test_bound_is_exact() -> None:
    for size, status in ((INFLATED, 200), (INFLATED + 1, 413)):
        assert status == asked(guard(), "/bulk", [gzip.compress(b" " * size)], GZIP).status


def test_output_held_back_by_zlib_is_not_lost() -> None:
    """A piece of input may inflate to more than one step even when all of it is taken."""
    for size in (65_535, 65_536, 65_537, 131_072, 131_073, 399_999):
        inflater = Inflater(INFLATED)
        inflater.feed(gzip.compress(b"a" * size))
        assert b"a" * size == inflater.finish()


def packed(data: bytes) -> bytes:
    """Gzip without the time of day, which would name a test otherwise in every process."""
    return gzip.compress(data, mtime=0)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"plain",
        b"\x1f",
        b"\x1f\x8b\x08",
        packed(b"x" * 1000)[:-1],
        packed(b"x" * 1000)[:-8],
        packed(b"x") + b"rest",
        packed(b"x") + b"\x00" * 100,
        packed(b"x")[:-8] + b"\x00" * 8,
        packed(b"x") + packed(b"y")[:-3],
        zlib.compress(b"x"),
        packed(packed(b"x"))[:10],
    ],
)
def test_damaged_gzip_is_400(raw: bytes) -> None:
    for piece in (1, 10**6):
        answer = asked(guard(), "/bulk", split(raw, piece), GZIP)
        assert (answer.status, answer.code) == (400, "malformed_gzip")


def test_100000_empty_members_are_400_at_once() -> None:
    raw = gzip.compress(b"") * 100_000
    started = time.perf_counter()
    inflater = Inflater(INFLATED)
    with pytest.raises(Refused):
        inflater.feed(raw)

    assert time.perf_counter() - started < 0.5
    inflater = Inflater(INFLATED)
    inflater.feed(gzip.compress(b"") * MAX_MEMBERS)
    assert inflater.finish() == b""


def test_random_bytes_are_gzip_or_refused() -> None:
    chance = random.Random(3)
    good = gzip.compress(b"[" + b"1," * 500 + b"1]")
    for _ in range(2000):
        raw = bytearray(good * chance.choice((1, 2)))
        for _ in range(chance.randrange(1, 4)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        assert asked(guard(), "/bulk", split(bytes(raw), chance.choice((7, 10**6))), GZIP).status in {
            200,
            400,
            413,
        }
