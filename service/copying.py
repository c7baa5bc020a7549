"""Which article a new one repeats: texts are read from the store, and `service.copies` compares them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from embeddings.similarity import FEATURES
from service.copies import Wording, near_copy, wording
from service.model import Reason
from service.store import write
from service.window import STANDS_ALONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt
    from sqlalchemy import Connection

    from service.candidates import Candidates
    from service.draft import Draft
    from service.window import Window

MIN_COPY_COSINE = 0.5
MAX_COPY_CHECKS = 4
_WHOLE = FEATURES.index("whole_cosine")


def mark_exact_copies(connection: Connection, drafts: Sequence[Draft]) -> None:
    """Find the drafts whose text the store, or an earlier draft, holds already."""
    stored = write.find_texts(connection, [draft.prepared.fingerprint for draft in drafts])
    first: dict[bytes, Draft] = {}
    for draft in drafts:
        print_ = draft.prepared.fingerprint
        if print_ in stored:
            row = stored[print_]
            draft.exact = True
            draft.copy_of = row["copy_of"] or row["id"]
            draft.same_publisher = row["publisher"] == draft.prepared.article.publisher
            draft.cluster_id, draft.story_id = row["cluster_id"], row["story_id"]
        elif print_ in first:
            draft.exact = True
            draft.copy_text_of = first[print_].position
        else:
            first[print_] = draft


def settle_exact_copies(window: Window, drafts: Sequence[Draft], model: str) -> None:
    """Give exact copies the place of their original, and every draft the IDs of its groups."""
    by_position = {draft.position: draft for draft in drafts}
    for draft in drafts:
        if draft.exact and draft.copy_text_of is not None:
            original = by_position[draft.copy_text_of]
            draft.copy_of = original.copy_of or original.id
            draft.same_publisher = original.prepared.article.publisher == draft.prepared.article.publisher
            draft.cluster_id, draft.story_id = original.cluster_id, original.story_id
        elif not draft.exact:
            draft.cluster_id = window.cluster_ids[draft.cluster]
            draft.story_id = window.story_ids[window.story_of[draft.cluster]]
        if draft.exact:
            draft.similarity = 1.0
            draft.reason = Reason("copy", 1.0, 1.0, draft.copy_of, None, {"same_words": 1.0}, model)


def likely_copies(candidates: Candidates, cut: float) -> npt.NDArray[np.bool_]:
    """Say which candidates, alike as they are, may be what an article repeats."""
    return (candidates.features[:, _WHOLE] >= MIN_COPY_COSINE) & (candidates.probability >= cut)


def find_copy(
    window: Window,
    draft: Draft,
    found: slice,
    candidates: Candidates,
    likely: npt.NDArray[np.bool_],
    texts: Texts,
) -> tuple[int, float] | None:
    """Return row and similarity of the article this one repeats, or None.

    `found` are the candidates of the draft among all, `likely` says of all which may be repeated.
    """
    places = found.start + np.flatnonzero(likely[found])
    if not len(places):
        return None
    # A round-up holds other reports' text without being their copy.
    alike = (window.flags[candidates.rows[places]] ^ window.flags[draft.row]) & STANDS_ALONE == 0
    places = places[alike]
    order = np.lexsort((candidates.rows[places], -candidates.features[places, _WHOLE]))
    rows = candidates.rows[places[order]].tolist()
    # A copy stands for the first text: compared with one another, copies would drift from it step by step.
    firsts: dict[str, int] = {}
    for row in rows:
        firsts.setdefault(texts.first(row), row)
    best: tuple[int, float] | None = None
    for first, row in list(firsts.items())[:MAX_COPY_CHECKS]:
        copy = near_copy(texts.wording(first), texts.wording(draft.id))
        if copy is not None and (best is None or copy.similarity > best[1]):
            best = (row, copy.similarity)
    return best


@dataclass(frozen=True, slots=True)
class _Text:
    """What an article is compared by as a copy."""

    title: str
    text: str
    event_us: int
    publisher: str
    first: str


class Texts:
    """Texts of the articles a batch may repeat, read from the store once and only when asked for."""

    def __init__(self, connection: Connection, window: Window, drafts: Sequence[Draft]) -> None:
        self._connection = connection
        self._window = window
        self._drafts = {draft.row: draft for draft in drafts}
        self._ids: dict[int, str] = {}
        self._texts = {draft.id: _text_of_draft(draft) for draft in drafts}
        self._wordings: dict[str, Wording] = {}

    def load(self, rows: Sequence[int]) -> None:
        """Read the texts of stored rows, and of the first texts behind them."""
        self._ids |= {row: self._window.article_id(row) for row in rows if row not in self._drafts}
        self._read(self._ids.values())
        self._read({self._texts[article_id].first for article_id in self._ids.values()} - set(self._texts))

    def _read(self, ids: Iterable[str]) -> None:
        for article_id, row in write.texts_of(self._connection, sorted(ids)).items():
            event_us = min(row["published_us"], row["received_us"])
            first = row["copy_of"] or article_id
            self._texts[article_id] = _Text(row["title"], row["text"], event_us, row["publisher"], first)

    def first(self, row: int) -> str:
        """Return the ID of the first text behind the article at `row`, its own unless it is a copy."""
        draft = self._drafts.get(row)
        return self._texts[self._ids[row]].first if draft is None else draft.copy_of or draft.id

    def publisher(self, article_id: str) -> str:
        """Return the publisher of a draft or of an article read."""
        return self._texts[article_id].publisher

    def wording(self, article_id: str) -> Wording:
        """Return the wording of a draft or of an article read."""
        if article_id not in self._wordings:
            text = self._texts[article_id]
            self._wordings[article_id] = wording(text.title, text.text, text.event_us)
        return self._wordings[article_id]


def _text_of_draft(draft: Draft) -> _Text:
    article = draft.prepared.article
    return _Text(article.title, article.text, article.event_us, article.publisher, draft.id)
