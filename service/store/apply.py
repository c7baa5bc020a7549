"""A plan carried out: groups opened, articles and clusters moved, IDs redirected, all told to the change feed."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json
from sqlalchemy import bindparam, delete, insert, select, update

from service.plan import Move, Plan, Proposal
from service.store.bulk import chunks, insert_rows
from service.store.changes import Change, tell
from service.store.settling import settle
from service.store.since import articles_of, came_since, edited_since, what_still_holds
from service.store.tables import articles, clusters, redirects, stories, vectors
from service.store.write import refresh_counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Applied:
    """What was carried out of a plan: every article that moved, copies too, and the story of every cluster touched."""

    plan: Plan
    moved: tuple[Move, ...]
    story_of: dict[str, str]

    def for_the_window(self) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
        """Return what `Window.follow` takes."""
        return {move.id: move.new for move in self.moved}, self.story_of, self.plan.heads

    def diff(self) -> dict[str, Any]:
        """Return what changed as JSON values; articles count with their copies."""
        return replace(self.plan, moved=self.moved).diff()


def foretell(connection: Connection, plan: Plan) -> dict[str, Any]:
    """Return as JSON values what a plan would change, copies among the articles that move; writes nothing."""
    return replace(plan, moved=(*plan.moved, *_with_copies(connection, plan.moved))).diff()


def apply_plan(connection: Connection, proposal: Proposal, *, now_us: int, cause: str) -> Applied:
    """Carry out what still holds of a plan.

    Articles that came since it was made stay with the article they joined; what was deleted or edited since, and all that hangs
    together with it, stays as it is now.
    """
    since = proposal.last_change
    left = _stories_of(connection, sorted(proposal.plan.merged))
    plan, spared = what_still_holds(connection, proposal.plan, since, left)
    astir = edited_since(connection, since, proposal.words) | articles_of(
        connection, articles.c.cluster_id, spared
    )
    late = came_since(connection, since)
    moved = [*plan.moved, *_followers(connection, plan, late)]
    _open_groups(connection, plan, now_us)
    moved = [*moved, *_with_copies(connection, moved)]
    moved += _left_behind(connection, plan, {move.id for move in moved})
    _move_articles(connection, moved)
    clusters_moved = [*plan.clusters_moved, *_clusters_left_behind(connection, plan)]
    _move_clusters(connection, clusters_moved)
    _appoint_heads(connection, plan, moved)
    _redirect(connection, clusters, plan.merged, now_us)
    emptied = _emptied(connection, plan, left, clusters_moved)
    plan = replace(plan, stories_merged=plan.stories_merged | emptied)
    touched = sorted(
        {*(move.new for move in moved), *(move.old for move in moved), *plan.heads} - {*plan.merged}
    )
    sagas = {
        *(left[one] for one in plan.merged),
        *(move.old for move in clusters_moved),
        *(move.new for move in clusters_moved),
    }
    sagas -= {*plan.stories_merged}
    refresh_counts(connection, touched, now_us, story_ids=sagas)
    _redirect(connection, stories, plan.stories_merged, now_us)
    settle(connection, set(plan.settled.tolist()) - astir)
    story_of = _stories_of(connection, sorted({*touched, *(move.id for move in clusters_moved)}))
    _title_stories(connection, sorted({*sagas, *story_of.values()}))
    carried = replace(plan, clusters_moved=tuple(clusters_moved))
    tell(connection, _news(carried, moved, story_of), now_us, cause)
    return Applied(carried, tuple(moved), story_of)


# --- who goes along ---------------------------------------------------------------------------------------------------


def _followers(connection: Connection, plan: Plan, late: set[str]) -> list[Move]:
    """Return the moves of late articles that joined their cluster for an article which leaves it now."""
    goes = {move.id: move for move in plan.moved}
    rows = [
        row
        for part in chunks(sorted(late))
        for row in connection.execute(
            select(articles.c.seq, articles.c.id, articles.c.cluster_id, articles.c.reason).where(
                articles.c.id.in_(part), articles.c.copy_of.is_(None)
            )
        )
    ]
    found = []
    # In the order they came: one may have followed another.
    for row in sorted(rows, key=lambda row: row.seq):
        leader = goes.get(json.loads(row.reason)["nearest"] or "")
        if leader is not None and leader.old == row.cluster_id:
            goes[row.id] = Move(row.id, row.cluster_id, leader.new, row.id)
            found.append(goes[row.id])
    return found


def _with_copies(connection: Connection, moved: Sequence[Move]) -> list[Move]:
    leader = {move.id: move for move in moved}
    found = []
    for part in chunks(sorted(leader)):
        query = select(articles.c.id, articles.c.copy_of, articles.c.cluster_id).where(
            articles.c.copy_of.in_(part)
        )
        found += [
            Move(row.id, row.cluster_id, leader[row.copy_of].new, leader[row.copy_of].head)
            for row in connection.execute(query)
        ]
    return found


def _left_behind(connection: Connection, plan: Plan, known: set[str]) -> list[Move]:
    """Return the moves of articles that came to a merged cluster since."""
    found = []
    for part in chunks(sorted(plan.merged)):
        query = select(articles.c.id, articles.c.cluster_id).where(articles.c.cluster_id.in_(part))
        found += [
            Move(row.id, row.cluster_id, plan.merged[row.cluster_id], row.id)
            for row in connection.execute(query)
            if row.id not in known
        ]
    return found


def _clusters_left_behind(connection: Connection, plan: Plan) -> list[Move]:
    """Return the moves of clusters of merged stories that the plan did not look at."""
    known = {move.id for move in plan.clusters_moved} | {*plan.merged}
    found = []
    for part in chunks(sorted(plan.stories_merged)):
        query = select(clusters.c.id, clusters.c.story_id).where(clusters.c.story_id.in_(part))
        found += [
            Move(row.id, row.story_id, plan.stories_merged[row.story_id], row.id)
            for row in connection.execute(query)
            if row.id not in known
        ]
    return found


def _emptied(
    connection: Connection, plan: Plan, left: dict[str, str], clusters_moved: Sequence[Move]
) -> dict[str, str]:
    """Return the stories that end because what was to stay in them or come is gone, and where their clusters went."""
    into = _stories_of(connection, sorted({*plan.merged.values()}))
    went = {left[one]: into[other] for one, other in plan.merged.items()}
    went |= {move.old: move.new for move in clusters_moved}
    kept = {
        story
        for part in chunks(sorted(went))
        for story in connection.execute(
            select(clusters.c.story_id).where(clusters.c.story_id.in_(part))
        ).scalars()
    }
    return {one: into for one, into in went.items() if one not in kept and one not in plan.stories_merged}


# --- writing ----------------------------------------------------------------------------------------------------------


def _open_groups(connection: Connection, plan: Plan, now_us: int) -> None:
    """Insert new stories and clusters, their counts and spans to be refreshed, their titles to be taken from a head."""
    blank = {
        **dict.fromkeys(("article_count", "copy_count", "independent_source_count"), 0),
        **dict.fromkeys(("first_published_us", "last_published_us", "updated_us"), now_us),
        "title": "",
    }
    insert_rows(
        connection,
        stories,
        [
            {**blank, "cluster_count": 0, "id": one.id, "split_from": one.split_from}
            for one in plan.stories_opened
        ],
    )
    insert_rows(
        connection,
        clusters,
        [
            {
                **blank,
                "id": one.id,
                "split_from": one.split_from,
                "story_id": one.story_id,
                "story_reason": to_json(one.reason).decode(),
            }
            for one in plan.opened
        ],
    )


def _move_articles(connection: Connection, moved: Sequence[Move]) -> None:
    _move(connection, articles, "cluster_id", "reason", moved)


def _move_clusters(connection: Connection, moved: Sequence[Move]) -> None:
    _move(connection, clusters, "story_id", "story_reason", moved)


def _move(connection: Connection, table: Any, group: str, reason: str, moved: Sequence[Move]) -> None:
    """Write where rows of `table` belong now, and why where that is known; in the order of the moves."""
    query = update(table).where(table.c.id == bindparam("one"))
    rows = [{"one": move.id, "new": move.new} for move in moved if move.reason is None]
    if rows:
        connection.execute(query.values({group: bindparam("new")}), rows)
    reasoned = [
        {"one": move.id, "new": move.new, "why": to_json(move.reason).decode()}
        for move in moved
        if move.reason is not None
    ]
    if reasoned:
        connection.execute(query.values({group: bindparam("new"), reason: bindparam("why")}), reasoned)


def _appoint_heads(connection: Connection, plan: Plan, moved: Sequence[Move]) -> None:
    """Let one article stand for each cluster: its first."""
    by_article = select(articles.c.seq).where(articles.c.id == bindparam("one")).scalar_subquery()
    opens = update(vectors).where(vectors.c.article_seq == by_article)
    if moved:
        connection.execute(opens.values(opens_cluster=0), [{"one": move.id} for move in moved])
    if not plan.heads:
        return
    inside = select(articles.c.seq).where(articles.c.cluster_id == bindparam("group"))
    connection.execute(
        update(vectors)
        .where(vectors.c.article_seq.in_(inside), vectors.c.opens_cluster == 1)
        .values(opens_cluster=0),
        [{"group": group} for group in plan.heads],
    )
    connection.execute(opens.values(opens_cluster=1), [{"one": head} for head in plan.heads.values()])
    title = select(articles.c.title).where(articles.c.id == bindparam("one")).scalar_subquery()
    connection.execute(
        update(clusters).where(clusters.c.id == bindparam("group")).values(title=title),
        [{"group": group, "one": head} for group, head in plan.heads.items()],
    )


def _title_stories(connection: Connection, ids: Sequence[str]) -> None:
    """Let each story bear the title of its first cluster, as when it opened: that one may have come or gone."""
    first = (
        select(clusters.c.title)
        .where(clusters.c.story_id == stories.c.id)
        .order_by(clusters.c.seq)
        .limit(1)
        .scalar_subquery()
    )
    for part in chunks(ids):
        connection.execute(update(stories).where(stories.c.id.in_(part)).values(title=first))


def _redirect(connection: Connection, table: Any, merged: dict[str, str], now_us: int) -> None:
    """Remove merged groups and let their IDs, and those that led to them, lead to where they went."""
    if merged:
        connection.execute(
            update(redirects).where(redirects.c.target == bindparam("one")).values(target=bindparam("into")),
            [{"one": one, "into": into} for one, into in merged.items()],
        )
        connection.execute(
            insert(redirects),
            [{"id": one, "target": into, "merged_us": now_us} for one, into in merged.items()],
        )
    for part in chunks(sorted(merged)):
        connection.execute(delete(table).where(table.c.id.in_(part)))


def _stories_of(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    return {
        row.id: row.story_id
        for part in chunks(ids)
        for row in connection.execute(
            select(clusters.c.id, clusters.c.story_id).where(clusters.c.id.in_(part))
        )
    }


# --- telling ----------------------------------------------------------------------------------------------------------


def _news(plan: Plan, moved: Iterable[Move], story_of: dict[str, str]) -> Iterator[Change]:
    """Yield what the feed is told: groups that open, clusters that move, articles that move, then groups that end."""
    for opening in plan.stories_opened:
        yield Change("story.split", story_id=opening.id, other_id=opening.split_from)
    for opening in plan.opened:
        yield Change("cluster.split", None, opening.id, story_of[opening.id], opening.split_from)
    for move in plan.clusters_moved:
        yield Change("cluster.moved", None, move.id, move.new, move.old)
    for move in moved:
        yield Change("article.moved", move.id, move.new, story_of[move.new], move.old)
    for one, into in plan.merged.items():
        yield Change("cluster.merged", None, one, story_of[into], into)
    for one, into in plan.stories_merged.items():
        yield Change("story.merged", story_id=one, other_id=into)
