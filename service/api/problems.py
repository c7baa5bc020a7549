"""How errors become answers: RFC 9457, in one place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from service.errors import (
    PROBLEMS,
    RETRY_AFTER_S,
    BenangError,
    FieldError,
    code_of,
    errors_of,
    field_errors,
    problem,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.routing import BaseRoute

MEDIA_TYPE = "application/problem+json"
BODY = ("malformed_json", "body_timeout", "body_too_large", "unsupported_media_type", "unsupported_encoding")
"""What any JSON body may be refused for."""

_STATUS_CODES = {404: "not_found", 405: "method_not_allowed", 400: "malformed_json", 413: "body_too_large"}
_POSITION = re.compile(r"line ([0-9]{1,9}) column ([0-9]{1,9})$")


class ProblemResponse(JSONResponse):
    """A problem as an answer, with `Retry-After` where trying again helps."""

    media_type = MEDIA_TYPE

    def __init__(
        self,
        code: str,
        *,
        instance: str,
        request_id: str,
        errors: Iterable[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        content = problem(code, instance=instance, request_id=request_id, errors=errors)
        wait = RETRY_AFTER_S.get(code)
        extra = {"Retry-After": str(wait)} if wait else {}
        super().__init__(content, status_code=content["status"], headers={**extra, **(headers or {})})


def malformed_at(error: ValueError) -> str:
    """Say where strict JSON was broken, without what stands there."""
    found = _POSITION.search(str(error))
    return f"Not strict JSON at line {found[1]}, column {found[2]}." if found else "Not strict JSON."


def request_id_of(request: Request) -> str:
    """Name the request as the guard did."""
    return str(getattr(request.state, "request_id", ""))


def item_problem(request: Request, error: BenangError, prefix: str) -> dict[str, Any]:
    """Make the problem of one article of a bulk body."""
    return problem(
        code_of(error),
        instance=request.url.path,
        request_id=request_id_of(request),
        errors=[
            found if found.pointer.startswith(prefix) else found.under(prefix) for found in errors_of(error)
        ],
    )


def install(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Make every error of `app` a problem; `routes` tell which methods an address takes."""

    async def refused(request: Request, error: Exception) -> ProblemResponse:
        if isinstance(error, RequestValidationError):
            return _invalid(request, error)
        if isinstance(error, BenangError):
            return _answer(request, code_of(error), errors_of(error))
        if isinstance(error, HTTPException):
            code = _STATUS_CODES.get(error.status_code, "internal")
            headers = {"Allow": _allowed(routes, request.url.path)} if code == "method_not_allowed" else None
            return _answer(request, code, headers=headers)
        return _answer(request, "internal")

    for kind in (RequestValidationError, BenangError, HTTPException, Exception):
        app.add_exception_handler(kind, refused)


def _invalid(request: Request, error: RequestValidationError) -> ProblemResponse:
    found = error.errors()
    for one in found:
        if one["type"] == "json_invalid":
            # Our own sentence, put there by `StrictRequest`.
            return _answer(request, "malformed_json", [FieldError("", "malformed_json", one["ctx"]["error"])])
    return _answer(request, "invalid", field_errors(found))


def _answer(
    request: Request, code: str, errors: Iterable[FieldError] = (), headers: Mapping[str, str] | None = None
) -> ProblemResponse:
    request.scope.setdefault("state", {})["problem"] = code
    return ProblemResponse(
        code, instance=request.url.path, request_id=request_id_of(request), errors=errors, headers=headers
    )


def _allowed(routes: Sequence[BaseRoute], path: str) -> str:
    methods: dict[str, set[str]] = {}
    for route in routes:
        pattern = getattr(route, "path_regex", None)
        if pattern is not None and pattern.match(path):
            template = getattr(route, "path", path)
            methods.setdefault(template, set()).update(getattr(route, "methods", None) or ())
    # An address of its own is none of those that stand for IDs.
    found = methods.get(path) or set().union(*methods.values())
    return ", ".join(sorted(found))


def document_problems(document: dict[str, Any]) -> dict[str, Any]:
    """Say in an OpenAPI document that errors are `application/problem+json`."""
    reference = {"schema": {"$ref": "#/components/schemas/Problem"}}
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if status.startswith(("4", "5")):
                    answer["content"] = {MEDIA_TYPE: reference}
    for unused in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(unused, None)
    return document


def problems(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Declare the problems a route may answer."""
    found: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        known = PROBLEMS[code]
        earlier = found.get(known.status)
        text = f"{earlier['description']} · `{code}`" if earlier else f"`{code}`"
        found[known.status] = {"description": text}
    return found
