"""Every vector of a store computed anew, with the model that the settings name: all of them are replaced, or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from embeddings.text import fingerprint, normalise
from embeddings.vectors import vectorise
from service.learned import FACTS, facts_of, load_models
from service.store import texts, write
from service.store.engine import checkpoint
from service.store.opening import all_or_nothing, owned_store
from service.store.settling import unsettle_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from service.learned import Models
    from service.settings import Settings

BATCH = 256


@dataclass(frozen=True, slots=True)
class Reembedded:
    """What was done: the vectors written, and what the store says of them, before and now."""

    vectors: int
    before: Mapping[str, str]
    now: Mapping[str, str]


def reembed(
    settings: Settings, *, progress: Callable[[int, int], None], models: Models | None = None
) -> Reembedded:
    """Own the store and have `models` (none: those of the settings) make its vectors; `progress` hears of articles done and in all.

    IDs, groups, copies and the change feed stay as they are; the next night looks at everything.

    Raises:
        StoreInUseError: another process writes to it.
        StoreError: it is damaged, or could not be written to; it stays as it was.
        ModelError: the model cannot be loaded.
    """
    with owned_store(settings.place, reads_all=settings.check_at_start) as engine:
        models = models or load_models(settings.model, settings.pair_model)
        now = facts_of(models)
        with all_or_nothing(engine) as connection:
            stored = write.get_meta(connection)
            before = {name: stored[name] for name in FACTS if name in stored}
            if before == now:
                return Reembedded(0, before, now)
            words_differ = before.get("text_version") != now["text_version"]
            count = _rewrite(connection, models, words_differ=words_differ, progress=progress)
            unsettle_all(connection)
            write.set_meta(connection, now)
        checkpoint(engine)
        return Reembedded(count, before, now)


def _rewrite(
    connection: Connection, models: Models, *, words_differ: bool, progress: Callable[[int, int], None]
) -> int:
    """Write all vectors anew, and fingerprints where the same text has other words now; return the number of vectors."""
    total, done, count = texts.count_texts(connection), 0, 0
    for part in texts.texts_in_parts(connection, BATCH):
        read = {row.seq: (normalise(row.title), normalise(row.text)) for row in part}
        compared = {row.seq: read[row.seq] for row in part if row.is_compared}
        made = vectorise(models.encoder, models.background, list(compared.values()))
        texts.rewrite_vectors(
            connection, {seq: one.to_bytes() for seq, one in zip(compared, made, strict=True)}
        )
        if words_differ:  # else they stay: a damaged text is known by its own
            texts.write_fingerprints(connection, {seq: fingerprint(*one) for seq, one in read.items()})
        done += len(part)
        count += len(compared)
        progress(done, total)
    return count
