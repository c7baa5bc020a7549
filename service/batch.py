"""What a batch is made of: articles with all that can be computed without looking at any other, cut into runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from embeddings.text import fingerprint, normalise
from embeddings.vectors import ArticleVectors, vectorise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.learned import Models
    from service.model import Article


@dataclass(frozen=True, slots=True)
class Prepared:
    """An article with all that can be computed without looking at any other."""

    article: Article
    fingerprint: bytes
    vectors: ArticleVectors


def prepare_vectors(models: Models, articles: Sequence[Article]) -> list[Prepared]:
    """Compute fingerprints and vectors of clean articles; touches nothing shared."""
    texts = [(normalise(article.title), normalise(article.text)) for article in articles]
    return [
        Prepared(article, fingerprint(title, text), vector)
        for article, (title, text), vector in zip(
            articles, texts, vectorise(models.encoder, models.background, texts), strict=True
        )
    ]


def batches(prepared: Sequence[Prepared], size: int) -> list[list[int]]:
    """Cut positions into runs of at most `size` in which no identity occurs twice, so that repeats meet the stored."""
    runs: list[list[int]] = []
    seen: set[str] = set()
    for position, item in enumerate(prepared):
        keys = {f"id {item.article.external_id}", f"url {item.article.url_key}"} - {"id None", "url None"}
        if not runs or len(runs[-1]) >= size or keys & seen:
            runs.append([])
            seen = set()
        runs[-1].append(position)
        seen |= keys
    return runs
