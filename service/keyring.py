"""The keys of the store as this process knows them: never much older than the store."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from service.errors import StoreUnavailable
from service.keys import Key, digest_of, find_key
from service.model import ID_PREFIXES
from service.store.failures import kind_of
from service.store.keys import has_keys, standing_keys
from service.store.read import reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from service.telemetry import Metrics

FRESH_S = 0.5
"""How long what was read is taken for true: a key that is revoked elsewhere opens that much longer."""
FOLDER = "folder"
"""The caller who shows the secret that stands in the data folder while the service runs."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Known:
    """What a store says of keys: whether any was ever created, and those that were not revoked."""

    has_keys: bool
    keys: tuple[Key, ...]


def read_keys(engine: Engine) -> Known:
    """Read what a store says of keys.

    Raises:
        StoreUnavailable: it does not answer.
    """
    with reading(engine) as connection:
        return Known(has_keys(connection), tuple(standing_keys(connection)))


class KeyRing:
    """Keys to compare with, read again when they are no longer fresh; `own` is a secret that is not in the store."""

    def __init__(
        self,
        read: Callable[[], Known],
        *,
        metrics: Metrics,
        own: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._metrics = metrics
        self._own = () if own is None else (Key(FOLDER, FOLDER, "admin", digest_of(own.encode()), 0),)
        self._clock = clock
        self._known: Known | None = None
        self._read_at = 0.0

    def is_fresh(self) -> bool:
        """Say whether `refresh` has nothing to do yet."""
        return self._known is not None and self._clock() - self._read_at < FRESH_S

    @property
    def is_needed(self) -> bool:
        """Whether callers have to show a key: from the first one on, for ever."""
        return self._known is None or self._known.has_keys

    def refresh(self) -> None:
        """Read the store; one that fails leaves what was known, for it takes no revocation either.

        Raises:
            StoreUnavailable: it has never answered.
        """
        at = self._clock()
        try:
            self._known = self._read()
        except StoreUnavailable as error:
            if self._known is None:
                raise
            self._metrics.store_errors.labels(kind=kind_of(error)).inc()
            log.warning("keys_not_read")
        self._read_at = at

    def forget(self) -> None:
        """Take what is known for old: a key was made or revoked."""
        self._read_at = -FRESH_S

    def still_admits(self, caller: str, now_us: int) -> bool:
        """Say whether a caller that was let in before would be let in now: a key that is live, or none while none is needed."""
        if not self.is_fresh():
            self.refresh()
        if caller == FOLDER:
            return True
        if not caller.startswith(ID_PREFIXES["key"]):
            return not self.is_needed
        known = () if self._known is None else self._known.keys
        return any(key.id == caller and key.status(now_us) == "live" for key in known)

    def find(self, secret: bytes, now_us: int) -> Key | None:
        """Return the live key that has this secret."""
        known = () if self._known is None else self._known.keys
        return find_key((*self._own, *known), secret, now_us)
