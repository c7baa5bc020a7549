"""A night in a process of its own: the service goes on meanwhile, and a night that dies changes nothing."""

from __future__ import annotations

import gc
import multiprocessing
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from threadpoolctl import threadpool_limits

from embeddings.encoder import ModelError
from embeddings.warm import warm_up
from service.learned import FACTS, Cuts, ModelMismatchError, load_models, require_model
from service.nightly import STAGES, EmptyWindowError, Night, propose
from service.openings import openings_for
from service.parallel import Local, cores, die_with_parent
from service.stage import HandsError, Horizons
from service.store import snapshot, write
from service.store.changes import is_lost
from service.store.engine import reader_engine
from service.stored_vectors import StoreVectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    from sqlalchemy import Engine

    from service.learned import Models
    from service.plan import Proposal
    from service.settings import Settings
    from service.stage import Hands

SHARES = dict(zip(STAGES, (0.1, 0.5, 0.1, 0.05, 0.2, 0.05), strict=True))
"""How much of a night each stage takes, about; openings are many times that where they are read for the first time."""


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


def night_of(settings: Settings, window_days: float, now_us: int) -> Night:
    """Return the night that settings ask for."""
    return Night(now_us, window_days, Horizons(settings.window_days, settings.story_horizon_days))


@dataclass(frozen=True, slots=True)
class Work:
    """Who works: `jobs` processes of this machine (0: one a core), or the Dask cluster of the scheduler at an address.

    Workers of a cluster read vectors from the `archive`, a folder that all of them reach, else from the store.
    """

    jobs: int = 0
    scheduler: str = ""
    archive: Path | None = None


HERE = Work()


class Shift:
    """One night under way in a child process."""

    def __init__(self, settings: Settings, night: Night, work: Work = HERE) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_work, args=(theirs, settings, night, work), name="night", daemon=False
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


def _work(pipe: Connection, settings: Settings, night: Night, work: Work) -> None:
    die_with_parent()
    try:
        pipe.send(_result(pipe, settings, night, work))
    except BrokenPipeError:
        return  # nobody waits any more


def _result(pipe: Connection, settings: Settings, night: Night, work: Work) -> tuple[str, Any]:
    try:
        models = load_models(settings.model, settings.pair_model)
        warm_up()
        # Processes that are forked off hang in libraries whose threads stayed behind; each has a core to itself anyway.
        threadpool_limits(1)
        engine = reader_engine(settings.place)
        # Beside the threads of a Dask client nothing is forked off.
        openings = openings_for(settings, engine, 1 if work.scheduler else work.jobs or cores())
        with engine.connect() as connection:
            require_model(write.get_meta(connection), models)
        gc.disable()  # nothing on this road is cyclic, and what is forked off shares memory only while untouched
        with _hands(settings, night, work, models, engine) as hands:
            proposal = propose(
                engine,
                hands,
                Cuts(settings.cut, settings.story_cut),
                night,
                model=models.name,
                openings=openings,
                progress=lambda *far: pipe.send(("progress", far)),
            )
    except EmptyWindowError as error:
        return "empty", str(error)
    except BrokenPipeError:
        raise
    except (HandsError, ModelError, ModelMismatchError) as error:
        return "failed", str(error)
    except Exception as error:  # noqa: BLE001  whoever waits must hear why
        traceback.print_exc()
        why = str(error).partition("\n")[0]  # further lines are of use in the log alone
        return "failed", f"The night failed ({type(error).__name__}: {why}); nothing was changed."
    return "proposal", proposal


@contextmanager
def _hands(settings: Settings, night: Night, work: Work, models: Models, engine: Engine) -> Iterator[Hands]:
    if not work.scheduler:
        yield Local(models, StoreVectors(engine, models), night.horizons, work.jobs or cores())
        return
    try:
        from service.archive import read_facts  # noqa: PLC0415  only who has a cluster needs the extra
        from service.distributed import Source, connected  # noqa: PLC0415
    except ImportError as error:
        raise HandsError(f"{error}: a Dask cluster needs `pip install benang[cluster]`.") from error
    if work.archive is not None:
        _check_archive(engine, read_facts(work.archive))
    place = work.archive or settings.place
    source = Source(
        place.resolve() if isinstance(place, Path) else place,
        work.archive is not None,
        settings.model,
        settings.pair_model,
        night.horizons,
        uuid4().hex,
    )
    with connected(work.scheduler, source) as hands:
        yield hands


def _check_archive(engine: Engine, facts: dict[str, Any]) -> None:
    with engine.connect() as connection:
        stored = write.get_meta(connection)
        lost = is_lost(connection, facts["last_change"])
        revised = snapshot.count_revised(connection, facts["last_change"])
    if any(facts.get(name) != stored.get(name) for name in FACTS):
        raise HandsError("The archive holds vectors of another model. Export it anew; nothing was changed.")
    if lost:
        raise HandsError(
            "The store was restored from a backup that is older than the archive. Export it anew; nothing was changed."
        )
    if revised:
        raise HandsError(
            f"{revised:,} articles were edited since the archive was written. Export it anew; nothing was changed."
        )
