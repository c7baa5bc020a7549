"""Openings read at night: what they add to pairs, what is kept between nights, and a whole night that reads."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from places import settings_of
from wire import demo_articles

from embeddings.transformer import Transformer
from service.desk import Desk
from service.evaluate import after_a_night
from service.learned import load_models
from service.nightly import propose
from service.openings import FILE, Openings, Read, openings_for
from service.parallel import Local
from service.recluster import event_linkage, partition
from service.regroup import together
from service.shift import Shift, Work, night_of
from service.store.read import assignments
from service.stored_vectors import StoreVectors
from service.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import numpy.typing as npt

    from service.openings import Shown
    from service.settings import Settings
    from service.stage import Level, Members, Numbers, Searching

SOME = 12
PATIENCE_S = 60


class Counting(Transformer):
    """Counts what it is asked to read."""

    asked = 0

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        self.asked += len(texts)
        return super().encode(texts)


class Watched(Openings):
    """Remembers what it was last asked for, and what it said."""

    seen: tuple[Numbers, Read]

    def read(self, seqs: Numbers, shown: Shown = lambda _done, _total: None) -> Read:
        self.seen = (seqs, super().read(seqs, shown))
        return self.seen[1]


class WatchedHands:
    """Remembers the members of each stage that other hands open."""

    def __init__(self, hands: Local) -> None:
        self._hands = hands
        self.opened: list[Members] = []

    def open(self, level: Level, members: Members) -> AbstractContextManager[Searching]:
        self.opened.append(members)
        return self._hands.open(level, members)


@pytest.fixture(scope="module")
def reader() -> Counting:
    return Counting()


@pytest.fixture
def asked(tmp_path: Path) -> Settings:
    return settings_of(tmp_path, recluster_window_days=3650, night_openings=1000)


@pytest.fixture
def desk(asked: Settings) -> Iterator[Desk]:
    with Desk.open(asked, Metrics(), models=load_models("bundled")) as opened:
        opened.submit(demo_articles()[:SOME]).result(PATIENCE_S)
        yield opened


def numbers(count: int = SOME) -> Numbers:
    return np.arange(1, count + 1, dtype=np.int64)


def read_count(reader: Counting, openings: Openings, seqs: Numbers) -> tuple[int, Read]:
    before = reader.asked
    found = openings.read(seqs)
    return reader.asked - before, found


def test_a_cosine_adds_to_log_odds() -> None:
    """By the formula, pair by pair; where an opening was not read the pair model alone has spoken."""
    rng = np.random.default_rng(0)
    codes = rng.integers(-127, 128, (6, 8)).astype(np.int8)
    codes[5] = 0
    left, right = (side.astype(np.intp) for side in np.triu_indices(6, 1))
    chance = rng.uniform(0, 1, len(left))
    chance[:2] = 0, 1
    share, weight, constant = adds = (0.9, 6.5, -5.0)

    found = Read(codes, adds).judged(left, right, chance)

    for one, other, before, after in zip(
        left.tolist(), right.tolist(), chance.tolist(), found.tolist(), strict=True
    ):
        if other == 5:
            assert after == before
            continue
        here, there = codes[one].astype(float), codes[other].astype(float)
        cosine = (here @ there) / math.sqrt((here @ here) * (there @ there))
        kept = min(max(before, 1e-6), 1 - 1e-6)
        log_odds = share * math.log(kept / (1 - kept)) + weight * cosine + constant
        assert after == pytest.approx(1 / (1 + math.exp(-log_odds)), abs=1e-9)


def test_what_one_night_read_the_next_remembers(desk: Desk, reader: Counting, tmp_path: Path) -> None:
    """Only what came since is read, and what is kept is what would be read."""
    kept = Openings(desk.reader, reader, 1000, tmp_path / FILE)

    first, half = read_count(reader, kept, numbers(SOME // 2))
    second, whole = read_count(reader, kept, numbers())
    again, same = read_count(reader, kept, numbers())

    assert (first, second, again) == (SOME // 2, SOME // 2, 0)
    np.testing.assert_array_equal(half.codes, whole.codes[: SOME // 2])
    np.testing.assert_array_equal(whole.codes, same.codes)
    np.testing.assert_array_equal(whole.codes, Openings(desk.reader, reader, 1000).read(numbers()).codes)


def test_the_last_ones_are_read_first(desk: Desk, reader: Counting, tmp_path: Path) -> None:
    """A night reads no more than it may; the next one goes on."""
    kept = Openings(desk.reader, reader, 5, tmp_path / FILE)

    first, found = read_count(reader, kept, numbers())
    second, more = read_count(reader, kept, numbers())

    assert (first, second) == (5, 5)
    assert found.codes.any(axis=1).tolist() == [False] * (SOME - 5) + [True] * 5
    assert more.codes.any(axis=1).tolist() == [False] * (SOME - 10) + [True] * 10


@pytest.mark.slow_on_postgresql
@pytest.mark.usefixtures("database")
def test_articles_that_are_not_there_are_not_read(desk: Desk, reader: Counting) -> None:
    count, found = read_count(reader, Openings(desk.reader, reader, 1000), np.array([1, 10_000]))

    assert count == 1
    assert found.codes.any(axis=1).tolist() == [True, False]


@pytest.mark.parametrize("damage", ["cut short", "one bit off", "of another model", "a folder"])
def test_a_file_that_cannot_be_used_is_made_anew(
    desk: Desk, reader: Counting, tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The night loses time, and nothing else."""
    file = tmp_path / FILE
    kept = Openings(desk.reader, reader, 1000, file)
    _, right = read_count(reader, kept, numbers())
    data = bytearray(file.read_bytes())
    if damage == "cut short":
        file.write_bytes(data[: len(data) // 2])
    elif damage == "one bit off":
        data[-7] ^= 1
        file.write_bytes(data)
    elif damage == "of another model":
        monkeypatch.setattr(kept, "name", "another@1")
    else:
        file.unlink()
        file.mkdir()

    count, found = read_count(reader, kept, numbers())
    after, _ = read_count(reader, kept, numbers())

    assert count == SOME
    assert after == (SOME if damage == "a folder" else 0)
    np.testing.assert_array_equal(found.codes, right.codes)


def test_nothing_is_loaded_unless_it_is_asked_for(tmp_path: Path, desk: Desk) -> None:
    assert openings_for(settings_of(tmp_path), desk.reader, 1) is None


@pytest.mark.slow_on_postgresql
@pytest.mark.usefixtures("database")
def test_a_night_groups_by_what_was_read(desk: Desk, reader: Counting) -> None:
    """Groups are those of a partition of all pairs, each raised by its openings; reasons name who read."""
    night = night_of(desk.settings, 3650, time.time_ns() // 1000)
    hands = WatchedHands(Local(desk.models, StoreVectors(desk.reader, desk.models), night.horizons))
    openings = Watched(desk.reader, reader, 1000)

    proposal = propose(desk.reader, hands, desk.cuts, night, model="test", openings=openings)

    (seqs, found), members = openings.seen, hands.opened[0]
    with hands.open("cluster", members) as searching:
        searched = searching.pairs(np.arange(len(members)))
        left, right, chance = together((one.left, one.right, one.probability) for one in searched)
    raised = found.judged(left, right, chance)
    expected = partition(
        len(members), left, right, raised, event_linkage(desk.cuts.event), outlets=members.outlets
    )
    desk.carry_out(proposal, "run_test").result(PATIENCE_S)
    with desk.reader.connect() as connection:
        placed = assignments(connection)
    groups = [placed[one][0] for one in members.ids]
    assert seqs.tolist() == members.seqs.tolist()
    assert not np.array_equal(raised, chance)
    assert [[a == b for b in groups] for a in groups] == (expected[:, None] == expected).tolist()
    for one in proposal.plan.moved:
        assert one.reason is not None
        assert one.reason.model == f"test+{reader.name}"
        if one.reason.nearest is not None:
            here, there = (members.ids.index(article) for article in (one.head, one.reason.nearest))
            cosine, _ = found.cosines(np.array([here]), np.array([there]))
            assert one.reason.evidence["openings_cosine"] == round(float(cosine[0]), 4)


@pytest.mark.slow_on_postgresql
@pytest.mark.usefixtures("database")
def test_a_night_in_its_own_process_reads_and_keeps(asked: Settings, desk: Desk, tmp_path: Path) -> None:
    """Two processes read; what they made is kept in the data folder, and the next night changes nothing."""
    told = []
    night = night_of(asked, 3650, time.time_ns() // 1000)
    proposal = Shift(asked, night, Work(jobs=2)).wait(lambda one: told.append(one.stage))
    desk.carry_out(proposal, "run_test").result(PATIENCE_S)
    with desk.reader.connect() as connection:
        before = assignments(connection)

    assert "openings" in told
    assert (tmp_path / FILE).exists()
    assert after_a_night(desk) == before
