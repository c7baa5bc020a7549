"""Is the store in order?  Every checksum, count and reference, each as one finding."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.store import audit

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: whether it is in order, and a sentence."""

    name: str
    ok: bool
    detail: str


def check_store(connection: Connection) -> list[Finding]:
    """Look at everything a store promises."""
    damage = audit.database_damage(connection)
    broken = [row.article_id for row in audit.stored_vectors(connection) if zlib.crc32(row.blob) != row.crc]
    findings = [
        Finding("database", not damage, "no damage found" if not damage else "; ".join(damage[:5])),
        Finding(
            "vectors",
            not broken,
            "every checksum holds"
            if not broken
            else f"{len(broken)} do not match their checksum, the first of {broken[0]}; the service computes them again "
            "from the text at start",
        ),
    ]
    for name, query in audit.INVARIANTS.items():
        wrong = audit.count(connection, query)
        findings.append(Finding(name, wrong == 0, "in order" if wrong == 0 else f"{wrong:,} are not"))
    return findings
