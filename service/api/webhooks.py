"""Webhooks: who is told of changes."""

import secrets
import time
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection
from ulid import ULID

from service.api.audit import by_of
from service.api.changes import ahead
from service.api.desk import OpenDesk, settled
from service.api.ids import WebhookId, known_id
from service.api.problems import BODY, problems
from service.api.strict import StrictRoute
from service.errors import FieldError, NotFound, Refused
from service.feed_schemas import NewWebhook, WebhookIn, WebhookList
from service.model import ID_PREFIXES
from service.store.changes import is_lost, last_change
from service.store.read import reading, rfc3339
from service.store.trail import By, record
from service.store.webhooks import MAX_WEBHOOKS, add_webhook, count_webhooks, remove_webhook, webhook_rows
from service.webhooks import Webhook, allowed_hosts, refusal_of

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], route_class=StrictRoute)

_BUSY = ("queue_full", "not_ready", "store_unavailable")


@router.post(
    "",
    status_code=201,
    response_model=NewWebhook,
    responses=problems(*BODY, "webhooks_off", "too_many_webhooks", "invalid", *_BUSY, "storage_full"),
)
async def add(wanted: WebhookIn, request: Request, desk: OpenDesk) -> dict[str, Any]:
    """Have an address told of changes; the secret that signs them is answered here and never again."""
    hosts = allowed_hosts(desk.settings.webhook_hosts)
    if not hosts:
        raise Refused("webhooks_off")
    if (code := refusal_of(wanted.url, hosts)) is not None:
        raise Refused("invalid", [FieldError.of("/url", code)])
    found = await settled(desk.write(partial(_add, wanted=wanted, by=by_of(request))))
    return {
        "id": found.id,
        "url": found.url,
        "kinds": found.kinds,
        "created_at": rfc3339(found.created_us),
        "after_seq": found.after_seq,
        "secret": found.secret,
    }


@router.get("", response_model=WebhookList, responses=problems("store_unavailable"))
def list_all(desk: OpenDesk) -> dict[str, Any]:
    """List who is told of changes, how far each has come and what went wrong last."""
    with reading(desk.reader) as connection:
        return {"items": webhook_rows(connection)}


@router.delete(
    "/{webhook_id}", status_code=204, response_class=Response, responses=problems("not_found", *_BUSY)
)
async def remove(webhook_id: WebhookId, request: Request, desk: OpenDesk) -> None:
    """Stop telling one of them; a delivery under way may still arrive."""
    await settled(desk.write(partial(_remove, webhook_id=known_id(webhook_id), by=by_of(request))))


def _add(connection: Connection, wanted: WebhookIn, by: By) -> Webhook:
    """Store a webhook, or refuse before anything is written."""
    last = last_change(connection)
    if wanted.after is not None and (wanted.after > last or is_lost(connection, wanted.after)):
        raise ahead("/after")
    if count_webhooks(connection) >= MAX_WEBHOOKS:
        raise Refused("too_many_webhooks")
    made = Webhook(
        id=ID_PREFIXES["webhook"] + str(ULID()),
        url=wanted.url,
        secret=secrets.token_urlsafe(32),
        kinds=tuple(dict.fromkeys(wanted.kinds)),
        after_seq=last if wanted.after is None else wanted.after,
        created_us=time.time_ns() // 1000,
    )
    add_webhook(connection, made)
    record(connection, by, "webhook.created", made.id, made.created_us)
    return made


def _remove(connection: Connection, webhook_id: str, by: By) -> None:
    if not remove_webhook(connection, webhook_id):
        raise NotFound
    record(connection, by, "webhook.deleted", webhook_id, time.time_ns() // 1000)
