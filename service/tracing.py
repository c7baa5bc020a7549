"""Traces for who collects them: a span for each request, batch, stage and night, with numbers and IDs alone.

Without an address to send them to, nothing is recorded and the calls cost a microsecond.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry import trace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opentelemetry.trace import Span, SpanContext

    Value = str | int | float | bool

_TRACER = trace.get_tracer("benang")


class TracingError(RuntimeError):
    """Spans cannot be sent; the message says why and what to do."""


@contextmanager
def sending(address: str, version: str) -> Iterator[None]:
    """Send spans to an OTLP collector (HTTP, protobuf) until the block ends; to nobody where `address` is empty.

    Raises:
        TracingError: the extra `otel` is not installed.
    """
    if not address:
        yield
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise TracingError("BENANG_TRACES needs `pip install benang[otel]`.") from error
    provider = TracerProvider(resource=Resource({"service.name": "benang", "service.version": version}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(address)))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        provider.shutdown()


@contextmanager
def span(name: str, links: Sequence[SpanContext] = (), **told: Value) -> Iterator[Span]:
    """Record the block as a span below the one around it; what it raises stays out of the span, for it may hold texts."""
    with _TRACER.start_as_current_span(
        name,
        attributes=_named(told),
        links=[trace.Link(one) for one in links if one.is_valid],
        record_exception=False,
        set_status_on_exception=False,
    ) as started:
        yield started


def tell(started: Span, **told: Value) -> None:
    """Add what is known of a span only at its end."""
    started.set_attributes(_named(told))


def trace_stage(name: str, seconds: float) -> None:
    """Record a stage of so many seconds that ended now."""
    now = time.time_ns()
    _TRACER.start_span(name, start_time=now - round(seconds * 1e9)).end(now)


def here() -> SpanContext:
    """Return what a span of another thread needs to name this one."""
    return trace.get_current_span().get_span_context()


def _named(told: dict[str, Value]) -> dict[str, Value]:
    return {f"benang.{name}": value for name, value in told.items()}
