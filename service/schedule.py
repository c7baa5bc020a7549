"""When the next night is: a local time of day, whatever the clock does meanwhile."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from service.errors import BenangError

if TYPE_CHECKING:
    from collections.abc import Callable

LOOK_AGAIN_S = 30.0

log = structlog.get_logger()


def next_time(at: str, after: datetime) -> datetime:
    """Return the first moment later than `after` (aware) at which a clock of its zone shows `at` (HH:MM)."""
    hour, minute = map(int, at.split(":"))
    found = after.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return found if found > after else found + timedelta(days=1)


class Schedule:
    """Starts something every day at a local time, on a thread of its own, until it is closed."""

    def __init__(
        self,
        at: str,
        start: Callable[[], object],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now().astimezone(),
        look_again_s: float = LOOK_AGAIN_S,
    ) -> None:
        self._at = at
        self._start = start
        self._clock = clock
        self._look_again_s = look_again_s
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._wait, name="schedule", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Start nothing more."""
        self._closing.set()
        self._thread.join()

    def _wait(self) -> None:
        due = next_time(self._at, self._clock())
        # Looked at again and again: a machine that slept, or a clock that was set, must not shift the night.
        while not self._closing.wait(
            min(self._look_again_s, max(0.01, (due - self._clock()).total_seconds()))
        ):
            if self._clock() < due:
                continue
            due = next_time(self._at, self._clock())
            try:
                self._start()
            except BenangError as error:
                log.warning("night_not_started", error=type(error).__name__, code=str(error))
