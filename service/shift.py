"""A night in a process of its own: the service goes on meanwhile, and a night that dies changes nothing."""

from __future__ import annotations

import gc
import multiprocessing
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from embeddings.warm import warm_up
from service.ingest import Cuts
from service.learned import load_models
from service.nightly import STAGES, EmptyWindowError, propose
from service.parallel import cores, die_with_parent, in_processes
from service.store.engine import reader_engine

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from service.nightly import Night, Proposal
    from service.settings import Settings

SHARES = dict(zip(STAGES, (0.1, 0.6, 0.05, 0.2, 0.05), strict=True))
"""How much of a night each stage takes, about."""


class NightError(RuntimeError):
    """The night failed, and changed nothing; the message says why."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a night is: its stage, and the fraction of all, 0 to 1."""

    stage: str
    fraction: float


def progress_of(stage: str, done: int, total: int) -> Progress:
    """Return how far a night is when `done` of `total` parts of a stage are."""
    before = sum(SHARES[one] for one in STAGES[: STAGES.index(stage)])
    return Progress(stage, round(before + SHARES[stage] * done / max(total, 1), 4))


class Shift:
    """One night under way in a child process."""

    def __init__(self, settings: Settings, night: Night, jobs: int = 0) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_work, args=(theirs, settings, night, jobs or cores()), name="night", daemon=False
        )
        self._process.start()
        theirs.close()

    def wait(self, on_progress: Callable[[Progress], None] = lambda _progress: None) -> Proposal:
        """Return what the night proposes.

        Raises:
            EmptyWindowError: there is nothing to look at.
            NightError: the process failed or was ended.
        """
        try:
            while True:
                kind, value = self._pipe.recv()
                if kind == "progress":
                    on_progress(progress_of(*value))
                elif kind == "proposal":
                    proposal: Proposal = value
                    return proposal
                elif kind == "empty":
                    raise EmptyWindowError(value)
                else:
                    raise NightError(value)
        except EOFError:
            self._process.join()
            raise NightError(
                f"The process of the night ended with status {self._process.exitcode}; nothing was changed."
            ) from None
        finally:
            self.end()
            self._process.join()
            self._pipe.close()

    def end(self) -> None:
        """End the process if it still runs, even one that is stopped; from any thread, `wait` hears of it."""
        self._process.kill()


def _work(pipe: Connection, settings: Settings, night: Night, jobs: int) -> None:
    die_with_parent()
    try:
        pipe.send(_result(pipe, settings, night, jobs))
    except BrokenPipeError:
        return  # nobody waits any more


def _result(pipe: Connection, settings: Settings, night: Night, jobs: int) -> tuple[str, Any]:
    try:
        models = load_models(settings.model, settings.pair_model)
        warm_up()
        engine = reader_engine(settings.data)
        gc.disable()  # nothing on this road is cyclic, and what is forked off shares memory only while untouched
        proposal = propose(
            engine,
            models,
            Cuts(settings.cut, settings.story_cut),
            night,
            run=in_processes(jobs),
            progress=lambda *far: pipe.send(("progress", far)),
        )
    except EmptyWindowError as error:
        return "empty", str(error)
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001  whoever waits must hear why
        traceback.print_exc()
        why = str(error).partition("\n")[0]  # further lines are of use in the log alone
        return "failed", f"The night failed ({type(error).__name__}: {why}); nothing was changed."
    return "proposal", proposal
