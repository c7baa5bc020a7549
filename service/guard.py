"""The wall around the application: bounds on what comes in, the same headers on all that goes out."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from service.api.problems import ProblemResponse
from service.errors import BenangError, Refused, code_of, errors_of
from service.inflate import Inflater
from service.telemetry import UNMATCHED, frames_of
from service.tracing import span, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Protocol

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from service import keys
    from service.api.entrances import Entrance
    from service.errors import FieldError
    from service.telemetry import Metrics

    class Door(Protocol):
        """Says who asks, or refuses."""

        async def admit(self, asked: Scope, needed: keys.Scope) -> Mapping[str, str]:
            """Note who asks as `caller` of the request's state, and return headers for the answer."""


HELD_AT_ONCE = 4
CLIENT_LEFT = 499

SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_MAX_DIGITS = 18
_MAX_PATH = 200

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class BodyRule:
    """What one route takes as its body; `inflated_limit` set means that gzip is offered."""

    limit: int
    media_types: frozenset[str]
    inflated_limit: int | None = None
    is_held: bool = False
    is_article: bool = False


class ClientLeft(Exception):  # noqa: N818  an outcome, not an error
    """The client closed the connection before its body was complete."""


class Guard:
    """ASGI middleware around the finished application, so that it sees every answer.

    Callers pass the door first. Bodies are read here, within the rule of their route, and handed on whole; a request
    without a rule has its body left unread.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        entrance_of: Callable[[str, str], Entrance],
        door: Door,
        body_timeout_s: float,
        metrics: Metrics,
    ) -> None:
        self._app = app
        self._entrance_of = entrance_of
        self._door = door
        self._timeout_s = body_timeout_s
        self._metrics = metrics
        self._held = asyncio.Semaphore(HELD_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens inside."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope, send)
        entrance = self._entrance_of(scope["method"], scope["path"])
        with span("request", request_id=exchange.request_id, route=entrance.template or UNMATCHED) as traced:
            await self._answer(exchange, entrance, scope, receive)
            tell(traced, status=exchange.status, **exchange.notes)

    async def _answer(self, exchange: Exchange, entrance: Entrance, scope: Scope, receive: Receive) -> None:
        rule = entrance.rule
        try:
            async with AsyncExitStack() as held:
                if entrance.scope is not None:
                    exchange.tell(await self._door.admit(scope, entrance.scope))
                if rule is not None:
                    receive = await self._admit(rule, exchange, receive, held)
                elif _has_body(exchange.headers):
                    exchange.closes = True
                await self._app(scope, receive, exchange.send)
        except BenangError as error:
            await exchange.refuse(error, rule)
        except ClientLeft:
            exchange.status = CLIENT_LEFT
        except Exception as error:  # noqa: BLE001  nothing of it may reach the client
            await exchange.fail(error)
        finally:
            self._report(exchange, entrance)

    async def _admit(
        self, rule: BodyRule, exchange: Exchange, receive: Receive, held: AsyncExitStack
    ) -> Receive:
        """Read the body within its rule and return a `receive` that hands it on."""
        is_encoded = _check_headers(exchange.headers, rule)
        if rule.is_held:
            try:
                async with asyncio.timeout(self._timeout_s):
                    await held.enter_async_context(self._held)
            except TimeoutError:
                raise Refused("queue_full") from None
        try:
            async with asyncio.timeout(self._timeout_s):
                body = await _collect(rule, receive, is_encoded=is_encoded)
        except TimeoutError:
            raise Refused("body_timeout") from None
        exchange.notes["body_bytes"] = len(body)
        return _replay(body, receive)

    def _report(self, exchange: Exchange, entrance: Entrance) -> None:
        seconds = time.perf_counter() - exchange.since
        route = entrance.template or UNMATCHED
        rule = entrance.rule
        code = exchange.problem
        self._metrics.answered(route=route, method=exchange.method, status=exchange.status, seconds=seconds)
        if code is not None and rule is not None and rule.is_article:
            self._metrics.refused(code)
        if code in {"inflated_too_large", "malformed_gzip"}:
            self._metrics.inflate_refused.inc()
        log.info(
            "request",
            request_id=exchange.request_id,
            method=exchange.method[:_MAX_PATH],
            route=route,
            path=exchange.path[:_MAX_PATH],
            caller=exchange.caller,
            status=exchange.status,
            problem=code,
            seconds=round(seconds, 6),
            **exchange.notes,
        )


class Exchange:
    """One request and its answer, as far as the guard follows it."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.since = time.perf_counter()
        self.headers = _headers(scope)
        given = self.headers.get("x-request-id", "")
        self.request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
        self.notes: dict[str, Any] = {}
        self.status = 500
        self.closes = False
        self._told: list[tuple[bytes, bytes]] = []
        self._send = send
        self._scope = scope
        self._is_started = False
        self._is_complete = False
        scope.setdefault("state", {}).update(
            request_id=self.request_id, notes=self.notes, problem=None, caller=None
        )

    @property
    def path(self) -> str:
        """The path as it was asked for."""
        return str(self._scope["path"])

    @property
    def method(self) -> str:
        """The method as it was asked for."""
        return str(self._scope["method"])

    @property
    def caller(self) -> str | None:
        """Who asks, as far as the door could tell."""
        found: str | None = self._scope["state"]["caller"]
        return found

    @property
    def problem(self) -> str | None:
        """The code of the problem that was answered, if it was one."""
        found: str | None = self._scope["state"]["problem"]
        return found

    async def send(self, message: Message) -> None:
        """Send a part of the answer; the first one takes the headers that every answer has."""
        if message["type"] == "http.response.start":
            self._is_started = True
            self.status = message["status"]
            message = {**message, "headers": self._headers(message)}
        elif message["type"] == "http.response.body":
            self._is_complete = not message.get("more_body", False)
        await self._send(message)

    def _headers(self, message: Message) -> list[tuple[bytes, bytes]]:
        found = [*_secured(message.get("headers", []), self.request_id), *self._told]
        # A server would read on for as long as the client sends.
        return [*found, (b"connection", b"close")] if self.closes else found

    def tell(self, headers: Mapping[str, str]) -> None:
        """Add headers to whatever will be answered."""
        self._told = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def refuse(self, error: BenangError, rule: BodyRule | None = None) -> None:
        """Answer with a problem of the guard; what is left of the body is not read."""
        self.closes = rule is not None or _has_body(self.headers)
        headers = dict(error.headers) if isinstance(error, Refused) else {}
        if code_of(error) == "unsupported_encoding" and rule is not None:
            headers["Accept-Encoding"] = "gzip" if rule.inflated_limit else "identity"
        await self._problem(code_of(error), headers, errors_of(error))

    async def fail(self, error: Exception) -> None:
        """Log what the application raised and answer with a constant, if there is still time.

        Raises:
            Exception: The answer was cut in the middle; only the server can close the connection.
        """
        log.error(
            "request_failed",
            request_id=self.request_id,
            error=type(error).__name__,
            frames=frames_of(error),
        )
        if not self._is_started:
            await self._problem("internal", {})
        elif not self._is_complete:
            raise error

    async def _problem(self, code: str, headers: dict[str, str], errors: tuple[FieldError, ...] = ()) -> None:
        self._scope["state"]["problem"] = code
        answer = ProblemResponse(
            code, instance=self.path, request_id=self.request_id, errors=errors, headers=headers
        )
        await answer(self._scope, _nothing, self.send)


def _headers(scope: Scope) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1").strip()
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _secured(headers: list[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
    ours = {**SECURITY_HEADERS, "X-Request-ID": request_id}
    replaced = {name.lower().encode() for name in ours}
    kept = [(name, value) for name, value in headers if name.lower() not in replaced]
    return [*kept, *((name.lower().encode(), value.encode("latin-1")) for name, value in ours.items())]


def _check_headers(headers: Mapping[str, str], rule: BodyRule) -> bool:
    """Refuse a body by what its headers say; return whether it is gzip."""
    length = headers.get("content-length")
    if length is not None:
        if not (length.isascii() and length.isdigit()):
            raise Refused("malformed_request")
        if len(length) > _MAX_DIGITS or int(length) > rule.limit:
            raise Refused("body_too_large")
    coding = headers.get("content-encoding", "").lower()
    if coding not in {"", "identity"} and (coding != "gzip" or rule.inflated_limit is None):
        raise Refused("unsupported_encoding")
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in rule.media_types and (media_type or _has_body(headers)):
        raise Refused("unsupported_media_type")
    return coding == "gzip"


def _has_body(headers: Mapping[str, str]) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


async def _collect(rule: BodyRule, receive: Receive, *, is_encoded: bool) -> bytes:
    inflater = Inflater(rule.inflated_limit or rule.limit) if is_encoded else None
    body = bytearray()
    wire = 0
    is_open = True
    while is_open:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        piece = message.get("body", b"")
        wire += len(piece)
        if wire > rule.limit:
            raise Refused("body_too_large")
        if inflater is not None:
            inflater.feed(piece)
        else:
            body += piece
        is_open = message.get("more_body", False)
    return inflater.finish() if inflater is not None else bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Hand the body on in one piece, then whatever the server says."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
