"""What became of the store since a plan was made, and what of the plan still holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from service.plan import Plan, hanging_together, without
from service.store.bulk import chunks
from service.store.tables import articles, changes, edits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

_BY_INGEST = ("article.assigned", "cluster.created", "story.created", "article.revised")


def came_since(connection: Connection, since: int) -> set[str]:
    """Return the IDs of the articles that came after change number `since`."""
    came = select(changes.c.article_id).where(changes.c.seq > since, changes.c.kind == "article.assigned")
    return {*connection.execute(came).scalars()}


def edited_since(connection: Connection, since: int, words: Iterable[str]) -> set[int]:
    """Return `seq` of the articles revised after change number `since`, or freed of one of `words`, which stood then."""
    revised = (
        select(articles.c.seq)
        .join(changes, changes.c.article_id == articles.c.id)
        .where(changes.c.seq > since, changes.c.kind == "article.revised")
    )
    freed = {
        one
        for part in chunks(sorted(words))
        for one in _named(connection, edits.c.id.in_(part) & edits.c.undone_us.is_not(None))
    }
    return {*connection.execute(revised).scalars()} | articles_of(connection, articles.c.id, freed)


def articles_of(connection: Connection, column: Any, values: Iterable[str]) -> set[int]:
    """Return `seq` of the articles whose `column` is one of `values`."""
    return {
        seq
        for part in chunks(sorted(values))
        for seq in connection.execute(select(articles.c.seq).where(column.in_(part))).scalars()
    }


def what_still_holds(
    connection: Connection, plan: Plan, since: int, story_of: Mapping[str, str]
) -> tuple[Plan, set[str]]:
    """Return what can still be carried out of a plan, and the clusters and stories that stay as they are.

    These are what was changed after change number `since`, other than by ingest, and all that hangs together with it.
    `story_of` names the story of every cluster that the plan merges.
    """
    spared = hanging_together(plan, _disturbed(connection, since), story_of)
    return without(plan, spared), spared


def _disturbed(connection: Connection, since: int) -> set[str]:
    """Return the clusters and stories that something other than ingest changed.

    Once an editor spoke, these are all that words speak of: a new word may tie what others tie already.
    """
    found: set[str | None] = set()
    later = changes.c.seq > since
    for row in connection.execute(select(changes).where(later, changes.c.kind.not_in(_BY_INGEST))):
        found |= {row.cluster_id, row.other_id}
        if row.kind.startswith(("story.", "cluster.moved")):
            found.add(row.story_id)
    named = _named(connection, edits.c.id.in_(select(changes.c.cause).where(later)))
    if named:
        named |= _named(connection, edits.c.undone_us.is_(None))
    for part in chunks(sorted(named)):
        inside = select(articles.c.cluster_id).where(articles.c.id.in_(part))
        found |= {*connection.execute(inside).scalars()}
    return {one for one in found if one is not None}


def _named(connection: Connection, condition: Any) -> set[str]:
    """Return the articles that some editors' words name."""
    rows = connection.execute(select(edits.c.these, edits.c.those).where(condition))
    return {one for row in rows for side in row for one in json.loads(side)}
