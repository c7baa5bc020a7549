"""Keys from the terminal: alone on the data folder, or through the service that owns it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from service import issuing
from service.errors import BenangError, NotFound, Refused, errors_of, field_errors, in_words
from service.key_schemas import KeyIn
from service.server import running_service
from service.store.opening import owned_store
from service.store.trail import FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from service.server import Running
    from service.settings import Settings

T = TypeVar("T")

TIMEOUT_S = 60.0


class KeyRefusedError(ValueError):
    """A key that cannot be created or revoked; the message says why."""


def create_key(settings: Settings, wanted: dict[str, Any]) -> dict[str, Any]:
    """Create a key, in a new store if there is none, and return it with its secret.

    Raises:
        KeyRefusedError: it cannot be; nothing changed.
        StoreError: the folder cannot hold a store, or another process owns it.
    """
    service = running_service(settings)
    if service is not None:
        made: dict[str, Any] = _asked(service, "POST", "/v1/keys", wanted).json()
        return made
    try:
        checked = KeyIn.model_validate(wanted)
    except ValidationError as error:
        raise KeyRefusedError(_in_words(Refused("invalid", field_errors(error.errors())))) from error
    return _alone(settings, lambda connection: issuing.create_key(connection, checked, FOLDER, _now_us()))


def revoke_key(settings: Settings, key_id: str) -> None:
    """Revoke a key.

    Raises:
        KeyRefusedError: there is none under this ID.
        StoreError: the folder cannot hold a store, or another process owns it.
    """
    service = running_service(settings)
    unknown = KeyRefusedError(f"There is no key {key_id}. `benang keys list` shows them.")
    if service is not None:
        answer = _asked(service, "DELETE", f"/v1/keys/{quote(key_id, safe='')}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise unknown
        return
    try:
        _alone(settings, lambda connection: issuing.revoke_key(connection, key_id, FOLDER, _now_us()))
    except NotFound as error:
        raise unknown from error


def _alone(settings: Settings, work: Callable[[Connection], T]) -> T:
    with owned_store(settings.place) as engine:
        try:
            with engine.begin() as connection:
                return work(connection)
        except Refused as error:
            raise KeyRefusedError(_in_words(error)) from error


def _asked(service: Running, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
    try:
        answer = httpx.request(
            method,
            service.url + path,
            json=body,
            headers=service.headers,
            timeout=TIMEOUT_S,
            trust_env=False,
        )
    except httpx.TransportError as error:
        raise KeyRefusedError(
            "The service does not answer. `benang keys list` tells what came of it."
        ) from error
    if answer.is_error and answer.status_code != httpx.codes.NOT_FOUND:
        raise KeyRefusedError(in_words(answer.json()))
    return answer


def _in_words(error: BenangError) -> str:
    reasons = [f"{one.pointer}: {one.message}" for one in errors_of(error)]
    return " ".join(["Refused.", *reasons])


def _now_us() -> int:
    return time.time_ns() // 1000
