"""Company against brute force: whom an article is compared with, on arrival and in a whole."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from helpers import article_vectors, term_weights, unhurried
from hypothesis import given, settings
from hypothesis import strategies as st

from embeddings.company import EVENT, STORY, Company, earlier_company, whole_company
from embeddings.index import NeighbourIndex, Reach
from embeddings.shelf import Shelf

Article = tuple[list[int], float, dict[int, float]]
"""Codes, hours and lead terms."""
Pairs = list[tuple[int, int]]

ARTICLES = st.lists(
    st.tuples(
        st.lists(st.integers(-2, 2), min_size=3, max_size=3) | st.just([1, 1, 0]),
        st.integers(-16, 16).map(lambda part: part * 6.0),
        term_weights(max_id=6, max_size=4),
    ),
    max_size=10,
)
TIGHT = st.builds(
    Reach,
    st.just("lead"),
    horizon_days=st.sampled_from([0.0, 1.25, 3.0]),
    partition_days=st.sampled_from([0.5, 2.5]),
    dense_k=st.integers(1, 3),
    term_k=st.integers(1, 3),
    query_terms=st.integers(1, 4),
    posting_cap=st.just(20),
)
WIDE = Reach("lead", 3.0, 2.5, dense_k=20, term_k=20, query_terms=20, posting_cap=20)
"""A reach in which no cap bites."""


def shelved(articles: list[Article]) -> Shelf:
    shelf = Shelf(3)
    shelf.extend(
        [article_vectors(codes, lead=terms) for codes, _, terms in articles],
        [hours for _, hours, _ in articles],
        [0] * len(articles),
    )
    return shelf


def brute(articles: list[Article], reach: Reach, row: int, members: range) -> set[int]:
    """The nearest by dense code, and those that share the most and rarest of the row's heaviest terms."""

    def heaviest(number: int) -> dict[int, float]:
        ordered = sorted(articles[number][2].items(), key=lambda item: (-item[1], item[0]))
        return dict(ordered[: reach.query_terms])

    def best(scores: dict[int, int], limit: int) -> list[int]:
        return sorted(
            (other for other in scores if scores[other] > 0), key=lambda other: (-scores[other], other)
        )[:limit]

    codes, hours, _ = articles[row]
    near = [
        other
        for other in members
        if other != row and abs(articles[other][1] - hours) <= reach.horizon_days * 24
    ]
    dense = {other: sum(a * b for a, b in zip(codes, articles[other][0], strict=True)) for other in near}
    own = heaviest(row)
    shared = {
        other: sum(round(own[term] * 1000) for term in own.keys() & heaviest(other).keys()) for other in near
    }
    return {*best(dense, reach.dense_k), *best(shared, reach.term_k)}


def listed(company: tuple[Any, Any]) -> Pairs:
    left, right = company
    assert left.dtype == right.dtype == np.intp
    return list(zip(left.tolist(), right.tolist(), strict=True))


def arrive(articles: list[Article], reach: Reach, cuts: list[int]) -> tuple[NeighbourIndex, Pairs]:
    """The stream in batches that end at `cuts`."""
    index, found = NeighbourIndex(shelved(articles), reach), Pairs()
    bounds = [0, *sorted(min(cut, len(articles)) for cut in cuts), len(articles)]
    for start, end in pairwise(bounds):
        found += listed(earlier_company(index, range(start, end)))
        index.add_dense(range(start, end))
    return index, found


@unhurried
@given(ARTICLES, TIGHT | st.just(WIDE), st.lists(st.integers(0, 10), max_size=4))
def test_earlier_company_is_that_of_brute_force_however_the_stream_is_cut(
    articles: list[Article], reach: Reach, cuts: list[int]
) -> None:
    """Each row with its best before it, once, in order; a batch may be one article, all, or none."""
    expected = [
        (row, other)
        for row in range(len(articles))
        for other in sorted(brute(articles, reach, row, range(row)))
    ]

    assert expected == arrive(articles, reach, cuts)[1]


@settings(unhurried, max_examples=50)
@given(ARTICLES, TIGHT | st.just(WIDE), st.data())
def test_whole_company_is_that_of_brute_force(
    articles: list[Article], reach: Reach, data: st.DataObject
) -> None:
    """Each row asked, with its best on both sides; asking changes nothing."""
    index, _ = arrive(articles, reach, [])
    everyone = range(len(articles))
    asked = sorted(data.draw(st.sets(st.sampled_from(everyone)))) if articles else []
    expected = [(row, other) for row in asked for other in sorted(brute(articles, reach, row, everyone))]

    assert expected == listed(whole_company(index, asked))
    assert expected == listed(whole_company(index, asked))


@settings(unhurried, max_examples=50)
@given(ARTICLES)
def test_where_no_cap_bites_company_is_mutual(articles: list[Article]) -> None:
    """Who is company of another has it for company, and met it on arrival from the later side."""
    index, earlier = arrive(articles, WIDE, [3])
    whole = set(listed(whole_company(index, range(len(articles)))))

    assert {(other, row) for row, other in whole} == whole
    assert {pair for pair in whole if pair[0] > pair[1]} == set(earlier)


def test_caps_make_company_one_sided() -> None:
    """The one that everybody is near to has room for one: the nearest, and at a tie the lower row."""
    articles: list[Article] = [([1, 0, 0], 0.0, {}), ([2, 1, 0], 0.0, {}), ([2, -1, 0], 0.0, {})]
    index, earlier = arrive(articles, Reach("lead", 1, 1, dense_k=1), [])

    assert earlier == [(1, 0), (2, 1)]
    assert listed(whole_company(index, range(3))) == [(0, 1), (1, 2), (2, 1)]


def test_large_row_numbers_keep_their_order() -> None:
    """Rows beyond the width of a byte or two are told apart, and a pair found twice is one pair."""
    shelf = Shelf(1)
    shelf.extend([article_vectors([0])] * 70_000, [0] * 70_000, [0] * 70_000)
    rows = shelf.extend([article_vectors([1], lead={3: 1.0})] * 3, [0] * 3, [0] * 3)
    index = NeighbourIndex(shelf, EVENT.reach)

    assert listed(earlier_company(index, rows)) == [(70_001, 70_000), (70_002, 70_000), (70_002, 70_001)]


def test_nobody_has_no_company() -> None:
    """No rows, and rows alone, have none."""
    index = NeighbourIndex(shelved([([1, 0, 0], 0.0, {1: 1.0})]), WIDE)

    for company in (earlier_company, whole_company):
        assert listed(company(index, [])) == []
    assert listed(earlier_company(index, range(1))) == []
    index.add_dense([0])
    assert listed(whole_company(index, [0])) == []


@pytest.mark.parametrize(
    ("company", "days", "met"),
    [
        (EVENT, 13.9, True),
        (EVENT, 14.1, False),
        (STORY, 14.1, True),
        (STORY, 179.9, True),
        (STORY, 180.1, False),
    ],
)
@pytest.mark.parametrize("shared", ["code", "term"])
def test_events_reach_a_fortnight_and_stories_half_a_year(
    company: Company, days: float, met: bool, shared: str
) -> None:
    """Either a dense code or a term of the field is enough, on both sides of the horizon's edge."""
    shelf = Shelf(2)
    codes, terms = ([1, 1], {}) if shared == "code" else ([0, 0], {company.reach.field: {7: 1.0}})
    shelf.extend([article_vectors(codes, **terms)] * 2, [5.0, 5.0 + 24 * days], [0] * 2)
    index = NeighbourIndex(shelf, company.reach)
    expected = [(1, 0)] if met else []

    assert expected == listed(earlier_company(index, range(2)))
    index.add_dense(range(2))
    assert [*((0, 1) for _ in expected), *expected] == listed(whole_company(index, range(2)))


def test_stories_meet_by_names_and_events_by_leads() -> None:
    """A name outside the opening proposes a story, a word that is no name an event."""
    shelf = Shelf(1)
    shelf.extend(
        [article_vectors([0], lead={row: 1.0}, names={9: 1.0}) for row in (1, 2)]
        + [article_vectors([0], lead={2: 1.0})],
        [0] * 3,
        [0] * 3,
    )

    assert listed(earlier_company(NeighbourIndex(shelf, STORY.reach), range(3))) == [(1, 0)]
    assert listed(earlier_company(NeighbourIndex(shelf, EVENT.reach), range(3))) == [(2, 1)]
