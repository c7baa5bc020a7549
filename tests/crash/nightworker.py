"""A desk in the middle of a night, in a process to be killed: it goes on taking articles and tells what it answered.

Only articles that are known already come until the last night has read its view of the store, so that what it proposes is
the same in every trial. Then it is held up while new ones come, so that some always come meanwhile.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
import signal
import time
from itertools import count, cycle
from typing import TYPE_CHECKING, Any

from places import settings_of
from sqlalchemy import event
from wire import look_alikes

from service.desk import Desk
from service.learned import load_models
from service.shift import SHARES
from service.store.nights import get_night
from service.store.read import assignments
from service.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.connection import Connection
    from pathlib import Path

    from service.model import Article
    from service.plan import Proposal
    from service.settings import Settings
    from service.store.apply import Applied

KNOWN, NEW, HELD = 700, 120, 6
PATIENCE_S = 60
PAUSE_S = 0.01


@functools.cache
def stream(seed: int) -> tuple[list[Article], list[Article]]:
    """Look-alikes in no order of time: what is known before the night, and what comes during it."""
    items = look_alikes(seed, KNOWN + NEW)
    random.Random(seed).shuffle(items)
    return items[:KNOWN], items[KNOWN:]


def settings_for(folder: Path) -> Settings:
    return settings_of(folder, batch_size=16, recluster_window_days=3650)


def open_desk(settings: Settings) -> Desk:
    """A desk with the models that the process of a night loads too."""
    return Desk.open(settings, Metrics(), models=load_models("bundled"))


def work(
    pipe: Connection, settings: Settings, articles: Sequence[list[Article]], moments: Sequence[str], nth: int
) -> None:
    """Run a night for each of `moments`; kill this process where one says so, for the `nth` time.

    `articles` are those known and those new (see `stream`). Says `night` and its ID, `view` once the night has read the
    store, `answered`, place and ID for every new article, `ended` and the night's status.
    """
    os.setsid()  # whatever this process leaves behind can be found by its session
    known, new = articles
    repeats = cycle(known)
    fresh = iter(enumerate(new))
    with open_desk(settings) as desk:
        for number, moment in enumerate(moments, start=1):
            _die_at(desk, moment, nth)
            run_id = desk.recluster(jobs=2)
            pipe.send(("night", run_id))
            seen = False
            while (progress := desk.night_progress(run_id)) is not None:
                if seen and number == len(moments):
                    _answer(desk, fresh, pipe)
                desk.submit([next(repeats)]).result(PATIENCE_S)
                if not seen and progress.fraction >= SHARES["reading"]:
                    seen = True
                    with _held_up(desk):
                        pipe.send(("view", run_id))
                        if number == len(moments):
                            for _ in range(HELD):
                                _answer(desk, fresh, pipe)
                time.sleep(PAUSE_S)
            with desk.reader.connect() as connection:
                pipe.send(("ended", get_night(connection, run_id)["status"]))
        while moments[-1] in {
            "start",
            "view",
        }:  # killed from outside, be it after the night on a fast machine
            time.sleep(PAUSE_S)


def _answer(desk: Desk, fresh: Iterator[tuple[int, Article]], pipe: Connection) -> None:
    """Let one new article in, if there is one left, find it among what is read, and say so."""
    place, article = next(fresh, (None, None))
    if article is None:
        return
    (outcome,) = desk.submit([article]).result(PATIENCE_S)
    with desk.reader.connect() as connection:
        assert outcome.id in assignments(connection)
    pipe.send(("answered", place, outcome.id))


@contextlib.contextmanager
def _held_up(desk: Desk) -> Iterator[None]:
    pid = None if desk._nights.shift is None else desk._nights.shift._process.pid
    for sign in (signal.SIGSTOP, signal.SIGCONT):
        with contextlib.suppress(ProcessLookupError):  # killed meanwhile
            if pid is not None:
                os.kill(pid, sign)
        if sign == signal.SIGSTOP:
            yield


def _die_at(desk: Desk, moment: str, nth: int) -> None:
    left = count(nth, -1)
    carry_out = desk._carry_out

    def die(*_: Any) -> None:
        if next(left) == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    def carried(proposal: Proposal, run_id: str) -> Applied:
        if moment == "statement":
            event.listen(desk._engine, "before_cursor_execute", die)
        elif moment == "commit":
            event.listen(desk._engine, "commit", die)
        elif moment == "follow":
            desk._live().follow = die  # type: ignore[method-assign, assignment]
        return carry_out(proposal, run_id)

    desk._carry_out = carried  # type: ignore[method-assign]
