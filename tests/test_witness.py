"""Who speaks for a place, against a search of its own for each member."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from wire import look_alikes

from embeddings.similarity import FEATURES
from service import nightly, parallel
from service.desk import Desk
from service.learned import load_models
from service.settings import Settings
from service.stage import Horizons
from service.stored_vectors import StoreVectors
from service.telemetry import Metrics
from service.witness import joined, witnesses_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from service.stage import Level

HORIZONS = Horizons(14, 180)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder: Path = tmp_path_factory.mktemp("store")
    with Desk.open(Settings(data=folder), Metrics(), models=load_models("bundled")) as opened:
        opened.submit(look_alikes(4, 400)).result(60)
        yield opened


@pytest.mark.parametrize("level", ["cluster", "story"])
@pytest.mark.parametrize("sizes", [2, 9, 400])
def test_what_is_remembered_is_what_a_second_search_finds(desk: Desk, level: Level, sizes: int) -> None:
    """Whatever the groups: who is found among the witnesses is found by a new search, and the rest is named."""
    night = nightly.Night(time.time_ns() // 1000, 3650, HORIZONS)
    with desk.reader.connect() as connection:
        members = nightly.read_view(connection, night, lambda *_: None).members
    everyone = np.arange(len(members))
    groups = np.random.default_rng(sizes).integers(0, max(1, len(members) // sizes), len(members))
    hands = parallel.Local(desk.models, StoreVectors(desk.reader, desk.models), HORIZONS)
    with hands.open(level, members) as searching:
        remembered = joined(found.witnesses for found in searching.pairs(everyone))
        expected = {one.place: one for one in searching.nearest(everyone, groups)}
    asked = everyone[::2]

    known, rest = remembered.nearest(asked, groups)

    assert known, "nothing is shown"
    assert {one.place: one for one in known} == {one.place: expected[one.place] for one in known}
    assert sorted([*(one.place for one in known), *rest.tolist()]) == asked.tolist()
    if not groups.any():  # all in one group: whoever found anyone has a witness
        assert {one.place for one in known} == {one for one in asked.tolist() if expected[one].partner >= 0}


def test_of_each_the_most_probable_are_remembered() -> None:
    """Against sorting by hand, ties included; nothing is remembered of nothing."""
    chance = np.random.default_rng(1)
    left = np.sort(chance.integers(0, 40, 500))
    right = chance.integers(0, 90, 500)
    probability = chance.integers(0, 5, 500) / 4
    features = chance.random((500, len(FEATURES)))

    found = witnesses_of(left, right, probability, features, most=3)

    expected = []
    for member in range(40):
        own = [place for place in range(500) if left[place] == member]
        own.sort(key=lambda place: (-probability[place], right[place]))
        expected += [(member, int(right[place]), float(probability[place])) for place in own[:3]]
    assert expected == list(
        zip(found.members.tolist(), found.partners.tolist(), found.probability.tolist(), strict=True)
    )
    nothing = witnesses_of(left[:0], right[:0], probability[:0], features[:0])
    known, rest = joined([nothing]).nearest(np.arange(3), np.zeros(3, dtype=np.int64))
    assert (known, rest.tolist()) == ([], [0, 1, 2])
    assert joined([]).nearest(np.arange(1), np.zeros(1, dtype=np.int64))[0] == []
