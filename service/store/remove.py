"""What is deleted: an article, and with the last of them its cluster and story."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select, update

from service.store.changes import Change, tell
from service.store.settling import settle
from service.store.tables import articles, clusters, revisions, stories, tombstones, vectors
from service.store.write import find_article, refresh_counts

if TYPE_CHECKING:
    from sqlalchemy import Connection, RowMapping


@dataclass(frozen=True, slots=True)
class Removal:
    """What the window must follow: whether a copy took the place of its original and whose vectors it inherited."""

    heir: str | None
    inherits_vectors: bool
    new_head: str | None


def remove_article(connection: Connection, article_id: str, now_us: int) -> Removal | None:
    """Delete an article and leave its tombstone; None when there is no such article.

    The earliest of its copies becomes the original in its place. A cluster that loses the article it opened with is
    represented by its next one; a cluster or story that loses its last article goes with it.
    """
    row = find_article(connection, article_id)
    if row is None:
        return None
    connection.execute(insert(tombstones).values(id=article_id, deleted_us=now_us))
    connection.execute(delete(revisions).where(revisions.c.article_id == article_id))
    headline = connection.execute(
        select(clusters.c.title).where(clusters.c.id == row["cluster_id"])
    ).scalar_one()
    opened = connection.execute(
        select(vectors.c.opens_cluster).where(vectors.c.article_seq == row["seq"])
    ).scalar()
    heir, inherits = _promote_copy(connection, row)
    connection.execute(delete(vectors).where(vectors.c.article_seq == row["seq"]))
    settle(connection, [row["seq"]])
    connection.execute(delete(articles).where(articles.c.seq == row["seq"]))
    new_head = _appoint_head(connection, row["cluster_id"]) if opened and not inherits else None
    gone = Change("article.deleted", article_id, row["cluster_id"], row["story_id"])
    emptied = _drop_empty(connection, row["cluster_id"], row["story_id"], now_us)
    tell(connection, [gone, *emptied], now_us)
    if opened:
        _retitle(connection, row["cluster_id"], row["story_id"], headline)
    refresh_counts(connection, [row["cluster_id"]], now_us, story_ids=[row["story_id"]])
    return Removal(heir, inherits, new_head)


def _promote_copy(connection: Connection, row: RowMapping) -> tuple[str | None, bool]:
    heir = connection.execute(
        select(articles.c.id, articles.c.seq)
        .where(articles.c.copy_of == row["id"])
        .order_by(articles.c.event_us, articles.c.seq)
    ).first()
    if heir is None:
        return None, False
    connection.execute(update(articles).where(articles.c.copy_of == row["id"]).values(copy_of=heir.id))
    connection.execute(
        update(articles)
        .where(articles.c.id == heir.id)
        .values(copy_of=None, relation="original", similarity=None)
    )
    has_own = connection.execute(
        select(func.count()).select_from(vectors).where(vectors.c.article_seq == heir.seq)
    ).scalar_one()
    if has_own:
        return heir.id, False
    moved = connection.execute(
        update(vectors).where(vectors.c.article_seq == row["seq"]).values(article_seq=heir.seq)
    )
    return heir.id, moved.rowcount > 0


def _appoint_head(connection: Connection, cluster_id: str) -> str | None:
    head = connection.execute(
        select(articles.c.id, articles.c.seq)
        .join(vectors, vectors.c.article_seq == articles.c.seq)
        .where(articles.c.cluster_id == cluster_id, articles.c.copy_of.is_(None))
        .order_by(articles.c.event_us, articles.c.seq)
    ).first()
    if head is None:
        return None
    connection.execute(update(vectors).where(vectors.c.article_seq == head.seq).values(opens_cluster=1))
    return str(head.id)


def _retitle(connection: Connection, cluster_id: str, story_id: str, headline: str) -> None:
    """Take the deleted headline off its cluster and story: they show that of an article that is still there."""
    title = connection.execute(
        select(articles.c.title)
        .join(vectors, vectors.c.article_seq == articles.c.seq)
        .where(articles.c.cluster_id == cluster_id, vectors.c.opens_cluster == 1)
    ).scalar()
    if title is not None:
        connection.execute(update(clusters).where(clusters.c.id == cluster_id).values(title=title))
    first = connection.execute(
        select(clusters.c.title).where(clusters.c.story_id == story_id).order_by(clusters.c.seq)
    ).scalar()
    if first is not None:
        connection.execute(
            update(stories).where(stories.c.id == story_id, stories.c.title == headline).values(title=first)
        )


def _drop_empty(connection: Connection, cluster_id: str, story_id: str, now_us: int) -> list[Change]:
    found = []
    for table, group, key, change in (
        (clusters, articles.c.cluster_id, cluster_id, Change("cluster.deleted", None, cluster_id, story_id)),
        (stories, clusters.c.story_id, story_id, Change("story.deleted", story_id=story_id)),
    ):
        left = connection.execute(select(func.count()).where(group == key)).scalar_one()
        if not left:
            connection.execute(delete(table).where(table.c.id == key))
            connection.execute(insert(tombstones).values(id=key, deleted_us=now_us))
            found.append(change)
    return found
