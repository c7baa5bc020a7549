"""The audit trail: who did what that others may ask about."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from service.api.desk import OpenDesk
from service.api.problems import problems, request_id_of
from service.key_schemas import AuditList
from service.schemas import Page
from service.store.read import reading
from service.store.trail import By, list_trail

router = APIRouter(prefix="/v1/audit", tags=["keys"])


@router.get("", response_model=AuditList, responses=problems("invalid", "store_unavailable"))
def list_all(wanted: Annotated[Page, Query()], desk: OpenDesk) -> dict[str, Any]:
    """List who deleted, merged, split, took back, started a night, or touched webhooks and keys; the latest first."""
    with reading(desk.reader) as connection:
        items, following = list_trail(connection, limit=wanted.limit, cursor=wanted.cursor)
    return {"items": items, "next_cursor": following}


def by_of(request: Request) -> By:
    """Name who asks, for the trail."""
    return By(request.state.caller, request_id_of(request))
