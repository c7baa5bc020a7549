"""What the operator sees: Prometheus metrics in a registry of our own, and JSON logs."""

from __future__ import annotations

import sys
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from service.display import display_form
from service.tracing import span, trace_stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from structlog.typing import EventDict

    from service.model import Relation, Status

STATUSES = ("created", "unchanged", "revised", "rejected")
RELATIONS = ("original", "exact_copy", "near_copy", "reprint")
STAGES = ("extract", "encode", "search", "choose", "commit", "index")
STORE_ERRORS = ("full", "io", "busy", "lost", "corrupt", "other")
DELIVERIES = ("delivered", "failed")
NIGHTS = ("done", "dry_run", "failed")
NIGHT_CHANGES = ("merged", "split", "moved")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNMATCHED = "unmatched"

_FRAMES = 8
_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Every number the service tells; labels come from closed sets."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._count_articles()
        self._watch_state()
        self._count_nights()
        self._count_http()

    def _count_articles(self) -> None:
        self.articles = Counter(
            "benang_articles", "Articles by what became of them.", ["status"], registry=self.registry
        )
        self.relations = Counter(
            "benang_relations",
            "New articles by their relation to earlier ones.",
            ["relation"],
            registry=self.registry,
        )
        self.rejected = Counter(
            "benang_rejected", "Articles refused, by problem code.", ["reason"], registry=self.registry
        )
        self.stage_seconds = Histogram(
            "benang_stage_seconds", "Time a stage takes.", ["stage"], registry=self.registry, buckets=_FAST
        )
        self.queue_wait_seconds = Histogram(
            "benang_queue_wait_seconds",
            "Time a batch waits for the writer.",
            registry=self.registry,
            buckets=_FAST,
        )
        self.store_errors = Counter(
            "benang_store_errors", "Failures of the database.", ["kind"], registry=self.registry
        )
        self.deliveries = Counter(
            "benang_webhook_deliveries",
            "Batches of changes sent to webhooks.",
            ["outcome"],
            registry=self.registry,
        )
        for outcome in DELIVERIES:
            self.deliveries.labels(outcome=outcome)
        for status in STATUSES:
            self.articles.labels(status=status)
        for relation in RELATIONS:
            self.relations.labels(relation=relation)
        for stage in STAGES:
            self.stage_seconds.labels(stage=stage)
        for kind in STORE_ERRORS:
            self.store_errors.labels(kind=kind)

    def _watch_state(self) -> None:
        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"benang_{name}", text, registry=self.registry)

        self.queue_length = gauge("queue_length", "Batches that wait for the writer.")
        self.index_vectors = gauge(
            "index_vectors", "Vectors in the index; alert when it differs from the database."
        )
        self.database_vectors = gauge("database_vectors", "Vectors of the live window in the database.")
        self.disk_free_bytes = gauge(
            "disk_free_bytes", "Free space where the store lies; not a number on PostgreSQL."
        )
        self.streams = gauge("streams", "Streams of the change feed that are open.")
        self.writer_lock_held = gauge("writer_lock_held", "Whether this process owns the store.")
        self.feed_lag_seconds = gauge(
            "feed_lag_seconds", "How late a process that only reads heard of the newest change."
        )
        self._build = Gauge(
            "benang_build_info",
            "Version, model and store.",
            ["version", "model", "store"],
            registry=self.registry,
        )

    def _count_nights(self) -> None:
        self.nights = Counter(
            "benang_nightly_runs", "Nightly runs by how they ended.", ["outcome"], registry=self.registry
        )
        self.night_changes = Counter(
            "benang_nightly_changes",
            "What nightly runs changed: clusters merged and split, articles moved.",
            ["kind"],
            registry=self.registry,
        )
        self.night_seconds = Gauge(
            "benang_nightly_duration_seconds",
            "How long the latest nightly run took that was not a dry run.",
            registry=self.registry,
        )
        self.night_success = Gauge(
            "benang_nightly_last_success_timestamp_seconds",
            "When the latest nightly run was done, dry runs aside; 0 for never.",
            registry=self.registry,
        )
        self.backup_success = Gauge(
            "benang_backup_last_success_timestamp_seconds",
            "When the store was last backed up with `benang backup`; 0 for never.",
            registry=self.registry,
        )
        for outcome in NIGHTS:
            self.nights.labels(outcome=outcome)
        for kind in NIGHT_CHANGES:
            self.night_changes.labels(kind=kind)

    def _count_http(self) -> None:
        self.http_requests = Counter(
            "benang_http_requests",
            "Requests by route template, method and class of the answer.",
            ["route", "method", "status_class"],
            registry=self.registry,
        )
        self.http_request_seconds = Histogram(
            "benang_http_request_seconds",
            "Time to answer, by route template.",
            ["route"],
            registry=self.registry,
            buckets=_FAST,
        )
        self.rate_limited = Counter(
            "benang_rate_limited",
            "Requests refused because their caller asks too often.",
            registry=self.registry,
        )
        self.inflate_refused = Counter(
            "benang_inflate_refused", "Compressed bodies refused.", registry=self.registry
        )

    @contextmanager
    def stage(self, name: str, articles: int = 1) -> Iterator[None]:
        """Time the block as a stage of so many articles, and trace it."""
        with self.stage_seconds.labels(stage=name).time(), span(name, articles=articles):
            yield

    def stage_done(self, name: str, seconds: float) -> None:
        """Count and trace a stage that took so many seconds and ended now."""
        self.stage_seconds.labels(stage=name).observe(seconds)
        trace_stage(name, seconds)

    def accepted(self, status: Status, relation: Relation) -> None:
        """Count an article that was taken; its relation counts once, when it is new."""
        self.articles.labels(status=status).inc()
        if status == "created":
            self.relations.labels(relation=relation).inc()

    def refused(self, reason: str) -> None:
        """Count an article that was not taken, with the problem code."""
        self.articles.labels(status="rejected").inc()
        self.rejected.labels(reason=reason).inc()

    def delivered(self, outcome: Literal["delivered", "failed"]) -> None:
        """Count a batch of changes sent to a webhook."""
        self.deliveries.labels(outcome=outcome).inc()

    def night_done(self, counts: Mapping[str, int]) -> None:
        """Count a night that was carried out, by the counts of its diff."""
        self.nights.labels(outcome="done").inc()
        self.night_changes.labels(kind="merged").inc(counts["clusters_merged"])
        self.night_changes.labels(kind="split").inc(counts["clusters_split"])
        self.night_changes.labels(kind="moved").inc(counts["articles_moved"])

    def answered(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request; a method outside the known set is `other`."""
        known = method if method in METHODS else "other"
        self.http_requests.labels(route=route, method=known, status_class=f"{status // 100}xx").inc()
        self.http_request_seconds.labels(route=route).observe(seconds)

    def describe_build(self, *, version: str, model: str, store: str) -> None:
        """Say what runs here."""
        self._build.clear()
        self._build.labels(version=version, model=model, store=store).set(1)

    def render(self) -> bytes:
        """Write everything in Prometheus' text format."""
        return generate_latest(self.registry)


def frames_of(error: BaseException) -> list[str]:
    """List where an error was raised, innermost last; no message and no locals: both may hold what articles say."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]


def _without_contents(_logger: Any, _method: str, event: EventDict) -> EventDict:
    given = event.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else sys.exc_info()[1] if given else None
    if error is not None:
        event.setdefault("error", type(error).__name__)
        event["frames"] = frames_of(error)
    return event


def _in_display_form(_logger: Any, _method: str, event: EventDict) -> EventDict:
    return {name: display_form(value) if isinstance(value, str) else value for name, value in event.items()}


def set_up_logging(stream: Callable[[], TextIO] = lambda: sys.stdout) -> None:
    """Log one JSON object a line, or for eyes when `stream` gives a terminal; each line goes to what it gives then."""
    renderers: list[structlog.typing.Processor] = (
        [_in_display_form, structlog.dev.ConsoleRenderer()]
        if stream().isatty()
        else [structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _without_contents,
            *renderers,
        ],
        logger_factory=lambda *_names: structlog.PrintLogger(stream()),
        cache_logger_on_first_use=False,
    )
