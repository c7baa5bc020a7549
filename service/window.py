"""What decisions look at: the articles in memory, the groups they are in, and who could be alike.

A cache of the store: rebuilt from it, never written. Used from one thread only.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from ulid import ULID

from embeddings.company import EVENT, STORY
from embeddings.index import NeighbourIndex
from embeddings.shelf import Column, Shelf, stack
from service.model import ID_PREFIXES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from embeddings.centroids import Centroids
    from embeddings.shelf import Rows, Stack
    from embeddings.vectors import ArticleVectors
    from service.model import Article

WIB_HOURS = 7
US_AN_HOUR = 3_600_000_000

IS_COPY = 1
"""The row repeats another: it proposes copies but has no voice in a cluster."""
STANDS_ALONE = 2
"""A round-up or live page: it never joins or draws others."""
ONE_DAY_ONLY = 4
"""A rate, schedule or forecast: it shares an event only with the same day's."""
ALONE_LABELS = frozenset({"roundup", "live"})
ONE_DAY_LABELS = frozenset({"schedule", "price"})


def flags_of(labels: Sequence[str]) -> int:
    """Return the window flags that an article's labels ask for."""
    alone = STANDS_ALONE if ALONE_LABELS & set(labels) else 0
    return alone | (ONE_DAY_ONLY if ONE_DAY_LABELS & set(labels) else 0)


def outlet_id(source: str) -> int:
    """Return the number an outlet has on the shelf."""
    return zlib.crc32(source.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, slots=True)
class Entry:
    """One article as it stands on the shelf."""

    article_id: str
    vectors: ArticleVectors
    event_us: int
    outlet: int
    flags: int


def entry_of(article_id: str, article: Article, vectors: ArticleVectors) -> Entry:
    """Return an article as it stands on the shelf."""
    return Entry(article_id, vectors, article.event_us, outlet_id(article.source), flags_of(article.labels))


@dataclass(frozen=True, slots=True)
class Stacked:
    """Entries laid together for a window: ID bytes (n, 16), flags, and what the shelf takes."""

    keys: npt.NDArray[np.uint8]
    flags: npt.NDArray[np.uint8]
    rows: Stack


def stacked(entries: Sequence[Entry]) -> Stacked:
    """Lay entries together, one or more."""
    return Stacked(
        np.stack([_key(entry.article_id) for entry in entries]),
        np.array([entry.flags for entry in entries], dtype=np.uint8),
        stack(
            [entry.vectors for entry in entries],
            [entry.event_us / US_AN_HOUR for entry in entries],
            [entry.outlet for entry in entries],
        ),
    )


class Window:
    """Articles by row, clusters and stories by number, in the order they came."""

    def __init__(
        self,
        dimension: int,
        *,
        window_days: float,
        story_horizon_days: float,
        rarity: npt.NDArray[np.float32] | None = None,
        centroids: Centroids | None = None,
    ) -> None:
        self.shelf = Shelf(dimension, rarity, centroids)
        self.articles = NeighbourIndex(self.shelf, replace(EVENT.reach, horizon_days=window_days))
        self.heads = NeighbourIndex(self.shelf, replace(STORY.reach, horizon_days=story_horizon_days))
        self.cluster_ids: list[str] = []
        self.story_ids: list[str] = []
        self.sizes: list[int] = []
        """Members of each cluster that have a voice."""
        self.story_of: list[int] = []
        """The story number of each cluster."""
        self._cluster_numbers: dict[str, int] = {}
        self._story_numbers: dict[str, int] = {}
        self._ids: Column[np.uint8] = Column(np.uint8, 16)
        self._clusters: Column[np.int64] = Column(np.int64)
        self._flags: Column[np.uint8] = Column(np.uint8)

    def shelve(self, entries: Sequence[Entry]) -> range:
        """Put `entries` on the shelf, not yet in any cluster, and return their rows."""
        return self.append(stacked(entries)) if entries else range(len(self.shelf), len(self.shelf))

    def append(self, new: Stacked) -> range:
        """Put entries on the shelf that were laid together, wherever that was, and return their rows."""
        self._ids.extend(new.keys)
        self._clusters.extend(np.full(len(new.flags), -1))
        self._flags.extend(new.flags)
        return self.shelf.append(new.rows)

    def unshelve(self, length: int) -> None:
        """Take back every row from `length` on; they must be in no index and no cluster."""
        self.shelf.truncate(length)
        self._ids.truncate(length)
        self._clusters.truncate(length)
        self._flags.truncate(length)

    def open_cluster(self, cluster_id: str, story: int) -> int:
        """Add an empty cluster in story number `story` and return its number."""
        self._cluster_numbers[cluster_id] = len(self.cluster_ids)
        self.cluster_ids.append(cluster_id)
        self.sizes.append(0)
        self.story_of.append(story)
        return len(self.cluster_ids) - 1

    def open_story(self, story_id: str) -> int:
        """Add an empty story and return its number."""
        self._story_numbers[story_id] = len(self.story_ids)
        self.story_ids.append(story_id)
        return len(self.story_ids) - 1

    def cluster_number(self, cluster_id: str, story_id: str) -> int:
        """Return the number of a cluster, adding it when it is new to the window."""
        known = self._cluster_numbers.get(cluster_id)
        return self.open_cluster(cluster_id, self.story_number(story_id)) if known is None else known

    def story_number(self, story_id: str) -> int:
        """Return the number of a story, adding it when it is new to the window."""
        known = self._story_numbers.get(story_id)
        return self.open_story(story_id) if known is None else known

    def place(self, row: int, cluster: int, *, is_copy: bool) -> None:
        """Put a row into a cluster."""
        self.clusters[row] = cluster
        if is_copy:
            self.flags[row] |= IS_COPY
        else:
            self.sizes[cluster] += 1

    def forget(self, row: int) -> None:
        """Take a row out of both indexes and of its cluster's count."""
        self.articles.remove(row)
        self.heads.remove(row)
        cluster = int(self.clusters[row])
        if cluster >= 0 and not self.flags[row] & IS_COPY:
            self.sizes[cluster] -= 1
        self.clusters[row] = -1

    def follow(self, moved: Mapping[str, str], story_of: Mapping[str, str], heads: Mapping[str, str]) -> None:
        """Move articles to other clusters and clusters to other stories, as the store did.

        `moved` names the new cluster of articles, `story_of` the story of every cluster named, `heads` the article that
        stands for a cluster from now on; articles that are not in memory are passed over.
        """
        rows = self.rows_of([*moved, *heads.values()])
        for cluster_id, story_id in story_of.items():
            self.story_of[self.cluster_number(cluster_id, story_id)] = self.story_number(story_id)
        for article_id, cluster_id in moved.items():
            if article_id in rows:
                self._move(rows[article_id], self.cluster_number(cluster_id, story_of[cluster_id]))
        led = {self.cluster_number(cluster_id, story_of[cluster_id]) for cluster_id in heads}
        standing = self.heads.rows()
        for row in standing[np.isin(self.clusters[standing], list(led))].tolist():
            self.heads.remove(row)
        new = sorted(rows[article_id] for article_id in heads.values() if article_id in rows)
        self.heads.add(new)

    def _move(self, row: int, cluster: int) -> None:
        self.heads.remove(row)
        if not self.flags[row] & IS_COPY:
            self.sizes[int(self.clusters[row])] -= 1
            self.sizes[cluster] += 1
        self.clusters[row] = cluster

    def article_id(self, row: int) -> str:
        """Return the ID of the article at `row`."""
        return ID_PREFIXES["article"] + str(ULID.from_bytes(bytes(self._ids.values[row])))

    def row_of(self, article_id: str) -> int | None:
        """Return the row an article stands at now, or None when it is not in memory."""
        rows = np.flatnonzero((self._ids.values == _key(article_id)).all(axis=1))
        live = [row for row in rows.tolist() if row in self.articles]
        return live[-1] if live else None

    def rows_of(self, article_ids: Sequence[str]) -> dict[str, int]:
        """Return the rows that articles stand at now, of those that are in memory."""
        wanted = {_key(one).tobytes(): one for one in article_ids}
        if not wanted:
            return {}
        halves = np.frombuffer(b"".join(wanted), dtype=np.uint64).reshape(-1, 2)
        likely = np.flatnonzero(np.isin(self._ids.values.view(np.uint64)[:, 1], halves[:, 1]))
        found = {}
        for row in likely.tolist():
            article_id = wanted.get(self._ids.values[row].tobytes())
            if article_id is not None and row in self.articles:
                found[article_id] = row
        return found

    @property
    def clusters(self) -> npt.NDArray[np.int64]:
        """The cluster number of each row, -1 for none (a view)."""
        return self._clusters.values

    @property
    def flags(self) -> npt.NDArray[np.uint8]:
        """The flags of each row (a view)."""
        return self._flags.values

    def days(self, rows: Rows | int) -> npt.NDArray[np.float64]:
        """Return the days of `rows` in western Indonesian time (UTC+7), counted from 1970."""
        return np.asarray((self.shelf.hours.values[rows] + WIB_HOURS) // 24)


def _key(article_id: str) -> npt.NDArray[np.uint8]:
    ulid = ULID.from_str(article_id.removeprefix(ID_PREFIXES["article"]))
    return np.frombuffer(ulid.bytes, dtype=np.uint8)
