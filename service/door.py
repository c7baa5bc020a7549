"""The door: who asks, and whether that caller may; before anything of the request's body is read."""

from __future__ import annotations

import asyncio
import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio.to_thread

from service.errors import Refused
from service.keys import includes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.types import Scope as Asked

    from service.keyring import KeyRing
    from service.keys import Scope

LOOPBACK = "loopback"
ANYONE = "anyone"
"""Callers while no key was ever created: from this machine, and from where `open_beyond_loopback` lets them in."""

_BEARER = re.compile(rb"bearer +([^ ]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the ID of a key, or `folder`, `loopback` or `anyone`."""

    name: str


class Door:
    """Lets callers in by the key they show."""

    def __init__(self, ring: KeyRing, *, now_us: Callable[[], int]) -> None:
        self._ring = ring
        self._now_us = now_us
        self._reading = asyncio.Lock()

    async def admit(self, asked: Asked, needed: Scope) -> Caller:
        """Say who asks for what needs a scope.

        Raises:
            Refused: without a key that is known (`unauthenticated`), or with one that does not open this (`forbidden`).
            StoreUnavailable: the keys were never read, and cannot be now.
            NotReady: the store is not open.
        """
        if not self._ring.is_fresh():
            async with self._reading:
                if not self._ring.is_fresh():
                    await anyio.to_thread.run_sync(self._ring.refresh)
        shown = _authorizations(asked["headers"])
        secret = _secret_of(shown)
        key = None if secret is None else self._ring.find(secret, self._now_us())
        if key is None:
            if self._ring.is_needed:
                raise Refused(
                    "unauthenticated", headers={"WWW-Authenticate": _challenge(is_wrong=bool(shown))}
                )
            return Caller(LOOPBACK if is_loopback(address_of(asked)) else ANYONE)
        if not includes(key.scope, needed):
            raise Refused(
                "forbidden",
                headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{needed}"'},
            )
        return Caller(key.id)


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


def _authorizations(headers: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    return [value for name, value in headers if name.lower() == b"authorization"]


def _secret_of(shown: list[bytes]) -> bytes | None:
    """Return the secret of the one header that shows it; of two nobody says which counts."""
    found = _BEARER.fullmatch(shown[0].strip()) if len(shown) == 1 else None
    return None if found is None else found[1]


def _challenge(*, is_wrong: bool) -> str:
    return 'Bearer error="invalid_token"' if is_wrong else "Bearer"
