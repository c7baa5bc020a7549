"""Keys: what a caller shows, what is kept of it, and what it opens.  Only the digest of a secret is ever stored."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable

Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""Each opens what those before it open, and more."""

PREFIX = "benang_"
"""Of every secret, so that one that leaks is found by those who look for such things."""
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Key:
    """What the store knows of a key; times in UTC microseconds."""

    id: str
    name: str
    scope: Scope
    digest: bytes
    created_us: int
    expires_us: int | None = None
    revoked_us: int | None = None

    def status(self, now_us: int) -> Literal["live", "expired", "revoked"]:
        """Say whether it opens anything; from the moment of its expiry on it does not."""
        if self.revoked_us is not None:
            return "revoked"
        return "expired" if self.expires_us is not None and self.expires_us <= now_us else "live"


def new_secret() -> str:
    """Make a secret that nobody guesses (256 random bits)."""
    return PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def digest_of(secret: bytes) -> bytes:
    """Return what is kept of a secret: it has 256 random bits, so a plain SHA-256 cannot be turned back."""
    return hashlib.sha256(secret).digest()


def find_key(keys: Iterable[Key], secret: bytes, now_us: int) -> Key | None:
    """Return the live key that has this secret; every key is compared, so that time tells nothing."""
    digest = digest_of(secret)
    found: Key | None = None
    for key in keys:
        if hmac.compare_digest(key.digest, digest):
            found = key
    return found if found is not None and found.status(now_us) == "live" else None


def includes(held: Scope, needed: Scope) -> bool:
    """Say whether one scope opens what needs another."""
    return SCOPES.index(held) >= SCOPES.index(needed)
