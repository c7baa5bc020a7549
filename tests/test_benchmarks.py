"""What the benchmarks decide themselves: the gate's floors, the baselines, the groups of features, the sizes."""

from __future__ import annotations

import json
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import article_vectors

from benchmarks import ablation, baselines, gate, memory, quality, table
from embeddings.shelf import Column
from embeddings.similarity import FEATURES, OF_THE_PAIR
from service.evaluate import Grouping, Report, score
from service.gold import GoldArticle
from service.metrics import Score

if TYPE_CHECKING:
    from collections.abc import Sequence

MEASURED = {"online.bcubed.f1": 0.9, "online.pairwise.f1": 0.6, "nightly.ami": 0.7, "copies.f1": 0.8}
FLOORS = {"online.bcubed.f1": 0.897, "online.pairwise.f1": 0.595, "nightly.ami": 0.697, "copies.f1": 0.795}


def article(name: str, cluster: str, story: str | None = None) -> GoldArticle:
    return GoldArticle(
        name, f"https://w.example/{name}", "w.example", name, name, "2026-02-09", cluster, story, None
    )


def gold(clusters: str, stories: str | None = None) -> list[GoldArticle]:
    """One article a letter; a dot is no story, and where none are given each event is one."""
    told = stories or clusters
    return [
        article(f"a{number}", cluster, None if story == "." else story)
        for number, (cluster, story) in enumerate(zip(clusters, told, strict=True))
    ]


def found(clusters: str = "AAB", *, labels: str = "AAB") -> Report:
    articles = gold(labels)
    scores = score(articles, Grouping(list(clusters), list(clusters)))
    return Report(len(articles), 1.0, 2, 1 / 3, 0.8, scores, scores, Score(0.5, 1.0, 2 / 3))


# --- the gate ---------------------------------------------------------------------------------------------------------


def test_floors_lie_a_little_below_what_was_measured() -> None:
    """0.003 below, and 0.005 where pairs decide."""
    assert gate.floors_for(MEASURED) == FLOORS


def test_the_gate_looks_at_every_figure_of_both_passes() -> None:
    """Six figures online, six nightly, and copies; each has the value of the report."""
    report = found("ABB")
    figures = gate.figures(report)

    assert len(figures) == 13
    assert figures["online.bcubed.f1"] == figures["nightly.bcubed.f1"] == report.online.bcubed.f1
    assert figures["nightly.stories_labelled.f1"] == report.nightly.stories_labelled.f1
    assert figures["online.ami"] == report.online.ami
    assert figures["copies.f1"] == 2 / 3


def test_what_stands_at_its_floor_passes() -> None:
    """A figure passes at its floor, and one without a floor always does."""
    gate.demand_no_fall(gate.Floors("x", FLOORS), {**FLOORS, "new.f1": 0.0})


@pytest.mark.parametrize("name", sorted(FLOORS))
def test_what_falls_below_its_floor_is_named(name: str) -> None:
    """One figure a hair below its floor fails alone, with both numbers."""
    with pytest.raises(gate.GateError) as caught:
        gate.demand_no_fall(gate.Floors("x", FLOORS), {**MEASURED, name: FLOORS[name] - 0.0001})

    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert lines[1] == f"  {name}: {FLOORS[name] - 0.0001:.4f} is below {FLOORS[name]:.4f}"


@pytest.mark.parametrize("value", [None, float("nan")])
def test_a_figure_that_is_missing_or_no_number_fails(value: float | None) -> None:
    """Nothing passes by not being measured."""
    measured = {**MEASURED, "nightly.ami": value}
    if value is None:
        del measured["nightly.ami"]

    with pytest.raises(gate.GateError, match=r"nightly\.ami"):
        gate.demand_no_fall(gate.Floors("x", FLOORS), {k: v for k, v in measured.items() if v is not None})


def test_floors_are_raised_but_not_lowered() -> None:
    """Better figures raise every floor; one that would fall refuses the whole, unless that is allowed."""
    old = gate.Floors("x", FLOORS)
    better = {name: value + 0.01 for name, value in MEASURED.items()}
    mixed = {**better, "copies.f1": 0.799}

    assert gate.raised(old, better, "x", allow_regression=False).floors["copies.f1"] == 0.805
    with pytest.raises(gate.GateError, match=r"copies\.f1: 0\.7950 would become 0\.7940"):
        gate.raised(old, mixed, "x", allow_regression=False)
    assert gate.raised(old, mixed, "x", allow_regression=True).floors["copies.f1"] == 0.794


def test_a_floor_cannot_be_dropped_by_not_measuring() -> None:
    """Leaving a figure out lowers its floor to nothing."""
    with pytest.raises(gate.GateError, match=r"copies\.f1"):
        gate.raised(gate.Floors("x", FLOORS), {"online.bcubed.f1": 0.99}, "x", allow_regression=False)


def test_floors_of_another_file_are_kept() -> None:
    """Better figures on another file are no reason to raise; the first floors need no leave."""
    with pytest.raises(gate.GateError, match="another file"):
        gate.raised(gate.Floors("x", FLOORS), MEASURED, "y", allow_regression=False)

    assert gate.raised(None, MEASURED, "y", allow_regression=False) == gate.Floors("y", FLOORS)


def test_another_file_is_refused_in_words(tmp_path: Path) -> None:
    """The file is known by its bytes, not by its name."""
    file = tmp_path / "dev.ndjson.gz"
    file.write_bytes(b"one")
    floors = gate.Floors(gate.digest(file), FLOORS)
    assert gate.demand_same_gold(floors, file) is floors

    file.write_bytes(b"two")

    with pytest.raises(gate.GateError, match=r"dev\.ndjson\.gz is not the file the floors were measured on"):
        gate.demand_same_gold(floors, file)
    with pytest.raises(gate.GateError, match="No floors are kept yet"):
        gate.demand_same_gold(None, file)


def test_floors_are_read_as_written(tmp_path: Path) -> None:
    """Nothing is left beside the file; where there is none there are no floors; a damaged one is refused."""
    path = tmp_path / "floors.json"
    assert gate.read(path) is None

    gate.write(gate.Floors("x", FLOORS), path)

    assert gate.read(path) == gate.Floors("x", FLOORS)
    assert list(tmp_path.iterdir()) == [path]
    for damaged in ("", "[]", '{"sha256": "x"}', '{"sha256": "x", "floors": {"copies.f1": "high"}}'):
        path.write_text(damaged, encoding="utf-8")
        with pytest.raises(gate.GateError, match=r"floors\.json is damaged"):
            gate.read(path)


def test_floors_are_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails at its last step leaves the old floors and nothing beside them."""
    path = tmp_path / "floors.json"
    gate.write(gate.Floors("old", FLOORS), path)

    def full(_file: Path, _target: Path) -> Path:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="disk full"):
        gate.write(gate.Floors("new", {}), path)

    assert gate.read(path) == gate.Floors("old", FLOORS)
    assert list(tmp_path.iterdir()) == [path]


class Gate:
    """The command on a file of nothing, with figures made up."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = folder / "dev.ndjson.gz"
        self.file.write_bytes(b"")
        self.floors = folder / "floors.json"
        self.report = found("AAB")
        self.scored = 0
        self._folder, self._patch = folder, monkeypatch
        read, write = gate.read, gate.write
        monkeypatch.setattr(gate, "read", lambda: read(self.floors))
        monkeypatch.setattr(gate, "write", lambda floors: write(floors, self.floors))
        monkeypatch.setattr(quality, "evaluate", self._score)

    def _score(self, *_: Any) -> Report:
        self.scored += 1
        return self.report

    def __call__(self, *options: str) -> None:
        self._patch.setattr("sys.argv", ["quality", str(self._folder), *options])
        quality.main()


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(tmp_path, monkeypatch)


def test_the_command_passes_what_it_measured_and_fails_what_fell(
    command: Gate, capsys: pytest.CaptureFixture[str]
) -> None:
    """Update, pass, fall: the last one ends with a message, which is exit status 1, and the floors stay."""
    command("--gate", "--update")
    kept = json.loads(command.floors.read_text(encoding="utf-8"))
    command("--gate")
    assert "| online.bcubed.f1 | 1.0000 | 0.9970 |" in capsys.readouterr().out

    command.report = found("ABB")
    with pytest.raises(SystemExit, match=r"online\.bcubed\.f1: 0\.\d+ is below 0\.9970"):
        command("--gate")
    with pytest.raises(SystemExit, match="A floor would be lowered"):
        command("--gate", "--update")
    assert json.loads(command.floors.read_text(encoding="utf-8")) == kept

    command("--gate", "--update", "--allow-regression")
    command("--gate")


def test_the_command_refuses_another_file_before_it_scores(command: Gate) -> None:
    """Nobody waits a minute for a refusal."""
    command("--gate", "--update")
    command.file.write_bytes(b"other")
    before = command.scored

    with pytest.raises(SystemExit, match="not the file"):
        command("--gate")

    assert command.scored == before


def test_raising_floors_belongs_to_the_gate(command: Gate) -> None:
    """--update without --gate would run the whole benchmark and raise nothing."""
    with pytest.raises(SystemExit) as caught:
        command("--update")

    assert caught.value.code == 2


def test_the_floors_that_are_kept_name_every_figure() -> None:
    """The file in the repository can be read, and no figure is without a floor."""
    floors = gate.read()

    assert floors is not None
    assert set(floors.floors) == set(gate.figures(found()))
    assert all(0 < floor < 1 for floor in floors.floors.values())


# --- baselines --------------------------------------------------------------------------------------------------------


def groups(labels: Sequence[str]) -> list[list[int]]:
    """Which articles share a label, whatever it is called."""
    places: dict[str, list[int]] = {}
    for place, label in enumerate(labels):
        places.setdefault(label, []).append(place)
    return sorted(places.values())


def test_doing_nothing_by_hand() -> None:
    """Three articles of two events: precision 1, recall 2/3, and no pair found."""
    articles = gold("AAB")
    scores = score(articles, baselines.all_singletons(articles))

    assert scores.events == 3
    assert scores.bcubed.f1 == pytest.approx(2 * (2 / 3) / (1 + 2 / 3))
    assert scores.pairwise.f1 == 0


def test_whole_stories_as_events() -> None:
    """Events of one story become one; an event without a story stays, even where it is named like a story."""
    grouping = baselines.whole_stories(gold("AABCS", "SSS.."))

    assert groups(grouping.clusters) == [[0, 1, 2], [3], [4]]
    assert grouping.stories == grouping.clusters


def test_average_link_by_hand() -> None:
    """0 and 1 are alike by 0.9; 2 is alike by 0.8 and 0.2, on average 0.5; so it joins at 0.5 and not above."""
    tree = baselines.average_link(np.array([[1, 0.9, 0.8], [0.9, 1, 0.2], [0.8, 0.2, 1]]))

    assert groups(tree.cut(0.95)) == [[0], [1], [2]]
    assert groups(tree.cut(0.51)) == [[0, 1], [2]]
    assert groups(tree.cut(0.49)) == [[0, 1, 2]]


def test_the_likeness_of_terms_is_the_mean_of_two_cosines() -> None:
    """Lead alike by 0.8, whole text by 0: 0.4; the other fields say nothing; a text without terms is like none."""
    vectors = [
        article_vectors([1], lead={1: 1.0}, whole={5: 1.0}, title={9: 1.0}),
        article_vectors([1], lead={1: 0.8, 2: 0.6}, whole={6: 1.0}, title={9: 1.0}),
        article_vectors([1], title={9: 1.0}),
    ]

    likeness = baselines.term_likeness(vectors)

    assert likeness == pytest.approx(np.array([[1, 0.4, 0], [0.4, 1, 0], [0, 0, 0]]), abs=1e-3)


def test_the_likeness_of_codes_is_their_cosine() -> None:
    """(3, 4) and (4, 3) by hand: 24 / 25; zeros are like nothing."""
    likeness = baselines.dense_likeness([article_vectors(codes) for codes in ((3, 4), (4, 3), (0, 0))])

    assert likeness == pytest.approx(np.array([[1, 0.96, 0], [0.96, 1, 0], [0, 0, 0]]))


def test_the_threshold_is_the_best_over_all_files() -> None:
    """Two files that want two thresholds: one that serves both wins, and of equals the lowest."""
    close = baselines.average_link(np.array([[1, 0.9, 0.5], [0.9, 1, 0.5], [0.5, 0.5, 1]]))
    loose = baselines.average_link(np.array([[1, 0.7, 0.1], [0.7, 1, 0.1], [0.1, 0.1, 1]]))

    assert baselines.best_threshold([close], [gold("AAB")]) == 0.52
    assert baselines.best_threshold([loose], [gold("AAB")]) == 0.12
    assert baselines.best_threshold([close, loose], [gold("AAB"), gold("AAB")]) == 0.52


# --- tables -----------------------------------------------------------------------------------------------------------


def test_each_feature_is_in_one_group() -> None:
    """No feature is missing from the ablation, and none counts twice."""
    named = Counter(chain.from_iterable(ablation.GROUPS.values()))

    assert named == Counter(FEATURES)
    assert ablation.variants()["without dense"] == tuple(one for one in FEATURES if one != "dense_cosine")
    assert ablation.variants()["only the pair, no company"] == OF_THE_PAIR


def test_the_ablation_shows_means_and_distances() -> None:
    """Two folds by hand: the mean of both, and its distance from that of all features."""
    better, worse = found("AAB"), found("ABC")
    every = {
        name: [ablation.Reached(0.5, better), ablation.Reached(0.7, better)] for name in ablation.variants()
    }
    every["without dense"] = [ablation.Reached(0.5, better), ablation.Reached(0.5, worse)]

    rows = {row[0]: row[1:] for row in ablation.rows(every)}

    assert rows["all"] == ["34", "0.600", "1.000", "1.000", "1.000", "1.000"]
    assert rows["without dense"][:2] == ["33", "0.500 (-0.100)"]
    assert rows["without dense"][3] == "0.500 (-0.500)"


def test_rows_are_as_wide_as_their_heads() -> None:
    """Every row of a table of quality has a cell for each column."""
    articles = gold("AAB")
    rows = quality.rows_of_models("f", articles, found())

    assert [len(row) for row in rows] == [len(quality.HEAD)] * 2
    assert rows[0][2] == "1.000 / 1.000 / **1.000**"
    assert rows[0][6:8] == ["2 / 2", "0.333 / 0.333"]


def test_the_readme_has_a_place_for_every_table() -> None:
    """A long run must not end with nowhere to write."""
    page = table.README.read_text(encoding="utf-8")

    for name in ("quality", "ablation", "second language", "copies", "ingest", "memory"):
        assert page.count(f"<!-- {name} -->") == page.count(f"<!-- /{name} -->") == 1


# --- memory -----------------------------------------------------------------------------------------------------------


def test_sizes_count_each_object_once_and_spare_room_apart() -> None:
    """A column of ten numbers fills ten numbers' bytes of its room; what was seen before weighs nothing."""
    column: Column[np.int64] = Column(np.int64)
    column.extend(np.arange(10))
    seen: set[int] = set()

    size = memory.size_of("column", {"one": column, "again": column}, seen)

    assert size.room - size.filled == (1024 - 10) * 8
    assert 1024 * 8 < size.room < 1024 * 8 + 1500
    assert memory.size_of("again", column, seen).room == 0


def test_growth_is_counted_by_article() -> None:
    """100 bytes before, 300 at two rows, 820 at six: 120 bytes a row in all, 130 beyond the first two."""
    measured = memory.Measured(6, [memory.Size("part", 60, 120)], {0: 100, 2: 300, 4: 500, 6: 820})

    assert [measured.grown(0), measured.half, measured.grown(measured.half)] == [120, 2, 130]
    assert memory.rows(measured)[:2] == [["part", "10", "20"], ["**computed, all**", "10", "20"]]
