"""The road of a batch: exact copies, candidates, copies, clusters, stories, one commit, then the index.

`ingest` is the use case and reads top to bottom; every decision on the way is a pure function elsewhere. It runs on
the writer thread, which alone owns the window.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from ulid import ULID

from service.assign import Choice, Voice, choose, event_rule, story_rule
from service.candidates import Candidates, event_candidates, evidence_of, story_candidates
from service.copying import Texts, find_copy, likely_copies, mark_exact_copies, settle_exact_copies
from service.draft import Draft, outcome_of, rows_of
from service.model import ID_PREFIXES, Reason
from service.seen import again, known_among, length_of_part
from service.store import changes, write
from service.window import IS_COPY, STANDS_ALONE, entry_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Engine

    from service.batch import Prepared
    from service.learned import Cuts, Models
    from service.model import Outcome
    from service.window import Window

Stage = Callable[[str], None]


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
        known = known_among(connection, rest)
        batch = rest[: length_of_part(rest, known)]
        known = {position: row for position, row in known.items() if position < len(batch)}
        outcomes: dict[int, Outcome] = {}
        revised_rows: list[int] = []
        for position, row in known.items():
            outcomes[position], new_row = again(connection, window, batch[position], row)
            revised_rows += [] if new_row is None else [new_row]
        drafts = [
            Draft(position, prepared, ID_PREFIXES["article"] + str(ULID()))
            for position, prepared in enumerate(batch)
            if position not in known
        ]
        mark_exact_copies(connection, drafts)
        compared = [draft for draft in drafts if not draft.exact]
        _shelve(window, compared)
        candidates = event_candidates(window, models.event, rows_of(compared))
        stage("search")
        _decide_clusters(connection, window, models, cuts, compared, candidates)
        heads = [draft for draft in compared if draft.opens]
        _decide_stories(window, models, cuts, heads)
        settle_exact_copies(window, drafts, models.name)
        stage("choose")
        created = [outcome_of(draft) for draft in drafts]
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
    window.articles.add_dense(rows_of(compared) + revised_rows)
    window.heads.add_dense(rows_of(heads) + [row for row in revised_rows if row in window.heads])
    stage("index")
    outcomes |= {draft.position: outcome for draft, outcome in zip(drafts, created, strict=True)}
    return [outcomes[position] for position in range(len(batch))]


# --- the shelf ----------------------------------------------------------------------------------------------------------


def _shelve(window: Window, drafts: Sequence[Draft]) -> None:
    entries = [entry_of(draft.id, draft.prepared.article, draft.prepared.vectors) for draft in drafts]
    for draft, row in zip(drafts, window.shelve(entries), strict=True):
        draft.row = row


# --- clusters and stories ---------------------------------------------------------------------------------------------


def _decide_clusters(
    connection: Connection,
    window: Window,
    models: Models,
    cuts: Cuts,
    drafts: Sequence[Draft],
    candidates: Candidates,
) -> None:
    texts = Texts(connection, window, drafts)
    likely = likely_copies(candidates, cuts.event)
    texts.load([int(row) for row in np.unique(candidates.rows[likely])])
    rule = event_rule(cuts.event)
    for draft in drafts:
        assert draft.row is not None
        found = candidates.bounds[draft.row]
        copied = find_copy(window, draft, found, candidates, likely, texts)
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


def _decide_stories(window: Window, models: Models, cuts: Cuts, heads: Sequence[Draft]) -> None:
    """Give each new cluster a story: one it continues, or its own."""
    candidates = story_candidates(window, models.story, rows_of(heads))
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
