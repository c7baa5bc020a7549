"""Values that lists and timelines are made of: cursors, times, folds, terms."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embeddings.terms import bundled_background
from service.errors import Refused, code_of
from service.store.cursor import Cursor
from service.store.groups import fold
from service.store.read import rfc3339
from service.telling import Telling, tell
from service.timeline import (
    MAX_KEYWORDS,
    MAX_NEW,
    keywords,
    new_terms,
    representative,
    seen_words,
    story_title,
    top_terms,
    what_is_new,
)

BACKGROUND = bundled_background()


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_cursor_reads_back(us: int, seq: int) -> None:
    cursor = Cursor(us, seq)

    assert cursor == Cursor.decode(cursor.encode())
    assert cursor.encode().isascii()


@given(
    st.one_of(st.text(), st.binary().map(lambda raw: raw.hex()), st.from_regex(r"\A[A-Za-z0-9_-]{0,40}\Z"))
)
def test_any_other_cursor_is_refused(text: str) -> None:
    try:
        cursor = Cursor.decode(text)
    except Refused as refused:
        found = code_of(refused)
    else:
        found = "" if Cursor.decode(cursor.encode()) == cursor else "changed"

    assert found in {"invalid", ""}


@pytest.mark.parametrize(
    "raw",
    ["[1]", "[1,2,3]", "[true,1]", "[1.5,1]", '["1",1]', "{}", "null", "[1,9223372036854775808]", "[" * 200],
)
def test_cursor_holds_two_numbers(raw: str) -> None:
    with pytest.raises(Refused):
        Cursor.decode(base64.urlsafe_b64encode(raw.encode()).decode())


@given(st.integers(0, 2**52), st.integers(-840, 840))
def test_times_are_answered_in_their_offset(us: int, minutes: int) -> None:
    at = datetime.fromisoformat(rfc3339(us, minutes))

    assert timedelta(microseconds=us) == at - datetime(1970, 1, 1, tzinfo=UTC)
    assert timedelta(minutes=minutes) == at.utcoffset()


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.one_of(st.none(), st.integers(0, 12))), unique_by=lambda pair: pair[0]
    )
)
def test_fold_loses_and_repeats_nothing(pairs: list[tuple[int, int | None]]) -> None:
    """Whatever copies point to (missing ones, themselves, rings): each report stands once."""
    reports: list[dict[str, Any]] = [
        {"id": str(one), "copy_of": None if of is None else str(of)} for one, of in pairs
    ]
    folded = fold(reports)
    seen = [report["id"] for head in folded for report in (head, *head["copies"])]

    assert sorted(str(one) for one, _ in pairs) == sorted(seen)


def test_fold_follows_chains() -> None:
    reports: list[dict[str, Any]] = [
        {"id": "a", "copy_of": None},
        {"id": "b", "copy_of": "a"},
        {"id": "c", "copy_of": "b"},
        {"id": "d", "copy_of": "x"},
    ]

    assert [(head["id"], [copy["id"] for copy in head["copies"]]) for head in fold(reports)] == [
        ("a", ["b", "c"]),
        ("d", []),
    ]


def test_representative_is_the_earliest_original() -> None:
    assert representative(["reprint", "original", "original"]) == (1, "earliest_original")
    assert representative(["near_copy", "reprint"]) == (0, "earliest")
    assert representative([]) == (0, "earliest")


def test_new_terms_are_those_no_earlier_event_had() -> None:
    events = [
        ["Feri Arunika Tenggelam di Selat", "Feri Arunika Tenggelam, 7 Tewas"],
        ["Nakhoda Feri Arunika Ditahan Polisi", "Polisi Tahan Nakhoda Feri"],
        ["Feri Arunika Tenggelam"],
    ]

    first, second, third = new_terms(events)
    assert first[:3] == ["feri", "arunika", "tenggelam"]
    assert second[:2] == ["nakhoda", "polisi"]
    assert not {"feri", "arunika"} & set(second)
    assert third == []


def test_top_terms_skip_small_words() -> None:
    assert top_terms(["Gempa di Kota", "Gempa dan 7 Kota yang Ada"]) == ["gempa", "kota"]


# --- titles, keywords, news -------------------------------------------------------------------------------------------

SINKING = (
    "Nusa Jelita Karam di Pelabuhan Rawi, 14 Orang Hilang",
    "Kapal Nusa Jelita karam di Pelabuhan Rawi. Nakhoda Togu Marbela mengatakan haluan robek. Sebanyak 14 orang hilang.",
)
SEARCH = (
    "Pencarian Korban Nusa Jelita Dilanjutkan",
    "Tim menyisir Pelabuhan Rawi mencari korban kapal Nusa Jelita. Nakhoda Togu Marbela diperiksa bersama dua orang.",
)
ARREST = (
    "Nakhoda Nusa Jelita Ditahan",
    "Polisi menahan Togu Marbela, nakhoda Nusa Jelita. Kata Kapolres Rudi Antaka, manifesnya dipalsukan: 302 orang naik.",
)


def told(*articles: tuple[str, str]) -> list[Telling]:
    return [tell(BACKGROUND, title, text) for title, text in articles]


def test_title_is_the_headline_nearest_to_all() -> None:
    titles = [
        "Warga Rawi Berduka Sepanjang Malam Kemarin",
        SINKING[0],
        "Nakhoda Nusa Jelita Ditahan",
    ]

    assert story_title(BACKGROUND, titles, [1, 1, 1]) == 1
    assert story_title(BACKGROUND, titles, [200, 1, 1]) == 0


@pytest.mark.parametrize(
    "unfit",
    [
        "NUSA JELITA KARAM DI PELABUHAN RAWI",
        "Nusa Jelita Karam di Pelabuhan Rawi, Siapa yang Salah?",
        "5 Fakta Nusa Jelita Karam di Pelabuhan Rawi",
        "Nusa Jelita Karam di Pelabuhan Rawi, Ini Kata Nakhoda",
        "5 Berita Terpopuler: Nusa Jelita Karam di Pelabuhan Rawi",
        "Live Report: Nusa Jelita Karam di Pelabuhan Rawi",
        "Nusa Jelita",
        "Nusa Jelita Karam di Pelabuhan Rawi " * 4,
    ],
)
def test_headlines_about_themselves_name_no_story(unfit: str) -> None:
    """They are nearest to the others by their words, and still are taken only when there is nothing else."""
    titles = [unfit, "Nakhoda Nusa Jelita Ditahan Polisi Rawi", unfit]

    assert story_title(BACKGROUND, titles, [9, 1, 9]) == 1
    assert story_title(BACKGROUND, [unfit], [1]) == 0


def test_today_is_no_pointer() -> None:
    titles = ["Kapal Nusa Jelita Berlayar Hari Ini dari Rawi", "Warga Menonton dari Tepi Dermaga Lama"]

    assert story_title(BACKGROUND, titles, [5, 1]) == 0


def test_keywords_are_names_as_written_then_words() -> None:
    found = keywords(told(SINKING, SEARCH, ARREST))

    assert {"Nusa Jelita", "Togu Marbela", "Pelabuhan Rawi"} <= set(found)
    assert {"nusa", "jelita", "Nusa", "Jelita", "Togu", "Rawi"}.isdisjoint(found)
    assert found.index("Nusa Jelita") < found.index("nakhoda") if "nakhoda" in found else True
    assert len(found) <= MAX_KEYWORDS


def test_keywords_do_not_depend_on_the_order() -> None:
    articles = told(SINKING, SEARCH, ARREST)

    assert set(keywords(articles)) == set(keywords(articles[::-1]))
    assert keywords([]) == []


def test_a_name_in_capitals_is_read_from_another_text() -> None:
    found = keywords(
        told(("A", "PELABUHAN RAWI - Hujan."), ("B", "di Pelabuhan Rawi hujan. Kata Pelabuhan Rawi."))
    )

    assert "Pelabuhan Rawi" in found
    assert "PELABUHAN RAWI" not in found


def test_news_is_what_earlier_events_did_not_have() -> None:
    (arrest,) = told(ARREST)
    seen = seen_words(" ".join((*SINKING, *SEARCH)))
    found = what_is_new(arrest, seen, {"14", "2"})

    assert found[:2] == ["Kapolres Rudi Antaka", "302 orang"]
    assert "ditahan" in found
    assert not {"Togu Marbela", "Nusa Jelita", "nakhoda"} & set(found)


def test_nothing_is_new_twice() -> None:
    (sinking,) = told(SINKING)

    assert what_is_new(sinking, seen_words(" ".join(SINKING)), {"14"}) == []
    assert what_is_new(sinking, set(), set())[:2] == ["Nusa Jelita", "Pelabuhan Rawi"]
    assert len(what_is_new(sinking, set(), set())) <= MAX_NEW


def test_a_long_name_is_cut_to_what_is_new_in_it() -> None:
    (long,) = told(("", "Menurut Kepala Desa Rawi Kulon Sabar Wirasta, hujan turun."))

    assert what_is_new(long, {"kepala", "desa", "rawi", "kulon"}, set())[0] == "Sabar Wirasta"


def test_ages_are_no_news_but_sentences_in_headlines_are() -> None:
    text = "Togu Marbela (51 tahun) dihukum 7 tahun."
    inside, headed = told(("Nakhoda Dihukum", text), ("Nakhoda Dihukum 7 Tahun", text))

    assert not any("tahun" in one.lower() for one in what_is_new(inside, set(), set()))
    assert "7 Tahun" in what_is_new(headed, set(), set())


@given(st.lists(st.tuples(st.text(max_size=60), st.text(max_size=200)), max_size=4))
def test_any_story_is_told(articles: list[tuple[str, str]]) -> None:
    """Whatever strangers write: what is shown stands in what they wrote."""
    every = told(*articles)
    whole = " ".join(f"{title}\n{text}" for title, text in articles)
    known = {word for name in keywords(every) for word in name.lower().split()}

    assert known <= seen_words(whole) | {word.lower() for word in whole.split()}
    for one, (title, text) in zip(every, articles, strict=True):
        assert set(what_is_new(one, seen_words(f"{title}\n{text}"), set())) <= {
            figure.written for figure in one.figures
        }
