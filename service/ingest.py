"""The road of a batch: exact copies, candidates, copies, clusters, stories, one commit, then the index.

`ingest` is the use case and reads top to bottom; every decision on the way is a pure function elsewhere. It runs on
the writer thread, which alone owns the window.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ulid import ULID

from embeddings.similarity import FEATURES
from embeddings.text import fingerprint, normalise
from embeddings.vectors import ArticleVectors, vectorise
from service.assign import Choice, Voice, choose, event_rule, story_rule
from service.candidates import Candidates, event_candidates, evidence_of, story_candidates
from service.copies import Wording, near_copy, relation, wording
from service.model import ID_PREFIXES, Article, Outcome, Placement, Reason
from service.store import changes, write
from service.window import IS_COPY, ONE_DAY_ONLY, STANDS_ALONE, Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Engine, RowMapping

    from embeddings.encoder import Encoder
    from embeddings.pair_model import PairModel
    from embeddings.terms import Background
    from service.window import Window

ALONE_LABELS = frozenset({"roundup", "live"})
ONE_DAY_LABELS = frozenset({"schedule", "price"})
MIN_COPY_COSINE = 0.5
MAX_COPY_CHECKS = 4
_WHOLE = FEATURES.index("whole_cosine")


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


@dataclass(frozen=True, slots=True)
class Prepared:
    """An article with all that can be computed without looking at any other."""

    article: Article
    fingerprint: bytes
    vectors: ArticleVectors


@dataclass(slots=True)
class _Draft:
    """One new article on its way to a placement."""

    position: int
    prepared: Prepared
    id: str
    row: int | None = None
    cluster: int = -1
    opens: bool = False
    copy_of: str | None = None
    copy_text_of: int | None = None
    similarity: float | None = None
    same_publisher: bool = True
    exact: bool = False
    reason: Reason | None = None
    story_reason: Reason | None = None
    cluster_id: str = ""
    story_id: str = ""


Stage = Callable[[str], None]


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


def ingest(
    engine: Engine,
    window: Window,
    models: Models,
    cuts: Cuts,
    batch: Sequence[Prepared],
    *,
    now_us: int,
    stage: Stage = lambda _name: None,
) -> list[Outcome]:
    """Decide and store a batch without repeated identities, and answer in order.

    Edits are decided apart from what stands beside them: an article must meet the text that was there when it came.
    Each part is written in one transaction; the index hears of it after the commit. When this raises, nothing of the
    part at hand is stored and the window must be rebuilt.
    """
    outcomes: list[Outcome] = []
    while len(outcomes) < len(batch):
        rest = batch[len(outcomes) :]
        outcomes += _decide_part(engine, window, models, cuts, rest, now_us=now_us, stage=stage)
    return outcomes


def _decide_part(
    engine: Engine,
    window: Window,
    models: Models,
    cuts: Cuts,
    rest: Sequence[Prepared],
    *,
    now_us: int,
    stage: Stage,
) -> list[Outcome]:
    """Decide and store the first articles of `rest`, at least one, that can be decided together."""
    with engine.begin() as connection:
        known = _known(connection, rest)
        batch = rest[: _length_of_part(rest, known)]
        known = {position: row for position, row in known.items() if position < len(batch)}
        outcomes: dict[int, Outcome] = {}
        revised_rows: list[int] = []
        for position, row in known.items():
            outcomes[position], new_row = _again(connection, window, batch[position], row)
            revised_rows += [] if new_row is None else [new_row]
        drafts = [
            _Draft(position, prepared, ID_PREFIXES["article"] + str(ULID()))
            for position, prepared in enumerate(batch)
            if position not in known
        ]
        _mark_exact_copies(connection, drafts)
        compared = [draft for draft in drafts if not draft.exact]
        _shelve(window, compared)
        candidates = event_candidates(window, models.event, _rows(compared))
        stage("search")
        _decide_clusters(connection, window, models, cuts, compared, candidates)
        heads = [draft for draft in compared if draft.opens]
        _decide_stories(window, models, cuts, heads)
        _settle_exact_copies(window, drafts, models.name)
        stage("choose")
        created = [_outcome(draft) for draft in drafts]
        prints = [draft.prepared.fingerprint for draft in drafts]
        write.insert_outcomes(connection, created, prints, now_us)
        write.insert_vectors(
            connection,
            [write.NewVector(draft.id, draft.opens, draft.prepared.vectors.to_bytes()) for draft in compared],
        )
        revised = [outcome for outcome in outcomes.values() if outcome.status == "revised"]
        write.refresh_counts(connection, [outcome.placement.cluster_id for outcome in revised], now_us)
        changes.tell(connection, [*_news(created), *_edits(revised)], now_us)
    stage("commit")
    window.articles.add_dense(_rows(compared) + revised_rows)
    window.heads.add_dense(_rows(heads) + [row for row in revised_rows if row in window.heads])
    stage("index")
    outcomes |= {draft.position: outcome for draft, outcome in zip(drafts, created, strict=True)}
    return [outcomes[position] for position in range(len(batch))]


def flags_of(labels: Sequence[str]) -> int:
    """Return the window flags that an article's labels ask for."""
    alone = STANDS_ALONE if ALONE_LABELS & set(labels) else 0
    return alone | (ONE_DAY_ONLY if ONE_DAY_LABELS & set(labels) else 0)


def outlet_id(source: str) -> int:
    """Return the number an outlet has on the shelf."""
    return zlib.crc32(source.encode("utf-8", "surrogatepass"))


# --- articles seen before ---------------------------------------------------------------------------------------------


def _known(connection: Connection, batch: Sequence[Prepared]) -> dict[int, RowMapping]:
    """Return, by position, the stored article each item is a repetition of."""
    external = [item.article.external_id for item in batch if item.article.external_id is not None]
    urls = [item.article.url_key for item in batch if item.article.url_key is not None]
    found = write.find_known(connection, external, urls)
    by_external = {row["external_id"]: row for row in found if row["external_id"] is not None}
    by_url = {row["url_key"]: row for row in found if row["url_key"] is not None}
    known = {}
    for position, item in enumerate(batch):
        article = item.article
        row = by_external.get(article.external_id) if article.external_id else None
        if row is None and article.url_key in by_url:
            row = by_url[article.url_key]
        if row is not None:
            known[position] = row
    return known


def _length_of_part(rest: Sequence[Prepared], known: Mapping[int, RowMapping]) -> int:
    """Return how many of the first articles are all edits, each of another article, or none of them an edit."""
    first_is_edit = 0 in known and _is_edit(rest[0], known[0])
    edited: set[str] = set()
    for position, item in enumerate(rest):
        row = known.get(position)
        is_edit = row is not None and _is_edit(item, row)
        if is_edit != first_is_edit or (row is not None and row["id"] in edited):
            return position
        if is_edit and row is not None:
            edited.add(row["id"])
    return len(rest)


def _is_edit(item: Prepared, row: RowMapping) -> bool:
    return bool(item.article.title != row["title"] or item.article.text != row["text"])


def _again(
    connection: Connection, window: Window, item: Prepared, row: RowMapping
) -> tuple[Outcome, int | None]:
    """Answer for an article posted again; an edited one keeps its ID and place and gets a new revision."""
    if not _is_edit(item, row):
        return write.outcome_of(row), None
    write.revise(connection, row, item.article, item.fingerprint)
    write.replace_vector(connection, row, item.vectors.to_bytes())
    old = window.row_of(row["id"])
    was_head = old is not None and old in window.heads
    if old is not None:
        window.forget(old)
    entry = Entry(
        row["id"],
        item.vectors,
        item.article.event_us,
        outlet_id(item.article.source),
        flags_of(item.article.labels),
    )
    (new,) = window.shelve([entry])
    cluster = window.cluster_number(row["cluster_id"], row["story_id"])
    window.place(new, cluster, is_copy=row["copy_of"] is not None)
    window.articles.add_terms(new)
    if was_head:
        window.heads.add_terms(new)
    stored = write.find_article(connection, row["id"])
    assert stored is not None
    return write.outcome_of(stored, "revised"), new


# --- copies -----------------------------------------------------------------------------------------------------------


def _mark_exact_copies(connection: Connection, drafts: Sequence[_Draft]) -> None:
    """Find the drafts whose text the store, or an earlier draft, holds already."""
    stored = write.find_texts(connection, [draft.prepared.fingerprint for draft in drafts])
    first: dict[bytes, _Draft] = {}
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


def _settle_exact_copies(window: Window, drafts: Sequence[_Draft], model: str) -> None:
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


def _find_copy(
    window: Window, draft: _Draft, found: slice, candidates: Candidates, texts: _Texts, cut: float
) -> tuple[int, float] | None:
    """Return row and similarity of the article this one repeats, or None."""
    whole = candidates.features[found, _WHOLE]
    likely = (
        (whole >= MIN_COPY_COSINE)
        & (candidates.probability[found] >= cut)
        # A round-up holds other reports' text without being their copy.
        & ((window.flags[candidates.rows[found]] ^ window.flags[draft.row]) & STANDS_ALONE == 0)
    )
    order = np.lexsort((candidates.rows[found], -whole))
    rows = candidates.rows[found][order[likely[order]]].tolist()
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


class _Texts:
    """Texts of the articles a batch may repeat, read from the store once and only when asked for."""

    def __init__(self, connection: Connection, window: Window, drafts: Sequence[_Draft]) -> None:
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


def _text_of_draft(draft: _Draft) -> _Text:
    article = draft.prepared.article
    return _Text(article.title, article.text, article.event_us, article.publisher, draft.id)


def _rows(drafts: Sequence[_Draft]) -> list[int]:
    return [draft.row for draft in drafts if draft.row is not None]


# --- the shelf ----------------------------------------------------------------------------------------------------------


def _shelve(window: Window, drafts: Sequence[_Draft]) -> None:
    entries = [
        Entry(
            draft.id,
            draft.prepared.vectors,
            draft.prepared.article.event_us,
            outlet_id(draft.prepared.article.source),
            flags_of(draft.prepared.article.labels),
        )
        for draft in drafts
    ]
    for draft, row in zip(drafts, window.shelve(entries), strict=True):
        draft.row = row


# --- clusters and stories ---------------------------------------------------------------------------------------------


def _decide_clusters(
    connection: Connection,
    window: Window,
    models: Models,
    cuts: Cuts,
    drafts: Sequence[_Draft],
    candidates: Candidates,
) -> None:
    texts = _Texts(connection, window, drafts)
    likely = (candidates.features[:, _WHOLE] >= MIN_COPY_COSINE) & (candidates.probability >= cuts.event)
    texts.load([int(row) for row in np.unique(candidates.rows[likely])])
    hopeful = likely.tolist()
    rule = event_rule(cuts.event)
    for draft in drafts:
        assert draft.row is not None
        found = candidates.bounds[draft.row]
        copied = (
            _find_copy(window, draft, found, candidates, texts, cuts.event) if any(hopeful[found]) else None
        )
        if copied is not None:
            row, draft.similarity = copied
            draft.copy_of = texts.first(row)
            draft.same_publisher = texts.publisher(draft.copy_of) == draft.prepared.article.publisher
            draft.cluster = int(window.clusters[row])
            window.place(draft.row, draft.cluster, is_copy=True)
            evidence = evidence_of(candidates, found, row)
            draft.reason = Reason(
                "copy", draft.similarity, rule.cut, draft.copy_of, None, evidence, models.name
            )
            continue
        voices = _voices(window, draft.row, candidates, found)
        choice = choose(voices, lambda group: window.sizes[group], rule)
        draft.opens = choice.group is None
        draft.cluster = (
            window.open_cluster(ID_PREFIXES["cluster"] + str(ULID()), -1)
            if choice.group is None
            else choice.group
        )
        window.place(draft.row, draft.cluster, is_copy=False)
        draft.reason = _reason(window, choice, rule.cut, models.name, candidates, found, window.cluster_ids)


def _voices(
    window: Window, row: int, candidates: Candidates, found: slice, group_of: Sequence[int] | None = None
) -> list[Voice]:
    """Return the candidates that have a say, each for its cluster, or for `group_of` that cluster."""
    if found.start == found.stop or window.flags[row] & STANDS_ALONE:
        return []
    rows, probability = candidates.rows[found], candidates.probability[found]
    heard = window.flags[rows] & (IS_COPY | STANDS_ALONE) == 0
    rows = rows[heard]
    clusters = window.clusters[rows].tolist()
    groups = clusters if group_of is None else [group_of[cluster] for cluster in clusters]
    return list(map(Voice, rows.tolist(), groups, probability[heard].tolist()))


def _decide_stories(window: Window, models: Models, cuts: Cuts, heads: Sequence[_Draft]) -> None:
    """Give each new cluster a story: one it continues, or its own."""
    candidates = story_candidates(window, models.story, _rows(heads))
    rule = story_rule(cuts.story)
    for draft in heads:
        assert draft.row is not None
        bounds = candidates.bounds[draft.row]
        voices = _voices(window, draft.row, candidates, bounds, window.story_of)
        choice = choose(voices, lambda _story: 1, rule)
        story = (
            window.open_story(ID_PREFIXES["story"] + str(ULID())) if choice.group is None else choice.group
        )
        window.story_of[draft.cluster] = story
        draft.story_reason = _reason(
            window, choice, rule.cut, models.name, candidates, bounds, window.story_ids
        )


def _reason(
    window: Window,
    choice: Choice,
    cut: float,
    model: str,
    candidates: Candidates,
    found: slice,
    names: Sequence[str],
) -> Reason:
    nearest = choice.nearest
    return Reason(
        "opened" if choice.group is None else "joined",
        choice.support,
        cut,
        None if nearest is None else window.article_id(nearest.row),
        None if choice.runner_up is None else names[choice.runner_up],
        {} if nearest is None else evidence_of(candidates, found, nearest.row),
        model,
    )


def _outcome(draft: _Draft) -> Outcome:
    assert draft.reason is not None
    placement = Placement(
        relation="original"
        if draft.copy_of is None
        else relation(exact=draft.exact, same_publisher=draft.same_publisher),
        copy_of=draft.copy_of,
        similarity=draft.similarity,
        cluster_id=draft.cluster_id,
        story_id=draft.story_id,
        cluster_created=draft.opens,
        reason=draft.reason,
        story_reason=draft.story_reason,
    )
    return Outcome(draft.id, "created", draft.prepared.article, placement)


def _news(created: Sequence[Outcome]) -> Iterator[changes.Change]:
    """Yield what new articles tell the change feed: a group before what stands in it."""
    for outcome in created:
        at = outcome.placement
        if at.cluster_created:
            if at.story_reason is not None and at.story_reason.rule == "opened":
                yield changes.Change("story.created", story_id=at.story_id)
            yield changes.Change("cluster.created", cluster_id=at.cluster_id, story_id=at.story_id)
        yield changes.Change("article.assigned", outcome.id, at.cluster_id, at.story_id)


def _edits(revised: Sequence[Outcome]) -> Iterator[changes.Change]:
    for outcome in revised:
        at = outcome.placement
        yield changes.Change("article.revised", outcome.id, at.cluster_id, at.story_id)
