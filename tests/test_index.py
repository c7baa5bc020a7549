"""The index against brute force, over random histories of adding, removing and searching."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import numpy as np
import pytest
from helpers import article_vectors, term_weights
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from embeddings import dense as dense_module
from embeddings import found as found_module
from embeddings.centroids import Centroids, centroids_for
from embeddings.encoder import quantise
from embeddings.index import NeighbourIndex, Reach
from embeddings.shelf import Shelf
from embeddings.wordtable import WordTable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    import numpy.typing as npt

DIMENSION = 3
Article = tuple[list[int], float, dict[int, float]]
"""Codes, hours and lead terms."""


class Oracle:
    """The promises of `NeighbourIndex`, looked up one pair at a time."""

    def __init__(self, reach: Reach, centroids: npt.NDArray[np.int8] | None = None) -> None:
        self.reach = reach
        self.centroids = centroids
        self.articles: list[Article] = []
        self._lists: dict[tuple[int, ...], list[int]] = {}

    def near(self, row: int, other: int) -> bool:
        hours = abs(self.articles[row][1] - self.articles[other][1])
        return row != other and hours <= self.reach.horizon_days * 24

    def slice(self, row: int) -> int:
        return math.floor(self.articles[row][1] / 24 / self.reach.slice_days)

    def lists(self, row: int) -> list[int]:
        """All lists, the one with the largest product first."""
        codes = tuple(self.articles[row][0])
        if codes not in self._lists:
            assert self.centroids is not None
            products = self.centroids.astype(int) @ np.array(codes)
            self._lists[codes] = sorted(range(len(products)), key=lambda number: (-products[number], number))
        return self._lists[codes]

    def looked_at(self, row: int, members: Collection[int]) -> list[int]:
        """Those in small slices, and in larger ones those in the nearest lists: more within a slice of the row's own."""
        if self.centroids is None:
            return list(members)
        held = Counter(self.slice(one) for one in members if any(self.articles[one][0]))
        mine = self.lists(row)
        near, far = mine[: self.reach.near_lists], mine[: self.reach.far_lists]
        return [
            other
            for other in members
            if held[self.slice(other)] <= self.reach.flat_rows
            or self.lists(other)[0] in (near if abs(self.slice(row) - self.slice(other)) <= 1 else far)
        ]

    def dense(self, row: int, members: Collection[int]) -> list[int]:
        scores = {
            other: sum(a * b for a, b in zip(self.articles[row][0], self.articles[other][0], strict=True))
            for other in self.looked_at(row, members)
            if self.near(row, other)
        }
        found = [other for other, score in scores.items() if score > 0]
        return sorted(found, key=lambda other: (-scores[other], other))[: self.reach.dense_k]

    def heaviest(self, row: int) -> dict[int, float]:
        weights = self.articles[row][2]
        kept = sorted(weights, key=lambda term: (-weights[term], term))[: self.reach.query_terms]
        return {term: weights[term] for term in kept}

    def terms(self, row: int, members: Iterable[int]) -> list[int]:
        sharers: dict[tuple[int, int], list[int]] = defaultdict(list)
        rows: Counter[int] = Counter()
        for other in members:
            partition = math.floor(self.articles[other][1] / 24 / self.reach.partition_days)
            rows[partition] += 1
            for term in self.heaviest(other):
                sharers[partition, term].append(other)
        totals: Counter[int] = Counter()
        own = self.heaviest(row)
        for (partition, term), others in sharers.items():
            part = min(rows[partition] // self.reach.posting_part, self.reach.posting_most)
            if term in own and len(others) <= max(self.reach.posting_cap, part):
                for other in others:
                    totals[other] += round(own[term] * 1000)
        found = [other for other in totals if self.near(row, other)]
        return sorted(found, key=lambda other: (-totals[other], other))[: self.reach.term_k]


# Quarter days around 1970, so that articles stand on the edges of partitions and of the horizon.
HOURS = st.integers(-16, 16).map(lambda part: part * 6.0)
CODES = st.lists(st.integers(-2, 2), min_size=DIMENSION, max_size=DIMENSION)
ARTICLES = st.tuples(CODES | st.just([1, 1, 0]), HOURS, term_weights(max_id=5, max_size=4))
REACHES = st.builds(
    Reach,
    st.just("lead"),
    horizon_days=st.sampled_from([0.0, 0.5, 1.25, 3.0, 30.0]),
    partition_days=st.sampled_from([0.5, 1.0, 2.5, 60.0]),
    slice_days=st.sampled_from([0.5, 1.5, 60.0]),
    flat_rows=st.sampled_from([0, 2, 5, 1000]),
    near_lists=st.just(2),
    far_lists=st.just(1),
    dense_k=st.integers(1, 4),
    term_k=st.integers(1, 4),
    query_terms=st.integers(1, 4),
    posting_cap=st.integers(1, 5),
    posting_part=st.integers(1, 4),
    posting_most=st.integers(0, 6),
)


# No code of whole numbers up to 3 has the same product with two of them, but the code of zeros, which nobody looks for.
CENTROIDS = np.array([[113, 11, 1], [-101, 13, 2], [3, 109, -17], [5, -103, 19], [1, 23, 107]], dtype=np.int8)


class IndexHistory(RuleBasedStateMachine):
    """Articles arrive in batches, leave, come back, and are asked for their neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.live: set[int] = set()
        self.shelf = Shelf(DIMENSION)

    @initialize(reach=REACHES, listed=st.booleans())
    def open(self, reach: Reach, *, listed: bool) -> None:
        self.oracle = Oracle(reach, CENTROIDS if listed else None)
        self.shelf.centroids = Centroids(CENTROIDS) if listed else None
        self.index = NeighbourIndex(self.shelf, reach)

    @rule(articles=st.lists(ARTICLES, min_size=1, max_size=8))
    def arrive(self, articles: list[Article]) -> None:
        self.oracle.articles += articles
        rows = self.shelf.extend(
            [article_vectors(codes, lead=terms) for codes, _, terms in articles],
            [hours for _, hours, _ in articles],
            [0] * len(articles),
        )
        dense = self.index.by_dense(rows, rows)
        terms = self.index.by_terms(rows, add=True)
        self.index.add_dense(rows)
        for row, *found in zip(rows, dense, terms, strict=True):
            expected = [self.oracle.dense(row, self.live), self.oracle.terms(row, self.live)]
            assert expected == [part.tolist() for part in found]
            self.live.add(row)

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        row = data.draw(st.integers(0, len(self.oracle.articles) + 2))
        if row < len(self.oracle.articles):
            self.index.remove(row)
            self.live.discard(row)

    @rule(data=st.data())
    def come_back(self, data: st.DataObject) -> None:
        gone = sorted(set(range(len(self.oracle.articles))) - self.live)
        if gone:
            rows = data.draw(st.lists(st.sampled_from(gone), unique=True))
            if data.draw(st.booleans()):
                self.index.add(rows)
            else:
                for row in rows:
                    self.index.add_terms(row)
                self.index.add_dense(rows)
            self.live.update(rows)

    @rule(data=st.data())
    def ask(self, data: st.DataObject) -> None:
        rows = range(len(self.oracle.articles))
        asked = data.draw(st.lists(st.sampled_from(rows), max_size=6)) if rows else []
        dense, terms = self.index.by_dense(asked), self.index.by_terms(asked)

        assert [self.oracle.dense(row, self.live) for row in asked] == [part.tolist() for part in dense]
        assert [self.oracle.terms(row, self.live) for row in asked] == [part.tolist() for part in terms]

    @rule(data=st.data())
    def take_turns(self, data: st.DataObject) -> None:
        """Every row once; where all of a slice stands in lists, rows of one list follow one another."""
        rows = range(len(self.oracle.articles))
        asked = data.draw(st.lists(st.sampled_from(rows), unique=True)) if rows else []
        turns = self.index.in_turn(np.array(asked, dtype=np.int64)).tolist()
        assert sorted(turns) == sorted(asked)
        if self.oracle.centroids is not None and self.oracle.reach.flat_rows == 0:
            coded = [row for row in turns if row in self.live and any(self.oracle.articles[row][0])]
            places = [
                (
                    self.oracle.articles[row][1] // (self.oracle.reach.slice_days * 24),
                    int(np.argmax(CENTROIDS.astype(int) @ self.oracle.articles[row][0])),
                )
                for row in coded
            ]
            assert places == sorted(places)
            assert turns[: len(coded)] == coded

    @rule(data=st.data())
    def add_again(self, data: st.DataObject) -> None:
        if self.live:
            row = data.draw(st.sampled_from(sorted(self.live)))
            with pytest.raises(ValueError, match="already"):
                self.index.add_terms(row)
            if any(self.oracle.articles[row][0]):
                with pytest.raises(ValueError, match="twice"):
                    self.index.add_dense([row])

    @invariant()
    def holds_the_live_rows(self) -> None:
        if hasattr(self, "index"):
            rows = range(len(self.oracle.articles))
            assert self.live == {row for row in rows if row in self.index}
            assert len(self.live) == len(self.index)


@pytest.mark.parametrize("spare", [0, dense_module.SPARE])
@pytest.mark.parametrize("key_bits", [0, 63])
def test_any_history_gives_the_answers_of_brute_force(
    spare: int, key_bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dense and term searches equal brute force whatever was added, removed and asked before."""
    monkeypatch.setattr(dense_module, "SPARE", spare)
    monkeypatch.setattr(found_module, "KEY_BITS", key_bits)
    run_state_machine_as_test(
        IndexHistory, settings=settings(deadline=None, max_examples=40, stateful_step_count=20)
    )


@pytest.mark.parametrize("dimension", [7, 256, 384])
def test_every_code_is_compared_exactly(dimension: int) -> None:
    """Codes from -127 to 127 score as whole numbers do, and the order of near ties is kept."""
    chance = np.random.default_rng(dimension)
    codes = chance.integers(-127, 128, (300, dimension))
    codes[:100] = np.where(chance.random((100, dimension)) < 0.5, -127, 127)
    shelf = Shelf(dimension)
    shelf.extend([article_vectors(row.tolist()) for row in codes], [0] * 300, [0] * 300)
    index = NeighbourIndex(shelf, Reach("lead", horizon_days=1, partition_days=1, dense_k=40))
    index.add_dense(range(300))
    scores = codes @ codes.T
    for row, found in enumerate(index.by_dense(range(300))):
        better = [other for other in range(300) if other != row and scores[row, other] > 0]
        best = sorted(better, key=lambda other: (-scores[row, other], other))[:40]
        assert best == found.tolist()


def random_stream(seed: int, size: int, days: float) -> list[Article]:
    """A stream in loose order of time, with duplicates, near duplicates, ties and articles without a code."""
    chance = np.random.default_rng(seed)
    articles: list[Article] = []
    for position in range(size):
        hours = round(24 * days * (position / size - 0.5) + float(chance.normal(0, 24)), 2)
        codes = chance.integers(-3, 4, DIMENSION).tolist()
        if articles and chance.random() < 0.5:
            codes = articles[int(chance.integers(len(articles)))][0]
        terms = {int(term): int(chance.integers(1, 9)) / 8 for term in chance.zipf(1.4, 8) if term < 500}
        articles.append((codes, hours, terms))
    return articles


def shelved(articles: Sequence[Article], dimension: int = DIMENSION) -> Shelf:
    shelf = Shelf(dimension)
    shelf.extend(
        [article_vectors(codes, lead=terms) for codes, _, terms in articles],
        [hours for _, hours, _ in articles],
        [0] * len(articles),
    )
    return shelf


def replay(shelf: Shelf, reach: Reach, size: int) -> list[tuple[list[int], list[int]]]:
    """Answers of dense and term searches when articles come in batches of `size`."""
    index = NeighbourIndex(shelf, reach)
    answers: list[tuple[list[int], list[int]]] = []
    for start in range(0, len(shelf), size):
        rows = range(start, min(start + size, len(shelf)))
        dense, terms = index.by_dense(rows, rows), index.by_terms(rows, add=True)
        index.add_dense(rows)
        answers += [(near.tolist(), sharing.tolist()) for near, sharing in zip(dense, terms, strict=True)]
    return answers


@pytest.mark.parametrize(
    "reach",
    [
        Reach("lead", horizon_days=14, partition_days=7),
        Reach("lead", horizon_days=3, partition_days=30, posting_cap=40),
        Reach("lead", horizon_days=400, partition_days=1, dense_k=500),
    ],
    ids=["as in service", "horizon within a partition", "more neighbours than rows"],
)
def test_every_cut_of_the_stream_gives_the_answers_of_brute_force(reach: Reach) -> None:
    """Batches of any size answer as if the rows had been added one by one; before 1970 as after."""
    articles = random_stream(5, 250, days=60)
    oracle = Oracle(reach)
    oracle.articles = articles
    expected = [
        (oracle.dense(row, range(row)), oracle.terms(row, range(row))) for row in range(len(articles))
    ]
    shelf = shelved(articles)

    for size in (1, 2, 37, 250):
        assert expected == replay(shelf, reach, size)


@pytest.mark.parametrize("flat_rows", [0, 15, 30])
def test_lists_give_the_same_answers_for_every_cut_of_the_stream(flat_rows: int) -> None:
    """Where slices grow beyond what is looked at whole, each row still sees what it would see after those before it."""
    reach = Reach("lead", 14, 7, slice_days=10, flat_rows=flat_rows, near_lists=2, far_lists=1)
    articles = random_stream(6, 200, days=60)
    oracle = Oracle(reach, CENTROIDS)
    oracle.articles = articles
    expected = [
        (oracle.dense(row, range(row)), oracle.terms(row, range(row))) for row in range(len(articles))
    ]
    shelf = shelved(articles)
    shelf.centroids = Centroids(CENTROIDS)

    for size in (1, 2, 37, 200):
        assert expected == replay(shelf, reach, size)
    oracle.centroids = None
    assert expected != [
        (oracle.dense(row, range(row)), oracle.terms(row, range(row))) for row in range(len(articles))
    ]


def test_centroids_belong_to_one_encoder() -> None:
    """The bundled encoder has its own, of its dimension; any other has none, and is searched whole."""
    encoder = WordTable()

    found = centroids_for(encoder.name)

    assert found is not None
    codes = quantise(encoder.encode(["banjir bandang di desa", "pasar saham menguat"]))
    assert found.nearest(codes, 3).shape == (2, 3)
    assert centroids_for("all-MiniLM-L6-v2@hub") is None


def test_the_nearest_lists_are_those_of_the_largest_products() -> None:
    """By brute force, whatever else is asked at the same time, and all of them where more are asked for."""
    chance = np.random.default_rng(4)
    columns = chance.integers(-127, 128, (50, 256)).astype(np.int8)
    codes = chance.integers(-127, 128, (40, 256)).astype(np.int8)
    order = np.argsort(-(codes.astype(np.int64) @ columns.T), axis=1)
    centroids = Centroids(columns)

    for count in (1, 7, 50, 80):
        assert (centroids.nearest(codes, count) == order[:, :count]).all()
        assert (centroids.nearest(codes[3:4], count) == order[3:4, :count]).all()


def test_scores_are_exact_whatever_the_batch() -> None:
    """Products of long, large codes that differ by one are told apart, alone and in bulk."""
    chance = np.random.default_rng(3)
    base = chance.choice(np.array([-127, -126, 126, 127]), 1024)
    rows: list[list[int]] = []
    for _ in range(120):
        codes = base.copy()
        changed = chance.integers(0, 1024, 3)
        codes[changed] -= np.sign(codes[changed])
        rows.append(codes.tolist())
    reach = Reach("lead", horizon_days=1, partition_days=1, dense_k=20)
    oracle = Oracle(reach)
    oracle.articles = [(codes, 0.0, {}) for codes in rows]
    shelf = shelved(oracle.articles, 1024)
    expected = [(oracle.dense(row, range(row)), list[int]()) for row in range(len(rows))]
    full = NeighbourIndex(shelf, reach)
    full.add_dense(range(len(rows)))

    for size in (1, 7, 120):
        assert expected == replay(shelf, reach, size)
    together = [found.tolist() for found in full.by_dense(range(len(rows)))]
    assert [oracle.dense(row, range(len(rows))) for row in range(len(rows))] == together
    assert together == [full.by_dense([row])[0].tolist() for row in range(len(rows))]


def dense_only(scores: Sequence[int], hours: Sequence[float], reach: Reach) -> list[int]:
    """The neighbours of a last row with code 1 at hour 0 among rows with these codes and hours."""
    articles: list[Article] = [([score], hour, {}) for score, hour in zip(scores, hours, strict=True)]
    shelf = shelved([*articles, ([1], 0.0, {})], 1)
    index = NeighbourIndex(shelf, reach)
    index.add_dense(range(len(scores)))
    (found,) = index.by_dense([len(scores)])
    return [int(row) for row in found]


def test_of_equal_rows_the_lowest_are_found() -> None:
    """A wire story printed a hundred times keeps its first rows in reach, also when a better row comes later."""
    reach = Reach("lead", horizon_days=1, partition_days=1, dense_k=3)

    assert dense_only([5] * 100, [0] * 100, reach) == [0, 1, 2]
    assert dense_only([5] * 50 + [7] + [5] * 49, [0] * 100, reach) == [50, 0, 1]


def test_rows_beyond_the_horizon_hide_no_one() -> None:
    """Many better rows in the same partition but out of reach do not take the places of those within."""
    reach = Reach("lead", horizon_days=1, partition_days=10, dense_k=3)

    assert dense_only([9] * 90 + [4, 0, 5, -2], [25.0] * 90 + [24.0] * 4, reach) == [92, 90]


def test_the_horizon_includes_its_edge() -> None:
    """An article exactly the horizon away is near, on either side; one minute more is not."""
    reach = Reach("lead", horizon_days=1, partition_days=0.25, dense_k=9, term_k=9)
    hours = [-24.0, 24.0, -24 - 1 / 60, 24 + 1 / 60, 0.0]
    articles: list[Article] = [([1], hour, {1: 1.0}) for hour in hours]
    index = NeighbourIndex(shelved(articles, 1), reach)
    for row in range(5):
        index.add_terms(row)
    index.add_dense(range(5))

    assert [part.tolist() for part in (*index.by_dense([4]), *index.by_terms([4]))] == [[0, 1], [0, 1]]


def test_frequent_terms_find_nobody() -> None:
    """A term that more than `posting_cap` articles of a partition share is not followed there."""
    articles: list[Article] = [([0], hour, {1: 1.0}) for hour in (0, 0, 0, 30, 30, 0)]
    index = NeighbourIndex(shelved(articles, 1), Reach("lead", 9, 1, posting_cap=2))
    for row in range(5):
        index.add_terms(row)

    assert index.by_terms([5])[0].tolist() == [3, 4]
    index.remove(0)
    assert index.by_terms([5])[0].tolist() == [1, 2, 3, 4]


def test_terms_come_from_the_field_of_the_reach() -> None:
    """An index over names does not see leads."""
    shelf = Shelf(1)
    shelf.extend(
        [article_vectors([0], lead={1: 1.0}, names={row: 1.0}) for row in (7, 8, 7)], [0] * 3, [0] * 3
    )
    index = NeighbourIndex(shelf, Reach("names", 1, 1))
    for row in range(3):
        index.add_terms(row)

    assert [part.tolist() for part in index.by_terms(range(3))] == [[2], [], [0]]


def test_a_refused_batch_adds_nothing() -> None:
    """When one row is there already, or comes twice in the batch, none of the batch is added."""
    articles: list[Article] = [([1], 0.0, {})] * 4
    index = NeighbourIndex(shelved(articles, 1), Reach("lead", 1, 1))
    index.add_dense([0])

    for batch in ([1, 0], [1, 1]):
        with pytest.raises(ValueError, match="twice"):
            index.add_dense(batch)
    assert index.by_dense([3])[0].tolist() == [0]


def forgotten(kept: Collection[int], removed: Collection[int], articles: Sequence[Article]) -> bool:
    """Whether an index that forgot `removed` answers like one that never had them."""
    reach = Reach("lead", horizon_days=9, partition_days=4)
    shelf = shelved(articles)
    used, fresh = NeighbourIndex(shelf, reach), NeighbourIndex(shelf, reach)
    for row in sorted([*kept, *removed]):
        used.add_terms(row)
    used.add_dense(sorted([*kept, *removed]))
    for row in removed:
        used.remove(row)
        used.remove(row)
    for row in kept:
        fresh.add_terms(row)
    fresh.add_dense(sorted(kept))
    rows = range(len(articles))
    answers = [
        [part.tolist() for part in (*index.by_dense(rows), *index.by_terms(rows))] for index in (used, fresh)
    ]
    return answers[0] == answers[1]


@pytest.mark.parametrize("share", [2, 3, 1])
def test_removing_forgets(share: int) -> None:
    """After removing, once or twice, answers are those of an index that never knew the rows."""
    articles = random_stream(11, 150, days=30)
    removed = range(0, 150, share)

    assert forgotten([row for row in range(150) if row not in removed], removed, articles)


def test_an_empty_index_finds_nothing() -> None:
    """Nothing is found where nothing is, and asking for nothing gives nothing."""
    index = NeighbourIndex(shelved([([1], 0.0, {1: 1.0})], 1), Reach("lead", 1, 1))

    assert [found.tolist() for found in index.by_dense([0], [0])] == [[]]
    assert [found.tolist() for found in index.by_terms([0])] == [[]]
    assert index.by_dense([]) == index.by_terms([]) == []
    index.add_dense([])
    index.remove(0)
    assert (len(index), 0 in index) == (0, False)
