"""The keys that were given out: digests, never secrets; a revoked key keeps its row."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, update

from service.keys import Key
from service.store.read import rfc3339
from service.store.tables import keys

if TYPE_CHECKING:
    from sqlalchemy import Connection

MAX_KEYS = 1000
_COLUMNS = [column for column in keys.c if column.name != "seq"]


def add_key(connection: Connection, key: Key) -> None:
    """Keep a new key."""
    connection.execute(insert(keys).values(asdict(key)))


def list_keys(connection: Connection) -> list[Key]:
    """Return all keys there ever were, the oldest first."""
    rows = connection.execute(select(*_COLUMNS).order_by(keys.c.seq)).mappings()
    return [Key(**row) for row in rows]


def standing_keys(connection: Connection) -> list[Key]:
    """Return the keys that were not revoked, the oldest first."""
    query = select(*_COLUMNS).where(keys.c.revoked_us.is_(None)).order_by(keys.c.seq)
    return [Key(**row) for row in connection.execute(query).mappings()]


def has_keys(connection: Connection) -> bool:
    """Say whether a key was ever created."""
    return connection.execute(select(keys.c.seq).limit(1)).first() is not None


def count_live(connection: Connection, now_us: int) -> int:
    """Return how many keys open anything."""
    is_live = keys.c.revoked_us.is_(None) & (keys.c.expires_us.is_(None) | (keys.c.expires_us > now_us))
    return connection.execute(select(func.count()).select_from(keys).where(is_live)).scalar_one()


def revoke_key(connection: Connection, key_id: str, now_us: int) -> bool:
    """Revoke a key and say whether there is one under this ID; one that was revoked keeps the time of that."""
    found = connection.execute(select(keys.c.seq).where(keys.c.id == key_id)).first()
    if found is None:
        return False
    connection.execute(
        update(keys).where(keys.c.seq == found.seq, keys.c.revoked_us.is_(None)).values(revoked_us=now_us)
    )
    return True


def key_row(key: Key, now_us: int) -> dict[str, Any]:
    """Return a key as the API shows it."""
    return {
        "id": key.id,
        "name": key.name,
        "scope": key.scope,
        "status": key.status(now_us),
        "created_at": rfc3339(key.created_us),
        "expires_at": None if key.expires_us is None else rfc3339(key.expires_us),
        "revoked_at": None if key.revoked_us is None else rfc3339(key.revoked_us),
    }
