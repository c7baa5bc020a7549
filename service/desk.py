"""The desk: opens everything once, lets one thread write, and tells whether all is well.

Requests are encoded on one thread and decided on another, in the order they came. Both queues together hold at most
`queue_size` requests; beyond that the caller is told to come back.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

import structlog
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from embeddings.warm import warm_up
from service.batch import Prepared, batches, prepare_vectors
from service.bell import Bell
from service.courier import Courier
from service.errors import BenangError, NotReady, QueueFull, StorageFull, StoreUnavailable
from service.extract import PagePool
from service.gauges import look_up
from service.ingest import ingest
from service.learned import Cuts, check_model, load_models
from service.rebuild import rebuild
from service.similar import Neighbour, neighbours_of_article, neighbours_of_text
from service.store import nights, remove, texts, write
from service.store.acknowledged import Acknowledged
from service.store.apply import apply_plan
from service.store.changes import last_change
from service.store.engine import (
    checkpoint,
    conditions,
    make_sure,
    on_damage,
    pulse_s,
    reader_engine,
    schema_is_current,
    told,
)
from service.store.failures import StoreError, kind_of
from service.store.opening import owned_store
from service.store.read import figure
from service.store.trail import FOLDER, SCHEDULE, record
from service.tracing import here, span
from service.watch import NightWatch
from service.webhooks import allowed_hosts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from opentelemetry.trace import SpanContext
    from sqlalchemy import Connection, Engine

    from service.editing import Edited
    from service.learned import Models
    from service.model import Article, Outcome
    from service.plan import Proposal
    from service.settings import Settings
    from service.shift import Progress
    from service.store.apply import Applied
    from service.store.trail import By
    from service.telemetry import Metrics
    from service.window import Window

T = TypeVar("T")

RETRY_S = 1.0

log = structlog.get_logger()


@dataclass(slots=True)
class _Job:
    """Work for the writer: articles to decide, or a function to run beside no other."""

    future: Future[Any]
    prepared: list[Prepared] = field(default_factory=list)
    call: Callable[[], Any] | None = None
    writes: bool = True
    since: float = field(default_factory=time.monotonic)
    asked_in: SpanContext = field(default_factory=here)


class Desk:
    """Everything the API and the commands need, opened and closed together."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        models: Models,
        engine: Engine,
        closing: contextlib.ExitStack,
    ) -> None:
        self.settings = settings
        self.metrics = metrics
        self.models = models
        self.model = models.encoder.name
        self.reader = reader_engine(settings.place)
        self.pages = PagePool(timeout=settings.extraction_timeout_s)
        self.bell = Bell()
        self._courier = Courier(
            reader=self.reader,
            write=self.write,
            bell=self.bell,
            metrics=metrics,
            hosts=allowed_hosts(settings.webhook_hosts),
        )
        self._engine = engine
        self._closing = closing
        self._acknowledged = Acknowledged(settings.place)
        closing.callback(self._acknowledged.close)
        self.cuts = Cuts(settings.cut, settings.story_cut)
        self._window: Window | None = None
        self._pulse_s = pulse_s(settings.place)
        self._is_damaged = False
        on_damage(self.reader, self._take_damage)
        self._to_encode: queue.Queue[tuple[list[Article], Future[Any], SpanContext] | None] = queue.Queue()
        self._to_write: queue.Queue[_Job | None] = queue.Queue()
        self._pending = 0
        self._pending_lock = threading.Lock()
        self._open = True
        self._nights = NightWatch(settings, metrics, write=self.write, carry_out=self.carry_out)
        self._threads = [
            threading.Thread(target=self._encode_loop, name="encoder", daemon=True),
            threading.Thread(target=self._write_loop, name="writer", daemon=True),
        ]

    @classmethod
    def open(
        cls,
        settings: Settings,
        metrics: Metrics,
        *,
        models: Models | None = None,
        progress: Callable[[int], None] = lambda _rows: None,
    ) -> Self:
        """Own the store, bring it up to date, load the model and rebuild the index.

        Raises:
            StoreInUseError: another process writes to it.
            StoreError: the store is damaged, or its newest commits are gone.
            ModelMismatchError: the store was made with another model.
            ModelError: the model cannot be loaded.
        """
        with contextlib.ExitStack() as closing:
            engine = closing.enter_context(owned_store(settings.place, reads_all=settings.check_at_start))
            models = models or load_models(settings.model, settings.pair_model)
            warm_up()
            check_model(engine, models)
            with engine.begin() as connection:
                nights.give_up_lost(connection, _now_us())
            desk = cls(settings, metrics, models, engine, closing.pop_all())
        try:
            desk._window = desk._rebuild(progress)
        except (DBAPIError, ValueError) as error:
            desk._closing.close()
            raise StoreError(
                f"The store in {told(settings.place)} holds what cannot be read. `benang check` says where; restore a backup with "
                "`benang restore`."
            ) from error
        except BaseException:
            desk._closing.close()
            raise
        for thread in desk._threads:
            thread.start()
        desk._courier.start()
        look_up(metrics, settings, partial(figure, desk.reader))
        return desk

    # --- for callers, from any thread ---------------------------------------------------------------------------------

    def submit(self, articles: Sequence[Article]) -> Future[list[Outcome]]:
        """Queue articles and return the future of their outcomes, in order.

        Raises:
            QueueFull: too many requests wait.
            NotReady: the desk is closing.
        """
        return self._accept(self._to_encode, lambda future: (list(articles), future, here()))

    def submit_prepared(self, prepared: Sequence[Prepared]) -> Future[list[Outcome]]:
        """Queue articles whose vectors are computed already (see `submit`)."""
        return self._accept(self._to_write, lambda future: _Job(future, prepared=list(prepared)))

    def delete(self, article_id: str, by: By = FOLDER) -> Future[bool]:
        """Queue the removal of an article; the future says whether there was one."""
        return self._call(lambda: self._remove(article_id, by))

    def write(self, call: Callable[[Connection], T], *, forced: bool = False) -> Future[T]:
        """Queue a function that runs in a transaction of the writer; what it raises is taken for a failing store.

        With `forced` it is not refused for want of room in the queue.
        """
        return self._call(lambda: self._in_transaction(call), forced=forced)

    def similar(self, article: Article, limit: int) -> Future[list[Neighbour]]:
        """Queue a search for the neighbours of an article that is not stored."""
        return self._call(
            lambda: neighbours_of_text(self._engine, self._live(), self.models, article, limit), writes=False
        )

    def similar_to(self, article_id: str, limit: int) -> Future[list[Neighbour] | None]:
        """Queue a search for the neighbours of a stored article; None when there is no such article."""
        return self._call(
            lambda: neighbours_of_article(self._engine, self._live(), self.models, article_id, limit),
            writes=False,
        )

    def recluster(
        self,
        window_days: float | None = None,
        *,
        dry_run: bool = False,
        jobs: int = 0,
        by: By = SCHEDULE,
    ) -> str:
        """Start a night over `window_days` (None: the setting) and return its ID; ingest and reading go on meanwhile.

        Raises:
            Refused: another night is under way.
            NotReady: the desk is closing.
        """
        days = self.settings.recluster_window_days if window_days is None else window_days
        return self._nights.start(days, dry_run=dry_run, jobs=jobs, by=by)

    def carry_out(self, proposal: Proposal, run_id: str) -> Future[Applied]:
        """Queue the changes that a night proposes: all of them in one transaction, and the window follows."""
        return self._call(lambda: self._carry_out(proposal, run_id), forced=True)

    def edit(self, work: Callable[[Connection, int], Edited]) -> Future[dict[str, Any]]:
        """Queue an editor's word (see `service.editing`), which is given a connection and the time; answer what was said."""
        return self._call(lambda: self._edit(work))

    def night_progress(self, run_id: str) -> Progress | None:
        """Return how far a night is, None for one that is not under way."""
        return self._nights.progress(run_id)

    def ready(self) -> dict[str, bool]:
        """Say which conditions of service hold."""
        return {
            "writer_alive": self._open and all(thread.is_alive() for thread in self._threads),
            "index_complete": self._window is not None,
            "store_undamaged": not self._is_damaged,
            "schema_current": schema_is_current(self.reader),
            **conditions(self.settings.place, self.reader, self.settings.min_disk_free_bytes),
        }

    def close(self) -> None:
        """Take no more, end a night that is under way, finish what is queued, and close everything in reverse order."""
        self._nights.end()
        self._courier.stop()
        with self._pending_lock:
            if not self._open:
                return
            self._open = False
        self.bell.close()
        self._to_encode.put(None)
        for thread in self._threads:
            thread.join()
        self.pages.close()
        self.reader.dispose()
        checkpoint(self._engine)
        self._closing.close()
        self.metrics.writer_lock_held.set(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- admission ----------------------------------------------------------------------------------------------------

    def _accept(
        self, line: queue.Queue[Any], work: Callable[[Future[Any]], Any], *, forced: bool = False
    ) -> Future[Any]:
        """Put work into a queue, under the lock that closing takes: nothing accepted stands behind the queue's end."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()  # a caller may stop waiting, but not take back what was accepted
        with self._pending_lock:
            if not self._open:
                raise NotReady("writer_alive")
            if self._pending >= self.settings.queue_size and not forced:
                raise QueueFull
            self._pending += 1
            self.metrics.queue_length.set(self._pending)
            line.put(work(future))
        return future

    def _leave(self) -> None:
        with self._pending_lock:
            self._pending -= 1
            self.metrics.queue_length.set(self._pending)

    def _call(self, call: Callable[[], Any], *, forced: bool = False, writes: bool = True) -> Future[Any]:
        return self._accept(
            self._to_write, lambda future: _Job(future, call=call, writes=writes), forced=forced
        )

    def _in_transaction(self, call: Callable[[Connection], T]) -> T:
        with self._engine.begin() as connection:
            return call(connection)

    # --- the encoder thread -------------------------------------------------------------------------------------------

    def _encode_loop(self) -> None:
        while (item := self._to_encode.get()) is not None:
            articles, future, asked_in = item
            try:
                with self.metrics.stage("encode", articles=len(articles)):
                    prepared = prepare_vectors(self.models, articles)
            except Exception as error:
                log.exception("encode_failed", articles=len(articles))
                self._leave()
                future.set_exception(error)
            else:
                self._to_write.put(_Job(future, prepared=prepared, asked_in=asked_in))
        self._to_write.put(None)

    # --- the writer thread --------------------------------------------------------------------------------------------

    def _write_loop(self) -> None:
        waiting: deque[_Job] = deque()
        while True:
            self.bell.ring()  # whatever the last job was, it may have told the change feed
            job = waiting.popleft() if waiting else self._next_job()
            if job is None:
                return
            if job.call is not None:
                self._run(job)
                continue
            group = [job]
            total = len(job.prepared)
            stop = False
            while total < self.settings.batch_size:
                try:
                    other = self._to_write.get_nowait()
                except queue.Empty:
                    break
                if other is None:
                    stop = True
                    break
                if other.call is not None:
                    waiting.append(other)
                    break
                group.append(other)
                total += len(other.prepared)
            self._decide(group)
            if stop:
                for rest in waiting:
                    self._run(rest)
                return

    def _next_job(self) -> _Job | None:
        """Wait for work; an idle desk that has lost its window makes it anew, so that it is ready before it is asked."""
        while True:
            while self._window is None:
                with contextlib.suppress(queue.Empty):
                    return self._to_write.get_nowait()
                try:
                    self._live()
                except Exception as error:  # noqa: BLE001  the store still fails; the next try may not
                    log.warning("rebuild_failed", error=type(error).__name__)
                    with contextlib.suppress(queue.Empty):
                        return self._to_write.get(timeout=RETRY_S)
            with contextlib.suppress(queue.Empty):
                return self._to_write.get(timeout=self._pulse_s)
            try:
                make_sure(self._engine)
            except Exception as error:  # noqa: BLE001  the next round connects anew
                self._distrust(error)

    def _run(self, job: _Job) -> None:
        assert job.call is not None
        try:
            result = job.call()
            if job.writes:
                self._acknowledge()
        except BenangError as error:  # refused before anything was written
            self._leave()
            job.future.set_exception(error)
        except Exception as error:  # noqa: BLE001  the caller gets it; the thread must live
            self._failed([job], error)
        else:
            self._leave()
            job.future.set_result(result)

    def _decide(self, group: Sequence[_Job]) -> None:
        """Decide the articles of several requests together; each request is answered once all of its are stored."""
        for job in group:
            self.metrics.queue_wait_seconds.observe(time.monotonic() - job.since)
        prepared = [item for job in group for item in job.prepared]
        outcomes: list[Outcome | None] = [None] * len(prepared)
        failure: Exception | None = None
        for run in batches(prepared, self.settings.batch_size):
            try:
                window = self._live()
                with span("batch", [job.asked_in for job in group], articles=len(run)):
                    answers = ingest(
                        self._engine,
                        window,
                        self.models,
                        self.cuts,
                        [prepared[position] for position in run],
                        now_us=_now_us(),
                        stage=self._stage_clock(),
                    )
            except Exception as error:  # noqa: BLE001  reported to every caller it touches
                failure = self._distrust(error)
                break
            for position, answer in zip(run, answers, strict=True):
                outcomes[position] = answer
                self.metrics.accepted(answer.status, answer.placement.relation)
        self._count_vectors()
        self._acknowledge()
        start = 0
        for job in group:
            part = outcomes[start : start + len(job.prepared)]
            start += len(job.prepared)
            self._leave()
            if None in part:
                job.future.set_exception(failure or StoreUnavailable())
            else:
                job.future.set_result(part)

    def _acknowledge(self) -> None:
        """Write down how far the store has come, before anybody is told of it."""
        if not self._acknowledged.is_kept:
            return
        # On the writer's own connection: readers may have taken all of theirs.
        with contextlib.suppress(SQLAlchemyError), self._engine.connect() as connection:
            self._acknowledged.note(last_change(connection))

    def _failed(self, group: Sequence[_Job], error: Exception) -> None:
        known = self._distrust(error)
        for job in group:
            self._leave()
            job.future.set_exception(known)

    def _distrust(self, error: Exception) -> Exception:
        """Drop the window, which may be ahead of the store, and name the failure for the caller."""
        self._window = None
        known = _store_error(error)
        kind = kind_of(error)
        self._is_damaged |= kind == "corrupt"
        if kind == "lost":
            self.metrics.writer_lock_held.set(0)
        self.metrics.store_errors.labels(kind=kind).inc()
        is_ours = not isinstance(error, DBAPIError | StoreError)
        log.error("write_failed", error=type(error).__name__, kind=kind, exc_info=is_ours)
        return known

    def _take_damage(self) -> None:
        """Note that a reader met a damaged page; what it asked for is refused, and nothing more is promised."""
        self._is_damaged = True
        self.metrics.store_errors.labels(kind="corrupt").inc()

    def _live(self) -> Window:
        if self._window is None:
            self._window = self._rebuild(lambda _rows: None)
        return self._window

    def _rebuild(self, progress: Callable[[int], None]) -> Window:
        mended: dict[int, bytes] = {}
        window = rebuild(
            self._engine,
            self.models,
            window_days=self.settings.window_days,
            story_horizon_days=self.settings.story_horizon_days,
            progress=progress,
            mended=mended.__setitem__,
        )
        if mended:
            log.warning("vectors_mended", vectors=len(mended))
            with contextlib.suppress(DBAPIError), self._engine.begin() as connection:  # a full disk may wait
                texts.rewrite_vectors(connection, mended)
        self.metrics.index_vectors.set(len(window.articles))
        self.metrics.writer_lock_held.set(1)
        return window

    def _remove(self, article_id: str, by: By) -> bool:
        window = self._live()
        now = _now_us()
        with self._engine.begin() as connection:
            removal = remove.remove_article(connection, article_id, now)
            if removal is not None:
                record(connection, by, "article.deleted", article_id, now)
            if removal is not None and removal.heir is not None and removal.inherits_vectors:
                # The original may have been edited since it was copied: an heir is compared by its own words.
                heir = write.find_article(connection, removal.heir)
                assert heir is not None
                (prepared,) = prepare_vectors(self.models, [write.outcome_of(heir).article])
                write.replace_vector(connection, heir, prepared.vectors.to_bytes())
        if removal is None:
            return False
        row = window.row_of(article_id)
        if row is None:
            return True
        if removal.heir is not None or removal.new_head is not None:
            # Roles changed among the rows that stay; a rebuild takes them all from the store.
            self._window = None
        else:
            window.forget(row)
        self._count_vectors()
        return True

    # --- what nights and editors change ---------------------------------------------------------------------------------

    def _carry_out(self, proposal: Proposal, run_id: str) -> Applied:
        window = self._live()
        now = _now_us()
        with self._engine.begin() as connection:
            applied = apply_plan(connection, proposal, now_us=now, cause=run_id)
            diff = applied.diff()
            nights.finish(connection, run_id, now_us=now, diff=diff)
        self.metrics.night_done(diff["counts"])
        window.follow(*applied.for_the_window())
        return applied

    def _edit(self, work: Callable[[Connection, int], Edited]) -> dict[str, Any]:
        window = self._live()
        with self._engine.begin() as connection:
            edited = work(connection, _now_us())
        window.follow(*edited.applied.for_the_window())
        return edited.word

    def _count_vectors(self) -> None:
        if self._window is not None:
            self.metrics.index_vectors.set(len(self._window.articles))

    def _stage_clock(self) -> Callable[[str], None]:
        last = time.perf_counter()

        def stage(name: str) -> None:
            nonlocal last
            now = time.perf_counter()
            self.metrics.stage_done(name, now - last)
            last = now

        return stage


def _now_us() -> int:
    return time.time_ns() // 1000


def _store_error(error: Exception) -> Exception:
    if isinstance(error, StoreError):  # connected anew, and not the owner any longer
        return StoreUnavailable()
    if not isinstance(error, DBAPIError):
        return error
    return StorageFull() if kind_of(error) == "full" else StoreUnavailable()
