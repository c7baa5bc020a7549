"""A client and its desk in one process, to be killed: feeds seeded articles and prints what was acknowledged.

    feeder.py FOLDER SEED COUNT START [POINT NTH]

Prints one line for every acknowledged article: its place in the stream and its ID. With POINT the process kills itself
when it comes there for the NTH time: `statement`, `commit` (before it), `index` (after it).
"""

from __future__ import annotations

import os
import signal
import sys
from collections import deque
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from wire import cut, look_alikes, models

from embeddings.index import NeighbourIndex
from service.desk import Desk
from service.settings import Settings
from service.telemetry import Metrics

if TYPE_CHECKING:
    from concurrent.futures import Future

    from service.model import Outcome

IN_FLIGHT = 4


def feed(folder: Path, seed: int, number: int, start: int, point: str | None, nth: int) -> None:
    """Send the stream from `start` on, a few requests at a time, and print the answers in order."""
    items = look_alikes(seed, number)[start:]
    waiting: deque[Future[list[Outcome]]] = deque()
    with Desk.open(Settings(data=folder, batch_size=16), Metrics(), models=models()) as desk:
        if point is not None:
            _die_at(desk, point, nth)
        print("open", flush=True)
        places = count(start)
        for part in cut(items, seed + start):
            waiting.append(desk.submit(part))
            if len(waiting) == IN_FLIGHT:
                _acknowledge(waiting.popleft().result(60), places)
        while waiting:
            _acknowledge(waiting.popleft().result(60), places)
    print("end", flush=True)


def _acknowledge(outcomes: list[Outcome], places: count[int]) -> None:
    for outcome in outcomes:
        print(next(places), outcome.id, flush=True)


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


if __name__ == "__main__":
    folder, seed, number, start, *rest = sys.argv[1:]
    point, nth = rest or (None, "0")
    feed(Path(folder), int(seed), int(number), int(start), point, int(nth))
