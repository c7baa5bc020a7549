"""Keys: who may call, and what for."""

from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection

from service import issuing
from service.api.audit import by_of
from service.api.desk import OpenDesk, now_of, settled
from service.api.ids import KeyId, known_id
from service.api.problems import BODY, problems
from service.api.strict import StrictRoute
from service.door import ANYONE
from service.errors import Refused
from service.key_schemas import KeyIn, KeyList, NewKey
from service.store.keys import key_row, list_keys
from service.store.read import reading

router = APIRouter(prefix="/v1/keys", tags=["keys"], route_class=StrictRoute)

_BUSY = ("queue_full", "not_ready", "store_unavailable", "storage_full")


@router.post(
    "", status_code=201, response_model=NewKey, responses=problems(*BODY, "too_many_keys", "invalid", *_BUSY)
)
async def create(wanted: KeyIn, request: Request, desk: OpenDesk) -> dict[str, Any]:
    """Create a key; its secret is answered here and never again.

    From the first one on everybody needs a key, so that one is created on the machine of the service itself.
    """
    if request.state.caller == ANYONE:
        raise Refused("forbidden")
    by, now_us = by_of(request), now_of(request)

    def created(connection: Connection) -> dict[str, Any]:
        return issuing.create_key(connection, wanted, by, now_us)

    made = await settled(desk.write(created))
    request.app.state.keys.forget()
    return made


@router.get("", response_model=KeyList, responses=problems("store_unavailable"))
def list_all(request: Request, desk: OpenDesk) -> dict[str, Any]:
    """List all keys there ever were, the oldest first; what opens is not among it."""
    now_us = now_of(request)
    with reading(desk.reader) as connection:
        return {"items": [key_row(one, now_us) for one in list_keys(connection)]}


@router.delete("/{key_id}", status_code=204, response_class=Response, responses=problems("not_found", *_BUSY))
async def revoke(key_id: KeyId, request: Request, desk: OpenDesk) -> None:
    """Revoke a key, for ever; it stays in the list."""
    known_id(key_id)
    by, now_us = by_of(request), now_of(request)

    def revoked(connection: Connection) -> None:
        issuing.revoke_key(connection, key_id, by, now_us)

    await settled(desk.write(revoked))
    request.app.state.keys.forget()
