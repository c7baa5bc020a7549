"""Training on labels of one's own: the split is honest, the cut is chosen by the rule, and too little is refused."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import HashingEncoder
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner
from wire import models

from embeddings.encoder import BUNDLED, ModelError
from embeddings.pair_model import PairModel
from service import fit as fitting
from service.cli import app
from service.demo.show import ARTICLES
from service.fit import best_events, steps
from service.fitted import Fitted, Scores, write_model
from service.gold import GoldArticle, read_gold
from service.labels import FitError, Split, split, together
from service.learned import load_models
from service.metrics import Score
from service.settings import CUTS_FILE, Settings

_SYLLABLES = "ba da ga ka la ma na pa ra sa ta wa be de ge ke le me ne pe".split()  # noqa: SIM905  reads as one word
_VERBS = ("terbakar", "tenggelam", "longsor", "meledak", "roboh", "banjir", "bertabrakan", "ditutup")


def invented(seed: int = 1, events: int = 60) -> list[GoldArticle]:
    """Three reports each of invented events, two events a story, an event every five hours."""
    chance = random.Random(seed)

    def name() -> str:
        return "".join(chance.choices(_SYLLABLES, k=4)).capitalize()

    articles: list[GoldArticle] = []
    for number in range(events):
        if number % 2 == 0:
            place, person = name(), name()
        verb, witness, count = chance.choice(_VERBS), name(), chance.randrange(3, 90)
        for report in range(3):
            hour = number * 5 + report
            extra = " ".join(name().lower() for _ in range(12))
            articles.append(
                GoldArticle(
                    external_id=f"a{number}-{report}",
                    url=f"https://contoh.example/{number}/{report}",
                    source=f"outlet{report}.example",
                    title=f"Gudang di {place} {verb}, {count} Warga Mengungsi"
                    if report
                    else f"{place}: gudang {verb}",
                    text=f"Gudang milik {person} di {place} {verb}. Kata {witness}, {count} warga mengungsi. {extra}.",
                    published_at=f"2026-02-{1 + hour // 24:02d}T{hour % 24:02d}:00:00+07:00",
                    cluster=f"c{number}",
                    story=f"s{number // 2}",
                    copy_of=None,
                )
            )
    return articles


def article(number: int, cluster: str, story: str | None) -> GoldArticle:
    base = read_gold(ARTICLES)[0]
    return replace(base, external_id=str(number), cluster=cluster, story=story, copy_of=None)


labelled = st.lists(
    st.tuples(st.integers(0, 12), st.one_of(st.none(), st.integers(0, 5))), min_size=2, max_size=60
).map(lambda pairs: [article(n, f"c{c}", None if s is None else f"s{s}") for n, (c, s) in enumerate(pairs)])


@given(labelled, st.floats(0.05, 0.6))
def test_no_event_and_no_story_is_on_both_sides(articles: list[GoldArticle], share: float) -> None:
    try:
        parts = split(articles, share)
    except FitError:
        return
    for label in ("cluster", "story"):
        learnt, held = (
            {getattr(one, label) for one in side} - {None} for side in (parts.learn, parts.held_out)
        )
        assert learnt.isdisjoint(held)
    assert sorted(one.external_id for one in articles) == sorted(
        one.external_id for side in (parts.learn, parts.held_out) for one in side
    )
    assert len(parts.held_out) >= share * len(articles)


def test_what_begins_last_is_held_out() -> None:
    """No group of the held-out side begins before the last one to learn from does."""
    parts = split(together([invented()]))
    begins: dict[str, str] = {}
    for one in together([invented()]):
        begins.setdefault(one.story or "", one.published_at)

    assert max(begins[one.story or ""] for one in parts.learn) < min(
        begins[one.story or ""] for one in parts.held_out
    )
    assert 0.25 <= len(parts.held_out) / 180 < 0.3


def test_one_story_cannot_be_split() -> None:
    with pytest.raises(FitError, match="one story"):
        split([article(number, f"c{number}", "s") for number in range(9)])


def test_labels_of_two_files_do_not_mix() -> None:
    every = together([invented(events=4), invented(seed=2, events=4)])

    assert len({one.cluster for one in every}) == 8
    assert len({one.external_id for one in every}) == 24
    assert [one.published_at for one in every] == sorted(one.published_at for one in every)


def test_a_time_that_cannot_be_read_is_named() -> None:
    bad = replace(invented()[5], published_at="2026-02-01T10:00:00")

    with pytest.raises(FitError, match=f"{bad.external_id}: published_at"):
        together([[bad]])


_LOOPING = json.dumps(
    {
        "name": "x",
        "features": ["log_days"],
        "bias": 0,
        "roots": [0],
        "feature": [0],
        "threshold": [0],
        "left": [0],
        "right": [0],
        "value": [0],
    }
)


def score(f1: float) -> Score:
    return Score(f1, f1, f1)


def scores(cut: float, bcubed: float, pairwise: float) -> Scores:
    return Scores(cut, 0.3, score(bcubed), score(pairwise), score(0), score(0))


def test_the_cut_may_not_cost_pairwise_f1() -> None:
    before = scores(0.33, 0.80, 0.50)
    tried = [scores(0.2, 0.95, 0.49), scores(0.4, 0.85, 0.50), scores(0.6, 0.84, 0.70)]

    assert best_events(before, tried).cut == 0.4
    assert best_events(scores(0.33, 0.8, 0.9), tried).cut == 0.2


def knows_nothing() -> PairModel:
    return PairModel(
        "none",
        (),
        bias=-9.0,
        roots=(),
        feature=(),
        threshold=(),
        left=(),
        right=(),
        value=(),
    )


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    parts = split(together([invented()]))
    heard: list[int] = []
    # A model in use that knows nothing: whatever is learnt does better.
    ignorant = replace(models(), event=knows_nothing())
    found = fitting.fit(parts, Settings(), models=ignorant, advance=heard.append)
    assert sum(heard) == steps(parts)
    return found


def test_learning_finds_the_events(fitted: Fitted) -> None:
    assert fitted.is_better
    assert fitted.after.bcubed.f1 > 0.9
    assert fitted.after.pairwise.f1 > 0.8
    assert fitted.before.pairwise.f1 == 0
    assert (fitted.first, fitted.last) == ("2026-02-01", "2026-02-13")


def test_learning_twice_gives_the_same(fitted: Fitted) -> None:
    again = fitting.learn(models(), split(together([invented()])).learn, lambda _: None)

    assert again[0] == fitted.event
    assert again[2] == fitted.pairs


def test_what_was_learnt_is_json(fitted: Fitted) -> None:
    told: Any = json.loads(json.dumps(fitted.as_dict()))
    event: Any = {
        name: tuple(part) if isinstance(part, list) else part for name, part in told["event"].items()
    }

    assert told["is_better"]
    assert PairModel(**event) == fitted.event


def test_one_event_or_one_story_teaches_nothing() -> None:
    """Where no two pairs differ there is nothing to learn: said for events, and the story model in use stays."""
    with pytest.raises(FitError, match="are one event"):
        fitting.learn(models(), [replace(one, cluster="c") for one in invented()], lambda _: None)

    _, story, _, pairs = fitting.learn(
        models(), [replace(one, story="s") for one in invented()], lambda _: None
    )
    assert story is None
    assert pairs > 30


def test_a_model_folder_is_used_with_its_cuts(fitted: Fitted, tmp_path: Path, monkeypatch: Any) -> None:
    folder = tmp_path / "model"
    write_model(folder, fitted, ["labels.ndjson"])
    monkeypatch.setenv("BENANG_PAIR_MODEL", str(folder))
    settings = Settings()
    loaded = load_models("bundled", settings.pair_model)

    assert (loaded.event, loaded.story) == (fitted.event, fitted.story)
    assert (settings.cut, settings.story_cut) == (fitted.after.cut, fitted.after.story_cut)
    assert Settings(cut=0.77).cut == 0.77
    assert fitted.event.name in loaded.name
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    for figure in (fitted.before.bcubed.f1, fitted.after.bcubed.f1, fitted.after.pairwise.f1):
        assert f"{figure:.3f}" in card
    assert all(part in card for part in ("labels.ndjson", "2026-02-01", fitted.encoder))
    assert str(tmp_path) not in card
    with pytest.raises(FitError, match="not empty"):
        write_model(folder, fitted, ["labels.ndjson"])


@pytest.mark.parametrize(
    "cuts", ["", "{}", "[1]", '{"cut": 2, "story_cut": 0.3}', '{"cut": "x", "story_cut": 0.3}']
)
def test_a_folder_without_cuts_is_refused(cuts: str, tmp_path: Path) -> None:
    (tmp_path / CUTS_FILE).write_text(cuts, encoding="utf-8")

    with pytest.raises(ValueError, match=r"cuts\.json"):
        Settings(pair_model=str(tmp_path))


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "3", '{"name": "x", "features": ["unheard"], "weights": [1], "bias": 0}', _LOOPING],
)
def test_a_damaged_pair_model_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text(text, encoding="utf-8")
    (tmp_path / "story.json").write_bytes((BUNDLED / "story.json").read_bytes())

    with pytest.raises(ModelError, match="cannot be loaded"):
        load_models("bundled", str(tmp_path))


def test_too_few_pairs_are_refused() -> None:
    parts = split(together([read_gold(ARTICLES)]), 0.5)
    with pytest.raises(FitError, match=r"pairs of one event.* are needed"):
        fitting.fit(parts, Settings(), models=replace(models(), encoder=HashingEncoder()))

    held = Split(invented(), invented(seed=9, events=3)[::3])
    with pytest.raises(FitError, match="held-out articles hold 0 pairs"):
        fitting.fit(held, Settings(), models=models())


def test_a_refused_article_is_named() -> None:
    parts = split(together([invented()]))
    parts.held_out[0] = replace(parts.held_out[0], title="  ")

    with pytest.raises(FitError, match=f"{parts.held_out[0].external_id.partition(':')[2]} is refused"):
        fitting.fit(parts, Settings(), models=models())


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_the_command_refuses_in_a_sentence(tmp_path: Path) -> None:
    broken = tmp_path / "broken.ndjson"
    broken.write_text('{"title": 1}\n', encoding="utf-8")
    for gold, message in (
        (ARTICLES, "are needed"),
        (broken, "line 1"),
        (tmp_path / "none.ndjson", "No such file"),
    ):
        result = run("fit", gold, "--out", tmp_path / "model", "--json")
        assert result.exit_code == 2
        assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "model").exists()


def test_the_command_writes_what_does_better(tmp_path: Path, fitted: Fitted, monkeypatch: Any) -> None:
    gold = tmp_path / "gold.ndjson"
    lines = [json.dumps({name: getattr(one, name) for name in GoldArticle.__slots__}) for one in invented()]
    gold.write_text("\n".join(lines), encoding="utf-8")
    worse = replace(fitted, after=fitted.before)
    for found, status in ((fitted, 0), (worse, 1)):
        monkeypatch.setattr(fitting, "fit", lambda *_arguments, found=found, **_options: found)
        result = run("fit", gold, "--out", tmp_path / f"model-{status}")
        assert result.exit_code == status
        assert f"{found.after.bcubed.f1:.3f}" in result.stdout
        assert (tmp_path / f"model-{status}" / "event.json").exists() == (status == 0)
