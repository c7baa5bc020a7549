"""A small store filled by hand and a desk that decides by title: what the API's tests stand on."""

from __future__ import annotations

import hashlib
import json
import random
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from places import place_of
from sqlalchemy import Engine, delete, insert, select, update

from service.bell import Bell
from service.extract import PagePool
from service.model import Article, Outcome, Placement, Reason, Status
from service.plan import Plan
from service.similar import Neighbour
from service.store import nights
from service.store.engine import migrate, reader_engine, writer_engine
from service.store.tables import articles, clusters, revisions, stories, tombstones, unsettled
from service.store.trail import record
from service.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from service.editing import Edited
    from service.errors import BenangError
    from service.settings import Settings
    from service.store.trail import By

START = datetime(2026, 2, 8, 6, tzinfo=timezone(timedelta(hours=7)))
NOW = datetime(2026, 3, 1, tzinfo=UTC)
SOURCES = ("kompas.com", "republika.co.id", "detik.com", "tempo.co", "antaranews.com")
TITLES = (
    "Feri Lintang Arunika Tenggelam",
    "Banjir Rob Rendam Pesisir 100% Wilayah",
    "Gempa_Bumi Guncang Kota",
    "Pemilu Wali Kota Palaka",
    "Harga Cabai Naik Lagi",
)
NOW_US = round(NOW.timestamp() * 1_000_000)
REASON = Reason("joined", 0.9, 0.34, None, None, {"title": 0.5}, "fake")
Row = dict[str, Any]


def identity(prefix: str, number: int) -> str:
    return f"{prefix}_{number:026d}"


def microseconds(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)


def article_row(number: int, **changes: Any) -> Row:
    at = changes.pop("at", START + timedelta(minutes=number))
    title = changes.get("title", TITLES[number % len(TITLES)])
    row = {
        "id": identity("art", number),
        "external_id": f"ext-{number}",
        "url": f"https://contoh.example/{number}",
        "url_key": f"https://contoh.example/{number}",
        "source": "kompas.com",
        "publisher": "Kompas Gramedia",
        "title": title,
        "text": f"{title}. Isi nomor {number}.",
        "author": None,
        "agency": None,
        "language": "id",
        "labels": "[]",
        "related": "[]",
        "metadata": "{}",
        "warnings": "[]",
        "is_truncated": 0,
        "published_us": microseconds(at),
        "offset_minutes": int((at.utcoffset() or timedelta()).total_seconds() // 60),
        "precision": "second",
        "published_at_source": "given",
        "received_us": microseconds(at) + 1,
        "event_us": microseconds(at),
        "fingerprint": hashlib.sha256(title.encode()).digest()[:16],
        "revision": 1,
        "relation": "original",
        "copy_of": None,
        "similarity": None,
        "reason": json.dumps(asdict(REASON)),
    }
    return row | changes


def group_row(members: Sequence[Row]) -> Row:
    originals = [row for row in members if row["relation"] == "original"]
    times = [row["published_us"] for row in members]
    return {
        "title": members[0]["title"],
        "article_count": len(members),
        "copy_count": len(members) - len(originals),
        "independent_source_count": len({row["publisher"] for row in originals}),
        "first_published_us": min(times),
        "last_published_us": max(times),
        "updated_us": max(row["received_us"] for row in members),
    }


@dataclass
class World:
    """Rows as plain values, to be stored and to be asked as an oracle."""

    rows: list[Row] = field(default_factory=list)
    story_of: dict[str, str] = field(default_factory=dict)

    def members(self, cluster_id: str) -> list[Row]:
        return [row for row in self.rows if row["cluster_id"] == cluster_id]

    def of_story(self, story_id: str) -> list[Row]:
        return [row for row in self.rows if self.story_of[row["cluster_id"]] == story_id]

    def store(self, engine: Engine) -> None:
        with engine.begin() as connection:
            for story_id in sorted(set(self.story_of.values())):
                inside = sum(story == story_id for story in self.story_of.values())
                row = group_row(self.of_story(story_id)) | {"id": story_id, "cluster_count": inside}
                connection.execute(insert(stories), row)
            for cluster_id, story_id in self.story_of.items():
                row = group_row(self.members(cluster_id))
                row |= {"id": cluster_id, "story_id": story_id, "story_reason": "null"}
                connection.execute(insert(clusters), row)
            connection.execute(insert(articles), self.rows)
            connection.execute(insert(unsettled).from_select(["article_seq"], select(articles.c.seq)))


def random_world(seed: int, size: int = 200) -> World:
    """Articles of 40 clusters in 15 stories, with copies, equal times and several offsets."""
    chance = random.Random(seed)
    world = World()
    for number in range(size):
        cluster = number if number < 40 else chance.randrange(40)
        cluster_id = identity("clu", cluster)
        world.story_of.setdefault(cluster_id, identity("sto", cluster % 15))
        zone = timezone(timedelta(hours=chance.choice((0, 7, 8, 9))))
        source = chance.choice(SOURCES)
        at = (START + timedelta(hours=chance.randrange(300))).astimezone(zone)
        earlier = [row["id"] for row in world.members(cluster_id)]
        copied = chance.choice(earlier) if earlier and chance.random() < 0.3 else None
        row = article_row(
            number, at=at, source=source, publisher=source, title=f"{chance.choice(TITLES)} {number}"
        )
        row |= {"cluster_id": cluster_id, "copy_of": copied, "similarity": 0.9 if copied else None}
        row["relation"] = chance.choice(("exact_copy", "near_copy", "reprint")) if copied else "original"
        world.rows.append(row)
    return world


def new_store(folder: Path) -> Engine:
    """Make an empty store in a file, as readers expect it."""
    engine = writer_engine(place_of(folder))
    migrate(engine)
    return engine


class FakeDesk:
    """Articles of one title form a cluster and a story; everything is decided at once."""

    model = "fake"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.pages = PagePool(timeout=settings.extraction_timeout_s)
        self.bell = Bell()
        self.writer = new_store(settings.data)
        self.reader = reader_engine(place_of(settings.data))
        self.conditions = {"writer_alive": True, "index_complete": True}
        self.refuses: BenangError | None = None
        self.fails: Exception | None = None
        self.batches: list[list[Article]] = []
        self._numbers = iter(range(1_000_000))

    def close(self) -> None:
        self.pages.close()
        self.writer.dispose()
        self.reader.dispose()

    def ready(self) -> dict[str, bool]:
        if self.fails is not None:
            raise self.fails
        return self.conditions

    def submit(self, wanted: Sequence[Article]) -> Future[list[Outcome]]:
        self.batches.append(list(wanted))
        return self._answer(lambda: [self._take(article) for article in wanted])

    def delete(self, article_id: str, by: By) -> Future[bool]:
        return self._answer(lambda: self._remove(article_id, by))

    def recluster(self, window_days: float | None = None, *, dry_run: bool = False, by: By) -> str:
        """A run that finds nothing to change."""
        if self.refuses is not None:
            raise self.refuses
        run_id = f"run_{next(self._numbers):026}"
        days = self.settings.recluster_window_days if window_days is None else window_days
        with self.writer.begin() as connection:
            nights.begin(connection, run_id, window_days=days, dry_run=dry_run, now_us=NOW_US)
            record(connection, by, "reclustering.started", run_id, NOW_US)
            nights.finish(connection, run_id, now_us=NOW_US, diff=Plan().diff())
        return run_id

    def night_progress(self, _run_id: str) -> None:
        return None

    def edit(self, work: Callable[[Connection, int], Edited]) -> Future[dict[str, Any]]:
        def said() -> dict[str, Any]:
            with self.writer.begin() as connection:
                return work(connection, NOW_US).word

        return self._answer(said)

    def write(self, call: Callable[[Connection], Any]) -> Future[Any]:
        def done() -> Any:
            with self.writer.begin() as connection:
                return call(connection)

        return self._answer(done)

    def similar(self, article: Article, limit: int) -> Future[list[Neighbour]]:
        return self._answer(lambda: self._neighbours(article.title, limit))

    def similar_to(self, article_id: str, limit: int) -> Future[list[Neighbour] | None]:
        def found() -> list[Neighbour] | None:
            with self.reader.connect() as connection:
                title = connection.execute(
                    select(articles.c.title).where(articles.c.id == article_id)
                ).scalar()
            return None if title is None else self._neighbours(title, limit)

        return self._answer(found)

    def _answer(self, work: Any) -> Future[Any]:
        if self.refuses is not None:
            raise self.refuses
        future: Future[Any] = Future()
        if self.fails is not None:
            future.set_exception(self.fails)
        else:
            future.set_result(work())
        return future

    def _take(self, article: Article) -> Outcome:
        key = article.url_key or f"ext:{article.external_id}"
        with self.writer.begin() as connection:
            known = connection.execute(select(articles).where(articles.c.url_key == key)).one_or_none()
            if known is not None:
                status: Status = "unchanged" if known.text == article.text else "revised"
                if status == "revised":
                    old = {"article_id": known.id, "revision": known.revision, "title": known.title}
                    old |= {"text": known.text, "received_us": known.received_us}
                    connection.execute(insert(revisions), old)
                    values = {"text": article.text, "title": article.title, "revision": known.revision + 1}
                    connection.execute(update(articles).where(articles.c.id == known.id).values(values))
                return self._outcome(known.id, status, article, known.cluster_id, is_new=False)
            number = next(self._numbers)
            cluster_id = identity("clu", int(hashlib.sha256(article.title.encode()).hexdigest()[:8], 16))
            row = article_row(
                number,
                at=article.published_at,
                title=article.title,
                text=article.text,
                url=article.url,
                url_key=key,
                external_id=article.external_id,
                source=article.source,
                publisher=article.publisher,
                metadata=json.dumps(article.metadata),
                cluster_id=cluster_id,
            )
            is_new = self._grow(connection, row)
            connection.execute(insert(articles), row)
        return self._outcome(row["id"], "created", article, cluster_id, is_new=is_new)

    def _grow(self, connection: Any, row: Row) -> bool:
        cluster_id, story_id = row["cluster_id"], row["cluster_id"].replace("clu", "sto")
        if connection.execute(select(clusters.c.id).where(clusters.c.id == cluster_id)).one_or_none() is None:
            group = group_row([row])
            connection.execute(insert(stories), group | {"id": story_id, "cluster_count": 1})
            reason = json.dumps(asdict(REASON))
            connection.execute(
                insert(clusters), group | {"id": cluster_id, "story_id": story_id, "story_reason": reason}
            )
            return True
        for table, group_id in ((clusters, cluster_id), (stories, story_id)):
            connection.execute(
                update(table).where(table.c.id == group_id).values(article_count=table.c.article_count + 1)
            )
        return False

    def _outcome(
        self, article_id: str, status: Status, article: Article, cluster_id: str, *, is_new: bool
    ) -> Outcome:
        story_id = cluster_id.replace("clu", "sto")
        placement = Placement("original", None, None, cluster_id, story_id, is_new, REASON, REASON)
        self.metrics.accepted(status, "original")
        return Outcome(article_id, status, article, placement)

    def _remove(self, article_id: str, by: By) -> bool:
        with self.writer.begin() as connection:
            gone = connection.execute(delete(articles).where(articles.c.id == article_id)).rowcount
            if gone:
                connection.execute(insert(tombstones), {"id": article_id, "deleted_us": 0})
                record(connection, by, "article.deleted", article_id, NOW_US)
        return bool(gone)

    def _neighbours(self, title: str, limit: int) -> list[Neighbour]:
        with self.reader.connect() as connection:
            rows = connection.execute(select(articles).where(articles.c.title == title).limit(limit)).all()
        return [
            Neighbour(row.id, row.title, row.source, 1.0, 0.9, row.cluster_id, row.cluster_id, row.relation)
            for row in rows
        ]


def example(number: int = 1, **changes: Any) -> dict[str, Any]:
    """Make a request body that is fine, but for `changes`; None takes a field out."""
    body = {
        "url": f"https://www.contoh.example/berita/{number}",
        "title": f"Gempa Guncang Kota {number}",
        "published_at": "2026-02-08T18:40:00+08:00",
        "text": f"Gempa bermagnitudo 5,2 mengguncang kota, Rabu pagi. Warga keluar rumah, kata petugas {number}.",
    } | changes
    return {name: value for name, value in body.items() if value is not None}


def pages_of(get: Any, limit: int) -> Iterator[Row]:
    """Follow cursors to the end."""
    cursor = None
    while True:
        items, cursor = get(limit, cursor)
        yield from items
        if cursor is None:
            return
