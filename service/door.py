"""The door: who asks, and whether that caller may; before anything of the request's body is read."""

from __future__ import annotations

import asyncio
import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import anyio
import anyio.to_thread

from service.errors import Refused
from service.keyring import FOLDER
from service.keys import includes
from service.limits import Buckets, Rate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from starlette.types import Scope as Asked

    from service.keyring import KeyRing
    from service.keys import Scope
    from service.settings import Settings
    from service.telemetry import Metrics

LOOPBACK = "loopback"
ANYONE = "anyone"
"""Callers while no key was ever created: from this machine, and from where `open_beyond_loopback` lets them in."""

_BEARER = re.compile(rb"bearer +([^ ]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Limits:
    """How often one may ask: by key, by address while nobody needs a key, and to be refused for want of one."""

    keys: Buckets | None
    addresses: Buckets | None
    failures: Buckets | None

    @classmethod
    def of(cls, settings: Settings, clock_ns: Callable[[], int]) -> Self:
        """Make the limits that the settings name."""

        def buckets(per_s: float) -> Buckets | None:
            rate = Rate.of(per_s, settings.burst_s)
            return None if rate is None else Buckets(rate, clock_ns=clock_ns)

        return cls(*map(buckets, (settings.key_rate, settings.address_rate, settings.failure_rate)))


class Door:
    """Lets callers in by the key they show, and as often as they may."""

    def __init__(self, ring: KeyRing, limits: Limits, *, now_us: Callable[[], int], metrics: Metrics) -> None:
        self._ring = ring
        self._limits = limits
        self._now_us = now_us
        self._metrics = metrics
        self._reading = asyncio.Lock()
        # A thread of its own: keys are read even where slow answers hold all the others.
        self._thread = anyio.CapacityLimiter(1)

    async def admit(self, asked: Asked, needed: Scope) -> Mapping[str, str]:
        """Note who asks as `caller` of the request's state; return the headers that tell how often that one still may.

        A caller is the ID of a key, or `folder`, `loopback` or `anyone`.

        Raises:
            Refused: without a key that is known (`unauthenticated`), with one that does not open this (`forbidden`), or
                too often (`rate_limited`).
            StoreUnavailable: the keys were never read, and cannot be now.
            NotReady: the store is not open.
        """
        if not self._ring.is_fresh():
            async with self._reading:
                if not self._ring.is_fresh():
                    await anyio.to_thread.run_sync(self._ring.refresh, limiter=self._thread)
        shown = _authorizations(asked["headers"])
        secret = _secret_of(shown)
        key = None if secret is None else self._ring.find(secret, self._now_us())
        if key is None:
            return self._without_key(asked, is_wrong=bool(shown))
        asked["state"]["caller"] = key.id
        told = {} if key.id == FOLDER else self._take(self._limits.keys, key.id)
        if not includes(key.scope, needed):
            challenge = f'Bearer error="insufficient_scope", scope="{needed}"'
            raise Refused("forbidden", headers={**told, "WWW-Authenticate": challenge})
        return told

    def _without_key(self, asked: Asked, *, is_wrong: bool) -> Mapping[str, str]:
        address = address_of(asked)
        if self._ring.is_needed:
            self._take(self._limits.failures, place_of(address))
            raise Refused("unauthenticated", headers={"WWW-Authenticate": _challenge(is_wrong=is_wrong)})
        asked["state"]["caller"] = LOOPBACK if is_loopback(address) else ANYONE
        return self._take(self._limits.addresses, place_of(address))

    def _take(self, buckets: Buckets | None, name: str) -> dict[str, str]:
        """Take a token where there is a limit; return what to tell of it."""
        if buckets is None:
            return {}
        taken, told = buckets.take(name)
        if taken.wait_ns:
            self._metrics.rate_limited.inc()
            raise Refused("rate_limited", headers=told)
        return told


def address_of(asked: Asked) -> str:
    """Return the address a request comes from, empty where the server does not know it."""
    client = asked.get("client")
    return str(client[0]) if client else ""


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine itself."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def place_of(address: str) -> str:
    """Return what is counted as one place: an IPv4 address, or the /64 that one subscriber of IPv6 has to himself."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(known, ipaddress.IPv4Address):
        return str(known)
    return str(known.ipv4_mapped or ipaddress.ip_network((int(known) >> 64 << 64, 64)))


def _authorizations(headers: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    return [value for name, value in headers if name.lower() == b"authorization"]


def _secret_of(shown: list[bytes]) -> bytes | None:
    """Return the secret of the one header that shows it; of two nobody says which counts."""
    found = _BEARER.fullmatch(shown[0].strip()) if len(shown) == 1 else None
    return None if found is None else found[1]


def _challenge(*, is_wrong: bool) -> str:
    return 'Bearer error="invalid_token"' if is_wrong else "Bearer"
