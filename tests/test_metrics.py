"""The metrics against published numbers, against brute force and against their own invariants."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from service.gold import GoldArticle, read_gold
from service.metrics import (
    Score,
    ami,
    bcubed,
    ceaf_e,
    copied,
    copy_pairs,
    pairwise,
    sets,
    singleton_rate,
    stories,
)

Metric: TypeAlias = Callable[[Sequence[str], Sequence[str]], Score]
Partitions: TypeAlias = tuple[list[str], list[str]]
CopyOf: TypeAlias = dict[str, str | None]

GOLD = list("AAAABBCD")
PREDICTED = list("11122233")
SINGLETONS = list("12345678")
ONE_CLUSTER = list("11111111")
PERFECT = Score(1.0, 1.0, 1.0)
PARTITION_SCORES = pytest.mark.parametrize("metric", [bcubed, pairwise, ceaf_e], ids=lambda f: f.__name__)
DEVELOPMENT_SET = Path(__file__).resolve().parents[2] / "shared" / "gold" / "dev.ndjson.gz"

# "a\0" beside "a": numpy takes them for one string.
label = st.sampled_from(["a", "b", "c", "d", "e", "a\0", ""])


@st.composite
def two_partitions(draw: st.DrawFn) -> Partitions:
    size = draw(st.integers(1, 14))
    column = st.lists(label, min_size=size, max_size=size)
    return draw(column), draw(column)


@st.composite
def copies(draw: st.DrawFn) -> CopyOf:
    """A mapping as a clusterer may give it: chains, cycles, self-references and outside originals."""
    return draw(st.dictionaries(st.sampled_from("abcdefg"), st.none() | st.sampled_from("abcdefgxy")))


def rounded(score: Score) -> tuple[float, float, float]:
    return round(score.precision, 4), round(score.recall, 4), round(score.f1, 4)


def approximately(score: Score) -> object:
    return pytest.approx((score.precision, score.recall, score.f1), abs=1e-12)


def as_tuple(score: Score) -> tuple[float, float, float]:
    return score.precision, score.recall, score.f1


# --- oracles, written from the definitions ---------------------------------------------------------------


def harmonic(precision: float, recall: float) -> Score:
    f1 = 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
    return Score(precision, recall, f1)


def slow_bcubed(gold: Sequence[str], predicted: Sequence[str], documents: Sequence[int]) -> Score:
    everyone = range(len(gold))
    precisions, recalls = [], []
    for d in documents:
        in_gold = {e for e in everyone if gold[e] == gold[d]}
        in_predicted = {e for e in everyone if predicted[e] == predicted[d]}
        precisions.append(len(in_gold & in_predicted) / len(in_predicted))
        recalls.append(len(in_gold & in_predicted) / len(in_gold))
    return harmonic(fmean(precisions), fmean(recalls))


def score_of_pairs(true: set[frozenset[str]], claimed: set[frozenset[str]]) -> Score:
    agreed = len(true & claimed)
    return harmonic(agreed / len(claimed) if claimed else 1.0, agreed / len(true) if true else 1.0)


def slow_pairwise(gold: Sequence[str], predicted: Sequence[str]) -> Score:
    def together(labels: Sequence[str]) -> set[frozenset[str]]:
        return {
            frozenset((str(i), str(j)))
            for i, j in combinations(range(len(labels)), 2)
            if labels[i] == labels[j]
        }

    return score_of_pairs(together(gold), together(predicted))


def slow_ceaf_e(gold: Sequence[str], predicted: Sequence[str]) -> Score:
    def clusters(labels: Sequence[str]) -> list[set[int]]:
        return [{i for i, other in enumerate(labels) if other == label} for label in sorted(set(labels))]

    golds, predicteds = clusters(gold), clusters(predicted)
    table = np.array([[2 * len(g & c) / (len(g) + len(c)) for g in golds] for c in predicteds])
    best = float(table[linear_sum_assignment(table, maximize=True)].sum())
    return harmonic(best / len(predicteds), best / len(golds))


def slow_copy_pairs(gold: Mapping[str, str | None], predicted: Mapping[str, str | None]) -> Score:
    def closure(copy_of: Mapping[str, str | None]) -> set[frozenset[str]]:
        related = {(a, b) for a, b in copy_of.items() if b is not None}
        related |= {(b, a) for a, b in related}
        while more := {(a, d) for a, b in related for c, d in related if b == c} - related:
            related |= more
        return {frozenset(pair) for pair in related if pair[0] != pair[1]}

    return score_of_pairs(closure(gold), closure(predicted))


# --- the vector of the science document ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "predicted", "expected"),
    [
        (bcubed, PREDICTED, (0.7083, 0.8125, 0.7568)),
        (pairwise, PREDICTED, (0.5714, 0.5714, 0.5714)),
        (ceaf_e, PREDICTED, (0.7746, 0.5810, 0.6639)),
        (bcubed, SINGLETONS, (1.0, 0.5, 0.6667)),
        (pairwise, SINGLETONS, (1.0, 0.0, 0.0)),
        (bcubed, ONE_CLUSTER, (0.3438, 1.0, 0.5116)),
        (pairwise, ONE_CLUSTER, (0.25, 1.0, 0.4)),
    ],
)
def test_vector(metric: Metric, predicted: list[str], expected: tuple[float, float, float]) -> None:
    assert rounded(metric(GOLD, predicted)) == expected


def test_vector_numbers_without_precision_and_recall() -> None:
    assert round(ceaf_e(GOLD, SINGLETONS).f1, 4) == 0.5111
    assert round(ami(GOLD, PREDICTED), 4) == 0.4618
    assert ami(GOLD, SINGLETONS) == pytest.approx(0, abs=1e-12)
    assert ami(GOLD, ONE_CLUSTER) == pytest.approx(0, abs=1e-12)


def test_singletons_earn_2k_over_n_plus_k() -> None:
    clusters, documents = len(set(GOLD)), len(GOLD)
    assert bcubed(GOLD, SINGLETONS).f1 == pytest.approx(2 * clusters / (documents + clusters))


@PARTITION_SCORES
@pytest.mark.parametrize("labels", [GOLD, SINGLETONS, ONE_CLUSTER, ["only"]])
def test_gold_against_itself_is_one(metric: Metric, labels: list[str]) -> None:
    assert metric(labels, labels) == PERFECT
    assert ami(labels, labels) == pytest.approx(1)


def test_pairwise_without_pairs() -> None:
    """No predicted pair: P is 1; no gold pair: R is 1; neither: both."""
    assert pairwise(SINGLETONS, GOLD) == Score(0.0, 1.0, 0.0)
    assert pairwise(GOLD, SINGLETONS) == Score(1.0, 0.0, 0.0)
    assert pairwise(SINGLETONS, SINGLETONS[::-1]) == PERFECT


def test_shared_none_cluster_is_refused() -> None:
    """Trap 4: unassigned documents would make one huge false event."""
    labels: list[str] = ["A", None, None]  # type: ignore[list-item]
    for gold, predicted in ((labels, ["A", "B", "C"]), (["A", "B", "C"], labels)):
        with pytest.raises(ValueError, match="label of its own"):
            bcubed(gold, predicted)


# --- against the oracles ---------------------------------------------------------------------------------


@given(two_partitions())
def test_bcubed_equals_the_definition(partitions: Partitions) -> None:
    gold, predicted = partitions
    assert as_tuple(bcubed(gold, predicted)) == approximately(slow_bcubed(gold, predicted, range(len(gold))))


@given(two_partitions(), st.data())
def test_bcubed_over_a_slice_counts_all_documents(partitions: Partitions, data: st.DataObject) -> None:
    gold, predicted = partitions
    size = len(gold)
    over = data.draw(st.lists(st.booleans(), min_size=size, max_size=size).filter(any))
    chosen = [d for d in range(size) if over[d]]
    assert as_tuple(bcubed(gold, predicted, over)) == approximately(slow_bcubed(gold, predicted, chosen))


@given(two_partitions())
def test_pairwise_equals_enumeration(partitions: Partitions) -> None:
    assert as_tuple(pairwise(*partitions)) == approximately(slow_pairwise(*partitions))


@given(two_partitions())
def test_ceaf_e_equals_the_full_assignment(partitions: Partitions) -> None:
    assert as_tuple(ceaf_e(*partitions)) == approximately(slow_ceaf_e(*partitions))


@pytest.mark.parametrize("seed", range(3))
def test_ceaf_e_equals_the_full_assignment_on_many_components(seed: int) -> None:
    """News-like: hundreds of small clusters, some split, some joined."""
    chance = random.Random(seed)
    gold = [str(chance.randrange(150)) for _ in range(300)]
    predicted = [g if chance.random() < 0.8 else str(chance.randrange(200)) for g in gold]
    assert as_tuple(ceaf_e(gold, predicted)) == approximately(slow_ceaf_e(gold, predicted))


@given(copies(), copies())
def test_copy_pairs_equal_the_transitive_closure(gold: CopyOf, predicted: CopyOf) -> None:
    if gold or predicted:
        assert as_tuple(copy_pairs(gold, predicted)) == approximately(slow_copy_pairs(gold, predicted))


@given(copies(), copies())
def test_pairs_of_copies_score_as_copy_pairs_do(gold: CopyOf, predicted: CopyOf) -> None:
    if gold or predicted:
        score = sets(copied(gold), copied(predicted))
        assert as_tuple(score) == approximately(copy_pairs(gold, predicted))
        assert all(first < second for first, second in copied(gold))


@given(st.lists(label, min_size=1))
def test_singleton_rate_is_the_share_of_documents_alone(labels: list[str]) -> None:
    assert singleton_rate(labels) == sum(labels.count(x) == 1 for x in labels) / len(labels)


# --- invariants ------------------------------------------------------------------------------------------


@PARTITION_SCORES
@given(partitions=two_partitions())
def test_names_of_clusters_do_not_matter(metric: Metric, partitions: Partitions) -> None:
    gold, predicted = partitions
    renamed = [f"cluster-{sorted(set(predicted), reverse=True).index(x)}" for x in predicted]
    assert as_tuple(metric(gold, renamed)) == approximately(metric(gold, predicted))
    assert ami(gold, renamed) == pytest.approx(ami(gold, predicted), abs=1e-9)


@PARTITION_SCORES
@given(partitions=two_partitions(), chance=st.randoms(use_true_random=False))
def test_order_of_documents_does_not_matter(
    metric: Metric, partitions: Partitions, chance: random.Random
) -> None:
    gold, predicted = partitions
    order = chance.sample(range(len(gold)), len(gold))
    shuffled = [gold[i] for i in order], [predicted[i] for i in order]
    assert as_tuple(metric(*shuffled)) == approximately(metric(gold, predicted))
    assert ami(*shuffled) == pytest.approx(ami(gold, predicted), abs=1e-9)


@PARTITION_SCORES
@given(partitions=two_partitions())
def test_swapping_sides_swaps_precision_and_recall(metric: Metric, partitions: Partitions) -> None:
    gold, predicted = partitions
    swapped = metric(predicted, gold)
    assert (swapped.recall, swapped.precision, swapped.f1) == approximately(metric(gold, predicted))


@PARTITION_SCORES
@given(partitions=two_partitions())
def test_one_means_equal_partitions(metric: Metric, partitions: Partitions) -> None:
    gold, predicted = partitions
    same = len(set(zip(gold, predicted, strict=True))) == len(set(gold)) == len(set(predicted))
    assert (metric(gold, predicted).f1 == pytest.approx(1, abs=1e-12)) == same


# --- slices, stories, copies, rates ----------------------------------------------------------------------


def test_wrong_merge_across_the_border_of_a_slice_costs_precision() -> None:
    """Trap 5: scored alone, the slice would look perfect."""
    gold, predicted = ["A", "A", "B", "B"], ["1", "1", "1", "1"]
    assert bcubed(gold[:2], predicted[:2]) == PERFECT
    assert bcubed(gold, predicted, over=[True, True, False, False]).precision == 0.5


def test_story_of_null_is_the_event_alone() -> None:
    story = ["s", "s", None, None, None]
    cluster = ["e1", "e2", "e3", "e3", "e4"]
    assert stories(story, cluster, ["1", "1", "2", "2", "3"]) == (PERFECT, PERFECT)
    everything, _ = stories(story, cluster, ["1", "1", "2", "2", "2"])
    assert everything.precision == pytest.approx((2 + 2 * 2 / 3 + 1 / 3) / 5)


def test_outsider_drawn_into_a_story_costs_precision() -> None:
    _, told = stories(["s", "s", None], ["e1", "e2", "e3"], ["1", "1", "1"])
    assert told == harmonic(2 / 3, 1.0)


def test_story_named_like_an_event_stays_apart() -> None:
    """One gold file has such a name."""
    assert stories(["banjir", None], ["e1", "banjir"], ["1", "2"]) == (PERFECT, PERFECT)
    assert stories(["event banjir", None], ["e1", "banjir"], ["1", "2"]) == (PERFECT, PERFECT)


def test_copies_are_closed_over_the_first_text() -> None:
    """Two copies of one text are copies of each other; a chain says the same as a star."""
    star = {"a": None, "b": "a", "c": "a", "d": None}
    chain = {"a": None, "b": "a", "c": "b", "d": None}
    assert copy_pairs(star, chain) == PERFECT
    assert copy_pairs(star, {"a": None, "b": "a", "c": None, "d": None}) == harmonic(1.0, 1 / 3)
    assert copy_pairs(star, {**star, "d": "a"}) == harmonic(3 / 6, 1.0)


def test_copies_without_pairs_and_with_unnamed_documents() -> None:
    assert copy_pairs({"a": None, "b": None}, {"a": None}) == PERFECT
    assert copy_pairs({"a": None, "b": None}, {"b": "a"}) == Score(0.0, 1.0, 0.0)
    assert copy_pairs({"b": "a"}, {}) == Score(1.0, 0.0, 0.0)


def test_long_chain_of_copies() -> None:
    chain = {str(i): str(i - 1) if i else None for i in range(5000)}
    assert copy_pairs(chain, {str(i): "0" if i else None for i in range(5000)}) == PERFECT


def test_singleton_rate() -> None:
    assert singleton_rate(GOLD) == 2 / 8
    assert singleton_rate(SINGLETONS) == 1
    assert singleton_rate(ONE_CLUSTER) == 0


# --- refusals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scored",
    [
        lambda: bcubed([], []),
        lambda: bcubed(["A"], ["1"], over=[False]),
        lambda: pairwise([], []),
        lambda: ceaf_e([], []),
        lambda: ami([], []),
        lambda: copy_pairs({}, {}),
        lambda: stories([None], ["e"], ["1"]),
        lambda: singleton_rate([]),
    ],
)
def test_empty_slice_is_not_scored(scored: Callable[[], object]) -> None:
    """Trap 9."""
    with pytest.raises(ValueError, match="skip an empty slice"):
        scored()


@pytest.mark.parametrize(
    "scored",
    [
        lambda: bcubed(["A"], ["1", "2"]),
        lambda: bcubed(["A"], ["1"], over=[True, False]),
        lambda: pairwise(["A", "B"], ["1"]),
        lambda: ceaf_e(["A"], ["1", "2"]),
        lambda: ami(["A"], ["1", "2"]),
        lambda: stories([None], ["e", "f"], ["1"]),
        lambda: stories(["s"], ["e"], ["1", "2"]),
    ],
)
def test_unequal_lengths_are_refused(scored: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="one per document"):
        scored()


# --- size ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("agreement", [0.0, 0.7])
def test_ceaf_e_is_quick_at_5000_documents(agreement: float) -> None:
    """Even where chance ties nearly all clusters into one component (agreement 0)."""
    chance = random.Random(0)
    gold = [str(chance.randrange(2500)) for _ in range(5000)]
    predicted = [g if chance.random() < agreement else str(chance.randrange(2500)) for g in gold]
    start = time.process_time()
    ceaf_e(gold, predicted)
    assert time.process_time() - start < 2


# --- the development set ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def development_set() -> list[GoldArticle]:
    if not DEVELOPMENT_SET.exists():
        pytest.skip("the development gold set is third-party news and lies beside the checkout only")
    return read_gold(DEVELOPMENT_SET)


@pytest.mark.shared
def test_floor_of_all_singletons(development_set: list[GoldArticle]) -> None:
    """Trap 1."""
    gold = [article.cluster for article in development_set]
    alone = [article.external_id for article in development_set]
    assert round(bcubed(gold, alone).f1, 3) == 0.754
    assert round(ceaf_e(gold, alone).f1, 3) == 0.664
    assert pairwise(gold, alone).f1 == 0
    assert ami(gold, alone) == pytest.approx(0, abs=1e-9)


@pytest.mark.shared
def test_floor_of_whole_stories_as_events(development_set: list[GoldArticle]) -> None:
    """Trap 2."""
    gold = [article.cluster for article in development_set]
    merged = [article.story or article.cluster for article in development_set]
    assert round(bcubed(gold, merged).f1, 3) == 0.757
    assert round(ceaf_e(gold, merged).f1, 3) == 0.760
    assert round(pairwise(gold, merged).f1, 3) == 0.099
    assert round(pairwise(gold, merged).precision, 3) == 0.052


@pytest.mark.shared
def test_floor_of_linking_nothing(development_set: list[GoldArticle]) -> None:
    story = [article.story for article in development_set]
    cluster = [article.cluster for article in development_set]
    everything, told = stories(story, cluster, cluster)
    assert round(everything.f1, 3) == 0.757
    assert round(told.f1, 3) == 0.424


@pytest.mark.shared
def test_gold_singletons_as_one_cluster(development_set: list[GoldArticle]) -> None:
    """Trap 4: what a perfect prediction would earn if null were a cluster."""
    cluster = [article.cluster for article in development_set]
    alone = {label for label in cluster if label.startswith("single-")}
    wrong = ["none" if label in alone else label for label in cluster]
    assert round(bcubed(wrong, cluster).f1, 3) == 0.707
    assert round(singleton_rate(cluster), 3) == round(1858 / 4094, 3)


@pytest.mark.shared
def test_labelled_copies_against_themselves(development_set: list[GoldArticle]) -> None:
    copy_of = {article.external_id: article.copy_of for article in development_set}
    assert copy_pairs(copy_of, copy_of) == PERFECT
    assert copy_pairs(copy_of, dict.fromkeys(copy_of)) == Score(1.0, 0.0, 0.0)
