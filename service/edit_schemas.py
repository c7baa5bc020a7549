"""What the API takes and answers about editors' words."""

from typing import Literal

from pydantic import Field

from service.answers import Answer
from service.schemas import Id, Name, Note, Strict

MAX_SPLIT = 1000


class UndoIn(Strict):
    """Who takes an editor's word back."""

    actor: Name = Field(description="Who says so.", examples=["redaksi@contoh.example"])


class EditIn(UndoIn):
    """Who says it, and why."""

    note: Note = Field(default="", description="Why, for those who come after.")


class MergeIn(EditIn):
    """The group that goes into the one addressed."""

    other_id: Id = Field(description="The cluster or story that is merged into this one.")


class ClusterSplitIn(EditIn):
    """The articles that leave."""

    article_ids: list[Id] = Field(
        min_length=1, max_length=MAX_SPLIT, description="Copies go with their original."
    )


class StorySplitIn(EditIn):
    """The clusters that leave."""

    cluster_ids: list[Id] = Field(
        min_length=1, max_length=MAX_SPLIT, description="They form a story of their own."
    )


class EditRow(Answer):
    """An editor's word."""

    id: str
    level: Literal["cluster", "story"]
    kind: Literal["merge", "split"]
    group_id: str = Field(description="The group it was said of, which keeps its ID.")
    other_id: str = Field(description="What was merged into it, or the new group that was split off.")
    actor: str
    note: str
    at: str
    undone_at: str | None
    undone_by: str | None


class EditList(Answer):
    """Editors' words, the latest first."""

    items: list[EditRow]


class HistoryRow(Answer):
    """One change of a group."""

    seq: int = Field(description="Its number in the change feed.")
    at: str
    kind: str
    article_id: str | None
    cluster_id: str | None
    story_id: str | None
    other_id: str | None
    cause: str | None
    edit: EditRow | None = Field(description="The editor's word behind it; null for a nightly run.")


class History(Answer):
    """What nightly runs and editors did to a group since it opened."""

    id: str
    current_id: str
    items: list[HistoryRow]
    complete: bool
