"""What a night or an editor changes: which articles and clusters go where, and which IDs open, merge and stay.  Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from service.reconcile import NONE, match

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    import numpy.typing as npt

    from service.model import Reason
    from service.reconcile import Numbers

MAX_LISTED = 10_000


@dataclass(frozen=True, slots=True)
class Move:
    """An article goes from one cluster to another, or a cluster from one story to another; copies follow.

    `head` is the article that stands for what moves: itself, or the one that speaks for the cluster.
    """

    id: str
    old: str
    new: str
    head: str
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """A new group split off another; a cluster opens in a story."""

    id: str
    split_from: str
    head: str
    story_id: str | None = None
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Every change of groups that one transaction makes.

    `heads` names the article that stands for a cluster in stories, where that changes; `settled` holds the `seq` of every
    article whose place is confirmed. `looked_at` counts articles and clusters, whether they change or not.
    """

    moved: tuple[Move, ...] = ()
    opened: tuple[Opening, ...] = ()
    merged: dict[str, str] = field(default_factory=dict)
    clusters_moved: tuple[Move, ...] = ()
    stories_opened: tuple[Opening, ...] = ()
    stories_merged: dict[str, str] = field(default_factory=dict)
    heads: dict[str, str] = field(default_factory=dict)
    settled: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    looked_at: tuple[int, int, int] = (0, 0, 0)

    @property
    def changes_nothing(self) -> bool:
        """Whether every ID stays where it is."""
        return not (
            self.moved
            or self.opened
            or self.merged
            or self.clusters_moved
            or self.stories_opened
            or self.stories_merged
        )

    def diff(self) -> dict[str, Any]:
        """Return what changes as JSON values: counts of all, and the first of each kind by name."""
        articles, clusters, stories = self.looked_at
        lists: dict[str, list[dict[str, str]]] = {
            "clusters_merged": [{"id": one, "merged_into": into} for one, into in self.merged.items()],
            "clusters_split": [{"id": one.id, "split_from": one.split_from} for one in self.opened],
            "articles_moved": [{"id": one.id, "from": one.old, "to": one.new} for one in self.moved],
            "clusters_moved": [{"id": one.id, "from": one.old, "to": one.new} for one in self.clusters_moved],
            "stories_merged": [{"id": one, "merged_into": into} for one, into in self.stories_merged.items()],
            "stories_split": [{"id": one.id, "split_from": one.split_from} for one in self.stories_opened],
        }
        return {
            "articles": articles,
            "clusters": clusters,
            "stories": stories,
            "articles_unchanged": articles - len(self.moved),
            "counts": {name: len(found) for name, found in lists.items()},
            **{name: found[:MAX_LISTED] for name, found in lists.items()},
            "complete": all(len(found) <= MAX_LISTED for found in lists.values()),
        }


@dataclass(frozen=True, slots=True)
class Proposal:
    """A plan, the number of the latest change that the store held when it was made, and the editors' words that stood."""

    plan: Plan
    last_change: int
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand, by row: articles that repeat no other, with their cluster and story as numbers, older ones lower.

    `weights` counts an article with its copies, whose own `seq` stand in `copy_seqs`. Rows that are not `free` stand for
    clusters that only stories may move, and weigh as much; `opens` marks the articles that stand for their cluster in stories.
    """

    ids: Sequence[str]
    seqs: Numbers
    copy_seqs: Numbers
    weights: Numbers
    clusters: Numbers
    free: npt.NDArray[np.bool_]
    opens: npt.NDArray[np.bool_]
    cluster_ids: Sequence[str]
    story_of: Numbers
    story_ids: Sequence[str]


def leaving(standing: Standing, clusters: Numbers) -> Numbers:
    """Return the rows whose cluster will have another ID than theirs has now."""
    heads, new = np.unique(clusters, return_inverse=True)
    matched = match(standing.clusters, new, standing.weights, len(standing.cluster_ids), len(heads))
    return np.flatnonzero(matched.keeps[new] != standing.clusters)


def retold(standing: Standing, clusters: Numbers, stories: Numbers) -> Numbers:
    """Return the rows that stand for clusters which open, or whose story will have another ID than theirs has now."""
    heads, new = np.unique(clusters, return_inverse=True)
    matched = match(standing.clusters, new, standing.weights, len(standing.cluster_ids), len(heads))
    sagas, saga = np.unique(stories, return_inverse=True)
    old_stories = standing.story_of[standing.clusters]
    told = match(old_stories, saga, standing.weights, len(standing.story_ids), len(sagas))
    changed = told.keeps[saga[heads]] != standing.story_of[matched.keeps]
    return np.asarray(heads[changed | (matched.keeps == NONE)])


def make_plan(
    standing: Standing,
    clusters: Numbers,
    stories: Numbers,
    new_id: Callable[[str], str],
) -> Plan:
    """Return how to get from `standing` to the groups that `clusters` and `stories` give, by row.

    A label is the row of the article that stands for the group; both hold one for every row, and rows of one cluster
    have one story. Moves bear no reason yet. `new_id(kind)` makes the ID of a group that continues none.
    """
    heads, new = np.unique(clusters, return_inverse=True)
    matched = match(standing.clusters, new, standing.weights, len(standing.cluster_ids), len(heads))
    names = _names(matched.keeps, standing.cluster_ids, lambda: new_id("cluster"))
    old_stories = standing.story_of[standing.clusters]
    sagas, saga = np.unique(stories, return_inverse=True)
    told = match(old_stories, saga, standing.weights, len(standing.story_ids), len(sagas))
    titles = _names(told.keeps, standing.story_ids, lambda: new_id("story"))
    saga_of_cluster = saga[heads]
    left = np.flatnonzero(matched.keeps[new] != standing.clusters)
    kept = np.flatnonzero(matched.keeps != NONE)
    changed_story = kept[told.keeps[saga_of_cluster[kept]] != standing.story_of[matched.keeps[kept]]]
    appointed = ~standing.opens[heads] | (matched.keeps != standing.clusters[heads])
    gone = np.setdiff1d(np.unique(standing.clusters), matched.keeps)
    gone_stories = np.setdiff1d(np.unique(old_stories), told.keeps)
    return Plan(
        moved=tuple(
            Move(
                standing.ids[row],
                standing.cluster_ids[standing.clusters[row]],
                names[new[row]],
                standing.ids[row],
            )
            for row in left.tolist()
        ),
        opened=tuple(
            Opening(
                names[one],
                standing.cluster_ids[matched.came_from[one]],
                standing.ids[heads[one]],
                titles[saga_of_cluster[one]],
            )
            for one in np.flatnonzero(matched.keeps == NONE).tolist()
        ),
        merged={standing.cluster_ids[one]: names[matched.went_to[one]] for one in gone.tolist()},
        clusters_moved=tuple(
            Move(
                names[one],
                standing.story_ids[standing.story_of[matched.keeps[one]]],
                titles[saga_of_cluster[one]],
                standing.ids[heads[one]],
            )
            for one in changed_story.tolist()
        ),
        stories_opened=tuple(
            Opening(titles[one], standing.story_ids[told.came_from[one]], standing.ids[sagas[one]])
            for one in np.flatnonzero(told.keeps == NONE).tolist()
        ),
        stories_merged={standing.story_ids[one]: titles[told.went_to[one]] for one in gone_stories.tolist()},
        heads={names[one]: standing.ids[heads[one]] for one in np.flatnonzero(appointed).tolist()},
        settled=np.concatenate([standing.seqs[standing.free], standing.copy_seqs]),
        looked_at=(int(standing.weights[standing.free].sum()), len(heads), len(sagas)),
    )


def hanging_together(plan: Plan, disturbed: Collection[str], story_of: Mapping[str, str]) -> set[str]:
    """Return the clusters and stories that `plan` ties to those that were disturbed, directly or through others.

    Half of an exchange of articles would leave no sense, and half of a change of stories some without clusters.
    `story_of` names the story of every cluster that the plan merges and that is still there.
    """
    links = [
        *((one.old, one.new) for one in (*plan.moved, *plan.clusters_moved)),
        *((one.id, one.split_from) for one in (*plan.opened, *plan.stories_opened)),
        *((one.id, one.story_id) for one in plan.opened if one.story_id is not None),
        *plan.merged.items(),
        *((one, story_of[one]) for one in plan.merged if one in story_of),
        *((one.id, one.new) for one in plan.clusters_moved),
        *plan.stories_merged.items(),
    ]
    return _closure({*disturbed}, links)


def without(plan: Plan, spared: AbstractSet[str]) -> Plan:
    """Return the plan without what touches the groups in `spared`, which must be all that hang together."""
    return replace(
        plan,
        moved=tuple(one for one in plan.moved if one.old not in spared),
        opened=tuple(one for one in plan.opened if one.id not in spared),
        merged={one: into for one, into in plan.merged.items() if one not in spared},
        clusters_moved=tuple(one for one in plan.clusters_moved if one.id not in spared),
        stories_opened=tuple(one for one in plan.stories_opened if one.id not in spared),
        stories_merged={one: into for one, into in plan.stories_merged.items() if one not in spared},
        heads={one: head for one, head in plan.heads.items() if one not in spared},
    )


def _names(keeps: Numbers, old: Sequence[str], new: Callable[[], str]) -> list[str]:
    return [new() if one == NONE else old[one] for one in keeps.tolist()]


def _closure(start: set[str], links: Sequence[tuple[str, str]]) -> set[str]:
    """Return everything that hangs together with `start` over `links`."""
    near: dict[str, list[str]] = {}
    for one, other in links:
        near.setdefault(one, []).append(other)
        near.setdefault(other, []).append(one)
    found, queue = set(start), list(start)
    while queue:
        for other in near.get(queue.pop(), ()):
            if other not in found:
                found.add(other)
                queue.append(other)
    return found
