"""Everything learned, loaded: the encoder, the background and the pair models that settings name, and the cuts beside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from embeddings.bundle import check_bundle
from embeddings.encoder import BUNDLED, ModelError, SentenceEncoder
from embeddings.pair_model import PairModel
from embeddings.terms import Background
from embeddings.text import TEXT_VERSION
from embeddings.wordtable import WordTable
from service.store import write

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine

    from embeddings.encoder import Encoder

FACTS = ("encoder", "dimension", "text_version")


@dataclass(frozen=True, slots=True)
class Models:
    """Everything learned: encoder, background and the two pair models."""

    encoder: Encoder
    background: Background
    event: PairModel
    story: PairModel

    @property
    def name(self) -> str:
        """What decided, for the record."""
        return f"{self.encoder.name}+{self.event.name}+{self.story.name}"


@dataclass(frozen=True, slots=True)
class Cuts:
    """The two knobs: probability from which an article joins a cluster, and a cluster a story."""

    event: float
    story: float


class ModelMismatchError(RuntimeError):
    """The store was made with another model; its vectors cannot be compared with this one's."""


def load_models(model: str, pair_model: str = "bundled") -> Models:
    """Load the encoder named `model`, the bundled background, and the pair models of `pair_model`.

    Raises:
        ModelError: one of them cannot be loaded.
    """
    check_bundle()
    folder = BUNDLED if pair_model == "bundled" else Path(pair_model)
    try:
        event, story = (PairModel.load(folder / name) for name in ("event.json", "story.json"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"The pair models in {folder} cannot be loaded: {error}") from error
    encoder = WordTable() if model == "bundled" else SentenceEncoder(model)
    return Models(encoder, Background.load(BUNDLED / "background.safetensors"), event, story)


def check_model(engine: Engine, models: Models) -> None:
    """Note in a new store which encoder made its vectors.

    Raises:
        ModelMismatchError: the store was made with another one.
    """
    with engine.begin() as connection:
        stored = write.get_meta(connection)
        if not any(name in stored for name in FACTS):
            write.set_meta(connection, facts_of(models))
        else:
            require_model(stored, models)


def require_model(stored: Mapping[str, str], models: Models) -> None:
    """Make sure that a store holds vectors of these models.

    Raises:
        ModelMismatchError: it was made with others.
    """
    expected = facts_of(models)
    known = {key: stored[key] for key in expected if key in stored}
    if known != expected:
        raise ModelMismatchError(
            f"This store holds vectors of {known.get('encoder')} (text version {known.get('text_version')}), "
            f"but the service would use {expected['encoder']} (text version {TEXT_VERSION}). Run `benang reembed` to compute "
            "them anew with that one, or set BENANG_MODEL to the model the store was made with."
        )


def facts_of(models: Models) -> dict[str, str]:
    """Return what a store says of its vectors when these models made them."""
    found = (models.encoder.name, str(models.encoder.dimension), str(TEXT_VERSION))
    return dict(zip(FACTS, found, strict=True))
