"""Many articles in one body: each has a fate of its own, and a bad one fails nobody else."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from fastapi import APIRouter, Request
from pydantic import ValidationError
from pydantic_core import from_json

from service.answers import Bulk
from service.api.articles import accepted
from service.api.desk import Desk, OpenDesk, apart, settled
from service.api.problems import item_problem, malformed_at, problems
from service.api.strict import JSON, NDJSON
from service.errors import BenangError, FieldError, Refused, code_of, field_errors
from service.model import Article
from service.prepare import prepare
from service.schemas import ArticleIn
from service.telemetry import frames_of

# Texts hold a comma every sixty bytes or so; a body over this is built to blow up in memory.
MAX_VALUES = 4_000_000

_LINE = re.compile(rb"[^\s][^\n]*")
_ITEM = {"$ref": "#/components/schemas/ArticleIn"}

router = APIRouter(prefix="/v1/articles", tags=["articles"])
log = structlog.get_logger()


class InternalError(BenangError):
    """One article met a fault of ours; the others go on."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How the articles of one body are read."""

    desk: Desk
    now: datetime
    is_lines: bool


@router.post(
    "/bulk",
    response_model=Bulk,
    responses=problems(
        "malformed_json",
        "malformed_gzip",
        "body_timeout",
        "body_too_large",
        "inflated_too_large",
        "too_many_items",
        "unsupported_media_type",
        "unsupported_encoding",
        "queue_full",
        "not_ready",
        "store_unavailable",
        "storage_full",
    ),
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "A JSON array of articles, or one article a line; `Content-Encoding: gzip` is accepted.",
            "content": {
                JSON: {"schema": {"type": "array", "items": _ITEM}},
                NDJSON: {"schema": _ITEM},
            },
        }
    },
)
async def post_bulk(request: Request, desk: OpenDesk) -> dict[str, Any]:
    """Take many articles and answer the fate of each, in order; always 200 unless the body as a whole is refused."""
    is_lines = request.headers.get("content-type", "").partition(";")[0].strip().lower() == NDJSON
    reading = Reading(desk, request.app.state.clock(), is_lines)
    fates = await apart(request, read_bulk, await request.body(), reading)
    articles = [fate for fate in fates if isinstance(fate, Article)]
    decided = await settled(desk.submit(articles)) if articles else []
    outcomes = iter(decided)
    items: list[dict[str, Any]] = []
    for index, fate in enumerate(fates):
        if isinstance(fate, Article):
            items.append({"index": index, **accepted(next(outcomes))})
        else:
            desk.metrics.refused(code_of(fate))
            error = item_problem(request, fate, f"/{index}")
            items.append({"index": index, "status": "rejected", "error": error})
    request.state.notes.update(items=len(items), rejected=len(items) - len(articles))
    return {"errors": len(articles) < len(items), "items": items}


def read_bulk(body: bytes, reading: Reading) -> list[Article | BenangError]:
    """Read each article of a body, or why it is refused.

    Raises:
        Refused: The body as a whole cannot be taken.
    """
    limit = reading.desk.settings.max_bulk_items
    values = _lines(body, limit) if reading.is_lines else _array(body, limit)
    return [_read_one(value, reading, f"/{index}") for index, value in enumerate(values)]


def _lines(body: bytes, limit: int) -> Iterator[bytes]:
    # Counted before the first is read: a body is taken as a whole or not at all.
    spans: list[tuple[int, int]] = []
    for match in _LINE.finditer(body):
        if len(spans) == limit:
            raise Refused("too_many_items")
        spans.append(match.span())
    return (body[start:end] for start, end in spans)


def _array(body: bytes, limit: int) -> Iterator[Any]:
    if sum(body.count(sign) for sign in (b",", b"[", b"{")) > MAX_VALUES:
        raise Refused("too_many_items")
    try:
        values = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise _malformed(malformed_at(error)) from None
    if not isinstance(values, list):
        raise _malformed("Send an array of articles.")
    if len(values) > limit:
        raise Refused("too_many_items")
    return iter(values)


def _read_one(value: Any, reading: Reading, place: str) -> Article | BenangError:
    settings = reading.desk.settings
    try:
        if reading.is_lines:
            value = _parse_line(value, settings.max_body_bytes)
        item = ArticleIn.model_validate(value)
        with reading.desk.metrics.stage("extract"):
            return prepare(
                item,
                now=reading.now,
                future_tolerance_s=settings.future_tolerance_s,
                pages=reading.desk.pages,
            )
    except ValidationError as error:
        return Refused("invalid", field_errors(error.errors(include_url=False, include_input=False), place))
    except BenangError as error:
        return error
    except Exception as error:  # noqa: BLE001  one article's fault must not fail the others
        log.error(  # noqa: TRY400  its traceback would hold what articles say
            "article_failed", error=type(error).__name__, frames=frames_of(error)
        )
        return InternalError()


def _parse_line(line: bytes, limit: int) -> Any:
    if len(line) > limit:
        raise Refused("body_too_large")
    try:
        return from_json(line, allow_inf_nan=False)
    except ValueError as error:
        raise _malformed(malformed_at(error)) from None


def _malformed(message: str) -> Refused:
    return Refused("malformed_json", [FieldError("", "malformed_json", message)])
