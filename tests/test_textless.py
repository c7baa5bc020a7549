"""Labels without texts: they agree with themselves, get their texts from a corpus, and the bundled models hold on them."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.further import AGAIN, CORPUS, FURTHER, rows_of_agreement
from benchmarks.road import decide, prepared
from benchmarks.textless import (
    FOLDER,
    Label,
    LabelsError,
    event_of,
    joined,
    name_of,
    read_corpus,
    read_labels,
)
from service.evaluate import report
from service.learned import load_models
from service.settings import Settings

FILES = (*FURTHER, AGAIN)
MEASURED = {
    "june_2025": {
        "online.bcubed": 0.901,
        "online.pairwise": 0.377,
        "nightly.bcubed": 0.903,
        "nightly.pairwise": 0.361,
    },
    "september_2019": {
        "online.bcubed": 0.877,
        "online.pairwise": 0.425,
        "nightly.bcubed": 0.872,
        "nightly.pairwise": 0.356,
    },
}
LEEWAY = 0.01
"""What a floor lies below the figure that was measured (2026-11, bundled models)."""


def told(number: int, day: int) -> dict[str, str]:
    return {
        "url": f"https://w.example/{number}",
        "source": "w.example",
        "title": f"Judul {number}",
        "text": f"Isi berita {number}.",
        "published_at": f"2026-02-0{day}T08:00:00+07:00",
    }


def label(number: int, event: str = "", story: str = "", copy_of: str = "") -> Label:
    return Label(name_of(f"https://w.example/{number}"), event, story, copy_of)


@pytest.mark.parametrize("name", FILES)
def test_labels_agree_with_themselves(name: str) -> None:
    labels = read_labels(FOLDER / f"{name}.tsv")
    by_name = {one.article: one for one in labels}
    assert len(by_name) == len(labels)
    assert min(Counter(one.event for one in labels if one.event).values()) > 1
    assert len({(one.event, one.story) for one in labels if one.event}) == len(
        {one.event for one in labels if one.event}
    )
    copies = [one for one in labels if one.copy_of]
    assert copies
    assert all(one.event and by_name[one.copy_of].event == one.event for one in copies)


def test_texts_are_joined_in_order_of_publication() -> None:
    labels = [label(1, "1", "7"), label(2), label(3, "1", "7", name_of("https://w.example/1"))]
    gold = joined(labels, [told(3, 5), told(9, 1), told(2, 3), told(1, 4)])
    assert [article.title for article in gold] == ["Judul 2", "Judul 1", "Judul 3"]
    alone, first, copy = gold
    assert first.cluster == copy.cluster != alone.cluster
    assert (first.story, copy.story, alone.story) == ("story 7", "story 7", None)
    assert copy.copy_of == first.external_id


def test_articles_alone_share_no_event() -> None:
    assert event_of(label(1)) != event_of(label(2))


def test_missing_texts_are_counted() -> None:
    with pytest.raises(LabelsError, match="1 of 2 labelled articles are not in this corpus"):
        joined([label(1), label(2)], [told(2, 3)])


def test_agreement_is_whole_with_the_same_labels_and_falls_with_others() -> None:
    labels = [label(1, "1"), label(2, "1"), label(3)]
    gold = joined(labels, [told(1, 1), told(2, 2), told(3, 3)])
    same, _ = rows_of_agreement(labels, gold)
    assert same[1:] == ["1.000 / 1.000 / **1.000**"] * 2
    other, _ = rows_of_agreement([label(1), label(2, "1"), label(3, "1")], gold)
    assert other[2] == "0.000 / 0.000 / **0.000**"


@pytest.mark.slow
@pytest.mark.skipif(
    not CORPUS.exists(), reason="the unlabelled corpus lies beside the project, and is not here"
)
@pytest.mark.parametrize("name", FURTHER)
def test_models_hold_on_another_year(name: str) -> None:
    settings = Settings()
    models = load_models(settings.model, settings.pair_model)
    gold = joined(read_labels(FOLDER / f"{name}.tsv"), read_corpus(CORPUS))
    found = report(gold, decide(prepared(name, gold, settings, models), settings, models))
    reached = {
        f"{when}.{figure}": getattr(getattr(found, when), figure).f1
        for when in ("online", "nightly")
        for figure in ("bcubed", "pairwise")
    }
    assert {key: value for key, value in reached.items() if value < MEASURED[name][key] - LEEWAY} == {}
