"""A process that waits for the store: it opens the desk as soon as no other process owns it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import structlog

from embeddings.warm import warm_up
from service.desk import Desk
from service.learned import load_models
from service.store.failures import StoreInUseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.learned import Models
    from service.settings import Settings
    from service.telemetry import Metrics

POLL_S = 1.0

log = structlog.get_logger()


class Standby:
    """Asks for the store again and again on a thread of its own, and keeps the desk once it has it."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.metrics = metrics
        self.error: Exception | None = None
        """Why it gave up, once it did: what another try would not change."""
        self._settings = settings
        self._callbacks: list[Callable[[Desk], None]] = []
        self._desk: Desk | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._wait, name="standby", daemon=True)

    def on_open(self, callback: Callable[[Desk], None]) -> None:
        """Have `callback` told of the desk when it is open, from the thread that opened it."""
        self._callbacks.append(callback)

    def start(self, on_failure: Callable[[], None]) -> None:
        """Begin to ask; `on_failure` is called when there will be no desk (see `error`)."""
        self._on_failure = on_failure
        self._thread.start()

    def end_streams(self) -> None:
        """Let the streams of the change feed end, where there are any."""
        if self._desk is not None:
            self._desk.bell.close()

    def leave_off(self) -> None:
        """Ask no more; what is being opened is opened first."""
        self._stopped.set()
        self._thread.join()

    def close(self) -> None:
        """Close the desk, if it was opened."""
        if self._desk is not None:
            self._desk.close()

    def _wait(self) -> None:
        try:
            # Loaded while another writes: when that one dies only the index is left to be made.
            models = load_models(self._settings.model, self._settings.pair_model)
            warm_up()
            self._desk = self._asked(models)
            if self._desk is not None:
                for callback in self._callbacks:
                    callback(self._desk)
        except Exception as error:  # noqa: BLE001  raised again by whoever waits for the end
            self.error = error
            self._on_failure()

    def _asked(self, models: Models) -> Desk | None:
        """Return the desk once the store is free, None when nobody wants it any longer."""
        stands_by = False
        while not self._stopped.is_set():
            try:
                return Desk.open(self._settings, self.metrics, models=models)
            except StoreInUseError:
                if not stands_by:
                    log.info("standing_by")
                stands_by = True
                self._stopped.wait(POLL_S)
        return None
