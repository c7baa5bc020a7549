"""What the API reads of articles, and how rows become what it shows."""

from __future__ import annotations

import json
import math
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import exc, func, select, tuple_

from embeddings.terms import bundled_background
from service import explain
from service.errors import StoreUnavailable
from service.store.cursor import Cursor
from service.store.failures import is_out_of_reach
from service.store.redirect import current_id, missing
from service.store.settling import IS_PROVISIONAL
from service.store.tables import articles, clusters, revisions, stories, vectors
from service.store.times import local_time
from service.telling import LEAD_CHARS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import ColumnElement, Connection, Engine, Row, Select

MAX_REVISIONS = 20
MAX_SOURCES = 50

REPORT = (
    articles.c.seq,
    articles.c.id,
    articles.c.title,
    articles.c.url,
    articles.c.source,
    articles.c.published_us,
    articles.c.offset_minutes,
    articles.c.precision,
    articles.c.relation,
    articles.c.copy_of,
    articles.c.similarity,
    articles.c.cluster_id,
)
_ROW = (
    *REPORT,
    articles.c.external_id,
    articles.c.publisher,
    articles.c.received_us,
    articles.c.author,
    articles.c.agency,
    articles.c.language,
    articles.c.labels,
    IS_PROVISIONAL,
    articles.c.revision,
    clusters.c.story_id,
)
_DETAIL = (
    *_ROW,
    articles.c.text,
    articles.c.published_at_source,
    articles.c.related,
    articles.c.is_truncated,
    articles.c.metadata,
    articles.c.warnings,
    articles.c.reason,
)


_SIDE = (
    articles.c.id,
    articles.c.title,
    articles.c.text,
    articles.c.source,
    articles.c.published_us,
    articles.c.precision,
    articles.c.revision,
)
_PLACED = (
    articles.c.id,
    articles.c.relation,
    articles.c.copy_of,
    articles.c.similarity,
    articles.c.labels,
    articles.c.cluster_id,
    articles.c.reason,
    clusters.c.story_id,
    clusters.c.story_reason,
)


@dataclass(frozen=True, slots=True)
class ArticleFilter:
    """Which articles a list holds; times are `from_us` <= published < `to_us`."""

    q: str | None = None
    source: str | None = None
    cluster_id: str | None = None
    story_id: str | None = None
    from_us: int | None = None
    to_us: int | None = None


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Lend a connection for one answer; every statement in it sees the same state.

    Raises:
        StoreUnavailable: The database does not answer.
    """
    try:
        with engine.connect() as connection:
            yield connection
    except (exc.DBAPIError, exc.TimeoutError) as error:
        if isinstance(error, exc.DBAPIError) and not is_out_of_reach(error):
            raise
        raise StoreUnavailable from error


def figure(engine: Engine, asked: Callable[[Connection], float]) -> float:
    """Return a figure for the operator, NaN where the store cannot say."""
    try:
        with engine.connect() as connection:
            return asked(connection)
    except exc.SQLAlchemyError:
        return math.nan


def assignments(connection: Connection) -> dict[str, tuple[str, str]]:
    """Return cluster and story of every article, by ID."""
    rows = connection.execute(
        select(articles.c.id, articles.c.cluster_id, clusters.c.story_id).join(
            clusters, clusters.c.id == articles.c.cluster_id
        )
    )
    return {row.id: (row.cluster_id, row.story_id) for row in rows}


def rfc3339(us: int, offset_minutes: int = 0) -> str:
    """Write UTC microseconds as a time at an offset."""
    return local_time(us, offset_minutes).isoformat()


def get_article(connection: Connection, article_id: str) -> dict[str, Any]:
    """Read one article with its assignment and its latest revisions.

    Raises:
        Gone: It was deleted.
        NotFound: There never was one.
    """
    row = connection.execute(_joined(*_DETAIL).where(articles.c.id == article_id)).one_or_none()
    if row is None:
        raise missing(connection, article_id)
    older = connection.execute(
        select(revisions.c.revision, revisions.c.title, revisions.c.text, revisions.c.received_us)
        .where(revisions.c.article_id == article_id)
        .order_by(revisions.c.revision.desc())
        .limit(MAX_REVISIONS)
    )
    return {
        **article_row(row),
        "text": row.text,
        "published_at_source": row.published_at_source,
        "related": json.loads(row.related),
        "is_truncated": bool(row.is_truncated),
        "metadata": json.loads(row._mapping["metadata"]),  # noqa: SLF001  a public name that looks private
        "warnings": json.loads(row.warnings),
        "probability": json.loads(row.reason)["probability"],
        "revisions": [
            {
                "revision": old.revision,
                "title": old.title,
                "text": old.text,
                "received_at": rfc3339(old.received_us),
            }
            for old in older
        ],
    }


def list_articles(
    connection: Connection, wanted: ArticleFilter, *, limit: int, cursor: str | None = None
) -> tuple[list[dict[str, Any]], str | None]:
    """Read a page of articles, newest first, and the cursor of the next page.

    Raises:
        Refused: The cursor is not one of ours.
    """
    key = (articles.c.published_us, articles.c.seq)
    if wanted.cluster_id is not None:
        wanted = replace(wanted, cluster_id=current_id(connection, wanted.cluster_id))
    if wanted.story_id is not None:
        wanted = replace(wanted, story_id=current_id(connection, wanted.story_id))
    query = _joined(*_ROW).where(*_conditions(wanted))
    if cursor is not None:
        after = Cursor.decode(cursor)
        query = query.where(tuple_(*key) < tuple_(after.us, after.seq))
    rows = connection.execute(query.order_by(*(column.desc() for column in key)).limit(limit + 1)).all()
    page = rows[:limit]
    following = Cursor(page[-1].published_us, page[-1].seq).encode() if len(rows) > limit else None
    return [article_row(row) for row in page], following


def get_explanation(connection: Connection, article_id: str) -> dict[str, Any]:
    """Read why an article is in its cluster and the cluster in its story, as numbers and in words.

    Raises:
        NotFound: There is no such article; `Gone` when it was deleted.
    """
    row = connection.execute(_joined(*_PLACED).where(articles.c.id == article_id)).one_or_none()
    if row is None:
        raise missing(connection, article_id)
    reason, story_reason = json.loads(row.reason), json.loads(row.story_reason)
    opener_id = _opener(connection, row.cluster_id) or row.id
    nearest = [one["nearest"] for one in (reason, story_reason) if one]
    sides = _sides(connection, {row.id, opener_id, *filter(None, nearest)})
    titles = _group_titles(connection, [one["runner_up"] for one in (reason, story_reason) if one])
    known = {"relation": row.relation, "similarity": row.similarity, "labels": json.loads(row.labels)}
    cluster = _told("cluster", reason, sides, titles, row.id, known)
    known |= {"is_opener": opener_id == row.id}
    story = _told("story", story_reason, sides, titles, opener_id, known) if story_reason else None
    return {
        "article_id": row.id,
        "cluster_id": row.cluster_id,
        "story_id": row.story_id,
        "relation": row.relation,
        "copy_of": row.copy_of,
        "cluster": cluster,
        "story": story,
    }


def _told(
    scope: explain.Scope,
    reason: dict[str, Any],
    sides: dict[str, tuple[explain.Side, int]],
    titles: dict[str, str],
    article_id: str,
    known: dict[str, Any],
) -> dict[str, Any]:
    """Return a stored decision with the article it turned on, what the two share, and all of it in sentences."""
    here, revision = sides[article_id]
    there, other_revision = sides.get(reason["nearest"], (None, 1))
    comparison = None
    if there is not None:
        comparison = explain.compare(bundled_background(), here, there, chars=LEAD_CHARS)
    decision = {
        "runner_up_probability": None,
        **reason,
        "runner_up_title": titles.get(reason["runner_up"]),
        "evidence": [{"name": name, "value": value} for name, value in reason["evidence"].items()],
    }
    edited = max(revision, other_revision) > 1
    return {
        **decision,
        "compared_article": None if there is None else article_id,
        "nearest_title": None if there is None else there.title,
        "nearest_source": None if there is None else there.source,
        "comparison": None if comparison is None else asdict(comparison),
        "sentences": explain.sentences(scope, decision, there, comparison, edited=edited, **known),
    }


def _opener(connection: Connection, cluster_id: str) -> str | None:
    """Return the article whose arrival opened a cluster: the story's decision was made on it."""
    return connection.execute(
        select(articles.c.id)
        .join(vectors, vectors.c.article_seq == articles.c.seq)
        .where(articles.c.cluster_id == cluster_id, vectors.c.opens_cluster == 1)
        .order_by(articles.c.seq)
        .limit(1)
    ).scalar()


def _sides(connection: Connection, ids: set[str]) -> dict[str, tuple[explain.Side, int]]:
    """Return what is compared of each stored article, with its revision."""
    rows = connection.execute(select(*_SIDE).where(articles.c.id.in_(sorted(ids))))
    return {
        row.id: (
            explain.Side(
                row.id,
                row.title,
                row.text,
                row.source,
                row.published_us / 3_600_000_000,
                row.precision == "day",
            ),
            row.revision,
        )
        for row in rows
    }


def _group_titles(connection: Connection, ids: list[str | None]) -> dict[str, str]:
    wanted = [one for one in ids if one is not None]
    found: dict[str, str] = {}
    for table in (clusters, stories):
        rows = (
            connection.execute(select(table.c.id, table.c.title).where(table.c.id.in_(wanted)))
            if wanted
            else ()
        )
        found |= {row.id: row.title for row in rows}
    return found


def get_stats(connection: Connection) -> dict[str, Any]:
    """Count what is stored."""
    by_relation = connection.execute(select(articles.c.relation, func.count()).group_by(articles.c.relation))
    relations: dict[str, int] = {row[0]: row[1] for row in by_relation}
    count = func.count().label("count")
    by_source = connection.execute(select(articles.c.source, count).group_by(articles.c.source)).all()
    by_source = sorted(by_source, key=lambda row: (-row[1], row[0]))
    first, last, received = connection.execute(
        select(
            func.min(articles.c.published_us),
            func.max(articles.c.published_us),
            func.max(articles.c.received_us),
        )
    ).one()
    total = sum(relations.values())
    return {
        "article_count": total,
        "cluster_count": connection.execute(select(func.count()).select_from(clusters)).scalar_one(),
        "story_count": connection.execute(select(func.count()).select_from(stories)).scalar_one(),
        "copy_count": total - relations.get("original", 0),
        "source_count": len(by_source),
        "relations": relations,
        "sources": [
            {"source": source, "article_count": number} for source, number in by_source[:MAX_SOURCES]
        ],
        "first_published_at": rfc3339(first) if first is not None else None,
        "last_published_at": rfc3339(last) if last is not None else None,
        "last_received_at": rfc3339(received) if received is not None else None,
    }


def report_row(row: Row[Any]) -> dict[str, Any]:
    """Show the columns of `REPORT`."""
    return {
        "id": row.id,
        "title": row.title,
        "url": row.url,
        "source": row.source,
        "published_at": rfc3339(row.published_us, row.offset_minutes),
        "published_at_precision": row.precision,
        "relation": row.relation,
        "copy_of": row.copy_of,
        "similarity": row.similarity,
    }


def article_row(row: Row[Any]) -> dict[str, Any]:
    """Show an article's row with its assignment."""
    return {
        **report_row(row),
        "external_id": row.external_id,
        "publisher": row.publisher,
        "first_seen_at": rfc3339(row.received_us),
        "author": row.author,
        "agency": row.agency,
        "language": row.language,
        "labels": json.loads(row.labels),
        "cluster_id": row.cluster_id,
        "story_id": row.story_id,
        "provisional": bool(row.provisional),
        "revision": row.revision,
    }


def _joined(*columns: ColumnElement[Any]) -> Select[Any]:
    return select(*columns).join(clusters, clusters.c.id == articles.c.cluster_id)


def _conditions(wanted: ArticleFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.q is not None:
        yield articles.c.title.icontains(wanted.q, autoescape=True)
    if wanted.source is not None:
        yield articles.c.source == wanted.source
    if wanted.cluster_id is not None:
        yield articles.c.cluster_id == wanted.cluster_id
    if wanted.story_id is not None:
        yield clusters.c.story_id == wanted.story_id
    if wanted.from_us is not None:
        yield articles.c.published_us >= wanted.from_us
    if wanted.to_us is not None:
        yield articles.c.published_us < wanted.to_us
