"""The courier: one thread that tells receivers of webhooks what changed, each in order and at least once.

The change feed is the outbox and the webhook's row the receiver's place in it, moved only by an answer of 2xx. So nothing
is held in memory, and a killed process goes on where the receiver last said yes. Receivers do not wait for each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import httpx
import structlog

from service.errors import QueueFull, StoreUnavailable
from service.store.changes import Page, last_change, read_page
from service.store.read import reading
from service.store.webhooks import confirm, list_webhooks, postpone
from service.webhooks import (
    LONGEST_WAIT_S,
    body_of,
    delivery_id,
    is_due,
    may_connect,
    refusal_of,
    signature,
    wait_s,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from sqlalchemy import Connection, Engine

    from service.bell import Bell
    from service.telemetry import Metrics
    from service.webhooks import Address, Webhook

    Write = Callable[[Callable[[Connection], bool]], Future[bool]]

BATCH = 500
TIMEOUT_S = 10.0
"""For a whole delivery, from looking up the name to the head of the answer."""
GATHER_S = 0.2
"""Pause between the bell and the reading: a busy writer makes fewer and larger deliveries, and fewer notes of them."""
GRACE_S = 5.0
"""What a delivery under way may take when the service stops; cut off, it is sent again after the start."""
AGAIN_S = 5.0
FULL_S = 0.1
_ADDRESSES = 4
_OK = range(200, 300)

log = structlog.get_logger()


class _NotDeliveredError(Exception):
    """A delivery failed; the message is a constant, to be shown."""


class Courier:
    """Sends what each webhook has not been told, until it is stopped."""

    def __init__(
        self, *, reader: Engine, write: Write, bell: Bell, metrics: Metrics, hosts: frozenset[str]
    ) -> None:
        self._reader = reader
        self._write = write
        self._bell = bell
        self._metrics = metrics
        self._hosts = hosts
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._resolvers = ThreadPoolExecutor(4, "resolver")
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ends = False

    def start(self) -> None:
        """Begin; without a host to send to there is nothing to do."""
        if self._hosts:
            self._thread.start()

    def stop(self) -> None:
        """Let deliveries under way end, for a few seconds, and begin no other."""
        self._ends = True
        if self._loop is not None:
            self._from_outside(self._stopped.set)
        if self._thread.is_alive():
            self._thread.join(GRACE_S + TIMEOUT_S)
            if self._thread.is_alive():
                log.warning("courier_hangs")
        self._resolvers.shutdown(wait=False, cancel_futures=True)

    # --- in the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            asyncio.run(self._work())
        except Exception as error:
            log.exception("courier_failed", error=type(error).__name__)

    def _from_outside(self, call: Callable[[], object]) -> None:
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the thread has ended
            self._loop.call_soon_threadsafe(call)

    async def _work(self) -> None:
        self._stopped = asyncio.Event()
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        if self._ends:  # told before it could be woken
            self._stopped.set()
        self._transport = httpx.AsyncHTTPTransport(
            # Kept connections would be shared by hosts of one address, whatever their certificates say.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0)
        )
        stopped = asyncio.create_task(self._stopped.wait())
        async with self._transport:
            with self._bell.heard_by(lambda: self._from_outside(self._news.set)):
                while not stopped.done():
                    self._news.clear()
                    wait = await self._send_out()
                    news = asyncio.create_task(self._news.wait())
                    await asyncio.wait({stopped, news}, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                    news.cancel()
                    await asyncio.wait({stopped}, timeout=GATHER_S)
            if self._busy:
                under_way = set(self._busy.values())
                _, late = await asyncio.wait(under_way, timeout=GRACE_S)
                for task in late:
                    task.cancel()
                await asyncio.gather(*under_way, return_exceptions=True)

    async def _send_out(self) -> float:
        """Begin the deliveries that are due and return after how many seconds to look again."""
        # Whoever is told something while we look may have confirmed it by then; the end of that wakes us to look again.
        told_meanwhile = set(self._busy)
        try:
            webhooks, last = await asyncio.to_thread(self._look)
        except Exception as error:
            log.exception("courier_failed", error=type(error).__name__)
            return AGAIN_S
        now_us = time.time_ns() // 1000
        wait = LONGEST_WAIT_S
        for webhook in webhooks:
            if webhook.id in self._busy or webhook.id in told_meanwhile:
                continue
            if is_due(webhook, last, now_us):
                task = asyncio.create_task(self._tell(webhook))
                self._busy[webhook.id] = task
                task.add_done_callback(partial(self._told, webhook.id))
            elif webhook.after_seq < last:
                wait = min(wait, (webhook.next_try_us - now_us) / 1_000_000)
        return wait

    def _look(self) -> tuple[list[Webhook], int]:
        with reading(self._reader) as connection:
            return list_webhooks(connection), last_change(connection)

    def _told(self, webhook_id: str, _task: asyncio.Task[None]) -> None:
        del self._busy[webhook_id]
        self._news.set()

    # --- one receiver -------------------------------------------------------------------------------------------------

    async def _tell(self, webhook: Webhook) -> None:
        """Tell one receiver everything it has not confirmed; whatever goes wrong, the others and the thread go on."""
        try:
            while not self._stopped.is_set():
                page = await asyncio.to_thread(self._read, webhook)
                if page.items and not await self._deliver(webhook, page):
                    return
                if not await self._note(partial(confirm, webhook_id=webhook.id, after_seq=page.next_after)):
                    return
                webhook = replace(webhook, after_seq=page.next_after, failures=0)
                if not page.has_more:
                    return
        except Exception as error:
            log.exception("courier_failed", webhook=webhook.id, error=type(error).__name__)
            await self._rest(AGAIN_S)

    def _read(self, webhook: Webhook) -> Page:
        with reading(self._reader) as connection:
            return read_page(connection, webhook.after_seq, BATCH, webhook.kinds)

    async def _deliver(self, webhook: Webhook, page: Page) -> bool:
        """Send one batch and say whether it was taken; if not, note when to try again."""
        error: str | None = None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._post(webhook, page)
        except TimeoutError:
            error = f"No answer within {TIMEOUT_S:g} seconds."
        except _NotDeliveredError as refused:
            error = str(refused)
        self._metrics.delivered("failed" if error else "delivered")
        if error is None:
            return True
        failures = webhook.failures + 1
        wait = wait_s(failures, random.random())  # noqa: S311  it spreads load, it keeps no secret
        log.warning(
            "webhook_failed", webhook=webhook.id, failures=failures, reason=error, wait_s=round(wait, 1)
        )
        next_try_us = time.time_ns() // 1000 + round(wait * 1_000_000)
        await self._note(
            partial(postpone, webhook_id=webhook.id, failures=failures, next_try_us=next_try_us, error=error)
        )
        return False

    async def _note(self, call: Callable[[Connection], bool]) -> bool:
        """Have the writer note something; what was confirmed is not sent again because the writer is busy or cannot."""
        while True:
            try:
                return await asyncio.wrap_future(self._write(call))
            except QueueFull:
                await asyncio.sleep(FULL_S)
            except StoreUnavailable:
                if self._stopped.is_set():
                    raise
                await self._rest(AGAIN_S)

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()

    async def _post(self, webhook: Webhook, page: Page) -> None:
        """Send one batch.

        Raises:
            _NotDeliveredError: It was not taken.
        """
        url = httpx.URL(webhook.url)
        if refusal_of(webhook.url, self._hosts) is not None or url.host not in self._hosts:
            raise _NotDeliveredError("The host is not allowed by the setting webhook_hosts.")
        body = body_of(webhook.id, page.items, page.next_after)
        headers = {
            "Host": url.netloc.decode("ascii"),
            "User-Agent": "benang",
            "Content-Type": "application/json",
            "Benang-Delivery": delivery_id(webhook, page.next_after),
            "Benang-Signature": signature(webhook.secret, body, int(time.time())),
        }
        status = await self._first_answer(url, await self._addresses(url), headers, body)
        if status not in _OK:
            raise _NotDeliveredError(f"Answered {status}.")

    async def _addresses(self, url: httpx.URL) -> list[Address]:
        """Look the name up, once for the check and for the connection: a name that changes between gains nothing."""
        look_up = partial(socket.getaddrinfo, url.host, url.port, type=socket.SOCK_STREAM)
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._resolvers, look_up)
        except (OSError, UnicodeError):
            raise _NotDeliveredError("The name of the host cannot be resolved.") from None
        addresses = list(dict.fromkeys(ip_address(str(one[4][0])) for one in found))
        allowed = [address for address in addresses if may_connect(url.host, address)]
        if not allowed:
            raise _NotDeliveredError("The host has an address that is not allowed.")
        return allowed[:_ADDRESSES]

    async def _first_answer(
        self, url: httpx.URL, addresses: list[Address], headers: dict[str, str], body: bytes
    ) -> int:
        """Send to the first address that can be reached and return the status; nothing else of the answer is read."""
        extensions: dict[str, Any] = {"sni_hostname": url.host}
        for address in addresses:
            request = httpx.Request(
                "POST", url.copy_with(host=str(address)), headers=headers, content=body, extensions=extensions
            )
            try:
                answer = await self._transport.handle_async_request(request)
            except httpx.ConnectError as error:
                reason = "No secure connection." if "SSL" in str(error) else "No connection."
                continue
            except httpx.TransportError:
                raise _NotDeliveredError("The connection was broken.") from None
            await answer.aclose()
            return answer.status_code
        raise _NotDeliveredError(reason)
