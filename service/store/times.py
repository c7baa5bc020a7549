"""Times between the store (UTC microseconds, offset in minutes) and the world (aware datetimes)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def local_time(microseconds: int, offset_minutes: int) -> datetime:
    """Return the moment `microseconds` after 1970 in the zone `offset_minutes` east of Greenwich."""
    return (_EPOCH + timedelta(microseconds=microseconds)).astimezone(
        timezone(timedelta(minutes=offset_minutes))
    )
