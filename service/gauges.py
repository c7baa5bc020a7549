"""Figures of the store that are looked up when somebody asks for the metrics, not kept up to date by whoever writes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from service.backup import last_backup
from service.store import nights, write
from service.store.engine import bytes_free

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.settings import Settings
    from service.telemetry import Metrics


def look_up(metrics: Metrics, settings: Settings, figure: Callable[[Callable[[Any], float]], float]) -> None:
    """Let the gauges of the store ask for what they tell; `figure` reads one (see `store.read.figure`)."""
    place = settings.place
    metrics.database_vectors.set_function(lambda: figure(write.count_vectors))
    metrics.night_success.set_function(lambda: figure(lambda connection: nights.last_done(connection)[0]))
    metrics.night_seconds.set_function(lambda: figure(lambda connection: nights.last_done(connection)[1]))
    metrics.disk_free_bytes.set_function(lambda: bytes_free(place))
    # The backups of a database are its server's.
    metrics.backup_success.set_function(
        lambda: math.nan if isinstance(place, str) else last_backup(settings.data)
    )
