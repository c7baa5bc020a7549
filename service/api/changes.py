"""The change feed: every assignment as it becomes true, for whoever mirrors them."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from service.api.desk import OpenDesk
from service.api.problems import problems
from service.errors import FieldError, Refused
from service.feed_schemas import ChangeList, ChangeSearch
from service.store import changes
from service.store.read import reading

router = APIRouter(prefix="/v1/changes", tags=["changes"])


@router.get(
    "",
    response_model=ChangeList,
    response_model_exclude_unset=True,
    responses=problems("invalid", "store_unavailable"),
)
def list_changes(wanted: Annotated[ChangeSearch, Query()], desk: OpenDesk) -> dict[str, Any]:
    """List the changes later than `after`, in the order in which they became true."""
    with reading(desk.reader) as connection:
        page = changes.read_page(connection, wanted.after, wanted.limit, wanted.kind)
    if wanted.after > page.last:
        raise ahead("/query/after")
    return {"items": page.items, "next_after": page.next_after, "last": page.last}


def ahead(pointer: str) -> Refused:
    """Make the refusal of a place that no change of this store can have given."""
    return Refused("invalid", [FieldError.of(pointer, "after_ahead")])
