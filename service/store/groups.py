"""What the API reads of clusters and stories."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, func, or_, select, tuple_

from embeddings.terms import bundled_background
from service.store.cursor import Cursor
from service.store.read import REPORT, report_row, rfc3339
from service.store.redirect import current_id, missing
from service.store.tables import articles, clusters, stories
from service.telling import LEAD_CHARS, figures, tell
from service.timeline import keywords, new_terms, representative, seen_words, story_title, what_is_new

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection, Row, Table

MAX_MEMBERS = 500
MAX_REPORTS = 100
MAX_CLUSTERS = 200
MAX_TEXTS = 240
"""Texts read to tell a story: the first reports of each event, fewer of each the more events there are."""
TEXTS_AN_EVENT = 6
TEXT_CHARS = 4000
MAX_TITLES = 100


@dataclass(frozen=True, slots=True)
class GroupFilter:
    """Which clusters or stories a list holds: those with reports at `from_us` or later and before `to_us`."""

    q: str | None = None
    source: str | None = None
    from_us: int | None = None
    to_us: int | None = None
    updated_from_us: int | None = None
    min_sources: int | None = None
    story_id: str | None = None


def list_clusters(
    connection: Connection, wanted: GroupFilter, *, limit: int, cursor: str | None = None
) -> tuple[list[dict[str, Any]], str | None]:
    """Read a page of clusters, the latest report first, and the cursor of the next page.

    Raises:
        Refused: The cursor is not one of ours.
    """
    if wanted.story_id is not None:
        wanted = replace(wanted, story_id=current_id(connection, wanted.story_id))
    rows, following = _page(connection, clusters, wanted, limit=limit, cursor=cursor)
    return _cluster_rows(connection, rows), following


def get_cluster(connection: Connection, cluster_id: str) -> dict[str, Any]:
    """Read a cluster with its members in order of time, copies under what they repeat.

    Raises:
        NotFound: There is no such cluster; `Gone` when it was deleted.
    """
    row = _standing(connection, clusters, cluster_id)
    members = _members(connection, [row.id], MAX_MEMBERS + 1)[row.id]
    shown = members[:MAX_MEMBERS]
    chosen, why = representative([member["relation"] for member in shown])
    return {
        **_cluster_rows(connection, [row])[0],
        **_asked_for(cluster_id, row),
        "representative_article_id": shown[chosen]["id"] if shown else None,
        "representative_reason": why if shown else None,
        "members": fold(shown),
        "members_complete": len(members) <= MAX_MEMBERS,
    }


def list_stories(
    connection: Connection, wanted: GroupFilter, *, limit: int, cursor: str | None = None
) -> tuple[list[dict[str, Any]], str | None]:
    """Read a page of stories, the latest report first, and the cursor of the next page.

    Raises:
        Refused: The cursor is not one of ours.
    """
    rows, following = _page(connection, stories, wanted, limit=limit, cursor=cursor)
    return _story_rows(connection, rows), following


def get_story(connection: Connection, story_id: str) -> dict[str, Any]:
    """Read a story with its clusters in order of time.

    Raises:
        NotFound: There is no such story; `Gone` when it was deleted.
    """
    story = _standing(connection, stories, story_id)
    rows, complete = _events(connection, story.id)
    members = _members(connection, [row.id for row in rows], _texts_an_event(len(rows)))
    texts = _texts(
        connection, [one["id"] for found in members.values() for one in found if one["copy_of"] is None]
    )
    background = bundled_background()
    told = [
        tell(background, one["title"], texts[one["id"]][:LEAD_CHARS], outlets=(one["source"],))
        for row in rows
        for one in members[row.id]
        if one["id"] in texts
    ]
    return {
        **_story_rows(connection, [story])[0],
        **_asked_for(story_id, story),
        "keywords": keywords(told),
        "clusters": _cluster_rows(connection, rows),
        "clusters_complete": complete,
    }


def get_timeline(connection: Connection, story_id: str) -> dict[str, Any]:
    """Read a story as its events: who speaks for each, its reports, and what it adds to the earlier ones.

    Raises:
        NotFound: There is no such story; `Gone` when it was deleted.
    """
    story = _standing(connection, stories, story_id)
    rows, complete = _events(connection, story.id)
    members = _members(connection, [row.id for row in rows], MAX_REPORTS + 1)
    told = [row for row in rows if members[row.id]]
    terms = new_terms([[member["title"] for member in members[row.id][:MAX_REPORTS]] for row in told])
    news = _news(connection, [members[row.id][:MAX_REPORTS] for row in told])
    return {
        "story_id": story.id,
        "requested_id": story_id,
        "merged_into": story.id if story.id != story_id else None,
        "title": _titles(connection, [story])[story.id],
        "events": [
            {**_event(row, members[row.id]), "what_is_new": new, "new_terms": added}
            for row, new, added in zip(told, news, terms, strict=True)
        ],
        "events_complete": complete,
    }


def _news(connection: Connection, events: Sequence[list[dict[str, Any]]]) -> list[list[str]]:
    """Return what each event's representative article has that the first reports of the earlier events had not."""
    limit = _texts_an_event(len(events))
    speakers = [found[representative([one["relation"] for one in found])[0]] for found in events]
    heard = [[one for one in found if one["copy_of"] is None][:limit] for found in events]
    texts = _texts(connection, [one["id"] for found in (*heard, speakers) for one in found])
    background = bundled_background()
    seen: set[str] = set()
    numbers: set[str] = set()
    news = []
    for speaker, found in zip(speakers, heard, strict=True):
        told = tell(
            background, speaker["title"], texts[speaker["id"]][:LEAD_CHARS], outlets=(speaker["source"],)
        )
        news.append(what_is_new(told, seen, numbers))
        for one in (speaker, *found):
            text = f"{one['title']}\n{texts[one['id']]}"
            seen |= seen_words(text)
            numbers |= {figure.number for figure in figures(text)}
    return news


def fold(reports: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put copies under the article they repeat, as far as it stands in the same list; order stays."""
    parents = {report["id"]: report["copy_of"] for report in reports}
    roots = [_root(report["id"], parents) for report in reports]
    copies: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for report, root in zip(reports, roots, strict=True):
        if report["id"] != root:
            copies[root].append(report)
    heads = [report for report, root in zip(reports, roots, strict=True) if report["id"] == root]
    return [{**head, "copies": copies[head["id"]]} for head in heads]


def _root(article_id: str, parents: dict[str, str | None]) -> str:
    path = [article_id]
    while (parent := parents[path[-1]]) is not None and parent in parents:
        if parent in path:
            # Damaged data: every member of the ring must name the same head.
            return min(path[path.index(parent) :])
        path.append(parent)
    return path[-1]


def _texts_an_event(events: int) -> int:
    return max(1, min(TEXTS_AN_EVENT, MAX_TEXTS // max(events, 1)))


def _texts(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    """Read the beginnings of the texts of articles."""
    text = func.substr(articles.c.text, 1, TEXT_CHARS)
    rows = connection.execute(select(articles.c.id, text).where(articles.c.id.in_(sorted(set(ids)))))
    return {article_id: found for article_id, found in rows}  # noqa: C416  rows are no pairs to a type checker


def _event(row: Row[Any], members: list[dict[str, Any]]) -> dict[str, Any]:
    shown = members[:MAX_REPORTS]
    chosen, why = representative([member["relation"] for member in shown])
    return {
        "cluster_id": row.id,
        "date": shown[0]["published_at"][:10],
        "headline": shown[chosen]["title"],
        "representative": shown[chosen],
        "representative_reason": why,
        "reports": fold(shown),
        "reports_complete": len(members) <= MAX_REPORTS,
        "article_count": row.article_count,
        "copy_count": row.copy_count,
        "independent_source_count": row.independent_source_count,
    }


def _standing(connection: Connection, table: Table, group_id: str) -> Row[Any]:
    """Return the row of a group under the ID it has now."""
    found = current_id(connection, group_id)
    row = connection.execute(select(table).where(table.c.id == found)).one_or_none()
    if row is None:
        raise missing(connection, found)
    return row


def _asked_for(requested_id: str, row: Row[Any]) -> dict[str, Any]:
    """Say under which ID a group was asked for, and where it comes from."""
    return {
        "requested_id": requested_id,
        "merged_into": row.id if row.id != requested_id else None,
        "split_from": row.split_from,
    }


def _events(connection: Connection, story_id: str) -> tuple[list[Row[Any]], bool]:
    """Read the latest clusters of a story, in order of time, and whether these are all."""
    rows = connection.execute(
        select(clusters)
        .where(clusters.c.story_id == story_id)
        .order_by(clusters.c.first_published_us.desc(), clusters.c.seq.desc())
        .limit(MAX_CLUSTERS + 1)
    ).all()
    return list(rows[:MAX_CLUSTERS][::-1]), len(rows) <= MAX_CLUSTERS


def _members(
    connection: Connection, cluster_ids: Sequence[str], limit: int
) -> dict[str, list[dict[str, Any]]]:
    """Read the first `limit` articles of each cluster in order of time."""
    key = (articles.c.published_us, articles.c.seq)
    place = func.row_number().over(partition_by=articles.c.cluster_id, order_by=key).label("place")
    ranked = select(*REPORT, place).where(articles.c.cluster_id.in_(cluster_ids)).subquery()
    query = select(ranked).where(ranked.c.place <= limit).order_by(ranked.c.published_us, ranked.c.seq)
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in connection.execute(query):
        found[row.cluster_id].append(report_row(row))
    return found


def _page(
    connection: Connection, table: Table, wanted: GroupFilter, *, limit: int, cursor: str | None
) -> tuple[list[Row[Any]], str | None]:
    key = (table.c.last_published_us, table.c.seq)
    query = select(table).where(*_conditions(table, wanted))
    if cursor is not None:
        after = Cursor.decode(cursor)
        query = query.where(tuple_(*key) < tuple_(after.us, after.seq))
    rows = connection.execute(query.order_by(*(column.desc() for column in key)).limit(limit + 1)).all()
    page = list(rows[:limit])
    following = Cursor(page[-1].last_published_us, page[-1].seq).encode() if len(rows) > limit else None
    return page, following


def _conditions(table: Table, wanted: GroupFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.q is not None:
        yield _titled(table, wanted.q)
    if wanted.source is not None:
        yield _reported_by(table, wanted.source)
    if wanted.from_us is not None:
        yield table.c.last_published_us >= wanted.from_us
    if wanted.to_us is not None:
        yield table.c.first_published_us < wanted.to_us
    if wanted.updated_from_us is not None:
        yield table.c.updated_us >= wanted.updated_from_us
    if wanted.min_sources is not None:
        yield table.c.independent_source_count >= wanted.min_sources
    if wanted.story_id is not None:
        yield table.c.story_id == wanted.story_id


def _titled(table: Table, part: str) -> ColumnElement[bool]:
    own = table.c.title.icontains(part, autoescape=True)
    if table is clusters:
        return own
    # A story is shown under the title of one of its events.
    inside = select(clusters.c.story_id).where(clusters.c.title.icontains(part, autoescape=True))
    return or_(own, table.c.id.in_(inside))


def _reported_by(table: Table, source: str) -> ColumnElement[bool]:
    if table is clusters:
        return exists().where(articles.c.cluster_id == clusters.c.id, articles.c.source == source)
    inner = clusters.alias()
    return exists().where(
        inner.c.story_id == stories.c.id, articles.c.cluster_id == inner.c.id, articles.c.source == source
    )


def _cluster_rows(connection: Connection, rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    sources = _sources(connection, articles.c.cluster_id, [row.id for row in rows])
    return [{**_group(row, sources[row.id]), "story_id": row.story_id} for row in rows]


def _story_rows(connection: Connection, rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    sources = _sources(connection, clusters.c.story_id, [row.id for row in rows])
    titles = _titles(connection, rows)
    return [
        {**_group(row, sources[row.id]), "title": titles[row.id], "cluster_count": row.cluster_count}
        for row in rows
    ]


def _titles(connection: Connection, rows: Sequence[Row[Any]]) -> dict[str, str]:
    """Choose the title of each story among those of its largest events; one event alone lends its own."""
    found = {row.id: row.title for row in rows}
    several = [row.id for row in rows if row.cluster_count > 1]
    if not several:
        return found
    size = (clusters.c.article_count.desc(), clusters.c.seq)
    place = func.row_number().over(partition_by=clusters.c.story_id, order_by=size).label("place")
    columns = (clusters.c.story_id, clusters.c.title, clusters.c.article_count, clusters.c.first_published_us)
    ranked = select(*columns, clusters.c.seq, place).where(clusters.c.story_id.in_(several)).subquery()
    query = select(ranked).where(ranked.c.place <= MAX_TITLES)
    events: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(query.order_by(ranked.c.first_published_us, ranked.c.seq)):
        events[row.story_id].append(row)
    for story_id, inside in events.items():
        titles, sizes = [row.title for row in inside], [row.article_count for row in inside]
        found[story_id] = titles[story_title(bundled_background(), titles, sizes)]
    return found


def _sources(
    connection: Connection, group: ColumnElement[str], ids: Sequence[str]
) -> dict[str, Counter[str]]:
    """Count the articles of each outlet in each group."""
    query = (
        select(group, articles.c.source, func.count())
        .select_from(articles.join(clusters, clusters.c.id == articles.c.cluster_id))
        .where(group.in_(ids))
        .group_by(group, articles.c.source)
    )
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for group_id, source, count in connection.execute(query):
        found[group_id][source] = count
    return found


def _group(row: Row[Any], sources: Counter[str]) -> dict[str, Any]:
    return {
        "id": row.id,
        "title": row.title,
        "article_count": row.article_count,
        "copy_count": row.copy_count,
        "source_count": len(sources),
        "independent_source_count": row.independent_source_count,
        "sources": sorted(sources, key=lambda source: (-sources[source], source)),
        "first_published_at": rfc3339(row.first_published_us),
        "last_published_at": rfc3339(row.last_published_us),
        "updated_at": rfc3339(row.updated_us),
    }
