"""A client and its desk in one process, to be killed: feeds seeded articles and tells what was acknowledged."""

from __future__ import annotations

import os
import signal
from collections import deque
from itertools import count
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from wire import cut, look_alikes, models

from embeddings.index import NeighbourIndex
from service.desk import Desk
from service.telemetry import Metrics

if TYPE_CHECKING:
    from concurrent.futures import Future
    from multiprocessing.connection import Connection

    from service.model import Outcome
    from service.settings import Settings

IN_FLIGHT = 4


def feed(
    pipe: Connection, settings: Settings, seed: int, number: int, start: int, point: str | None, nth: int
) -> None:
    """Send the stream from `start` on, a few requests at a time, and tell the answers in order: place and ID of each article.

    With a `point` the process kills itself when it comes there for the `nth` time: `statement`, `commit` (before it),
    `index` (after it).
    """
    items = look_alikes(seed, number)[start:]
    waiting: deque[Future[list[Outcome]]] = deque()
    with Desk.open(settings, Metrics(), models=models()) as desk:
        if point is not None:
            _die_at(desk, point, nth)
        places = count(start)
        for part in cut(items, seed + start):
            waiting.append(desk.submit(part))
            if len(waiting) == IN_FLIGHT:
                _acknowledge(pipe, waiting.popleft().result(60), places)
        while waiting:
            _acknowledge(pipe, waiting.popleft().result(60), places)


def _acknowledge(pipe: Connection, outcomes: list[Outcome], places: count[int]) -> None:
    for outcome in outcomes:
        pipe.send((next(places), outcome.id))


def _die_at(desk: Desk, point: str, nth: int) -> None:
    left = count(nth, -1)

    def die(*_: Any) -> None:
        if next(left) == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    if point == "commit":
        event.listen(desk._engine, "commit", die)
    elif point == "statement":
        event.listen(desk._engine, "before_cursor_execute", die)
    else:
        add_dense = NeighbourIndex.add_dense

        def dying(self: NeighbourIndex, rows: Any) -> None:
            die()
            add_dense(self, rows)

        NeighbourIndex.add_dense = dying  # type: ignore[method-assign]
