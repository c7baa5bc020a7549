"""A desk that only reads: it serves every answer out of the store that another process writes, and follows its changes."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any, NoReturn, Self

from sqlalchemy.exc import DBAPIError

from service.bell import Bell
from service.errors import ReadOnly, StoreUnavailable
from service.store.changes import newest_change
from service.store.engine import reader_engine, schema_is_current, told
from service.store.failures import StoreError
from service.store.read import reading
from service.store.write import get_meta

if TYPE_CHECKING:
    from types import TracebackType

    from sqlalchemy import Engine

    from service.extract import PagePool
    from service.settings import Settings
    from service.telemetry import Metrics

LOOK_S = 0.25
PATIENCE_S = 5.0


class ReadingDesk:
    """What the API asks of a desk, as far as it can be answered by reading; all else is refused."""

    def __init__(self, settings: Settings, metrics: Metrics, engine: Engine, model: str) -> None:
        self.settings = settings
        self.metrics = metrics
        self.reader = engine
        self.model = model
        self.bell = Bell()
        self._closing = threading.Event()
        self._follower = threading.Thread(target=self._follow, name="follower", daemon=True)
        self._looked = time.monotonic()

    @classmethod
    def open(cls, settings: Settings, metrics: Metrics) -> Self:
        """Open a store that is there already, whoever writes to it.

        Raises:
            StoreError: it cannot be read, or was not written by this version.
        """
        engine = reader_engine(settings.place)
        try:
            is_current = schema_is_current(engine)
            with reading(engine) as connection:
                facts = get_meta(connection)
        except (DBAPIError, StoreUnavailable) as error:
            engine.dispose()
            raise StoreError(
                f"The store in {told(settings.place)} cannot be read. Start the service that writes to it first."
            ) from error
        if not is_current:
            engine.dispose()
            raise StoreError(
                f"The store in {told(settings.place)} does not have the schema of this version. Start the service that "
                "writes to it first, of the same version."
            )
        desk = cls(settings, metrics, engine, facts.get("encoder", "none"))
        desk._follower.start()
        return desk

    def ready(self) -> dict[str, bool]:
        """Say which conditions of service hold."""
        return {
            "schema_current": schema_is_current(self.reader),
            "changes_followed": time.monotonic() - self._looked < PATIENCE_S,
        }

    def night_progress(self, run_id: str) -> None:  # noqa: ARG002  the writer alone knows
        """Nothing is known of how far a night is that another process runs."""
        return

    def close(self) -> None:
        """End the streams, and close everything."""
        self.bell.close()
        self._closing.set()
        self._follower.join()
        self.reader.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- what only the writer does ------------------------------------------------------------------------------------

    @property
    def pages(self) -> PagePool:
        """Pages are read by whoever takes articles."""
        raise ReadOnly

    def _refuse(self, *_asked: Any, **_named: Any) -> NoReturn:
        raise ReadOnly

    submit = delete = recluster = edit = write = _refuse
    similar = similar_to = _refuse
    """The index stands in the writer's memory."""

    # --- the thread that follows --------------------------------------------------------------------------------------

    def _follow(self) -> None:
        """Look for new changes, tell the streams, and note how late this process heard of them."""
        seen: int | None = None
        while not self._closing.is_set():
            with contextlib.suppress(DBAPIError, StoreUnavailable):
                with reading(self.reader) as connection:
                    seq, at_us = newest_change(connection)
                if seen is not None and seq != seen:
                    self.metrics.feed_lag_seconds.set(max(0.0, time.time() - at_us / 1e6))
                    self.bell.ring()
                seen = seq
                self._looked = time.monotonic()
            self._closing.wait(LOOK_S)
