"""What a night looks at: one view of the store, read without holding up the writer."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, select, union

from service.store.bulk import chunks
from service.store.settling import IS_PROVISIONAL
from service.store.tables import articles, changes, clusters, edits, stories, unsettled, vectors

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from sqlalchemy import Connection, Select

LATEST_US = 1 << 62
US_A_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Original:
    """An article that repeats no other; `is_free` when it may change its cluster, else it stands for its whole cluster.

    `stands_for` counts the articles of that cluster; a free one stands for itself.
    """

    id: str
    seq: int
    cluster_seq: int
    source: str
    labels: tuple[str, ...]
    event_us: int
    fingerprint: bytes
    settled: bool
    opens_cluster: bool
    is_free: bool
    stands_for: int


@dataclass(frozen=True, slots=True)
class Group:
    """A cluster, or a story (its `story_seq` is its own)."""

    seq: int
    id: str
    story_seq: int


@dataclass(frozen=True, slots=True)
class Edit:
    """An editor's standing word: the articles of both sides belong together (merge) or apart (split)."""

    id: str
    level: str
    kind: str
    these: tuple[str, ...]
    those: tuple[str, ...]


def last_seen(connection: Connection) -> int:
    """Return the number of the latest change that this view holds, 0 where there is none."""
    return connection.execute(select(func.max(changes.c.seq))).scalar() or 0


def count_revised(connection: Connection, since: int) -> int:
    """Return how many edits of articles came after change number `since`."""
    later = select(func.count()).where(changes.c.seq > since, changes.c.kind == "article.revised")
    return connection.execute(later).scalar_one()


def touched_clusters(from_us: int) -> Any:
    """Select the clusters that hold an article received since `from_us`, or one that no night has settled."""
    return union(
        select(articles.c.cluster_id).where(articles.c.received_us >= from_us),
        select(articles.c.cluster_id).join(unsettled, unsettled.c.article_seq == articles.c.seq),
    )


def count_originals(connection: Connection, from_us: int) -> int:
    """Return how many articles a night from `from_us` on may move."""
    return connection.execute(
        select(func.count())
        .select_from(articles)
        .where(articles.c.copy_of.is_(None), articles.c.cluster_id.in_(touched_clusters(from_us)))
    ).scalar_one()


def read_originals(connection: Connection, from_us: int, horizon_days: float) -> Iterator[Original]:
    """Yield the originals of every touched cluster, then those that stand for other clusters of the same time."""
    touched = touched_clusters(from_us)
    first, last = LATEST_US, -LATEST_US
    for original in _originals(connection, articles.c.cluster_id.in_(touched), is_free=True):
        first, last = min(first, original.event_us), max(last, original.event_us)
        yield original
    if first > last:
        return
    reach = int(horizon_days * US_A_DAY)
    beside = and_(
        vectors.c.opens_cluster == 1,
        articles.c.event_us.between(first - reach, last + reach),
        articles.c.cluster_id.not_in(touched),
    )
    yield from _originals(connection, beside, is_free=False)


def _originals(connection: Connection, condition: Any, *, is_free: bool) -> Iterator[Original]:
    query: Select[Any] = (
        select(
            articles.c.id,
            articles.c.seq,
            clusters.c.seq.label("cluster_seq"),
            articles.c.source,
            articles.c.labels,
            articles.c.event_us,
            articles.c.fingerprint,
            IS_PROVISIONAL,
            vectors.c.opens_cluster,
            clusters.c.article_count,
        )
        .join(articles, articles.c.seq == vectors.c.article_seq)
        .join(clusters, clusters.c.id == articles.c.cluster_id)
        .where(articles.c.copy_of.is_(None), condition)
    )
    for row in connection.execution_options(yield_per=2000).execute(query):
        yield Original(
            row.id,
            row.seq,
            row.cluster_seq,
            row.source,
            tuple(json.loads(row.labels)) if row.labels != "[]" else (),
            row.event_us,
            row.fingerprint,
            not row.provisional,
            bool(row.opens_cluster),
            is_free,
            1 if is_free else row.article_count,
        )


def read_groups(connection: Connection, wanted: Container[int]) -> tuple[list[Group], list[Group]]:
    """Return the clusters whose `seq` is `wanted`, and their stories, the older first."""
    told = select(
        clusters.c.seq, clusters.c.id, stories.c.seq.label("story_seq"), stories.c.id.label("story_id")
    )
    rows = connection.execution_options(yield_per=5000).execute(
        told.join(stories, stories.c.id == clusters.c.story_id).order_by(clusters.c.seq)
    )
    found: list[Group] = []
    sagas: dict[int, Group] = {}
    for row in rows:
        if row.seq in wanted:
            found.append(Group(row.seq, row.id, row.story_seq))
            sagas[row.story_seq] = Group(row.story_seq, row.story_id, row.story_seq)
    return found, [sagas[seq] for seq in sorted(sagas)]


def read_copies(connection: Connection, from_us: int) -> Iterator[tuple[int, str]]:
    """Yield `seq` of each copy in a touched cluster and the ID of the article it repeats."""
    query = select(articles.c.seq, articles.c.copy_of).where(
        articles.c.copy_of.is_not(None), articles.c.cluster_id.in_(touched_clusters(from_us))
    )
    for row in connection.execution_options(yield_per=5000).execute(query):
        yield row.seq, row.copy_of


def read_edits(connection: Connection) -> list[Edit]:
    """Return the editors' words that stand, in the order they were given."""
    rows = connection.execute(
        select(edits).where(edits.c.undone_us.is_(None)).order_by(edits.c.seq)
    ).mappings()
    return [
        Edit(
            row["id"],
            row["level"],
            row["kind"],
            tuple(json.loads(row["these"])),
            tuple(json.loads(row["those"])),
        )
        for row in rows
    ]


def places_of(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return for each of these articles that is stored the original it repeats, or itself, and its cluster."""
    found: dict[str, tuple[str, str]] = {}
    for some in chunks(ids):
        part = select(articles.c.id, articles.c.copy_of, articles.c.cluster_id).where(articles.c.id.in_(some))
        found |= {row.id: (row.copy_of or row.id, row.cluster_id) for row in connection.execute(part)}
    return found


def read_vectors(connection: Connection, seqs: Sequence[int]) -> dict[int, bytes | None]:
    """Return the vectors of those of these articles that have some; None for one whose checksum is wrong."""
    rows = connection.execute(
        select(vectors.c.article_seq, vectors.c.blob, vectors.c.crc).where(vectors.c.article_seq.in_(seqs))
    )
    return {row.article_seq: row.blob if zlib.crc32(row.blob) == row.crc else None for row in rows}


def id_of(connection: Connection, seq: int) -> str:
    """Return the ID of an article by its number."""
    return str(connection.execute(select(articles.c.id).where(articles.c.seq == seq)).scalar_one())
