"""Strict JSON on the way in: no NaN, no surrogates, UTF-8 only, bounded depth."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic_core import from_json

from service.api.problems import malformed_at

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.responses import Response


JSON = "application/json"
NDJSON = "application/x-ndjson"


class StrictRequest(Request):
    """A request whose body is read strictly."""

    async def json(self) -> Any:
        """Read the body.

        Raises:
            json.JSONDecodeError: FastAPI turns it into the problem `malformed_json`.
        """
        try:
            return from_json(await self.body(), allow_inf_nan=False)
        except ValueError as error:
            raise json.JSONDecodeError(malformed_at(error), "", 0) from None


class StrictRoute(APIRoute):
    """A route that reads JSON strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's own handler."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(StrictRequest(request.scope, request.receive))

        return strict
