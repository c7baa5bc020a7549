"""Pairs in their company against one pair at a time in plain Python."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pytest
from helpers import (
    HashingEncoder,
    article_vectors,
    random_background,
    term_weights,
    unhurried,
    weights_by_term,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from embeddings.meeting import LEAST_LOCAL, LOCAL_CROWD
from embeddings.shelf import Shelf
from embeddings.similarity import ALL, FEATURES, OF_THE_PAIR, Compared, compare, dense_cosine
from embeddings.terms import FIELDS, TermVector
from embeddings.vectors import vectorise

RARITY = np.array([0.25, 0.5, 1.0], dtype=np.float32)
AMONG_KEPT = ("rank_local", "local_below_best", "local_below_best_few")
CORPUS = (
    "Gempa bumi mengguncang Cianjur pada Senin siang dan merusak 2.345 rumah warga di 17 kecamatan",
    "Sebanyak 162 orang tewas akibat gempa Cianjur kata Gubernur Jawa Barat Ridwan Kamil",
    "Harga cabai rawit merah di Pasar Senen naik menjadi Rp 90.000 per kilogram jelang Lebaran",
    "KPK menahan tersangka korupsi proyek jalan senilai Rp 1,5 miliar di Jakarta",
    "Timnas Indonesia menang 2-1 atas Vietnam di Stadion Gelora Bung Karno Jakarta",
    "",
)
CODES = st.lists(st.integers(-127, 127), min_size=4, max_size=4) | st.sampled_from([[0] * 4, [3] * 4])
Pairs = list[tuple[int, int]]


@dataclass(frozen=True)
class Row:
    """One article of a shelf, written out."""

    codes: list[int]
    terms: dict[str, dict[int, float]]
    hours: float
    outlet: int


@st.composite
def rows_of_a_shelf(draw: st.DrawFn) -> Row:
    return Row(
        draw(CODES),
        {name: draw(term_weights(max_id=5, max_size=4)) for name in FIELDS},
        # Hours about the midnight of western Indonesia, and far away.
        draw(st.integers(-40, 40).map(lambda half: half / 2) | st.floats(-1e6, 1e6)),
        draw(st.sampled_from([0, 1, -1, 2**62])),
    )


@st.composite
def companies(draw: st.DrawFn, rows: int) -> Pairs:
    """Pairs of some rows, in any order, each with a company of its own; a row may be its own company."""
    number = st.integers(0, rows - 1)
    asking = draw(st.lists(number, unique=True, max_size=3))
    return [(row, other) for row in asking for other in draw(st.lists(number, unique=True, max_size=8))]


def shelved(rows: Sequence[Row]) -> Shelf:
    shelf = Shelf(4, RARITY)
    shelf.extend(
        [article_vectors(row.codes, **row.terms) for row in rows],
        [row.hours for row in rows],
        [row.outlet for row in rows],
    )
    return shelf


def written_out(shelf: Shelf) -> list[Row]:
    return [
        Row(
            shelf.codes.values[row].tolist(),
            {name: weights_by_term(TermVector(*column.row(row))) for name, column in shelf.terms.items()},
            float(shelf.hours.values[row]),
            int(shelf.outlets.values[row]),
        )
        for row in range(len(shelf))
    ]


def sides(pairs: Pairs) -> tuple[Any, Any]:
    left, right = (np.array([pair[side] for pair in pairs], dtype=np.intp) for side in (0, 1))
    return left, right


def columns(compared: Compared, names: Sequence[str]) -> Any:
    return compared.features[:, [FEATURES.index(name) for name in names]]


def slow_cosine(a: dict[int, float], b: dict[int, float]) -> float:
    return sum(a[term] * b[term] for term in sorted(a.keys() & b.keys()))


def slow_dense(a: Row, b: Row) -> float:
    norm = math.sqrt(float(sum(x * x for x in a.codes)) * float(sum(x * x for x in b.codes)))
    return sum(x * y for x, y in zip(a.codes, b.codes, strict=True)) / norm if norm else 0.0


def slow_told(head: dict[int, float], lead: dict[int, float]) -> float:
    return sum(head[term] ** 2 for term in head.keys() & lead.keys()) if head else 0.5


def rarest(a: dict[int, float], b: dict[int, float], rarity: Any) -> float:
    return max((float(rarity[term % len(rarity)]) for term in a.keys() & b.keys()), default=0.0)


def slow_pair(a: Row, b: Row, rarity: Any) -> dict[str, float]:
    """What the documentation of `compare` says of a pair, from dictionaries."""
    p, q = a.terms, b.terms
    names = {term: p["names"][term] * q["names"][term] for term in p["names"].keys() & q["names"].keys()}
    titles, title_names = (
        (slow_told(p[field], q["lead"]), slow_told(q[field], p["lead"])) for field in ("title", "title_names")
    )
    return {
        "lead_cosine": slow_cosine(p["lead"], q["lead"]),
        "whole_cosine": slow_cosine(p["whole"], q["whole"]),
        "title_cosine": slow_cosine(p["title"], q["title"]),
        "opening_cosine": slow_cosine(p["opening"], q["opening"]),
        "dense_cosine": slow_dense(a, b),
        "name_cosine": sum(names.values()),
        "shared_names": math.log(1 + len(names)),
        "key_name": max(
            (math.sqrt(weight) * float(rarity[term % len(rarity)]) for term, weight in names.items()),
            default=0.0,
        ),
        "title_told_least": min(titles),
        "title_told_most": max(titles),
        "names_told_least": min(title_names),
        "names_told_most": max(title_names),
        "rarest_lead": rarest(p["lead"], q["lead"], rarity),
        "rarest_title": rarest(p["title"], q["title"], rarity),
        "number_cosine": slow_cosine(p["numbers"], q["numbers"]),
        "number_conflict": float(
            bool(p["numbers"] and q["numbers"]) and not p["numbers"].keys() & q["numbers"].keys()
        ),
        "shared_date": float(bool(p["dates"].keys() & q["dates"].keys())),
        "date_conflict": float(bool(p["dates"] and q["dates"]) and not p["dates"].keys() & q["dates"].keys()),
        "log_days": math.log(1 + abs(a.hours - b.hours) / 24),
        "same_day": float(math.floor((a.hours + 7) / 24) == math.floor((b.hours + 7) / 24)),
        "same_outlet": float(a.outlet == b.outlet),
    }


def slow_local(a: Row, b: Row, holders: Counter[int]) -> dict[str, float]:
    """The same with words that many of the company hold counting less."""

    def local(weights: dict[int, float]) -> dict[int, float]:
        crowd = math.log(1 + LOCAL_CROWD)
        return {
            term: weight * max(1 - math.log(1 + holders[term]) / crowd, LEAST_LOCAL)
            for term, weight in weights.items()
        }

    def cosine(field: str) -> float:
        p, q = local(a.terms[field]), local(b.terms[field])
        norm = math.sqrt(sum(x * x for x in p.values()) * sum(x * x for x in q.values()))
        return slow_cosine(p, q) / norm if norm else 0.0

    def told(head: Row, other: Row) -> float:
        weights = local(head.terms["title"])
        whole = sum(x * x for x in weights.values())
        return slow_told(weights, other.terms["lead"]) / whole if whole else 0.5

    return {
        "local_lead": cosine("lead"),
        "local_title": cosine("title"),
        "local_opening": cosine("opening"),
        "local_told_here": told(a, b),
        "local_told_there": told(b, a),
    }


def rank(values: Sequence[float], place: int, heard: Sequence[bool]) -> float:
    """Log(1 + how many of the heard are larger); of equals, the earlier goes first."""
    better = [value > values[place] for value, counts in zip(values, heard, strict=True) if counts]
    ties = [value == values[place] for value, counts in zip(values[:place], heard, strict=False) if counts]
    return math.log(1 + sum(better) + sum(ties))


def not_copies(company: Sequence[Row]) -> list[bool]:
    """Who tells something that no earlier member tells."""
    return [
        all(slow_dense(other, earlier) < 0.95 for earlier in company[:place])
        for place, other in enumerate(company)
    ]


def only(values: Sequence[float], heard: Sequence[bool]) -> list[float]:
    return [value for value, counts in zip(values, heard, strict=True) if counts]


def mean_of_best_five(values: Sequence[float]) -> float:
    return sum(sorted(values, reverse=True)[:5]) / 5


def slow_company(
    row: Row, company: Sequence[Row], min_likeness: float, rarity: Any
) -> dict[int, dict[str, float]]:
    """The kept places of one company, each with every feature but those of `AMONG_KEPT`."""
    leads = [slow_cosine(row.terms["lead"], other.terms["lead"]) for other in company]
    dense = [slow_dense(row, other) for other in company]
    likeness = [lead + code for lead, code in zip(leads, dense, strict=True)]
    heard = not_copies(company)
    holders = Counter(
        term for other, counts in zip(company, heard, strict=True) if counts for term in other.terms["lead"]
    )
    return {
        place: slow_pair(row, other, rarity)
        | slow_local(row, other, holders)
        | {
            "rank_lead": rank(leads, place, heard),
            "rank_dense": rank(dense, place, heard),
            "below_best": likeness[place] - max(only(likeness, heard)),
            "below_best_few": likeness[place] - mean_of_best_five(only(likeness, heard)),
            "crowd": float(sum(like > 0.8 for like in only(likeness, heard))),
        }
        for place, other in enumerate(company)
        if likeness[place] >= min_likeness
    }


def among_kept(kept: Sequence[dict[str, float]], heard: Sequence[bool]) -> list[dict[str, float]]:
    """The features that compare a pair with those kept beside it.

    From the local cosines that were returned (and are checked on their own), so that every tie is a true tie.
    """
    local = [features["local_lead"] + features["local_title"] for features in kept]
    return [
        {
            "rank_local": rank(local, place, heard),
            "local_below_best": value - max(only(local, heard) or local),
            "local_below_best_few": value - mean_of_best_five(only(local, heard)),
        }
        for place, value in enumerate(local)
    ]


def assert_as_described(shelf: Shelf, rows: Sequence[Row], pairs: Pairs, min_likeness: float) -> None:
    compared = compare(shelf, *sides(pairs), min_likeness)
    actual = [dict(zip(FEATURES, values, strict=True)) for values in compared.features.tolist()]
    returned = dict(zip(compared.kept.tolist(), actual, strict=True))
    assert list(returned) == sorted(returned)
    seen = 0
    for asking, group in groupby(enumerate(pairs), key=lambda item: item[1][0]):
        places, members = zip(*((place, other) for place, (_, other) in group), strict=True)
        expected = slow_company(rows[asking], [rows[other] for other in members], min_likeness, shelf.rarity)
        kept = {place: returned[place] for place in places if place in returned}
        heard = not_copies([rows[other] for other in members])
        assert [places[place] for place in expected] == list(kept)
        for features, described, local in zip(
            kept.values(),
            expected.values(),
            among_kept([*kept.values()], [heard[place] for place in expected]),
            strict=True,
        ):
            assert pytest.approx(described | local, rel=1e-9, abs=1e-9) == features
        seen += len(kept)
    assert seen == len(returned)


@unhurried
@given(st.lists(rows_of_a_shelf(), min_size=1, max_size=8), st.data())
def test_every_feature_is_what_its_description_says(rows: list[Row], data: st.DataObject) -> None:
    """Of any pairs in any company, with any likeness asked for, against dictionaries."""
    pairs = data.draw(companies(len(rows)))
    min_likeness = data.draw(st.sampled_from([ALL, -0.5, 0.0, 0.4, 0.9, 1.5, 3.0]))

    assert_as_described(shelved(rows), rows, pairs, min_likeness)


def newsroom(size: int, seed: int = 2) -> Shelf:
    """Reports in few words, so that all are somewhat alike; the last one is empty."""
    chance = np.random.default_rng(seed)
    tokens = " ".join(CORPUS).split()
    texts = [
        (" ".join(chance.choice(tokens, 8)), " ".join(chance.choice(tokens, 150))) for _ in range(size - 1)
    ]
    background = random_background()
    shelf = Shelf(64, background.rarity)
    shelf.extend(
        vectorise(HashingEncoder(), background, [*texts, ("", "")]),
        chance.uniform(0, 90, size).tolist(),
        chance.integers(0, 3, size).tolist(),
    )
    return shelf


def in_company(size: int, seed: int = 3) -> list[Pairs]:
    """A company of each row, of up to all the others."""
    chance = np.random.default_rng(seed)
    return [
        [(row, other) for other in chance.permutation(size)[: chance.integers(1, size)].tolist()]
        for row in chance.permutation(size).tolist()
    ]


def flat(groups: Sequence[Pairs]) -> Pairs:
    return [pair for group in groups for pair in group]


@pytest.mark.parametrize("min_likeness", [ALL, 1.4])
def test_real_vectors_in_large_company_are_compared_as_described(min_likeness: float) -> None:
    """Companies of up to sixty with words that nearly all of them hold."""
    shelf = newsroom(60)

    assert_as_described(shelf, written_out(shelf), flat(in_company(60)[:12]), min_likeness)


def test_a_row_is_compared_the_same_whatever_the_call_holds() -> None:
    """Alone, among other rows, in another order of the rows: bit for bit the same numbers."""
    shelf, groups = newsroom(40), in_company(40)
    alone = [compare(shelf, *sides(group), 1.4) for group in groups]
    for order in (range(40), range(39, -1, -1), np.random.default_rng(5).permutation(40).tolist()):
        together = compare(shelf, *sides(flat([groups[number] for number in order])), 1.4)
        starts = np.cumsum([0, *(len(groups[number]) for number in order)])
        kept = [alone[number].kept + start for number, start in zip(order, starts, strict=False)]

        np.testing.assert_array_equal(np.concatenate(kept), together.kept)
        np.testing.assert_array_equal(
            np.concatenate([alone[number].features for number in order]), together.features
        )


def test_the_order_within_a_company_decides_nothing_but_ties() -> None:
    """The same company named in another order gives each member the same numbers."""
    shelf = newsroom(40)
    company = [(7, other) for other in range(40) if other != 7]
    order = np.random.default_rng(1).permutation(39)
    straight = compare(shelf, *sides(company))
    mixed = compare(shelf, *sides([company[place] for place in order]))
    ranks = [name for name in FEATURES if name.startswith("rank_")]
    others = [name for name in FEATURES if name not in ranks]

    np.testing.assert_allclose(
        columns(straight, others)[order], columns(mixed, others), rtol=1e-12, atol=1e-12
    )
    np.testing.assert_array_equal(columns(straight, ranks)[order], columns(mixed, ranks))
    twins = Shelf(1)
    twins.extend([article_vectors([1], lead={1: 1.0})] * 4, [0] * 4, [0] * 4)
    for members in ([1, 2, 3], [3, 1, 2]):
        compared = compare(twins, *sides([(0, other) for other in members]))
        # Copies of one another in all but name: the first one named is heard, the rest stand behind it.
        assert columns(compared, ranks).tolist() == [[math.log1p(place > 0)] * 3 for place in range(3)]


@pytest.mark.parametrize("dropped", [0.1, 0.5, 0.9])
def test_a_likeness_asked_for_only_drops_pairs(dropped: float) -> None:
    """What is kept is as alike as asked and as it was, but that local likeness is ranked among the kept."""
    shelf, pairs = newsroom(40), flat(in_company(40))
    every = compare(shelf, *sides(pairs))
    likeness = columns(every, ["lead_cosine", "dense_cosine"]).sum(axis=1)
    min_likeness = float(np.quantile(likeness, dropped))
    chosen = compare(shelf, *sides(pairs), min_likeness)
    unchanged = [name for name in FEATURES if name not in AMONG_KEPT]

    assert every.kept.tolist() == list(range(len(pairs)))
    assert pytest.approx((1 - dropped) * len(pairs), abs=1) == len(chosen.kept)
    assert np.flatnonzero(likeness >= min_likeness).tolist() == chosen.kept.tolist()
    np.testing.assert_array_equal(columns(every, unchanged)[chosen.kept], columns(chosen, unchanged))
    before, after = (columns(part, AMONG_KEPT) for part in (every, chosen))
    assert (after[:, 0] <= before[chosen.kept, 0]).all()
    assert (after[:, 1:] >= before[chosen.kept, 1:]).all()
    assert (after != before[chosen.kept]).any(axis=0).tolist() == [True, True, True]


@settings(unhurried, max_examples=50)
@given(st.lists(rows_of_a_shelf(), min_size=2, max_size=5), st.data())
def test_what_is_of_the_pair_is_the_same_turned_round(rows: list[Row], data: st.DataObject) -> None:
    """In any company and from either side: bit for bit the same numbers."""
    shelf = shelved(rows)
    one, other = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=2, max_size=2))
    more = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=4))
    there = compare(shelf, *sides([(one, other)]))
    back = compare(shelf, *sides([*((other, member) for member in more), (other, one)]))

    assert columns(there, OF_THE_PAIR)[0].tolist() == columns(back, OF_THE_PAIR)[-1].tolist()


def test_real_pairs_are_the_same_turned_round() -> None:
    """All pairs of forty reports, from either side."""
    shelf = newsroom(40)
    pairs = [(row, other) for row in range(40) for other in range(40)]
    features = columns(compare(shelf, *sides(pairs)), OF_THE_PAIR).reshape(40, 40, -1)

    np.testing.assert_array_equal(features, features.transpose(1, 0, 2))


@pytest.mark.parametrize("left", [[0, 1, 0], [2, 2, 1, 0, 0, 2], [1, 0, 1, 1]])
def test_pairs_of_one_row_must_stand_together(left: list[int]) -> None:
    """A company in two pieces would be two companies: refused."""
    shelf = newsroom(3)

    with pytest.raises(ValueError, match="together"):
        compare(shelf, np.array(left), np.zeros(len(left), dtype=np.intp))


def test_nothing_is_answered_with_nothing() -> None:
    """No pairs, or none alike enough, give no features, in the same shape."""
    none = np.zeros(0, dtype=np.intp)
    for compared in (
        compare(Shelf(2), none, none),
        compare(newsroom(9), none, none, 0.5),
        compare(newsroom(9), *sides(flat(in_company(9))), 9.0),
    ):
        assert compared.kept.tolist() == []
        assert compared.features.shape == (0, len(FEATURES))
    assert dense_cosine(Shelf(2), none, none).tolist() == []


def test_an_article_is_most_like_itself() -> None:
    """Cosines of a real article with itself are 1, only related articles come near, an empty one shares nothing."""
    background = random_background()
    shelf = Shelf(64, background.rarity)
    shelf.extend(vectorise(HashingEncoder(), background, [(text, text) for text in CORPUS]), [0] * 6, [0] * 6)
    itself = compare(shelf, np.arange(5), np.arange(5))
    cosines = [
        name for name in FEATURES if name.endswith("_cosine") and not name.startswith(("name_", "number_"))
    ]
    others = compare(shelf, np.zeros(5, dtype=np.intp), np.arange(1, 6))
    leads = columns(others, ["lead_cosine"])[:, 0]
    empty = dict(zip(FEATURES, others.features[4].tolist(), strict=True))
    positive = {name for name, value in empty.items() if value > 0}

    np.testing.assert_allclose(columns(itself, cosines), 1, atol=2e-3)
    np.testing.assert_allclose(
        columns(itself, ["title_told_least", "title_told_most", "local_lead", "local_title"]), 1, atol=2e-3
    )
    assert leads.argmax() == 0
    assert leads.max() < 0.5
    assert (empty["title_told_least"], empty["title_told_most"]) == (0.0, 0.5)
    assert (empty["local_told_here"], empty["local_told_there"]) == (0.0, 0.5)
    assert positive - {name for name in FEATURES if "told" in name or "rank" in name} == {
        "same_day",
        "same_outlet",
    }


def test_dense_cosines_of_long_codes_do_not_overflow() -> None:
    """The largest codes of the largest models give exactly 1 and -1."""
    shelf = Shelf(4096)
    shelf.extend([article_vectors([code] * 4096) for code in (127, -127, 0)], [0] * 3, [0] * 3)

    assert dense_cosine(shelf, np.array([0, 0, 0]), np.array([0, 1, 2])).tolist() == [1.0, -1.0, 0.0]


@unhurried
@given(st.lists(CODES, min_size=1, max_size=5), st.data())
def test_dense_cosines_are_those_of_lists(codes: list[list[int]], data: st.DataObject) -> None:
    """Of any pairs in any order, and the same number that `compare` gives."""
    rows = [Row(code, {}, 0, 0) for code in codes]
    number = st.integers(0, len(rows) - 1)
    pairs = data.draw(st.lists(st.tuples(number, number), max_size=8))
    shelf = shelved(rows)

    assert [slow_dense(rows[a], rows[b]) for a, b in pairs] == dense_cosine(shelf, *sides(pairs)).tolist()
    together = sorted(pairs)
    np.testing.assert_array_equal(
        dense_cosine(shelf, *sides(together)),
        columns(compare(shelf, *sides(together)), ["dense_cosine"])[:, 0],
    )
