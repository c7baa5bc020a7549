"""Teach word vectors what belongs together: headline, opening and rest of one article, against its look-alikes.

No labels: an article's own parts are the positives. Batches are made of articles and their nearest neighbours, so that
the negatives are other reports of the same matters, which is what the vectors must tell apart. Loss: InfoNCE in both
directions with a learnt temperature (van den Oord et al. 2018; Radford et al. 2021).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]

EPOCHS = 3
LEARNING_RATE = 1e-3
TEMPERATURE_RATE = 1e-3
FIRST_SCALE = 20.0
SEEDS = 32
GROUP = 16
"""An article and so many of its neighbours less one stand together in a batch of `SEEDS` groups."""
OPENING_WORDS = 80
REST_WORDS = 160
MIN_REST = 40
FAR_WEIGHT = 0.5
"""What the rest of the article counts, against headline and opening."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Word numbers of one article's headline, opening and rest; none is empty."""

    headline: list[int]
    opening: list[int]
    rest: list[int]


def parts_of(headline: list[int], body: list[int]) -> Parts | None:
    """Cut an article into its parts, or return None where it is too short to have them."""
    opening, rest = body[:OPENING_WORDS], body[OPENING_WORDS : OPENING_WORDS + REST_WORDS]
    if not headline or not opening:
        return None
    return Parts(headline, opening, rest if len(rest) >= MIN_REST else opening)


def contrast(vectors: Vectors, articles: Sequence[Parts], *, seed: int = 0) -> Vectors:
    """Return word vectors (words, dimension) trained from `vectors` on `articles`; the same input gives the same."""
    torch.manual_seed(seed)
    chance = np.random.default_rng(seed)
    start = torch.from_numpy(vectors / np.linalg.norm(vectors, axis=1).mean())
    table = nn.EmbeddingBag.from_pretrained(start.clone(), freeze=False, mode="sum")
    scale = nn.Parameter(torch.tensor(float(np.log(FIRST_SCALE))))
    optimiser = torch.optim.Adam(
        [
            {"params": table.parameters(), "lr": LEARNING_RATE},
            {"params": [scale], "lr": TEMPERATURE_RATE},
        ]
    )
    began = time.monotonic()
    for epoch in range(EPOCHS):
        losses = []
        for batch in _batches(_whole(table, articles), chance):
            chosen = [articles[place] for place in batch]
            headline, opening, rest = (
                _encode(table, [getattr(one, name) for one in chosen])
                for name in ("headline", "opening", "rest")
            )
            loss = _apart(headline, opening, scale)
            loss = loss + FAR_WEIGHT * (_apart(headline, rest, scale) + _apart(opening, rest, scale))
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}, {time.monotonic() - began:.0f} s", flush=True)
    return np.asarray(table.weight.detach().numpy())


def _encode(table: nn.EmbeddingBag, texts: Sequence[list[int]]) -> torch.Tensor:
    offsets = np.cumsum([0, *(len(text) for text in texts[:-1])])
    return functional.normalize(
        table(torch.tensor([*chain.from_iterable(texts)]), torch.from_numpy(offsets)), dim=1
    )


def _apart(one: torch.Tensor, other: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    likeness = one @ other.T * scale.exp()
    own = torch.arange(len(one))
    return (functional.cross_entropy(likeness, own) + functional.cross_entropy(likeness.T, own)) / 2


def _whole(table: nn.EmbeddingBag, articles: Sequence[Parts]) -> Vectors:
    with torch.no_grad():
        return np.asarray(_encode(table, [[*one.headline * 2, *one.opening] for one in articles]).numpy())


def _batches(vectors: Vectors, chance: np.random.Generator) -> Iterator[npt.NDArray[np.int64]]:
    """Yield groups of articles with some of their nearest neighbours, each article once as a seed."""
    order = chance.permutation(len(vectors))
    furthest = min(2 * GROUP, len(vectors) - 1)
    for start in range(0, len(order), SEEDS):
        seeds = order[start : start + SEEDS]
        near = np.argpartition(-(vectors[seeds] @ vectors.T), furthest, axis=1)[:, : 2 * GROUP]
        picked = [chance.permutation(row)[: GROUP - 1] for row in near]
        yield np.unique(np.concatenate([seeds, *picked]))
