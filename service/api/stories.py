"""Stories: clusters that a reader wants in one timeline."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from service.answers import StoryDetail, StoryList, Timeline
from service.api.desk import OpenDesk
from service.api.ids import StoryId, known_id
from service.api.problems import problems
from service.api.search import group_filter
from service.schemas import GroupSearch
from service.store import groups
from service.store.read import reading

router = APIRouter(prefix="/v1/stories", tags=["stories"])

_MISSING = problems("not_found", "gone", "store_unavailable")


@router.get("", response_model=StoryList, responses=problems("invalid", "store_unavailable"))
def list_stories(wanted: Annotated[GroupSearch, Query()], desk: OpenDesk) -> dict[str, Any]:
    """List stories, the latest report first.

    A story that grows while you page moves to the head of the list; `updated_from` finds it.
    """
    with reading(desk.reader) as connection:
        items, following = groups.list_stories(
            connection, group_filter(wanted), limit=wanted.limit, cursor=wanted.cursor
        )
    return {"items": items, "next_cursor": following}


@router.get("/{story_id}", response_model=StoryDetail, responses=_MISSING)
def get_story(story_id: StoryId, desk: OpenDesk) -> dict[str, Any]:
    """Show a story with its keywords and its clusters in order of time."""
    with reading(desk.reader) as connection:
        return groups.get_story(connection, known_id(story_id))


@router.get("/{story_id}/timeline", response_model=Timeline, responses=_MISSING)
def get_timeline(story_id: StoryId, desk: OpenDesk) -> dict[str, Any]:
    """Tell a story event by event: headline, reports, and what each event adds to the earlier ones."""
    with reading(desk.reader) as connection:
        return groups.get_timeline(connection, known_id(story_id))
