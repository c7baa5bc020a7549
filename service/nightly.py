"""The night: one view of the store, every group of the window anew, and the plan that leads there.  Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from ulid import ULID

from embeddings.similarity import FEATURES
from embeddings.vectors import ArticleVectors
from service.bonds import bonds_of
from service.ingest import flags_of, outlet_id, prepare_vectors
from service.model import ID_PREFIXES, Reason
from service.plan import Plan, Standing, make_plan
from service.recluster import event_linkage, story_linkage
from service.regroup import (
    BATCH,
    Past,
    compared_articles,
    compared_clusters,
    first_of_each,
    group_articles,
    group_clusters,
    one_by_one,
)
from service.store import snapshot
from service.store.write import find_article, outcome_of
from service.window import Entry, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt
    from sqlalchemy import Connection, Engine

    from embeddings.similarity import Floats
    from service.ingest import Cuts, Models
    from service.regroup import Compared, Labels, Pairs, Run, Search

    Progress = Callable[[str, int, int], None]

STAGES = ("reading", "comparing", "grouping", "telling", "writing")
CHUNK = 2000
US_A_DAY = 86_400_000_000


class EmptyWindowError(ValueError):
    """No article was received in the window, and none waits to be settled."""


@dataclass(frozen=True, slots=True)
class Night:
    """What a night is asked for: its window in days before `now_us`, and how far apart reports and chapters may lie."""

    now_us: int
    window_days: float
    event_horizon_days: float
    story_horizon_days: float

    @property
    def from_us(self) -> int:
        """The time of receipt from which on articles are grouped anew."""
        return self.now_us - int(self.window_days * US_A_DAY)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A plan, and the state of the store it was made from: the latest change and how many edits were made or undone."""

    plan: Plan
    last_change: int
    edits_seen: int


@dataclass(frozen=True, slots=True)
class _View:
    """One view of the store as a window, its rows in order of time, and how things stand."""

    window: Window
    standing: Standing
    settled: npt.NDArray[np.bool_]
    words: list[snapshot.Edit]
    originals: dict[str, str]


def propose(
    engine: Engine,
    models: Models,
    cuts: Cuts,
    night: Night,
    *,
    run: Run = one_by_one,
    progress: Progress = lambda _stage, _done, _total: None,
) -> Proposal:
    """Group every article of the window anew, and every cluster, and return what would have to change.

    The same articles give the same groups in whatever order they came; only copies are told apart as they came.

    Raises:
        EmptyWindowError: there is nothing to look at.
    """
    with engine.connect() as connection:
        seen = snapshot.last_seen(connection)
        view = _read(connection, models, night, progress)
    window, standing = view.window, view.standing
    rows = np.flatnonzero(standing.free).astype(np.intp)
    counted = _counting(run, progress, "comparing")
    bonds = bonds_of(view.words, "cluster", _rows_of(view, np.arange(len(standing.ids))))
    past = Past(standing.clusters, view.settled)
    clusters = group_articles(window, models, cuts, rows, past, bonds, counted)
    heads = first_of_each(rows, clusters)
    for row in heads.tolist():
        window.heads.add_terms(row)
    window.heads.add_dense(heads.tolist())
    past = Past(standing.story_of[standing.clusters], _unchanged(standing, view.settled, clusters))
    bonds = bonds_of(view.words, "story", _rows_of(view, clusters))
    counted = _counting(run, progress, "telling")
    stories = group_clusters(window, models, cuts, heads, past, bonds, counted)[clusters]
    plan = make_plan(standing, clusters, stories, lambda kind: ID_PREFIXES[kind] + str(ULID()))
    return Proposal(_with_reasons(plan, window, models, cuts, clusters, stories), *seen)


# --- reading ----------------------------------------------------------------------------------------------------------


def _read(connection: Connection, models: Models, night: Night, progress: Progress) -> _View:
    total = snapshot.count_originals(connection, night.from_us)
    if not total:
        raise EmptyWindowError(
            f"No article was received in the last {night.window_days:g} days, and none waits to be settled: there is "
            "nothing to cluster anew. A longer window looks further back."
        )
    found: list[snapshot.Original] = []
    for original in snapshot.read_originals(connection, night.from_us, night.story_horizon_days):
        found.append(original)
        if len(found) % CHUNK == 0:
            progress("reading", min(len(found), total), total)
    # In order of time, and of text where times are equal: the order of arrival must not matter.
    found.sort(key=lambda one: (one.event_us, one.fingerprint, one.id))
    copies = list(snapshot.read_copies(connection, night.from_us))
    words = snapshot.read_edits(connection)
    named = sorted({one for word in words for one in (*word.these, *word.those)})
    view = _View(
        _shelved(connection, models, night, found),
        _standing(connection, found, copies),
        np.array([one.settled for one in found]),
        words,
        snapshot.originals_of(connection, named),
    )
    progress("reading", total, total)
    return view


def _shelved(
    connection: Connection, models: Models, night: Night, found: Sequence[snapshot.Original]
) -> Window:
    """Return a window of the originals by row; those that only stand for their cluster are in its head index."""
    window = Window(
        models.encoder.dimension,
        window_days=night.event_horizon_days,
        story_horizon_days=night.story_horizon_days,
        rarity=models.background.rarity,
    )
    for start in range(0, len(found), CHUNK):
        part = found[start : start + CHUNK]
        rows = window.shelve(
            [
                Entry(
                    one.id,
                    _vectors(connection, models, one),
                    one.event_us,
                    outlet_id(one.source),
                    flags_of(one.labels),
                )
                for one in part
            ]
        )
        free = [row for row, one in zip(rows, part, strict=True) if one.is_free]
        heads = [row for row, one in zip(rows, part, strict=True) if not one.is_free]
        for row in free:
            window.articles.add_terms(row)
        window.articles.add_dense(free)
        for row in heads:
            window.heads.add_terms(row)
        window.heads.add_dense(heads)
    return window


def _vectors(connection: Connection, models: Models, one: snapshot.Original) -> ArticleVectors:
    if one.intact:
        return ArticleVectors.from_bytes(one.blob, models.encoder.dimension)
    row = find_article(connection, one.id)
    assert row is not None
    return prepare_vectors(models, [outcome_of(row).article])[0].vectors


def _standing(
    connection: Connection, found: Sequence[snapshot.Original], copies: Sequence[tuple[int, str]]
) -> Standing:
    cluster_seqs = [one.cluster_seq for one in found]
    groups, sagas = snapshot.read_groups(connection, set(cluster_seqs))
    number = {group.seq: place for place, group in enumerate(groups)}
    saga_number = {saga.seq: place for place, saga in enumerate(sagas)}
    row_of = {one.id: row for row, one in enumerate(found)}
    weights = np.ones(len(found), dtype=np.int64)
    for _, original in copies:
        weights[row_of[original]] += 1
    free = np.array([one.is_free for one in found])
    return Standing(
        ids=[one.id for one in found],
        seqs=np.array([one.seq for one in found], dtype=np.int64),
        copy_seqs=np.array([seq for seq, _ in copies], dtype=np.int64),
        weights=weights,
        clusters=np.array([number[seq] for seq in cluster_seqs], dtype=np.int64),
        free=free,
        opens=np.array([one.opens_cluster for one in found]),
        cluster_ids=[group.id for group in groups],
        story_of=np.array([saga_number[group.story_seq] for group in groups], dtype=np.int64),
        story_ids=[saga.id for saga in sagas],
    )


# --- what the groups mean ---------------------------------------------------------------------------------------------


def _rows_of(view: _View, head_of: Labels) -> dict[str, int]:
    """Return for each article that an edit names the row that stands for it: its original's, or its cluster's head."""
    rows = {one: row for row, one in enumerate(view.standing.ids)}
    return {
        named: int(head_of[rows[original]]) for named, original in view.originals.items() if original in rows
    }


def _unchanged(standing: Standing, settled: npt.NDArray[np.bool_], clusters: Labels) -> npt.NDArray[np.bool_]:
    """Say for each row whether its cluster is the one it was, and every member settled."""
    old, new = standing.clusters, clusters
    size = len(standing.ids)
    old_sizes = np.bincount(old, minlength=len(standing.cluster_ids))
    new_sizes = np.bincount(new, minlength=size)
    pairs, place = np.unique(new * len(standing.cluster_ids) + old, return_inverse=True)
    shared = np.bincount(place, minlength=len(pairs))[place]
    astir = np.bincount(new, ~settled, minlength=size)[new] > 0
    same: npt.NDArray[np.bool_] = (shared == old_sizes[old]) & (shared == new_sizes[new])
    return same & ~astir


def _counting(run: Run, progress: Progress, stage: str) -> Run:
    """Return `run` telling how far it is."""

    def counted(search: Search, batches: Sequence[Sequence[int]]) -> Iterator[Pairs]:
        for place, found in enumerate(run(search, batches), start=1):
            yield found
            progress(stage, place, len(batches))

    return counted


def _with_reasons(
    plan: Plan, window: Window, models: Models, cuts: Cuts, clusters: Labels, stories: Labels
) -> Plan:
    """Return the plan with the reason of every move: the nearest member of the group it goes to."""
    if plan.changes_nothing:
        return plan
    row_of = {window.article_id(row): row for row in range(len(window.shelf))}
    why = _reasons(
        window,
        [row_of[move.head] for move in plan.moved],
        clusters,
        lambda batch: compared_articles(window, models, batch),
        _alone(event_linkage(cuts.event).cut, models),
    )
    why_story = _reasons(
        window,
        [row_of[one.head] for one in plan.clusters_moved] + [row_of[one.head] for one in plan.opened],
        stories,
        lambda batch: compared_clusters(window, models, batch),
        _alone(story_linkage(cuts.story).cut, models),
    )
    return replace(
        plan,
        moved=tuple(
            replace(move, reason=replace(why[row_of[move.head]], runner_up=move.old)) for move in plan.moved
        ),
        clusters_moved=tuple(
            replace(move, reason=replace(why_story[row_of[move.head]], runner_up=move.old))
            for move in plan.clusters_moved
        ),
        opened=tuple(replace(one, reason=why_story[row_of[one.head]]) for one in plan.opened),
    )


def _reasons(
    window: Window,
    rows: Sequence[int],
    groups: Labels,
    search: Callable[[Sequence[int]], Compared],
    alone: Reason,
) -> dict[int, Reason]:
    found = dict.fromkeys(rows, alone)
    asked = sorted(rows)
    for start in range(0, len(asked), BATCH):
        pairs = search(asked[start : start + BATCH])
        near = np.flatnonzero(groups[pairs.left] == groups[pairs.right])
        near = near[np.lexsort((pairs.right[near], -pairs.probability[near], pairs.left[near]))]
        _, first = np.unique(pairs.left[near], return_index=True)
        for one in near[first].tolist():
            found[int(pairs.left[one])] = replace(
                alone,
                probability=round(float(pairs.probability[one]), 6),
                nearest=window.article_id(int(pairs.right[one])),
                evidence=_named(pairs.features[one]),
            )
    return found


def _alone(cut: float, models: Models) -> Reason:
    return Reason("regrouped", 0.0, cut, None, None, {}, models.name)


def _named(features: Floats) -> dict[str, float]:
    return {name: round(value, 4) for name, value in zip(FEATURES, features.tolist(), strict=True)}
