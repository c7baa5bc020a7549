"""What is written, always inside the caller's transaction, and what must be read to decide."""

from __future__ import annotations

import functools
import json
import zlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json
from sqlalchemy import bindparam, delete, distinct, func, insert, or_, select, update

from service.model import Article, Outcome, Placement, Reason
from service.store.bulk import chunks, insert_rows
from service.store.settling import IS_PROVISIONAL, unsettle
from service.store.tables import articles, clusters, meta, revisions, stories, vectors
from service.store.times import local_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Connection, RowMapping


@dataclass(frozen=True, slots=True)
class StoredVector:
    """One row of the window as the store keeps it; `flags` are those of `service.window`."""

    article_id: str
    article_seq: int
    cluster_id: str
    story_id: str
    source: str
    labels: tuple[str, ...]
    is_copy: bool
    event_us: int
    opens_cluster: bool
    blob: bytes
    intact: bool


@dataclass(frozen=True, slots=True)
class NewVector:
    """Vectors to be written for an article of this transaction."""

    article_id: str
    opens_cluster: bool
    blob: bytes


def get_meta(connection: Connection) -> dict[str, str]:
    """Return the store's own facts: model, versions."""
    return {row.key: row.value for row in connection.execute(select(meta))}


def set_meta(connection: Connection, values: dict[str, str]) -> None:
    """Replace facts about the store."""
    connection.execute(delete(meta).where(meta.c.key.in_(values)))
    connection.execute(insert(meta), [{"key": key, "value": value} for key, value in values.items()])


_PLACED = select(articles, IS_PROVISIONAL, clusters.c.story_id, clusters.c.story_reason).join(
    clusters, clusters.c.id == articles.c.cluster_id
)


def find_known(
    connection: Connection, external_ids: Sequence[str], url_keys: Sequence[str]
) -> list[RowMapping]:
    """Return the stored articles that carry one of these identities, with their story."""
    found = connection.execute(
        _PLACED.where(or_(articles.c.external_id.in_(external_ids), articles.c.url_key.in_(url_keys)))
    )
    return list(found.mappings())


def find_texts(connection: Connection, fingerprints: Sequence[bytes]) -> dict[bytes, RowMapping]:
    """Return, for each fingerprint known to the store, the first article that carries it."""
    found = connection.execute(
        _PLACED.where(articles.c.fingerprint.in_(fingerprints)).order_by(articles.c.seq)
    )
    first: dict[bytes, RowMapping] = {}
    for row in found.mappings():
        first.setdefault(row["fingerprint"], row)
    return first


def find_article(connection: Connection, article_id: str) -> RowMapping | None:
    """Return one stored article with its story, or None."""
    return connection.execute(_PLACED.where(articles.c.id == article_id)).mappings().first()


def texts_of(connection: Connection, ids: Sequence[str]) -> dict[str, RowMapping]:
    """Return title, text, times, publisher and original of stored articles."""
    columns = (
        *(articles.c.id, articles.c.title, articles.c.text, articles.c.published_us, articles.c.received_us),
        *(articles.c.publisher, articles.c.copy_of),
    )
    return {
        row["id"]: row
        for part in chunks(ids)
        for row in connection.execute(select(*columns).where(articles.c.id.in_(part))).mappings()
    }


def outcome_of(row: RowMapping, status: str = "unchanged") -> Outcome:
    """Return a stored article as the outcome of posting it again."""
    article = Article(
        title=row["title"],
        text=row["text"],
        source=row["source"],
        publisher=row["publisher"],
        published_at=local_time(row["published_us"], row["offset_minutes"]),
        precision=row["precision"],
        published_at_source=row["published_at_source"],
        received_at_us=row["received_us"],
        external_id=row["external_id"],
        url=row["url"],
        url_key=row["url_key"],
        author=row["author"],
        agency=row["agency"],
        language=row["language"],
        labels=tuple(json.loads(row["labels"])),
        related=tuple(json.loads(row["related"])),
        is_truncated=bool(row["is_truncated"]),
        metadata=json.loads(row["metadata"]),
        warnings=tuple(json.loads(row["warnings"])),
    )
    placement = Placement(
        relation=row["relation"],
        copy_of=row["copy_of"],
        similarity=row["similarity"],
        cluster_id=row["cluster_id"],
        story_id=row["story_id"],
        cluster_created=False,
        reason=Reason(**json.loads(row["reason"])),
        story_reason=Reason(**json.loads(row["story_reason"])),
    )
    return Outcome(
        row["id"],
        "unchanged" if status == "unchanged" else "revised",
        article,
        placement,
        bool(row["provisional"]),
    )


def article_columns(article: Article, fingerprint: bytes) -> dict[str, Any]:
    """Return the columns of `articles` that come from the article itself."""
    offset = article.published_at.utcoffset()
    return {
        "external_id": article.external_id,
        "url": article.url,
        "url_key": article.url_key,
        "source": article.source,
        "publisher": article.publisher,
        "title": article.title,
        "text": article.text,
        "author": article.author,
        "agency": article.agency,
        "language": article.language,
        "labels": _json(article.labels) if article.labels else "[]",
        "related": _json(article.related) if article.related else "[]",
        "metadata": _json(article.metadata) if article.metadata else "{}",
        "warnings": _json(article.warnings) if article.warnings else "[]",
        "is_truncated": int(article.is_truncated),
        "published_us": article.published_us,
        "offset_minutes": 0 if offset is None else round(offset.total_seconds() / 60),
        "precision": article.precision,
        "published_at_source": article.published_at_source,
        "received_us": article.received_at_us,
        "event_us": article.event_us,
        "fingerprint": fingerprint,
    }


def insert_outcomes(
    connection: Connection, outcomes: Sequence[Outcome], fingerprints: Sequence[bytes], now_us: int
) -> None:
    """Write new articles with the clusters and stories they open, and bring the counts of older ones in line."""
    fresh = [
        (outcome, fingerprint)
        for outcome, fingerprint in zip(outcomes, fingerprints, strict=True)
        if outcome.status == "created"
    ]
    if not fresh:
        return
    opened = [outcome for outcome, _ in fresh if outcome.placement.cluster_created]
    tellers = [outcome for outcome in opened if outcome.placement.opens_story]
    # All members of a group that is new are in `outcomes`: it need not be counted again.
    in_cluster, in_story = defaultdict(list), defaultdict(list)
    for outcome, _ in fresh:
        in_cluster[outcome.placement.cluster_id].append(outcome)
        in_story[outcome.placement.story_id].append(outcome)
    new_stories = [
        {
            **_counted(in_story[outcome.placement.story_id], now_us),
            "cluster_count": len({one.placement.cluster_id for one in in_story[outcome.placement.story_id]}),
            "title": outcome.article.title,
            "id": outcome.placement.story_id,
        }
        for outcome in tellers
    ]
    new_clusters = [
        {
            **_counted(in_cluster[outcome.placement.cluster_id], now_us),
            "title": outcome.article.title,
            "id": outcome.placement.cluster_id,
            "story_id": outcome.placement.story_id,
            "story_reason": _json(outcome.placement.story_reason),
        }
        for outcome in opened
    ]
    insert_rows(connection, stories, new_stories)
    insert_rows(connection, clusters, new_clusters)
    insert_rows(
        connection,
        articles,
        [
            {
                **article_columns(outcome.article, fingerprint),
                "id": outcome.id,
                "revision": 1,
                "relation": outcome.placement.relation,
                "copy_of": outcome.placement.copy_of,
                "similarity": outcome.placement.similarity,
                "cluster_id": outcome.placement.cluster_id,
                "reason": _json(outcome.placement.reason),
            }
            for outcome, fingerprint in fresh
        ],
    )
    unsettle(connection, [outcome.id for outcome, _ in fresh])
    refresh_counts(
        connection,
        in_cluster.keys() - {row["id"] for row in new_clusters},
        now_us,
        story_ids=in_story.keys() - {row["id"] for row in new_stories},
    )


def insert_vectors(connection: Connection, new: Sequence[NewVector]) -> None:
    """Write the vectors of stored articles, each with its checksum."""
    if not new:
        return
    sequence = {
        row.id: row.seq
        for row in connection.execute(
            select(articles.c.id, articles.c.seq).where(
                articles.c.id.in_([vector.article_id for vector in new])
            )
        )
    }
    insert_rows(
        connection,
        vectors,
        [
            {
                "article_seq": sequence[vector.article_id],
                "opens_cluster": int(vector.opens_cluster),
                "blob": vector.blob,
                "crc": zlib.crc32(vector.blob),
            }
            for vector in new
        ],
    )


def refresh_counts(
    connection: Connection, cluster_ids: Iterable[str], now_us: int, *, story_ids: Iterable[str] = ()
) -> None:
    """Bring counts and spans of these clusters, of their stories and of `story_ids` in line with their members."""
    ids = sorted(set(cluster_ids))
    for part in chunks(ids):
        _refresh(connection, clusters, articles.c.cluster_id, part, now_us)
    touched = connection.execute(select(clusters.c.story_id).where(clusters.c.id.in_(ids)).distinct())
    told = sorted({*touched.scalars(), *story_ids})
    for part in chunks(told):
        _refresh(connection, stories, clusters.c.story_id, part, now_us)


def _refresh(connection: Connection, table: Any, group: Any, ids: Sequence[str], now_us: int) -> None:
    connection.execute(_counting(table, group), {"ids": ids, "now_us": now_us})


@functools.cache
def _counting(table: Any, group: Any) -> Any:
    """Return the statement that counts the members of groups; making it anew takes longer than running it."""
    is_copy = articles.c.copy_of.is_not(None)
    counts = (
        select(
            group.label("key"),
            func.count().label("article_count"),
            func.count(articles.c.copy_of).label("copy_count"),
            func.count(distinct(articles.c.publisher)).filter(~is_copy).label("independent_source_count"),
            func.count(distinct(articles.c.cluster_id)).label("cluster_count"),
            func.min(articles.c.published_us).label("first_published_us"),
            func.max(articles.c.published_us).label("last_published_us"),
        )
        .select_from(articles.join(clusters, clusters.c.id == articles.c.cluster_id))
        .where(group.in_(bindparam("ids", expanding=True)))
        .group_by(group)
        .subquery()
    )
    names = [
        column.name
        for column in table.c
        if column.name.endswith("_count") or column.name.endswith("published_us")
    ]
    return (
        update(table)
        .where(table.c.id == counts.c.key)
        .values(updated_us=bindparam("now_us"), **{name: counts.c[name] for name in names})
    )


def revise(connection: Connection, row: RowMapping, article: Article, fingerprint: bytes) -> None:
    """Replace the text of a stored article, keeping the earlier one as a revision."""
    connection.execute(
        insert(revisions).values(
            article_id=row["id"],
            revision=row["revision"],
            title=row["title"],
            text=row["text"],
            received_us=row["received_us"],
        )
    )
    values = article_columns(article, fingerprint)
    for identity in ("external_id", "url_key", "url"):
        values[identity] = row[identity] if row[identity] is not None else values[identity]
    owner = connection.execute(select(articles.c.id).where(articles.c.url_key == values["url_key"])).scalar()
    if owner not in {None, row["id"]}:
        values["url_key"] = None  # the address an edit brings may be another article's already
    values["revision"] = row["revision"] + 1
    if row["relation"] == "exact_copy":
        values["relation"] = "near_copy"
    connection.execute(update(articles).where(articles.c.id == row["id"]).values(**values))
    unsettle(connection, [row["id"]])


def replace_vector(connection: Connection, row: RowMapping, blob: bytes) -> None:
    """Write the vectors of a revised article anew, at the end of the order in which decisions saw them."""
    old = connection.execute(
        select(vectors.c.opens_cluster).where(vectors.c.article_seq == row["seq"])
    ).scalar()
    connection.execute(delete(vectors).where(vectors.c.article_seq == row["seq"]))
    insert_vectors(connection, [NewVector(row["id"], bool(old), blob)])


def count_vectors(connection: Connection) -> int:
    """Return how many articles are compared with others."""
    return connection.execute(select(func.count()).select_from(vectors)).scalar_one()


def load_vectors(connection: Connection) -> Iterator[StoredVector]:
    """Yield every compared article in the order decisions saw them, checked by its checksum."""
    rows = connection.execution_options(yield_per=2000).execute(
        select(
            articles.c.id,
            articles.c.seq,
            articles.c.cluster_id,
            clusters.c.story_id,
            articles.c.source,
            articles.c.labels,
            articles.c.copy_of,
            articles.c.event_us,
            vectors.c.opens_cluster,
            vectors.c.blob,
            vectors.c.crc,
        )
        .join(articles, articles.c.seq == vectors.c.article_seq)
        .join(clusters, clusters.c.id == articles.c.cluster_id)
        .order_by(vectors.c.seq)
    )
    for row in rows:
        yield StoredVector(
            article_id=row.id,
            article_seq=row.seq,
            cluster_id=row.cluster_id,
            story_id=row.story_id,
            source=row.source,
            labels=tuple(json.loads(row.labels)),
            is_copy=row.copy_of is not None,
            event_us=row.event_us,
            opens_cluster=bool(row.opens_cluster),
            blob=row.blob,
            intact=zlib.crc32(row.blob) == row.crc,
        )


def _counted(members: Sequence[Outcome], now_us: int) -> dict[str, Any]:
    """Return counts and span of a group with these members, all of them."""
    originals = [outcome.article.publisher for outcome in members if outcome.placement.copy_of is None]
    times = [outcome.article.published_us for outcome in members]
    return {
        "article_count": len(members),
        "copy_count": len(members) - len(originals),
        "independent_source_count": len(set(originals)),
        "first_published_us": min(times),
        "last_published_us": max(times),
        "updated_us": now_us,
    }


def _json(value: Any) -> str:
    # Three times as fast as the standard library's; it writes no spaces.
    return to_json(value).decode()
