"""A bell for those who follow the change feed: it rings when there may be something new to read."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Bell:
    """Rung by the thread that writes, heard by any number of listeners; what is new they read in the store."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: set[Callable[[], object]] = set()
        self.is_closed = False

    def ring(self) -> None:
        """Wake every listener."""
        with self._lock:
            listeners = tuple(self._listeners)
        for wake in listeners:
            wake()

    def close(self) -> None:
        """Tell every listener to leave: nothing new will come."""
        self.is_closed = True
        self.ring()

    @contextmanager
    def heard_by(self, wake: Callable[[], object]) -> Iterator[None]:
        """Call `wake`, from whichever thread rings, until the block ends; it must return at once and raise nothing."""
        with self._lock:
            self._listeners.add(wake)
        try:
            yield
        finally:
            with self._lock:
                self._listeners.discard(wake)
