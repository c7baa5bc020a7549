"""Two articles to a number: features of a pair.

An article is compared with its *company*, the articles that a search proposed for it. What sets the right ones apart is
not only how alike a pair is, but how much more alike than the others, and in which words: in a saga everything
resembles everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from embeddings.compiled import compiled
from embeddings.meeting import (
    HALVES,
    Sparse,
    count_terms,
    local_cosine,
    meet,
    table_size,
    told,
    weigh_locally,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from embeddings.shelf import Shelf

    Rows = npt.NDArray[np.intp]
    Floats = npt.NDArray[np.float64]

WIB_HOURS = 7
ALL = -9.0
"""A likeness that every pair has."""
CROWD_LIKENESS = 0.8
SAME_TEXT = 0.95
"""Dense cosine from which a member of the company tells nothing that an earlier one does not tell."""
BEST = 5

FEATURES = (
    "lead_cosine",
    "whole_cosine",
    "title_cosine",
    "opening_cosine",
    "dense_cosine",
    "name_cosine",
    "shared_names",
    "key_name",
    "title_told_least",
    "title_told_most",
    "names_told_least",
    "names_told_most",
    "rarest_lead",
    "rarest_title",
    "number_cosine",
    "number_conflict",
    "shared_date",
    "date_conflict",
    "log_days",
    "same_day",
    "same_outlet",
    "local_lead",
    "local_title",
    "local_opening",
    "local_told_here",
    "local_told_there",
    "rank_lead",
    "rank_dense",
    "below_best",
    "below_best_few",
    "rank_local",
    "local_below_best",
    "local_below_best_few",
    "crowd",
)
"""Columns of `Compared.features`, in order."""
(
    _LEAD_COSINE,
    _WHOLE_COSINE,
    _TITLE_COSINE,
    _OPENING_COSINE,
    _DENSE_COSINE,
    _NAME_COSINE,
    _SHARED_NAMES,
    _KEY_NAME,
    _TITLE_TOLD_LEAST,
    _TITLE_TOLD_MOST,
    _NAMES_TOLD_LEAST,
    _NAMES_TOLD_MOST,
    _RAREST_LEAD,
    _RAREST_TITLE,
    _NUMBER_COSINE,
    _NUMBER_CONFLICT,
    _SHARED_DATE,
    _DATE_CONFLICT,
    _LOG_DAYS,
    _SAME_DAY,
    _SAME_OUTLET,
    _LOCAL_LEAD,
    _LOCAL_TITLE,
    _LOCAL_OPENING,
    _LOCAL_TOLD_HERE,
    _LOCAL_TOLD_THERE,
    _RANK_LEAD,
    _RANK_DENSE,
    _BELOW_BEST,
    _BELOW_BEST_FEW,
    _RANK_LOCAL,
    _LOCAL_BELOW_BEST,
    _LOCAL_BELOW_BEST_FEW,
    _CROWD,
) = range(len(FEATURES))
_FEATURES = len(FEATURES)
OF_THE_PAIR = FEATURES[: FEATURES.index("local_lead")]
"""The features that do not depend on the company."""


@dataclass(frozen=True, slots=True)
class Compared:
    """The pairs worth a closer look: positions in what was asked, and float64 (pairs, len(FEATURES))."""

    kept: npt.NDArray[np.int64]
    features: Floats


def compare(shelf: Shelf, left: Rows, right: Rows, min_likeness: float = ALL) -> Compared:
    """Compare each row `left[i]` of `shelf` with `right[i]`, a member of its company; pairs of one left row stand together.

    Pairs whose lead and dense cosine together stay below `min_likeness` are company, and are looked at no further.

    Of the pair: cosines in [-1, 1]; `shared_names` is log(1 + count); `key_name` the weight of the name that matters
    most to both, times its rarity, 0 to 1; `title_told_least` and `…_most` say how much of one headline the other's
    lead tells, 0 to 1 (half, where there is no headline), for the two directions, `names_told_…` how much of its names;
    `rarest_…` is the rarity of the rarest term both hold, 0 to 1; `number_conflict` is 1 where both name figures and
    share none, `date_conflict` the same of dates; `log_days` is log(1 + days apart), `same_day` 1 within one day of
    western Indonesia.
    Of the pair in its company: `local_…` are cosines, and shares of the headline told, when words that many of the company
    hold in their leads count less (see `meeting.weigh_locally`); `rank_…` is log(1 + how many are more alike), equals
    in the order given; `…below_best` how far the likeness (lead plus dense cosine) stays below the best, `…_few` below
    the mean of the best five, missing ones counting 0; `crowd` counts the members more alike than 0.8. `rank_local`
    and `local_below_…` are the same of local lead plus title cosine, among the pairs kept alone, so they alone depend
    on `min_likeness`. They take the left row's side: turned round, a pair has another company. A member whose
    dense cosine with an earlier one is 0.95 or more is not counted in any of this: twenty copies crowd no one.

    Values depend on the left row and its company alone, whatever else the call holds.

    Raises:
        ValueError: the pairs of a left row do not stand together.
    """
    starts = np.flatnonzero(np.diff(left, prepend=-1))
    if len(np.unique(left[starts])) != len(starts):
        raise ValueError("the pairs of one left row must stand together")
    columns = {name: column.compiled for name, column in shelf.terms.items()}
    kept, features = _compare(
        np.asarray(left[starts], dtype=np.int64),
        np.append(starts, len(left)),
        np.asarray(right, dtype=np.int64),
        min_likeness,
        columns["lead"],
        columns["whole"],
        columns["title"],
        columns["opening"],
        columns["names"],
        columns["title_names"],
        columns["numbers"],
        columns["dates"],
        shelf.codes.values,
        shelf.squares.values,
        shelf.hours.values,
        shelf.outlets.values,
        shelf.rarity,
        HALVES,
    )
    return Compared(kept, features)


def dense_cosine(shelf: Shelf, left: Rows, right: Rows) -> Floats:
    """Return the cosines of the dense codes, 0 where either article has none."""
    return np.asarray(_dense(shelf.codes.values, shelf.squares.values, left, right))


@compiled
def _dense(
    codes: npt.NDArray[np.int8], squares: npt.NDArray[np.int32], left: Rows, right: Rows
) -> npt.NDArray[np.float64]:
    found = np.empty(len(left))
    for pair in range(len(left)):
        found[pair] = _cosine(codes, squares, left[pair], right[pair])
    return found


@compiled
def _cosine(codes: npt.NDArray[np.int8], squares: npt.NDArray[np.int32], row: int, other: int) -> float:
    norm = np.sqrt(np.float64(squares[row]) * np.float64(squares[other]))
    if norm == 0:
        return 0.0
    product = np.int32(0)
    for place in range(codes.shape[1]):
        product += np.int32(codes[row, place]) * np.int32(codes[other, place])
    return float(product / norm)


@compiled
def _compare(
    asking: npt.NDArray[np.int64],
    bounds: npt.NDArray[np.int64],
    right: npt.NDArray[np.int64],
    min_likeness: float,
    lead: Sparse,
    whole: Sparse,
    title: Sparse,
    opening: Sparse,
    names: Sparse,
    title_names: Sparse,
    numbers: Sparse,
    dates: Sparse,
    codes: npt.NDArray[np.int8],
    squares: npt.NDArray[np.int32],
    hours: Floats,
    outlets: npt.NDArray[np.int64],
    rarity: npt.NDArray[np.float32],
    halves: Floats,
) -> tuple[npt.NDArray[np.int64], Floats]:
    kept = np.empty(len(right), dtype=np.int64)
    features = np.empty((len(right), _FEATURES))
    keys = np.empty(table_size(lead, right, bounds), dtype=np.int64)
    counts = np.empty(len(keys), dtype=np.int64)
    end = 0
    for group in range(len(asking)):
        row = asking[group]
        company = right[bounds[group] : bounds[group + 1]]
        cosines = np.empty(len(company))
        rarest = np.empty(len(company))
        for member in range(len(company)):
            met = meet(lead, row, lead, company[member], halves, rarity)
            cosines[member], rarest[member] = met.cosine, met.rarest
        dense = _dense(codes, squares, np.full(len(company), row), company)
        likeness = cosines + dense
        start = end
        for member in range(len(company)):
            if likeness[member] >= min_likeness:
                kept[end] = bounds[group] + member
                end += 1
        if end == start:
            continue
        chosen = kept[start:end] - bounds[group]
        heard = _heard(codes, squares, company)
        crowd = (likeness[heard] > CROWD_LIKENESS).sum()
        lead_ranks, dense_ranks = _ranks(cosines, heard), _ranks(dense, heard)
        best, few = _best(likeness, heard), _best_few(likeness[heard])
        for place in range(len(chosen)):
            member = chosen[place]
            values = features[start + place]
            values[_LEAD_COSINE], values[_DENSE_COSINE], values[_RAREST_LEAD] = (
                cosines[member],
                dense[member],
                rarest[member],
            )
            _pair(
                values, row, company[member], lead, whole, title, opening, names, title_names, halves, rarity
            )
            _facts(values, row, company[member], numbers, dates, hours, outlets, halves, rarity)
            values[_RANK_LEAD], values[_RANK_DENSE] = (
                np.log1p(lead_ranks[member]),
                np.log1p(dense_ranks[member]),
            )
            values[_BELOW_BEST], values[_BELOW_BEST_FEW] = likeness[member] - best, likeness[member] - few
            values[_CROWD] = crowd
        count_terms(lead, company[heard], keys, counts)
        _locally(
            features[start:end],
            row,
            company[chosen],
            heard[chosen],
            lead,
            title,
            opening,
            keys,
            counts,
            halves,
        )
    return kept[:end], features[:end]


@compiled
def _pair(
    values: Floats,
    row: int,
    other: int,
    lead: Sparse,
    whole: Sparse,
    title: Sparse,
    opening: Sparse,
    names: Sparse,
    title_names: Sparse,
    halves: Floats,
    rarity: npt.NDArray[np.float32],
) -> None:
    """Write what the words of the two say."""
    values[_WHOLE_COSINE] = meet(whole, row, whole, other, halves, rarity).cosine
    headline = meet(title, row, title, other, halves, rarity)
    values[_TITLE_COSINE], values[_RAREST_TITLE] = headline.cosine, headline.rarest
    values[_OPENING_COSINE] = meet(opening, row, opening, other, halves, rarity).cosine
    named = meet(names, row, names, other, halves, rarity)
    values[_NAME_COSINE], values[_SHARED_NAMES], values[_KEY_NAME] = (
        named.cosine,
        np.log1p(named.terms),
        named.key,
    )
    for column, least, most in (
        (title, _TITLE_TOLD_LEAST, _TITLE_TOLD_MOST),
        (title_names, _NAMES_TOLD_LEAST, _NAMES_TOLD_MOST),
    ):
        here, there = 0.5, 0.5
        if column.ends[row + 1] > column.ends[row]:
            here = meet(column, row, lead, other, halves, rarity).here
        if column.ends[other + 1] > column.ends[other]:
            there = meet(column, other, lead, row, halves, rarity).here
        values[least], values[most] = min(here, there), max(here, there)


@compiled
def _facts(
    values: Floats,
    row: int,
    other: int,
    numbers: Sparse,
    dates: Sparse,
    hours: Floats,
    outlets: npt.NDArray[np.int64],
    halves: Floats,
    rarity: npt.NDArray[np.float32],
) -> None:
    """Write what figures, dates, times and outlets say."""
    figures = meet(numbers, row, numbers, other, halves, rarity)
    values[_NUMBER_COSINE], values[_NUMBER_CONFLICT] = (
        figures.cosine,
        figures.terms == 0 and _both(numbers, row, other),
    )
    days = meet(dates, row, dates, other, halves, rarity)
    values[_SHARED_DATE], values[_DATE_CONFLICT] = (
        days.terms > 0,
        days.terms == 0 and _both(dates, row, other),
    )
    values[_LOG_DAYS] = np.log1p(abs(hours[row] - hours[other]) / 24)
    values[_SAME_DAY] = (hours[row] + WIB_HOURS) // 24 == (hours[other] + WIB_HOURS) // 24
    values[_SAME_OUTLET] = outlets[row] == outlets[other]


@compiled
def _locally(
    features: Floats,
    row: int,
    others: npt.NDArray[np.int64],
    heard: npt.NDArray[np.bool_],
    lead: Sparse,
    title: Sparse,
    opening: Sparse,
    keys: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    halves: Floats,
) -> None:
    """Write what sets the pairs apart within their company."""
    for column, place in ((lead, _LOCAL_LEAD), (title, _LOCAL_TITLE), (opening, _LOCAL_OPENING)):
        mine = np.empty(column.ends[row + 1] - column.ends[row])
        squares = weigh_locally(column, row, keys, counts, halves, mine)
        for pair in range(len(others)):
            other = others[pair]
            theirs = np.empty(column.ends[other + 1] - column.ends[other])
            other_squares = weigh_locally(column, other, keys, counts, halves, theirs)
            features[pair, place] = local_cosine(column, row, mine, squares, other, theirs, other_squares)
            if place == _LOCAL_TITLE:
                features[pair, _LOCAL_TOLD_HERE] = told(title, row, mine, squares, lead, other)
                features[pair, _LOCAL_TOLD_THERE] = told(title, other, theirs, other_squares, lead, row)
    local = features[:, _LOCAL_LEAD] + features[:, _LOCAL_TITLE]
    features[:, _RANK_LOCAL] = np.log1p(_ranks(local, heard))
    features[:, _LOCAL_BELOW_BEST] = local - _best(local, heard)
    features[:, _LOCAL_BELOW_BEST_FEW] = local - _best_few(local[heard])


@compiled
def _heard(
    codes: npt.NDArray[np.int8], squares: npt.NDArray[np.int32], company: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Say which members are no copies, in all but name, of a member before them: a wire text counts once."""
    heard = np.ones(len(company), dtype=np.bool_)
    for member in range(1, len(company)):
        for before in range(member):
            if _cosine(codes, squares, company[member], company[before]) >= SAME_TEXT:
                heard[member] = False
                break
    return heard


@compiled
def _ranks(values: Floats, heard: npt.NDArray[np.bool_]) -> Floats:
    """Return for each value how many of the heard are larger, or equal and before it."""
    ranks = np.zeros(len(values))
    for one in range(len(values)):
        for other in range(len(values)):
            larger = values[other] > values[one] or (values[other] == values[one] and other < one)
            ranks[one] += heard[other] and larger
    return ranks


@compiled
def _best(values: Floats, heard: npt.NDArray[np.bool_]) -> float:
    """Return the largest value of the heard, or of all where nobody is."""
    return float(values[heard].max() if heard.any() else values.max())


@compiled
def _best_few(values: Floats) -> float:
    """Return the mean of the best five; missing ones count as 0."""
    return float(np.sort(values)[::-1][:BEST].sum() / BEST)


@compiled
def _both(column: Sparse, row: int, other: int) -> bool:
    """Say whether both rows hold anything."""
    return bool(column.ends[row + 1] > column.ends[row] and column.ends[other + 1] > column.ends[other])
