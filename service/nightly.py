"""The night: one view of the store, every group of the window anew, and the plan that leads there.  Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from ulid import ULID

from service.bonds import bonds_of, overdrawn
from service.model import ID_PREFIXES, Reason
from service.plan import Proposal, Standing, leaving, make_plan, retold
from service.recluster import Bonds, event_linkage, story_linkage
from service.regroup import Past, regroup, ties, together
from service.stage import BATCH, Horizons, Members
from service.store import snapshot
from service.window import flags_of, outlet_id
from service.witness import joined

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt
    from sqlalchemy import Connection, Engine

    from service.learned import Cuts
    from service.openings import Openings, Read
    from service.recluster import Labels
    from service.regroup import Pairs
    from service.stage import Hands, Numbers, Searching
    from service.witness import Nearest, Witnesses

    Progress = Callable[[str, int, int], None]

STAGES = ("reading", "comparing", "openings", "grouping", "telling", "writing")
OPENINGS = "openings_cosine"
"""The name, among the evidence of a reason, of how alike two openings are."""
SHOWN_EVERY = 5000
US_A_DAY = 86_400_000_000


class EmptyWindowError(ValueError):
    """No article was received in the window, and none waits to be settled."""


@dataclass(frozen=True, slots=True)
class Night:
    """What a night is asked for: its window in days before `now_us`, and how far apart reports and chapters may lie."""

    now_us: int
    window_days: float
    horizons: Horizons

    @property
    def from_us(self) -> int:
        """The time of receipt from which on articles are grouped anew."""
        return self.now_us - int(self.window_days * US_A_DAY)


@dataclass(frozen=True, slots=True)
class View:
    """One view of the store: its originals in order of time, how they stand, and the editors' words about them."""

    members: Members
    standing: Standing
    settled: npt.NDArray[np.bool_]
    words: list[snapshot.Edit]
    places: dict[str, tuple[str, str]]
    last_change: int


def propose(
    engine: Engine,
    hands: Hands,
    cuts: Cuts,
    night: Night,
    *,
    model: str,
    openings: Openings | None = None,
    progress: Progress = lambda _stage, _done, _total: None,
) -> Proposal:
    """Group every article of the window anew, and every cluster, and return what would have to change.

    The same articles give the same groups in whatever order they came; only copies are told apart as they came.
    `model` names what decides, for the record. `openings` reads those of the articles where it is given.

    Raises:
        EmptyWindowError: there is nothing to look at.
    """
    with engine.connect() as connection:
        view = read_view(connection, night, progress)
    clusters, why = _articles(view, hands, cuts, openings, progress)
    stories, why_story = _clusters(view, hands, cuts, clusters, progress)
    plan = make_plan(view.standing, clusters, stories, lambda kind: ID_PREFIXES[kind] + str(ULID()))
    alone = Reason("regrouped", 0.0, event_linkage(cuts.event).cut, None, None, {}, model)
    saga = replace(alone, threshold=story_linkage(cuts.story).cut)
    if openings is not None:
        alone = replace(alone, model=f"{model}+{openings.name}")
    return Proposal(
        replace(
            plan,
            moved=tuple(
                replace(one, reason=_reason(alone, why.get(one.head), one.old)) for one in plan.moved
            ),
            opened=tuple(
                replace(one, reason=_reason(saga, why_story.get(one.head), None)) for one in plan.opened
            ),
            clusters_moved=tuple(
                replace(one, reason=_reason(saga, why_story.get(one.head), one.old))
                for one in plan.clusters_moved
            ),
        ),
        view.last_change,
        tuple(word.id for word in view.words),
    )


# --- reading ----------------------------------------------------------------------------------------------------------


def read_view(connection: Connection, night: Night, progress: Progress) -> View:
    """Read what a night looks at.

    Raises:
        EmptyWindowError: there is nothing to look at.
    """
    last_change = snapshot.last_seen(connection)
    total = snapshot.count_originals(connection, night.from_us)
    if not total:
        raise EmptyWindowError(
            f"No article was received in the last {night.window_days:g} days, and none waits to be settled: there is "
            "nothing to cluster anew. A longer window looks further back."
        )
    found: list[snapshot.Original] = []
    for original in snapshot.read_originals(connection, night.from_us, night.horizons.story_days):
        found.append(original)
        if len(found) % SHOWN_EVERY == 0:
            progress("reading", min(len(found), total), total)
    # In order of time, and of text where times are equal: the order of arrival must not matter.
    found.sort(key=lambda one: (one.event_us, one.fingerprint, one.id))
    copies = list(snapshot.read_copies(connection, night.from_us))
    words = snapshot.read_edits(connection)
    named = sorted({one for word in words for one in (*word.these, *word.those)})
    view = View(
        _members(found),
        _standing(connection, found, copies),
        np.array([one.settled for one in found]),
        words,
        snapshot.places_of(connection, named),
        last_change,
    )
    progress("reading", total, total)
    return view


def _members(found: list[snapshot.Original]) -> Members:
    outlets = {source: outlet_id(source) for source in {one.source for one in found}}
    return Members(
        np.array([one.seq for one in found], dtype=np.int64),
        [one.id for one in found],
        np.array([one.event_us for one in found], dtype=np.int64),
        np.array([outlets[one.source] for one in found], dtype=np.int64),
        np.array([flags_of(one.labels) for one in found], dtype=np.int64),
    )


def _standing(
    connection: Connection, found: list[snapshot.Original], copies: list[tuple[int, str]]
) -> Standing:
    cluster_seqs = [one.cluster_seq for one in found]
    groups, sagas = snapshot.read_groups(connection, set(cluster_seqs))
    number = {group.seq: place for place, group in enumerate(groups)}
    saga_number = {saga.seq: place for place, saga in enumerate(sagas)}
    row_of = {one.id: row for row, one in enumerate(found)}
    weights = np.array([one.stands_for for one in found], dtype=np.int64)
    for _, original in copies:
        weights[row_of[original]] += 1
    return Standing(
        ids=[one.id for one in found],
        seqs=np.array([one.seq for one in found], dtype=np.int64),
        copy_seqs=np.array([seq for seq, _ in copies], dtype=np.int64),
        weights=weights,
        clusters=np.array([number[seq] for seq in cluster_seqs], dtype=np.int64),
        free=np.array([one.is_free for one in found]),
        opens=np.array([one.opens_cluster for one in found]),
        cluster_ids=[group.id for group in groups],
        story_of=np.array([saga_number[group.story_seq] for group in groups], dtype=np.int64),
        story_ids=[saga.id for saga in sagas],
    )


# --- the two stages ---------------------------------------------------------------------------------------------------


def _articles(
    view: View, hands: Hands, cuts: Cuts, openings: Openings | None, progress: Progress
) -> tuple[Labels, Mapping[str, _Spoken]]:
    """Return for each row the first row of its cluster, and who speaks for the articles that move."""
    standing = view.standing
    count = len(standing.ids)
    rows = np.flatnonzero(standing.free)
    past = Past(standing.clusters, view.settled)
    row_of = _rows_of(view, np.arange(count))
    bonds = bonds_of(view.words, "cluster", row_of)
    with hands.open("cluster", _some(view.members, rows)) as searching:
        found, witnesses = _searched(searching, np.arange(len(rows)), "comparing", progress)
        seqs = view.members.seqs[rows]
        read = None if openings is None else openings.read(seqs, partial(progress, "openings"))
        progress("grouping", 0, 1)
        pairs = rows[found[0]], rows[found[1]], read.judged(*found) if read else found[2]
        linkage, outlets = event_linkage(cuts.event), view.members.outlets
        clusters = regroup(count, pairs, past, linkage, bonds, outlets)
        while len((more := overdrawn(view.words, row_of, standing.clusters, clusters))[0]):
            both = [np.concatenate(sides) for sides in zip(bonds.barred, more, strict=True)]
            bonds = replace(bonds, barred=(both[0], both[1]))
            clusters = regroup(count, pairs, past, linkage, bonds, outlets)
        moved = np.flatnonzero(np.isin(rows, leaving(standing, clusters)))
        return clusters, _spoken(searching, witnesses, view, rows, moved, clusters, read)


def _clusters(
    view: View, hands: Hands, cuts: Cuts, clusters: Labels, progress: Progress
) -> tuple[Labels, Mapping[str, _Spoken]]:
    """Return for each row the first row of its story, and who speaks for the clusters that open or move.

    Heads of clusters that articles may leave look for others. Of the rest, which only answer, those of one story stay
    together.
    """
    standing = view.standing
    count = len(standing.ids)
    heads = np.unique(clusters)
    free = standing.free[heads]
    groups = standing.story_of[standing.clusters]
    past = Past(groups, _unchanged(standing, view.settled, clusters))
    said = bonds_of(view.words, "story", _rows_of(view, clusters))
    held = ties(heads[~free], groups)
    bonds = Bonds(
        (np.concatenate([said.tied[0], held[0]]), np.concatenate([said.tied[1], held[1]])), said.barred
    )
    with hands.open("story", _some(view.members, heads)) as searching:
        found, witnesses = _searched(searching, np.flatnonzero(free), "telling", progress)
        pairs = heads[found[0]], heads[found[1]], found[2]
        stories = regroup(count, pairs, past, story_linkage(cuts.story), bonds)[clusters]
        changed = np.flatnonzero(np.isin(heads, retold(standing, clusters, stories)))
        return stories, _spoken(searching, witnesses, view, heads, changed, stories)


def _searched(
    searching: Searching, asked: Numbers, stage: str, progress: Progress
) -> tuple[Pairs, Witnesses]:
    total = -(-len(asked) // BATCH)
    parts = []
    for done, found in enumerate(searching.pairs(asked), start=1):
        parts.append(found)
        progress(stage, min(done, total), total)
    witnesses = joined(found.witnesses for found in parts)
    return together((found.left, found.right, found.probability) for found in parts), witnesses


def _some(members: Members, rows: Numbers) -> Members:
    return Members(
        members.seqs[rows],
        [members.ids[row] for row in rows.tolist()],
        members.event_us[rows],
        members.outlets[rows],
        members.flags[rows],
    )


def _rows_of(view: View, head_of: Labels) -> dict[str, int]:
    """Return for each article that an edit names the row that stands for it: its original's, or its cluster's head."""
    if not view.places:
        return {}
    standing = view.standing
    rows = {one: row for row, one in enumerate(standing.ids)}
    # A cluster that stands as it is has one row, which need not be one of those that were named.
    whole = {
        standing.cluster_ids[standing.clusters[row]]: row for row in np.flatnonzero(~standing.free).tolist()
    }
    found = {
        named: rows.get(original, whole.get(cluster_id))
        for named, (original, cluster_id) in view.places.items()
    }
    return {named: int(head_of[row]) for named, row in found.items() if row is not None}


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


# --- reasons ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Spoken:
    """The article that speaks most for a place, how probable it makes it, and by which likenesses."""

    article_id: str
    probability: float
    evidence: dict[str, float]


def _spoken(
    searching: Searching,
    witnesses: Witnesses,
    view: View,
    rows: Numbers,
    asked: Numbers,
    groups: Labels,
    read: Read | None = None,
) -> dict[str, _Spoken]:
    ids = view.standing.ids
    known, rest = witnesses.nearest(asked, groups[rows])
    found = [one for one in (*known, *searching.nearest(rest, groups[rows])) if one.partner >= 0]
    return {
        ids[rows[one.place]]: _Spoken(ids[rows[one.partner]], one.probability, one.evidence)
        for one in (_heard(found, read) if read else found)
    }


def _heard(found: list[Nearest], read: Read) -> list[Nearest]:
    """Return the same with what the openings add, where both were read."""
    places = np.array([one.place for one in found], dtype=np.intp)
    partners = np.array([one.partner for one in found], dtype=np.intp)
    chance = np.array([one.probability for one in found], dtype=np.float64)
    cosine, known = read.cosines(places, partners)
    raised = read.raised(chance, cosine, known)
    return [
        replace(one, probability=round(now, 6), evidence={**one.evidence, OPENINGS: round(alike, 4)})
        if both
        else one
        for one, now, alike, both in zip(found, raised.tolist(), cosine.tolist(), known.tolist(), strict=True)
    ]


def _reason(alone: Reason, spoken: _Spoken | None, old: str | None) -> Reason:
    if spoken is None:
        return replace(alone, runner_up=old)
    return replace(
        alone,
        probability=spoken.probability,
        nearest=spoken.article_id,
        runner_up=old,
        evidence=spoken.evidence,
    )
