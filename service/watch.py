"""The watch over nights: one at a time, started and ended from outside, its progress shown, its outcome written down."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

import structlog
from ulid import ULID

from service.errors import NotReady, Refused
from service.model import ID_PREFIXES
from service.nightly import STAGES, EmptyWindowError
from service.shift import NightError, Progress, Shift, Work, night_of, progress_of
from service.store import nights
from service.store.apply import foretell
from service.store.trail import record
from service.tracing import span, tell

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from typing import Protocol

    from sqlalchemy import Connection

    from service.plan import Proposal
    from service.settings import Settings
    from service.store.trail import By
    from service.telemetry import Metrics

    class Write(Protocol):
        """Queues a function that writes to the store, however many wait."""

        def __call__(self, call: Callable[[Connection], Any], *, forced: bool) -> Future[Any]:
            """Queue `call`."""


ENDS_S = 0.05

log = structlog.get_logger()


class NightWatch:
    """Runs nights in a process of their own and has the writer carry out what they propose."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        *,
        write: Write,
        carry_out: Callable[[Proposal, str], Future[Any]],
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._write = write
        self._carry_out = carry_out
        self._thread: threading.Thread | None = None
        self._over = False
        self._lock = threading.Lock()
        self._far: tuple[str, Progress | None] = ("", None)
        self.shift: Shift | None = None
        """The night that is under way, once its process was started."""

    def start(self, window_days: float, *, dry_run: bool, jobs: int, by: By) -> str:
        """Start a night and return its ID.

        Raises:
            Refused: another night is under way.
            NotReady: the watch is over.
        """
        with self._lock:
            if self._over:
                raise NotReady("writer_alive")
            if self._thread is not None and self._thread.is_alive():
                raise Refused("reclustering_running")
            run_id = ID_PREFIXES["run"] + str(ULID())
            now = _now_us()

            def begin(connection: Connection) -> None:
                nights.begin(connection, run_id, window_days=window_days, dry_run=dry_run, now_us=now)
                record(connection, by, "reclustering.started", run_id, now)

            self._write(begin, forced=True).result()
            self._far = (run_id, Progress(STAGES[0], 0.0))
            self._thread = threading.Thread(
                target=self._watch, args=(run_id, window_days, dry_run, jobs), name="night", daemon=True
            )
            self._thread.start()
        return run_id

    def progress(self, run_id: str) -> Progress | None:
        """Return how far a night is, None for one that is not under way."""
        known, progress = self._far
        return progress if known == run_id else None

    def join(self) -> None:
        """Wait until no night is under way."""
        if self._thread is not None:
            self._thread.join()

    def end(self) -> None:
        """Let no night begin any more, and end one that is under way, whether it has its process yet or not."""
        with self._lock:
            self._over = True
        while self._thread is not None and self._thread.is_alive():
            if (shift := self.shift) is not None:
                shift.end()
            self._thread.join(ENDS_S)

    def _watch(self, run_id: str, window_days: float, dry_run: bool, jobs: int) -> None:
        """Wait for the process of a night and have its proposal carried out; runs on a thread of its own."""
        with span("night", run_id=run_id, window_days=window_days, dry_run=dry_run) as traced:
            tell(traced, failed=not self._work(run_id, window_days, dry_run, jobs))

    def _work(self, run_id: str, window_days: float, dry_run: bool, jobs: int) -> bool:
        error: str | None = None
        try:
            night = night_of(self._settings, window_days, _now_us())
            work = Work(jobs, self._settings.scheduler, self._settings.archive)
            self.shift = Shift(self._settings, night, work)
            proposal = self.shift.wait(lambda progress: self._show(run_id, progress))
            self._show(run_id, progress_of("writing", 0, 1))
            if dry_run:
                self._finish(run_id, lambda connection: {"diff": foretell(connection, proposal.plan)})
                self._metrics.nights.labels(outcome="dry_run").inc()
            else:
                self._carry_out(proposal, run_id).result()
        except (EmptyWindowError, NightError) as failure:
            error = nights.LOST if self._over else str(failure)
        except Exception as failure:
            log.exception("night_failed", run=run_id)
            error = f"The night failed ({type(failure).__name__}); nothing was changed."
        self.shift = None
        if error is not None:
            with contextlib.suppress(Exception):  # a store that fails now is told of at the next start
                if self._finish(run_id, lambda _connection: {"error": error}):
                    self._metrics.nights.labels(outcome="failed").inc()
        self._far = ("", None)
        return error is None

    def _show(self, run_id: str, progress: Progress) -> None:
        self._far = (run_id, progress)

    def _finish(self, run_id: str, outcome: Callable[[Connection], dict[str, Any]]) -> bool:
        noted: bool = self._write(
            lambda connection: nights.finish(connection, run_id, now_us=_now_us(), **outcome(connection)),
            forced=True,
        ).result()
        return noted


def _now_us() -> int:
    return time.time_ns() // 1000
