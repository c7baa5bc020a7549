"""Who is told of changes, and how far each of them has come."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update

from service.store.changes import count_later
from service.store.read import rfc3339
from service.store.tables import webhooks
from service.webhooks import Webhook

if TYPE_CHECKING:
    from sqlalchemy import Connection

MAX_WEBHOOKS = 100


def count_webhooks(connection: Connection) -> int:
    """Return how many there are."""
    return connection.execute(select(func.count()).select_from(webhooks)).scalar_one()


def add_webhook(connection: Connection, webhook: Webhook) -> None:
    """Store a new webhook."""
    connection.execute(insert(webhooks).values({**asdict(webhook), "kinds": json.dumps(webhook.kinds)}))


def list_webhooks(connection: Connection) -> list[Webhook]:
    """Return all of them, the oldest first."""
    columns = [column for column in webhooks.c if column.name != "seq"]
    rows = connection.execute(select(*columns).order_by(webhooks.c.seq)).mappings()
    return [Webhook(**{**row, "kinds": tuple(json.loads(row["kinds"]))}) for row in rows]


def remove_webhook(connection: Connection, webhook_id: str) -> bool:
    """Delete one and say whether there was one."""
    return connection.execute(delete(webhooks).where(webhooks.c.id == webhook_id)).rowcount > 0


def confirm(connection: Connection, webhook_id: str, after_seq: int) -> bool:
    """Note that a receiver has everything up to `after_seq`; False when the webhook is gone."""
    values = {"after_seq": after_seq, "failures": 0, "next_try_us": 0, "last_error": None}
    done = connection.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(values))
    return done.rowcount > 0


def postpone(connection: Connection, webhook_id: str, failures: int, next_try_us: int, error: str) -> bool:
    """Note that a delivery failed, and when to try again; False when the webhook is gone."""
    values = {"failures": failures, "next_try_us": next_try_us, "last_error": error}
    done = connection.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(values))
    return done.rowcount > 0


def webhook_rows(connection: Connection) -> list[dict[str, Any]]:
    """Return all of them as the API shows them: without their secrets, with what they have not confirmed."""
    return [
        {
            "id": one.id,
            "url": one.url,
            "kinds": one.kinds,
            "created_at": rfc3339(one.created_us),
            "after_seq": one.after_seq,
            "lag": count_later(connection, one.after_seq),
            "failures": one.failures,
            "next_try_at": rfc3339(one.next_try_us) if one.failures else None,
            "last_error": one.last_error,
        }
        for one in list_webhooks(connection)
    ]
