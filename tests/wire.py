"""A news wire for the tests of the core: articles by hand and by chance, and a writer without threads to send them to."""

from __future__ import annotations

import functools
import random
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from helpers import HashingEncoder
from places import place_of
from sqlalchemy import select

from embeddings.encoder import BUNDLED
from embeddings.pair_model import PairModel
from embeddings.terms import Background
from service.batch import batches, prepare_vectors
from service.check import check_store
from service.demo.show import read_articles
from service.extract import PagePool
from service.ingest import ingest
from service.learned import Cuts, Models
from service.model import Article, Outcome
from service.nightly import propose
from service.parallel import Local
from service.prepare import prepare
from service.rebuild import rebuild
from service.schemas import ArticleIn
from service.settings import Settings
from service.shift import night_of
from service.store import tables
from service.store.carrying import copy_rows
from service.store.engine import migrate, writer_engine
from service.store.opening import owned_store
from service.store.remove import Removal, remove_article
from service.stored_vectors import StoreVectors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Engine

    from service.desk import Desk
    from service.plan import Proposal
    from service.window import Window

WIB = timezone(timedelta(hours=7))
START = datetime(2026, 2, 9, 8, tzinfo=WIB)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
NOW_US = round(NOW.timestamp() * 1_000_000)
OUTLETS = ("kabarlima.example", "wartatiga.example", "harianenam.example", "porosdua.example")
FIRE = (
    "Api melalap Pasar Rengasdengkul di Kabupaten Wanasegara pada Senin dini hari dan menghanguskan puluhan kios "
    "pedagang sayur. Kepala pemadam kebakaran setempat Darmo Susanto mengatakan sembilan mobil dikerahkan ke lokasi. "
    "Menurut Darmo kobaran pertama terlihat dari gudang plastik di sisi timur sekitar pukul dua. Warga sempat mencoba "
    "menyiram dengan ember sebelum petugas datang. Tidak ada korban jiwa dalam peristiwa itu tetapi kerugian ditaksir "
    "mencapai miliaran rupiah. Polisi masih memeriksa pemilik gudang dan tiga orang saksi untuk mencari penyebab. "
    "Pemerintah kabupaten menyiapkan tempat penampungan sementara di lapangan kecamatan bagi para pedagang."
)
FLOOD = (
    "Sungai Citamiang meluap setelah hujan deras mengguyur kawasan hulu sejak Jumat malam. Air setinggi dada orang "
    "dewasa merendam empat kelurahan di Kota Marapalam. Badan penanggulangan bencana mengerahkan perahu karet untuk "
    "mengangkut warga lanjut usia ke gedung olahraga. Juru bicara badan itu Lestari Wulandari menyebut dua ribu jiwa "
    "mengungsi. Jalan utama menuju bandara tertutup lumpur sehingga penerbangan dialihkan. Dapur umum dibuka tentara "
    "di halaman masjid raya. Wali kota meminta warga tidak kembali sebelum permukaan sungai turun."
)


FIRE_RETOLD = (
    "Puluhan kios pedagang sayur di Pasar Rengasdengkul, Wanasegara, habis terbakar Senin dini hari. Sembilan mobil "
    "pemadam dikerahkan, ujar Darmo Susanto yang memimpin regu. Kobaran diduga berasal dari gudang plastik. Pedagang "
    "kini menempati lapangan kecamatan yang disiapkan pemerintah kabupaten, sedangkan polisi memanggil pemilik gudang. "
    "Kerugian pasar itu miliaran rupiah dan tidak ada korban jiwa."
)


@functools.cache
def models(dimension: int = 64) -> Models:
    """The bundled background and pair models beside an encoder that needs no model."""
    return Models(
        HashingEncoder(dimension),
        Background.load(BUNDLED / "background.safetensors"),
        PairModel.load(BUNDLED / "event.json"),
        PairModel.load(BUNDLED / "story.json"),
    )


def article(name: str, title: str, text: str, **changes: Any) -> Article:
    """An article known as `name`, published at `hours` after the start, received two months later."""
    source = changes.pop("source", OUTLETS[0])
    at = START + timedelta(hours=changes.pop("hours", 0))
    values = {
        "title": title,
        "text": text,
        "source": source,
        "publisher": source,
        "published_at": at,
        "precision": "second",
        "published_at_source": "given",
        "received_at_us": NOW_US,
        "external_id": name,
        "url": f"https://{source}/{name}",
        "url_key": f"{source}/{name}",
    }
    return Article(**(values | changes))


@functools.cache
def demo_articles() -> tuple[Article, ...]:
    """The demo's articles as the service prepares them."""
    with PagePool() as pages:
        return tuple(
            prepare(ArticleIn.model_validate(item), now=NOW, future_tolerance_s=600, pages=pages)
            for item in read_articles()
        )


_SYLLABLES = [
    "ba",
    "be",
    "bu",
    "ga",
    "gi",
    "ka",
    "ko",
    "la",
    "lo",
    "ma",
    "mi",
    "na",
    "nu",
    "pa",
    "ra",
    "ri",
    "sa",
    "so",
    "ta",
    "tu",
    "wa",
    "ya",
]
_GLUE = [
    "yang",
    "di",
    "dan",
    "dengan",
    "pada",
    "untuk",
    "dari",
    "itu",
    "ini",
    "akan",
    "telah",
    "oleh",
    "kata",
    "warga",
    "petugas",
]


def _word(chance: random.Random) -> str:
    return "".join(chance.choice(_SYLLABLES) for _ in range(chance.randint(2, 4)))


@dataclass(frozen=True)
class _Event:
    """A happening by chance: its names, its sentences and when it was."""

    names: tuple[str, ...]
    sentences: tuple[str, ...]
    hours: float

    @classmethod
    def by(cls, chance: random.Random, names: Sequence[str]) -> _Event:
        own = (*names, _word(chance).title(), _word(chance).title())
        sentences = tuple(
            " ".join(
                chance.choice(own) if chance.random() < 0.25 else chance.choice(_GLUE)
                if chance.random() < 0.5 else _word(chance)
                for _ in range(14)
            ) + "."
            for _ in range(9)
        )  # fmt: skip
        return cls(own, sentences, chance.randrange(24 * 20))

    def title(self, chance: random.Random) -> str:
        return " ".join([*chance.sample(self.names, 2), *chance.sample(self.sentences[0].split(), 3)])


def look_alikes(seed: int, count: int, *, revise: bool = False) -> list[Article]:
    """Reports of a few events that share names: retold, copied, shortened, rounded up, priced, and (if told so) edited."""
    chance = random.Random(seed)
    names = [_word(chance).title() for _ in range(4)]
    events = [_Event.by(chance, chance.sample(names, 2)) for _ in range(max(2, count // 5))]
    told: list[Article] = []
    for number in range(count):
        name = f"x{number}"
        event = chance.choice(events)
        source = chance.choice(OUTLETS)
        place = {"source": source, "hours": event.hours + chance.random() * 20}
        kind = chance.random()
        if told and kind < 0.12:  # word for word, under the same or another headline
            old = chance.choice(told)
            title = chance.choice([old.title, event.title(chance)])
            told.append(article(name, title, old.text, **place))
        elif told and kind < 0.24:  # shortened, or with a sentence of its own
            old = chance.choice(told)
            lines = old.text.split(". ")
            lines = lines[: max(2, len(lines) * 3 // 4)] if chance.random() < 0.5 else [*lines, _word(chance)]
            own = place | {"hours": (old.published_at - START) / timedelta(hours=1) + 1}
            told.append(article(name, old.title, ". ".join(lines), **own))
        elif told and revise and kind < 0.34:  # the same article again, its text edited or not
            old = chance.choice(told)
            text = old.text if chance.random() < 0.3 else f"{old.text} {event.sentences[-1]}"
            told.append(replace(old, text=text))
        elif kind < 0.40:
            labels = ("roundup",)
            text = " ".join(chance.choice(other.sentences) for other in events)
            told.append(article(name, f"Populer: {event.title(chance)}", text, **place, labels=labels))
        elif kind < 0.48:
            day = chance.randrange(3)
            text = (
                f"Harga emas {names[0]} hari ini Rp {1_000_000 + day * 7000} per gram di gerai {names[1]}. "
                "Harga beli kembali ikut berubah. Harga sudah termasuk pajak bagi pembeli yang punya kartu."
            )
            own = {"source": source, "hours": 24 * day + chance.random() * 12}
            told.append(article(name, f"Harga Emas {names[0]} Hari Ini", text, **own, labels=("price",)))
        else:
            text = " ".join(chance.sample(event.sentences, 7))
            told.append(article(name, event.title(chance), text, **place))
    return told


def cut(items: Sequence[Article], seed: int) -> list[list[Article]]:
    """The same stream in parts of random length."""
    chance = random.Random(seed)
    parts: list[list[Article]] = []
    start = 0
    while start < len(items):
        size = chance.choice([1, 1, 2, 3, 5, 8, 13, 40])
        parts.append(list(items[start : start + size]))
        start += size
    return parts


@dataclass(frozen=True)
class Groups:
    """What a store has decided, told by external ID alone: who is together, and who repeats whom."""

    clusters: frozenset[frozenset[str]]
    stories: frozenset[frozenset[str]]
    copies: dict[str, tuple[str, str, float]]
    revisions: dict[str, int]


def groups(engine: Engine) -> Groups:
    """Read the groups of a store."""
    a, c = tables.articles.c, tables.clusters.c
    query = select(
        a.id, a.external_id, a.cluster_id, c.story_id, a.copy_of, a.relation, a.similarity, a.revision
    ).join(tables.clusters, c.id == a.cluster_id)
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    names = {row.id: row.external_id for row in rows}
    clusters: dict[str, set[str]] = {}
    stories: dict[str, set[str]] = {}
    for row in rows:
        clusters.setdefault(row.cluster_id, set()).add(row.external_id)
        stories.setdefault(row.story_id, set()).add(row.external_id)
    return Groups(
        frozenset(map(frozenset, clusters.values())),
        frozenset(map(frozenset, stories.values())),
        {
            row.external_id: (names[row.copy_of], row.relation, row.similarity)
            for row in rows
            if row.copy_of is not None
        },
        {row.external_id: row.revision for row in rows},
    )


def dump(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with engine.connect() as connection:
        return {
            name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for name, table in tables.metadata.tables.items()
        }


def copied(source: Engine, folder: Path) -> None:
    """Make a store equal to another one."""
    with owned_store(place_of(folder)) as target, source.connect() as there, target.begin() as here:
        copy_rows(there, here)


def faults(engine: Engine) -> list[str]:
    """What the store's own check finds, by name."""
    with engine.connect() as connection:
        return [finding.name for finding in check_store(connection) if not finding.ok]


class Room:
    """The use case and its window on a real store, in the caller's thread."""

    def __init__(self, folder: Path, *, dimension: int = 64) -> None:
        folder.mkdir(exist_ok=True, parents=True)
        settings = Settings()
        self.models = models(dimension)
        self.cuts = Cuts(settings.cut, settings.story_cut)
        self.settings = settings
        self.engine = writer_engine(place_of(folder))
        migrate(self.engine)
        self.window = self.rebuilt()

    def rebuilt(self) -> Window:
        return rebuild(
            self.engine,
            self.models,
            window_days=self.settings.window_days,
            story_horizon_days=self.settings.story_horizon_days,
        )

    def post(self, *articles: Article, size: int = 256, now_us: int = NOW_US) -> list[Outcome]:
        """Decide `articles` as the desk does: in runs without repeated identities."""
        prepared = prepare_vectors(self.models, articles)
        outcomes: list[Outcome] = []
        for run in batches(prepared, size):
            outcomes += ingest(
                self.engine,
                self.window,
                self.models,
                self.cuts,
                [prepared[position] for position in run],
                now_us=now_us,
            )
        return outcomes

    def replay(self, parts: Iterable[Sequence[Article]]) -> Groups:
        for part in parts:
            self.post(*part)
        return groups(self.engine)

    def remove(self, article_id: str, *, now_us: int = NOW_US) -> Removal | None:
        with self.engine.begin() as connection:
            return remove_article(connection, article_id, now_us)


@contextmanager
def room(folder: Path, *, dimension: int = 64) -> Iterator[Room]:
    """Open a room and close its store."""
    opened = Room(folder, dimension=dimension)
    try:
        yield opened
    finally:
        opened.engine.dispose()


def proposal_of(desk: Desk, *, now_us: int = NOW_US + 1, window_days: float = 36_500) -> Proposal:
    """What a night would change, worked out in this process."""
    night = night_of(desk.settings, window_days, now_us)
    hands = Local(desk.models, StoreVectors(desk.reader, desk.models), night.horizons)
    return propose(desk.reader, hands, desk.cuts, night, model="test")
