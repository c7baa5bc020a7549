"""What must hold in a store, as queries that count what does not."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, distinct, exists, func, select
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import aliased

from service.store.tables import articles, changes, clusters, redirects, stories, tombstones, vectors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import ColumnElement, Connection, Row

_original = aliased(articles)
_is_copy = articles.c.copy_of.is_not(None)


def _wrong_counts(table: Any, group: Any) -> Select[Any]:
    counted = (
        select(
            group.label("id"),
            func.count().label("article_count"),
            func.count(articles.c.copy_of).label("copy_count"),
            func.count(distinct(articles.c.publisher)).filter(~_is_copy).label("independent_source_count"),
            func.min(articles.c.published_us).label("first_published_us"),
            func.max(articles.c.published_us).label("last_published_us"),
            func.count(distinct(articles.c.cluster_id)).label("cluster_count"),
        )
        .select_from(articles.join(clusters, clusters.c.id == articles.c.cluster_id))
        .group_by(group)
        .subquery()
    )
    names = [column.name for column in counted.c if column.name != "id" and column.name in table.c]
    differs = [table.c[name] != counted.c[name] for name in names]
    condition = counted.c.id.is_(None)
    for one in differs:
        condition |= one
    return select(table.c.id).outerjoin(counted, counted.c.id == table.c.id).where(condition)


def _told_of_nobody(told: Any, *there: Any) -> Select[Any]:
    known: ColumnElement[bool] = exists().where(tombstones.c.id == told)
    for table in there:
        known |= exists().where(table.c.id == told)
    return select(changes.c.seq).where(told.is_not(None), ~known)


INVARIANTS: Mapping[str, Select[Any]] = {
    "every article is in a cluster that exists": select(articles.c.id)
    .outerjoin(clusters, clusters.c.id == articles.c.cluster_id)
    .where(clusters.c.id.is_(None)),
    "every cluster is in a story that exists": select(clusters.c.id)
    .outerjoin(stories, stories.c.id == clusters.c.story_id)
    .where(stories.c.id.is_(None)),
    "every copy points to an original of its cluster": select(articles.c.id)
    .outerjoin(_original, _original.c.id == articles.c.copy_of)
    .where(
        _is_copy,
        _original.c.id.is_(None)
        | _original.c.copy_of.is_not(None)
        | (_original.c.cluster_id != articles.c.cluster_id),
    ),
    "every original has vectors": select(articles.c.id)
    .outerjoin(vectors, vectors.c.article_seq == articles.c.seq)
    .where(~_is_copy, vectors.c.seq.is_(None)),
    "every vector belongs to an article": select(vectors.c.seq)
    .outerjoin(articles, articles.c.seq == vectors.c.article_seq)
    .where(articles.c.seq.is_(None)),
    "every ID that was merged leads to one that is there or was deleted": select(redirects.c.id)
    .outerjoin(clusters, clusters.c.id == redirects.c.target)
    .outerjoin(stories, stories.c.id == redirects.c.target)
    .outerjoin(tombstones, tombstones.c.id == redirects.c.target)
    .where(clusters.c.id.is_(None), stories.c.id.is_(None), tombstones.c.id.is_(None)),
    "no ID that was merged is there": select(redirects.c.id)
    .outerjoin(clusters, clusters.c.id == redirects.c.id)
    .outerjoin(stories, stories.c.id == redirects.c.id)
    .where(clusters.c.id.is_not(None) | stories.c.id.is_not(None)),
    "every article of the feed is there or was deleted": _told_of_nobody(changes.c.article_id, articles),
    "every cluster of the feed is there, was merged or was deleted": _told_of_nobody(
        changes.c.cluster_id, clusters, redirects
    ),
    "every story of the feed is there, was merged or was deleted": _told_of_nobody(
        changes.c.story_id, stories, redirects
    ),
    "the counts of clusters equal their members": _wrong_counts(clusters, articles.c.cluster_id),
    "the counts of stories equal their members": _wrong_counts(stories, clusters.c.story_id),
}


class UnreadableError(Exception):
    """A part of the store cannot be read: what stands there is no value of its kind, or a page is damaged."""


def count(connection: Connection, query: Select[Any]) -> int:
    """Return how many rows a query finds.

    Raises:
        UnreadableError: The rows cannot be read.
    """
    with _reading():
        return connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()


def stored_texts(connection: Connection) -> Iterator[Row[*tuple[Any, ...]]]:
    """Yield ID, title, text and fingerprint of every article.

    Raises:
        UnreadableError: One cannot be read.
    """
    with _reading():
        yield from connection.execution_options(yield_per=2000).execute(
            select(articles.c.id, articles.c.title, articles.c.text, articles.c.fingerprint)
        )


def stored_vectors(connection: Connection) -> Iterator[Row[*tuple[Any, ...]]]:
    """Yield article ID, bytes and checksum of every stored vector.

    Raises:
        UnreadableError: One cannot be read.
    """
    with _reading():
        yield from connection.execution_options(yield_per=2000).execute(
            select(articles.c.id.label("article_id"), vectors.c.blob, vectors.c.crc).join(
                articles, articles.c.seq == vectors.c.article_seq
            )
        )


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        raise UnreadableError from error
