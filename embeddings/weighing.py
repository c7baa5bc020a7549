"""The words of an article counted and weighed for all of its fields at once: the compiled part of term vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from embeddings.compiled import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    Ids = npt.NDArray[np.int32]
    Weights = npt.NDArray[np.float32]

PLACE_BITS = 24
"""What a sort key holds beside a term: where it stands, among fewer than 2 ** 24 words."""
_LEAD, _WHOLE, _TITLE, _OPENING, _NAMES, _TITLE_NAMES, _NUMBERS, _DATES = range(8)


@compiled
def weigh(
    words: npt.NDArray[np.int64],
    headline: int,
    numbers: Ids,
    dates: Ids,
    idf: Weights,
    opening: int,
    lead: int,
    whole: int,
) -> tuple[Ids, Weights, npt.NDArray[np.int64]]:
    """Return identities and weights of every field of an article end to end, in order, and how many each field has.

    `words` are the first `headline` of the headline, then the body's, each as identity * 2, plus 1 for a name.
    `opening` and `lead` are how many words of the body belong to those, `whole` how many terms are kept of all.
    """
    terms, counts = _counted(words, headline, opening, lead)
    ids = np.empty(_NUMBERS * len(terms) + len(numbers) + len(dates), dtype=np.int32)
    weights = np.empty(len(ids), dtype=np.float32)
    lengths = np.zeros(_DATES + 1, dtype=np.int64)
    end = 0
    for field in range(_DATES + 1):
        start = end
        if field < _NUMBERS:
            end = _write(terms, counts[field], idf, ids, weights, start)
        else:
            own, often = _runs(np.sort(numbers if field == _NUMBERS else dates))
            end = _write(own, often, idf, ids, weights, start)
        if field == _WHOLE and end - start > whole:
            end = start + _keep_heaviest(ids[start:end], weights[start:end], whole)
        _scale_to_unit(weights[start:end])
        lengths[field] = end - start
    return ids[:end].copy(), weights[:end].copy(), lengths


@compiled
def _counted(
    words: npt.NDArray[np.int64], headline: int, opening: int, lead: int
) -> tuple[Ids, npt.NDArray[np.int64]]:
    """Return the distinct terms in order, and how often each of the first six fields holds each of them."""
    keys = np.empty(len(words), dtype=np.int64)
    for place in range(len(words)):
        keys[place] = ((words[place] >> 1) << PLACE_BITS | place) << 1 | words[place] & 1
    keys.sort()
    terms = np.empty(len(words), dtype=np.int32)
    counts = np.zeros((_NUMBERS, len(words)), dtype=np.int64)
    at = -1
    for key in keys:
        term = key >> (PLACE_BITS + 1)
        if at < 0 or terms[at] != term:
            at += 1
            terms[at] = term
        offset = (key >> 1 & ((1 << PLACE_BITS) - 1)) - headline
        name = key & 1
        times = 2 if offset < 0 else 1  # the headline counts twice
        counts[_WHOLE, at] += times
        counts[_NAMES, at] += times * name
        if offset < lead:
            counts[_LEAD, at] += times
        if offset < opening:
            counts[_OPENING, at] += times
        if offset < 0:
            counts[_TITLE, at] += 1
            counts[_TITLE_NAMES, at] += name
    return terms[: at + 1], counts[:, : at + 1]


@compiled
def _runs(ids: Ids) -> tuple[Ids, npt.NDArray[np.int64]]:
    """Return the distinct of sorted identities, and how often each occurs."""
    terms = np.empty(len(ids), dtype=np.int32)
    counts = np.zeros(len(ids), dtype=np.int64)
    distinct = 0
    for term in ids:
        if distinct == 0 or terms[distinct - 1] != term:
            terms[distinct] = term
            distinct += 1
        counts[distinct - 1] += 1
    return terms[:distinct], counts[:distinct]


@compiled
def _write(
    terms: Ids, counts: npt.NDArray[np.int64], idf: Weights, ids: Ids, weights: Weights, start: int
) -> int:
    """Write the terms that occur, each with log-scaled frequency times idf; return where they end."""
    end = start
    for at in range(len(terms)):
        if counts[at]:
            ids[end] = terms[at]
            weights[end] = (1 + np.log(np.float32(counts[at]))) * idf[terms[at] % len(idf)]
            end += 1
    return end


@compiled
def _keep_heaviest(ids: Ids, weights: Weights, limit: int) -> int:
    """Move the `limit` heaviest to the front, in their order (ties: lower identity); return `limit`."""
    least = np.partition(weights, len(weights) - limit)[len(weights) - limit]
    ties = limit - (weights > least).sum()
    end = 0
    for at in range(len(ids)):
        if weights[at] > least or (weights[at] == least and ties > 0):
            ties -= weights[at] == least
            ids[end], weights[end] = ids[at], weights[at]
            end += 1
    return end


@compiled
def _scale_to_unit(weights: Weights) -> None:
    squares = 0.0
    for weight in weights:
        squares += np.float64(weight) ** 2
    if squares > 0:
        weights /= np.float32(np.sqrt(squares))
