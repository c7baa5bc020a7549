"""Webhooks as values: where they may go, what is sent, how it is signed, and how long to wait after a failure."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Address

    from service.model import Kind

    Address = IPv4Address | IPv6Address

LONGEST_WAIT_S = 3600.0
FIRST_WAIT_S = 1.0

# Answered by clouds to whoever runs on them, with keys; the usual 169.254.169.254 is link-local.
_METADATA = frozenset(map(ip_address, ("fd00:ec2::254", "100.100.100.200")))


@dataclass(frozen=True, slots=True)
class Webhook:
    """Somebody to be told of changes: `after_seq` is the last one its receiver has confirmed.

    `kinds` empty means all; `failures` counts tries since the last success, `next_try_us` is UTC microseconds.
    """

    id: str
    url: str
    secret: str
    kinds: tuple[Kind, ...]
    after_seq: int
    created_us: int
    failures: int = 0
    next_try_us: int = 0
    last_error: str | None = None


def allowed_hosts(setting: str) -> frozenset[str]:
    """Read a list of hosts, separated by commas."""
    return frozenset(host.strip().lower() for host in setting.split(",") if host.strip())


def refusal_of(url: str, hosts: frozenset[str]) -> str | None:
    """Say why nothing may be sent to a full http or https address, as the code of a field error; None when it may."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not host.isascii():
        return "bad_url"
    if host not in hosts:
        return "host_not_allowed"
    if parts.scheme != "https" and not _is_this_machine(host):
        return "https_needed"
    return None


def may_connect(host: str, address: Address) -> bool:
    """Say whether `host` may have this address: whoever rules its name must not lead us into the machine or its cloud.

    A host that is an address itself was allowed as that address.
    """
    literal = _literal(host)
    if literal is not None:
        return address == literal
    inner = address
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or address
    if host == "localhost":
        return inner.is_loopback
    is_special = inner.is_loopback or inner.is_link_local or inner.is_multicast or inner.is_unspecified
    return not (is_special or inner.is_reserved or inner in _METADATA)


def body_of(webhook_id: str, items: Sequence[dict[str, Any]], next_after: int) -> bytes:
    """Write one delivery."""
    content = {"webhook_id": webhook_id, "items": items, "next_after": next_after}
    return json.dumps(content, separators=(",", ":")).encode()


def delivery_id(webhook: Webhook, next_after: int) -> str:
    """Name a delivery: the same changes sent again have the same name."""
    return f"{webhook.id}.{webhook.after_seq}-{next_after}"


def signature(secret: str, body: bytes, at: int) -> str:
    """Sign a body sent `at` Unix seconds, as the header says it."""
    return f"t={at},v1={hmac.new(secret.encode(), f'{at}.'.encode() + body, hashlib.sha256).hexdigest()}"


def wait_s(failures: int, chance: float) -> float:
    """Return how long to wait after the last of `failures`: doubled each time, the latter half of it by `chance` (0 to 1)."""
    longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(failures - 1, 30))
    return longest * (0.5 + chance / 2)


def is_due(webhook: Webhook, last: int, now_us: int) -> bool:
    """Say whether there may be something to send and it may be tried now; a wait no failure gives is a clock's mistake."""
    wait = webhook.next_try_us - now_us
    return webhook.after_seq < last and (wait <= 0 or wait > LONGEST_WAIT_S * 1_000_000)


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _is_this_machine(host: str) -> bool:
    literal = _literal(host)
    return host == "localhost" if literal is None else literal.is_loopback
