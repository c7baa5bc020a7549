"""Is the store in order?  Every checksum, count and reference, each as one finding."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from embeddings.text import fingerprint, normalise
from service.store import audit
from service.store.engine import database_damage, keeps_checksums

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: whether it is in order, and a sentence."""

    name: str
    ok: bool
    detail: str


def check_store(connection: Connection) -> list[Finding]:
    """Look at everything a store promises."""
    return [
        *_checksums(connection),
        _looked_at("database", "no damage found", _damage, connection),
        _looked_at("vectors", "every checksum holds", _wrong_vectors, connection),
        _looked_at("texts", "every text reads as it came", _wrong_texts, connection),
        *(_looked_at(name, "in order", partial(_wrong_rows, name), connection) for name in audit.INVARIANTS),
    ]


def _looked_at(name: str, fine: str, look: Callable[[Connection], str], connection: Connection) -> Finding:
    try:
        wrong = look(connection)
    except audit.UnreadableError:
        wrong = "cannot be looked at: what stands there cannot be read; restore a backup"
    return Finding(name, not wrong, wrong or fine)


def _checksums(connection: Connection) -> list[Finding]:
    """Tell of a setting of the server, which is the operator's to choose: either is in order."""
    kept = keeps_checksums(connection)
    if kept is None:
        return []
    told = (
        "data_checksums is on: the server notices a damaged page when it reads it"
        if kept
        else "data_checksums is off: the server may read a damaged page as it is; `pg_checksums --enable` turns them on"
    )
    return [Finding("page checksums", ok=True, detail=told)]


def _damage(connection: Connection) -> str:
    return "; ".join(database_damage(connection)[:5])


def _wrong_vectors(connection: Connection) -> str:
    broken = [row.article_id for row in audit.stored_vectors(connection) if zlib.crc32(row.blob) != row.crc]
    if not broken:
        return ""
    return (
        f"{len(broken)} do not match their checksum, the first of {broken[0]}; the service computes them again from the "
        "text at start"
    )


def _wrong_texts(connection: Connection) -> str:
    changed = [
        row.id
        for row in audit.stored_texts(connection)
        if fingerprint(normalise(row.title), normalise(row.text)) != row.fingerprint
    ]
    if not changed:
        return ""
    return (
        f"{len(changed)} do not read as they came, the first of {changed[0]}; restore a backup, or send these articles "
        "again"
    )


def _wrong_rows(name: str, connection: Connection) -> str:
    wrong = audit.count(connection, audit.INVARIANTS[name])
    return f"{wrong:,} are not" if wrong else ""
