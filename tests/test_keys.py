"""Keys: random, kept as digests only, compared without telling anything, live until they expire or are revoked."""

import base64
import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from service.keys import SCOPES, Key, digest_of, find_key, includes, new_secret
from service.store.engine import migrate, writer_engine
from service.store.keys import (
    add_key,
    count_live,
    has_keys,
    key_row,
    list_keys,
    revoke_key,
    standing_keys,
)

NOW = 1_700_000_000_000_000


def key(number: int, secret: str = "", **changes: int) -> Key:
    digest = digest_of((secret or f"secret {number}").encode())
    return replace(Key(f"key_{number}", f"name {number}", "read", digest, NOW - 1000), **changes)  # type: ignore[arg-type]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = writer_engine(tmp_path)
    migrate(made)
    yield made
    made.dispose()


# --- values -----------------------------------------------------------------------------------------------------------


def test_secrets_have_256_random_bits_and_a_name() -> None:
    found = {new_secret() for _ in range(1000)}
    raw = [base64.urlsafe_b64decode(one.removeprefix("benang_") + "=") for one in found]

    assert len(found) == 1000
    assert {len(one) for one in raw} == {32}
    # Each of the 256 bits is set in about half of them: 7 standard deviations on either side.
    for bit in range(256):
        assert 390 < sum(one[bit // 8] >> bit % 8 & 1 for one in raw) < 610


def test_digest_is_sha_256() -> None:
    """The published vector of FIPS 180-2."""
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest_of(b"abc").hex() == expected


@given(st.binary(max_size=80), st.integers(0, 4))
def test_only_the_very_secret_opens(shown: bytes, place: int) -> None:
    secrets = [b"benang_one", b"benang_two", b"", b"\xff\x00", "benang_é".encode()]
    keys = [
        Key(f"key_{number}", "", "read", hashlib.sha256(one).digest(), 0)
        for number, one in enumerate(secrets)
    ]

    found = find_key(keys, shown, NOW)
    assert (found.id if found else None) == (f"key_{secrets.index(shown)}" if shown in secrets else None)
    assert find_key(keys, secrets[place], NOW) is keys[place]


def test_every_key_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the key stands in the list must not be told by the time it takes."""
    seen: list[bytes] = []

    def compare(left: bytes, right: bytes) -> bool:
        seen.append(left)
        return real(left, right)

    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", compare)
    keys = [key(number) for number in range(9)]
    for shown in (b"secret 0", b"secret 8", b"nobody's"):
        seen.clear()
        find_key(keys, shown, NOW)
        assert seen == [one.digest for one in keys]


def test_key_opens_until_it_expires_or_is_revoked() -> None:
    one = key(1)
    cases = [
        (one, "live"),
        (replace(one, expires_us=NOW + 1), "live"),
        (replace(one, expires_us=NOW), "expired"),
        (replace(one, expires_us=NOW - 1), "expired"),
        (replace(one, revoked_us=NOW), "revoked"),
        (replace(one, revoked_us=NOW, expires_us=NOW - 1), "revoked"),
    ]
    for kept, status in cases:
        assert kept.status(NOW) == status
        assert find_key([kept], b"secret 1", NOW) is (kept if status == "live" else None)


def test_scopes_include_those_before_them() -> None:
    opens = {held: {needed for needed in SCOPES if includes(held, needed)} for held in SCOPES}
    assert opens == {"read": {"read"}, "write": {"read", "write"}, "admin": {"read", "write", "admin"}}


# --- the store --------------------------------------------------------------------------------------------------------


def test_keys_are_kept_listed_and_revoked(engine: Engine) -> None:
    kept = [key(1), key(2, expires_us=NOW), key(3, expires_us=NOW + 1)]
    with engine.begin() as connection:
        assert not has_keys(connection)
        for one in kept:
            add_key(connection, one)
        assert list_keys(connection) == kept
        assert count_live(connection, NOW) == 2

        assert revoke_key(connection, "key_1", NOW)
        assert revoke_key(connection, "key_1", NOW + 5), "revoked before, which is what was wanted"
        assert not revoke_key(connection, "key_9", NOW)
        assert list_keys(connection) == [replace(kept[0], revoked_us=NOW), *kept[1:]]
        assert standing_keys(connection) == kept[1:]
        assert count_live(connection, NOW) == 1
        for one in kept:
            revoke_key(connection, one.id, NOW)
        assert has_keys(connection), "a store that had keys never becomes open again"


def test_two_keys_cannot_share_a_secret(engine: Engine) -> None:
    with engine.begin() as connection:
        add_key(connection, key(1, "the same"))
        with pytest.raises(IntegrityError):
            add_key(connection, key(2, "the same"))


def test_key_is_shown_without_what_opens() -> None:
    row = key_row(key(1, expires_us=NOW, revoked_us=NOW + 1), NOW)

    assert row == {
        "id": "key_1",
        "name": "name 1",
        "scope": "read",
        "status": "revoked",
        "created_at": "2023-11-14T22:13:19.999000+00:00",
        "expires_at": "2023-11-14T22:13:20+00:00",
        "revoked_at": "2023-11-14T22:13:20.000001+00:00",
    }
