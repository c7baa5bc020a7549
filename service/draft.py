"""New articles on their way to a placement, and what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.copies import relation
from service.model import Outcome, Placement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.batch import Prepared
    from service.model import Reason


@dataclass(slots=True)
class Draft:
    """One new article on its way to a placement."""

    position: int
    prepared: Prepared
    id: str
    row: int | None = None
    cluster: int = -1
    opens: bool = False
    copy_of: str | None = None
    copy_text_of: int | None = None
    similarity: float | None = None
    same_publisher: bool = True
    exact: bool = False
    reason: Reason | None = None
    story_reason: Reason | None = None
    cluster_id: str = ""
    story_id: str = ""


def rows_of(drafts: Sequence[Draft]) -> list[int]:
    """Return the rows of those that stand on the shelf."""
    return [draft.row for draft in drafts if draft.row is not None]


def outcome_of(draft: Draft) -> Outcome:
    """Return what is answered, and stored, for a new article that has its place."""
    assert draft.reason is not None
    placement = Placement(
        relation="original"
        if draft.copy_of is None
        else relation(exact=draft.exact, same_publisher=draft.same_publisher),
        copy_of=draft.copy_of,
        similarity=draft.similarity,
        cluster_id=draft.cluster_id,
        story_id=draft.story_id,
        cluster_created=draft.opens,
        reason=draft.reason,
        story_reason=draft.story_reason,
    )
    return Outcome(draft.id, "created", draft.prepared.article, placement)
