"""A plan leads from how things stand to the groups that were wanted, and what is left of one still makes sense."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.plan import (
    MAX_LISTED,
    Move,
    Opening,
    Plan,
    Standing,
    hanging_together,
    leaving,
    make_plan,
    retold,
    without,
)
from service.reconcile import NONE, match

Groups = dict[str, set[str]]


@dataclass
class Model:
    """Articles in clusters, clusters in stories, and the article that stands for each cluster."""

    cluster_of: dict[str, str]
    story_of: dict[str, str]
    head_of: dict[str, str]

    def clusters(self) -> Groups:
        return by_group(self.cluster_of)

    def stories(self) -> Groups:
        return by_group(self.story_of)

    def after(self, plan: Plan) -> Model:
        """The model once a plan is carried out; everything that it names must be where it says."""
        made = Model(dict(self.cluster_of), dict(self.story_of), dict(self.head_of))
        opened = {one.id for one in plan.stories_opened}
        for one in plan.opened:
            assert one.id not in made.story_of
            assert one.split_from in self.story_of
            assert one.story_id in opened | {*self.stories()}
            made.story_of[one.id] = str(one.story_id)
        assert {one.split_from for one in plan.stories_opened} <= {*self.stories()}
        for move in plan.moved:
            assert made.cluster_of[move.id] == move.old != move.new
            made.cluster_of[move.id] = move.new
        for move in plan.clusters_moved:
            assert made.story_of[move.id] == move.old != move.new
            made.story_of[move.id] = move.new
        for gone, into in plan.merged.items():
            assert gone not in made.clusters()
            del made.story_of[gone], made.head_of[gone]
            assert into in made.story_of
        for cluster, story in made.story_of.items():
            made.story_of[cluster] = plan.stories_merged.get(story, story)  # those that nobody looked at
        assert {*plan.stories_merged}.isdisjoint(plan.stories_merged.values())
        assert {*plan.stories_merged.values()} <= {*made.stories()}
        made.head_of |= plan.heads
        return made

    def is_sound(self) -> None:
        """Every article in a cluster that is there, every cluster and story with something inside, and a head from inside."""
        assert self.clusters().keys() == self.story_of.keys() == self.head_of.keys()
        assert all(self.cluster_of[head] == cluster for cluster, head in self.head_of.items())


def by_group(found: dict[str, str]) -> Groups:
    groups = defaultdict(set)
    for one, group in found.items():
        groups[group].add(one)
    return dict(groups)


@dataclass
class Case:
    """How things stand, what is wanted by row, and the same as a model that holds what nobody looks at as well."""

    standing: Standing
    clusters: np.ndarray
    stories: np.ndarray
    model: Model

    def plan(self) -> Plan:
        numbers = count()
        return make_plan(
            self.standing, self.clusters, self.stories, lambda kind: f"new_{kind}_{next(numbers)}"
        )


def partition_of(chance: random.Random, rows: list[int], most: int) -> dict[int, int]:
    """Rows in groups by chance, each labelled by its first row."""
    kinds = {row: chance.randrange(most) for row in rows}
    return {row: min(one for one in rows if kinds[one] == kinds[row]) for row in rows}


def some_case(seed: int) -> Case:
    chance = random.Random(seed)
    size = chance.randint(1, 14)
    old = [chance.randrange(chance.choice([1, 3, 8])) for _ in range(size)]
    # Older groups have lower numbers, and every number is in use.
    number = {group: place for place, group in enumerate(dict.fromkeys(chance.sample(old, size)))}
    old = [number[group] for group in old]
    whole = {group for group in number.values() if old.count(group) == 1 and chance.random() < 0.4}
    free = [group not in whole for group in old]
    first = {group: chance.choice([row for row in range(size) if old[row] == group]) for group in {*old}}
    stories = [chance.randrange(chance.choice([1, 2, 6])) for _ in number]
    told = {story: place for place, story in enumerate(dict.fromkeys(chance.sample(stories, len(stories))))}
    story_of = [told[story] for story in stories]
    standing = Standing(
        ids=[f"art_{row}" for row in range(size)],
        seqs=np.arange(100, 100 + size),
        copy_seqs=np.array([900, 901]),
        weights=np.array([chance.randint(1, 4) for _ in range(size)]),
        clusters=np.array(old),
        free=np.array(free),
        opens=np.array([first[old[row]] == row for row in range(size)]),
        cluster_ids=[f"clu_{group}" for group in range(len(number))],
        story_of=np.array(story_of),
        story_ids=[f"sto_{story}" for story in range(len(told))],
    )
    keeps = {row: old.index(old[row]) for row in range(size)}
    drawn = partition_of(chance, [row for row in range(size) if free[row]], chance.choice([1, 3, 8]))
    drawn = {
        row: keeps[row]
        if chance.random() < 0.3
        and all(drawn.get(one) == drawn.get(row) for one in range(size) if old[one] == old[row])
        else label
        for row, label in drawn.items()
    }
    labels = [drawn.get(row, row) for row in range(size)]
    labels = [labels.index(label) for label in labels]
    heads = sorted({*labels})
    saga = partition_of(chance, heads, chance.choice([1, 2, 6]))
    model = Model(
        {f"art_{row}": f"clu_{old[row]}" for row in range(size)},
        {f"clu_{group}": f"sto_{story_of[group]}" for group in range(len(number))},
        {f"clu_{group}": f"art_{row}" for group, row in first.items()},
    )
    for place in range(chance.randrange(3)):
        model.cluster_of[f"art_beside_{place}"] = f"clu_beside_{place}"
        model.story_of[f"clu_beside_{place}"] = f"sto_{chance.randrange(len(told))}"
        model.head_of[f"clu_beside_{place}"] = f"art_beside_{place}"
    return Case(standing, np.array(labels), np.array([saga[label] for label in labels]), model)


CASES = st.integers(0, 10**9).map(some_case)


def groups_of(labels: np.ndarray, ids: list[str]) -> set[frozenset[str]]:
    return {
        frozenset(members)
        for members in by_group({one: str(label) for one, label in zip(ids, labels, strict=True)}).values()
    }


@given(CASES)
def test_a_plan_leads_to_what_was_wanted(case: Case) -> None:
    """Carried out on a plain model, a plan gives exactly the wanted groups of articles, and of articles by story."""
    plan, standing = case.plan(), case.standing
    after = case.model.after(plan)
    ids = list(standing.ids)
    seen = {one: after.cluster_of[one] for one in ids}

    after.is_sound()
    assert groups_of(case.clusters, ids) == set(map(frozenset, by_group(seen).values()))
    told = {one: after.story_of[cluster] for one, cluster in seen.items()}
    assert groups_of(case.stories, ids) == set(map(frozenset, by_group(told).values()))
    assert {name: one for name, one in case.model.cluster_of.items() if name not in ids} == {
        name: one for name, one in after.cluster_of.items() if name not in ids
    }


@given(CASES)
def test_ids_stay_as_they_are_matched(case: Case) -> None:
    """Each group bears the ID that the matching gives it, a new one where it gives none; what ends leads to what took most."""
    plan, standing = case.plan(), case.standing
    after = case.model.after(plan)
    levels = (
        (standing.clusters, case.clusters, standing.cluster_ids, plan.merged, plan.opened),
        (
            standing.story_of[standing.clusters],
            case.stories,
            standing.story_ids,
            plan.stories_merged,
            plan.stories_opened,
        ),
    )
    bears = (after.cluster_of, {one: after.story_of[cluster] for one, cluster in after.cluster_of.items()})
    for (old, labels, names, merged, opened), found in zip(levels, bears, strict=True):
        heads, new = np.unique(labels, return_inverse=True)
        matched = match(old, new, standing.weights, len(names), len(heads))
        for place, head in enumerate(heads.tolist()):
            name = found[standing.ids[head]]
            kept = int(matched.keeps[place])
            assert (name == names[kept]) if kept != NONE else name.startswith("new_")
            came = [one.split_from for one in opened if one.id == name]
            assert came == ([] if kept != NONE else [names[matched.came_from[place]]])
        gone = {names[one] for one in {*old.tolist()} - {*matched.keeps.tolist()}}
        assert gone == merged.keys()
        for one, into in merged.items():
            went = heads[matched.went_to[names.index(one)]]
            assert found[standing.ids[went]] == into


@given(CASES)
def test_the_label_stands_for_its_cluster(case: Case) -> None:
    plan = case.plan()
    after = case.model.after(plan)

    for row in case.clusters.tolist():
        assert after.head_of[after.cluster_of[f"art_{row}"]] == f"art_{row}"
    assert all(case.model.head_of.get(cluster) != head for cluster, head in plan.heads.items())


@given(CASES)
def test_what_a_plan_says_of_itself(case: Case) -> None:
    """Rows that leave, who is settled, how much was looked at, and whether anything changes."""
    plan, standing = case.plan(), case.standing

    assert [standing.ids[row] for row in leaving(standing, case.clusters).tolist()] == [
        move.id for move in plan.moved
    ]
    assert {standing.ids[row] for row in retold(standing, case.clusters, case.stories).tolist()} == {
        *(one.head for one in plan.opened),
        *(one.head for one in plan.clusters_moved),
    }
    assert sorted([*standing.seqs[standing.free].tolist(), 900, 901]) == sorted(plan.settled.tolist())
    assert plan.looked_at == (
        int(standing.weights[standing.free].sum()),
        len({*case.clusters.tolist()}),
        len({*case.stories.tolist()}),
    )
    same = case.model.after(plan)
    assert plan.changes_nothing == (
        (same.cluster_of, same.story_of) == (case.model.cluster_of, case.model.story_of)
    )
    told = plan.diff()
    assert told["articles_unchanged"] == told["articles"] - len(plan.moved)
    assert told["counts"] == {name: len(told[name]) for name in told["counts"]}
    assert told["complete"]


@given(CASES)
def test_what_stands_already_needs_no_plan(case: Case) -> None:
    standing = case.standing
    rows = range(len(standing.ids))
    old, told = standing.clusters.tolist(), standing.story_of[standing.clusters].tolist()
    case.clusters = np.array([old.index(old[row]) for row in rows])
    case.stories = np.array([told.index(told[row]) for row in rows])

    plan = case.plan()

    assert plan.changes_nothing
    assert set(plan.heads) == {
        cluster
        for cluster, head in case.model.head_of.items()
        if head in standing.ids and not np.isin(standing.ids.index(head), case.clusters)
    }


@given(CASES, st.integers(0, 10**9))
def test_what_is_left_of_a_plan_is_sound(case: Case, seed: int) -> None:
    """Without what hangs together with some groups, those stay exactly as they are and the others get what was wanted."""
    plan, before = case.plan(), case.model
    chance = random.Random(seed)
    ids = [*before.story_of, *before.stories()]
    disturbed = {*chance.sample(ids, chance.randint(0, min(2, len(ids))))}
    spared = hanging_together(plan, disturbed, before.story_of)
    rest = without(plan, spared)

    after, full = before.after(rest), before.after(plan)

    after.is_sound()
    assert disturbed <= spared
    for spoken, wanted in ((after.clusters(), full.clusters()), (after.stories(), full.stories())):
        old = before.clusters() if wanted.keys() & full.story_of.keys() else before.stories()
        assert {one: spoken.get(one) for one in spared & {*old, *wanted}} == {
            one: old.get(one) for one in spared & {*old, *wanted}
        }
        assert {one: members for one, members in spoken.items() if one not in spared} == {
            one: members for one, members in wanted.items() if one not in spared
        }
    assert {one: head for one, head in after.head_of.items() if one in spared} == {
        one: head for one, head in before.head_of.items() if one in spared
    }
    if not disturbed:
        assert replace(rest, settled=plan.settled) == plan


def test_half_an_exchange_is_none() -> None:
    """By hand: a story that would stand empty, because what comes in stays and what goes out goes, is left alone."""
    plan = Plan(
        clusters_moved=(
            Move("clu_x", "sto_s", "sto_t", "art_x"),
            Move("clu_y", "sto_r", "sto_s", "art_y"),
        ),
    )

    assert hanging_together(plan, {"clu_y"}, {}) >= {"clu_x", "sto_s", "sto_t", "sto_r"}
    assert without(plan, hanging_together(plan, {"clu_y"}, {})).changes_nothing


def test_a_story_whose_last_cluster_is_merged_away_is_not_left_empty() -> None:
    """By hand: its only cluster goes into one of another story; whoever touches the story keeps that cluster where it is."""
    plan = Plan(
        merged={"clu_m": "clu_n"},
        moved=(Move("art_m", "clu_m", "clu_n", "art_m"),),
        stories_merged={"sto_m": "sto_n"},
    )
    story_of = {"clu_m": "sto_m"}

    for disturbed in ("sto_m", "sto_n", "clu_m", "clu_n"):
        rest = without(plan, hanging_together(plan, {disturbed}, story_of))
        assert rest.changes_nothing
    assert without(plan, hanging_together(plan, {"clu_other"}, story_of)) is not plan
    assert not without(plan, hanging_together(plan, {"clu_other"}, story_of)).changes_nothing


@pytest.mark.parametrize("excess", [0, 1])
def test_a_long_diff_is_cut_and_says_so(excess: int) -> None:
    size = MAX_LISTED + excess
    told = Plan(
        moved=tuple(Move(f"art_{one}", "clu_1", "clu_2", "") for one in range(size)),
        opened=(Opening("clu_2", "clu_1", "art_0", "sto_1"),),
        looked_at=(size, 2, 1),
    ).diff()

    assert told["complete"] == (not excess)
    assert (told["counts"]["articles_moved"], len(told["articles_moved"])) == (size, MAX_LISTED)
    assert told["clusters_split"] == [{"id": "clu_2", "split_from": "clu_1"}]
    assert told["articles_moved"][0] == {"id": "art_0", "from": "clu_1", "to": "clu_2"}
