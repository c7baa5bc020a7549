"""Editors' words: groups merged and split by people, kept, shown and taken back."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from sqlalchemy import Connection

from service import editing
from service.api.audit import by_of
from service.api.desk import Desk, OpenDesk, settled
from service.api.ids import ClusterId, EditId, StoryId, known_id
from service.api.problems import BODY, problems
from service.api.strict import StrictRoute
from service.edit_schemas import (
    ClusterSplitIn,
    EditIn,
    EditList,
    EditRow,
    History,
    MergeIn,
    StorySplitIn,
    UndoIn,
)
from service.editing import Edited, Editor
from service.model import Action
from service.store import edits
from service.store.edits import Level
from service.store.read import reading
from service.store.trail import record

router = APIRouter(prefix="/v1", tags=["editors"], route_class=StrictRoute)

_REFUSED = (*BODY, "invalid", "not_found", "gone", "contradiction")
_BUSY = ("queue_full", "not_ready", "store_unavailable", "storage_full")
_WORD = problems(*_REFUSED, *_BUSY)


@router.post("/clusters/{cluster_id}/merge", response_model=EditRow, responses=_WORD)
async def merge_clusters(
    cluster_id: ClusterId, word: MergeIn, request: Request, desk: OpenDesk
) -> dict[str, Any]:
    """Put another cluster into this one, which keeps its ID; no later run parts them."""
    return await _merge(request, desk, "cluster", cluster_id, word)


@router.post("/clusters/{cluster_id}/split", response_model=EditRow, responses=_WORD)
async def split_cluster(
    cluster_id: ClusterId, word: ClusterSplitIn, request: Request, desk: OpenDesk
) -> dict[str, Any]:
    """Split articles, with their copies, off this cluster into one of their own; no later run joins them."""
    return await _split(request, desk, "cluster", cluster_id, word.article_ids, word)


@router.post("/stories/{story_id}/merge", response_model=EditRow, responses=_WORD)
async def merge_stories(story_id: StoryId, word: MergeIn, request: Request, desk: OpenDesk) -> dict[str, Any]:
    """Put another story into this one, which keeps its ID; no later run parts them."""
    return await _merge(request, desk, "story", story_id, word)


@router.post("/stories/{story_id}/split", response_model=EditRow, responses=_WORD)
async def split_story(
    story_id: StoryId, word: StorySplitIn, request: Request, desk: OpenDesk
) -> dict[str, Any]:
    """Split clusters off this story into one of their own; no later run joins them."""
    return await _split(request, desk, "story", story_id, word.cluster_ids, word)


@router.post("/edits/{edit_id}/undo", response_model=EditRow, responses=_WORD)
async def undo_edit(edit_id: EditId, word: UndoIn, request: Request, desk: OpenDesk) -> dict[str, Any]:
    """Take an editor's word back: groups go back as far as later changes allow, and later runs decide freely."""
    known_id(edit_id)
    return await _said(
        request,
        desk,
        "edit.undone",
        lambda connection, now: editing.undo(connection, edit_id, Editor(word.actor, "", now)),
    )


@router.get("/edits", response_model=EditList, responses=problems("invalid", "store_unavailable"))
def list_edits(
    desk: OpenDesk, limit: Annotated[int, Query(ge=1, le=500, description="Most words to answer.")] = 50
) -> dict[str, Any]:
    """List what editors said, the latest first."""
    with reading(desk.reader) as connection:
        return {"items": edits.list_edits(connection, limit)}


@router.get(
    "/clusters/{cluster_id}/history",
    response_model=History,
    responses=problems("not_found", "store_unavailable"),
)
def cluster_history(cluster_id: ClusterId, desk: OpenDesk) -> dict[str, Any]:
    """Tell what nightly runs and editors did to a cluster, oldest first; also of one that was merged or deleted."""
    return _history(desk, "cluster", cluster_id)


@router.get(
    "/stories/{story_id}/history",
    response_model=History,
    responses=problems("not_found", "store_unavailable"),
)
def story_history(story_id: StoryId, desk: OpenDesk) -> dict[str, Any]:
    """Tell what nightly runs and editors did to a story, oldest first; also of one that was merged or deleted."""
    return _history(desk, "story", story_id)


async def _merge(request: Request, desk: Desk, level: Level, group_id: str, word: MergeIn) -> dict[str, Any]:
    known_id(group_id)
    return await _said(
        request,
        desk,
        "edit.merged",
        lambda connection, now: editing.merge(
            connection, level, group_id, word.other_id, Editor(word.actor, word.note, now)
        ),
    )


async def _split(
    request: Request, desk: Desk, level: Level, group_id: str, leaving: Sequence[str], word: EditIn
) -> dict[str, Any]:
    known_id(group_id)
    return await _said(
        request,
        desk,
        "edit.split",
        lambda connection, now: editing.split(
            connection, level, group_id, leaving, Editor(word.actor, word.note, now)
        ),
    )


async def _said(
    request: Request, desk: Desk, action: Action, work: Callable[[Connection, int], Edited]
) -> dict[str, Any]:
    """Have an editor's word taken, and noted in the same transaction who brought it."""
    by = by_of(request)

    def noted(connection: Connection, now: int) -> Edited:
        edited = work(connection, now)
        record(connection, by, action, edited.word["id"], now)
        return edited

    return await settled(desk.edit(noted))


def _history(desk: Desk, level: Level, group_id: str) -> dict[str, Any]:
    with reading(desk.reader) as connection:
        return edits.history_of(connection, level, known_id(group_id))
