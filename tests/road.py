"""A small newsroom for tests of the road: models without torch, articles, and groups that can be compared."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from helpers import HashingEncoder

from embeddings.encoder import BUNDLED
from embeddings.similarity import PairModel
from embeddings.terms import Background
from service.demo.show import read_articles
from service.extract import from_text, outlet_of, publisher_of
from service.ingest import Cuts, Models, batches, ingest, prepare_vectors
from service.model import Article
from service.rebuild import rebuild
from service.schemas import parse_moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Engine

    from service.model import Outcome
    from service.window import Window

CUTS = Cuts(event=0.33, story=0.3)
NOW_US = round(datetime(2026, 6, 1, tzinfo=UTC).timestamp() * 1_000_000)

Groups = set[frozenset[str]]


@cache
def models() -> Models:
    """The bundled background and pair models with an encoder that needs no torch."""
    return Models(
        HashingEncoder(dimension=64),
        Background.load(BUNDLED / "background.safetensors"),
        PairModel.load(BUNDLED / "event.json"),
        PairModel.load(BUNDLED / "story.json"),
    )


def article(
    external_id: str, title: str, text: str, *, source: str = "warta.example", day: float = 0, **more: object
) -> Article:
    """Make an article of invented news, `day` days after the first of March."""
    page = from_text(title, text, source=source)
    values = {
        "title": title,
        "text": page.text,
        "source": outlet_of(source),
        "publisher": publisher_of(outlet_of(source)),
        "published_at": datetime(2026, 3, 1, 8, tzinfo=UTC) + timedelta(days=day),
        "precision": "minute",
        "published_at_source": "given",
        "received_at_us": NOW_US,
        "external_id": external_id,
        "labels": page.labels,
    }
    return Article(**{**values, **more})  # type: ignore[arg-type]


@cache
def demo() -> tuple[Article, ...]:
    """The demo's articles, in order."""
    return tuple(
        article(
            row["external_id"],
            row["title"],
            row["text"],
            source=row["source"],
            published_at=parse_moment(row["published_at"]).at,
        )
        for row in read_articles()
    )


def window(engine: Engine) -> Window:
    """Rebuild the window of a store."""
    return rebuild(engine, models(), window_days=14, story_horizon_days=180)


def put(engine: Engine, live: Window, articles: Iterable[Article], size: int = 256) -> list[Outcome]:
    """Send articles down the road in batches of at most `size`, and return their outcomes in order."""
    prepared = prepare_vectors(models(), list(articles))
    outcomes: list[Outcome] = []
    for run in batches(prepared, size):
        batch = [prepared[position] for position in run]
        outcomes += ingest(engine, live, models(), CUTS, batch, now_us=NOW_US)
    return outcomes


def groups(outcomes: Sequence[Outcome], level: str) -> Groups:
    """Return the sets of external IDs that share a cluster or story, or what each article copies."""
    names = {outcome.id: str(outcome.article.external_id) for outcome in outcomes}
    members: dict[str | None, set[str]] = defaultdict(set)
    for outcome in outcomes:
        key = getattr(outcome.placement, level)
        if level == "copy_of":
            if key is not None:
                members[f"{names[key]} {names[outcome.id]}"] = {names[key], names[outcome.id]}
        else:
            members[key].add(names[outcome.id])
    return {frozenset(group) for group in members.values()}


def everything(outcomes: Sequence[Outcome]) -> tuple[Groups, Groups, Groups]:
    """Return clusters, stories and copies."""
    return groups(outcomes, "cluster_id"), groups(outcomes, "story_id"), groups(outcomes, "copy_of")
