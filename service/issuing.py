"""Keys created and revoked, inside the caller's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ulid import ULID

from service.errors import FieldError, NotFound, Refused
from service.keys import Key, digest_of, new_secret
from service.model import ID_PREFIXES
from service.store import keys
from service.store.trail import record

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from service.key_schemas import KeyIn
    from service.store.trail import By


def create_key(connection: Connection, wanted: KeyIn, by: By, now_us: int) -> dict[str, Any]:
    """Create a key and return it as the API shows it, with the secret that is never told again.

    Raises:
        Refused: it would have expired already, or there are as many as may be.
    """
    expires_us = None if wanted.expires_at is None else round(wanted.expires_at.at.timestamp() * 1_000_000)
    if expires_us is not None and expires_us <= now_us:
        raise Refused("invalid", [FieldError.of("/expires_at", "in_past")])
    if keys.count_live(connection, now_us) >= keys.MAX_KEYS:
        raise Refused("too_many_keys")
    secret = new_secret()
    key = Key(
        id=ID_PREFIXES["key"] + str(ULID()),
        name=wanted.name,
        scope=wanted.scope,
        digest=digest_of(secret.encode()),
        created_us=now_us,
        expires_us=expires_us,
    )
    keys.add_key(connection, key)
    record(connection, by, "key.created", key.id, now_us)
    return {**keys.key_row(key, now_us), "secret": secret}


def revoke_key(connection: Connection, key_id: str, by: By, now_us: int) -> None:
    """Revoke a key for ever.

    Raises:
        NotFound: there never was one under this ID.
    """
    if not keys.revoke_key(connection, key_id, now_us):
        raise NotFound
    record(connection, by, "key.revoked", key_id, now_us)
