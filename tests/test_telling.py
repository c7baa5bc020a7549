"""What stands out in a text: names as phrases, figures with what they count, rare words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embeddings.terms import bundled_background
from service.telling import SCORE, Figure, differing, figures, key_of, phrases, tell, weight, written

BACKGROUND = bundled_background()


def names(title: str, text: str = "", **options: list[str]) -> list[str]:
    return [written(run) for run in tell(BACKGROUND, title, text, **options).names]


def test_adjacent_capitals_are_one_name() -> None:
    text = "Kapal Nusa Jelita merapat di Pelabuhan Rawi, kata Syahbandar Togu Marbela. Menurut dia, ombak tinggi."

    assert names("", text) == ["Nusa Jelita", "Pelabuhan Rawi", "Syahbandar Togu Marbela"]


def test_a_headline_in_capitals_names_what_its_text_names() -> None:
    """Every word of a headline has a capital; those that news has never seen are names where the text says so."""
    text = "Kapal Nusa Jelita karam di dekat Pelabuhan Rawi."

    assert names("Kapal Nusa Jelita Karam Dihantam Gelombangnyaris", text)[0] == "Nusa Jelita"
    assert "Gelombangnyaris" not in " ".join(names("Nusa Jelita Gelombangnyaris", text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dia bertemu M. Togu Marbela di sana.", ["M Togu Marbela"]),
        ("Dia tiba. Togu Marbela pulang.", ["Togu Marbela"]),
        ("Ia lahir di Rawi Kulon-Rawi Wetan.", ["Rawi Kulon Rawi Wetan"]),
        ("Rapat hari Senin dan Kamis di bulan Februari.", []),
        ("Harganya Rp500 juta.", []),
        ("Adapun rapat itu batal. Sebanyak empat hadir.", []),
    ],
)
def test_names_end_where_sentences_do(text: str, expected: list[str]) -> None:
    assert names("", text) == expected


def test_the_outlet_is_no_name_of_the_matter() -> None:
    text = "RAWI, WARTANUSA.EXAMPLE - Kapal itu milik Togu Marbela."

    assert names("", text, outlets=["wartanusa.example"]) == ["RAWI", "Togu Marbela"]


def test_words_are_those_news_seldom_uses() -> None:
    told = tell(
        BACKGROUND, "Nakhoda Ditahan", "Polisi menahan nakhoda itu karena manifes dipalsukan, ujarnya."
    )
    found = [word.key for word in told.words]

    assert {"nakhoda", "manifes", "dipalsukan"} <= set(found)
    assert {"itu", "karena", "ujarnya"}.isdisjoint(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("62 orang selamat", Figure("62", "orang", "62 orang")),
        ("tujuh orang tewas", Figure("7", "orang", "tujuh orang")),
        ("dua belas warga", Figure("12", "warga", "dua belas warga")),
        ("tiga puluh rumah", Figure("30", "rumah", "tiga puluh rumah")),
        ("sekitar 1.240 hektare", Figure("1240", "hektare", "1.240 hektare")),
        ("magnitudo 5,2.", Figure("5.2", "", "5,2")),
        ("Rp 1,5 miliar", Figure("rp 1.5 miliar", "", "Rp 1,5 miliar")),
        ("Rp1.500.000,50 sebulan", Figure("rp 1500000.50", "", "Rp1.500.000,50")),
        ("naik 12 persen dari", Figure("12 %", "", "12 persen")),
        ("menang 2-1 atas", Figure("2-1", SCORE, "2-1")),
        ("menang 2–1 atas", Figure("2-1", SCORE, "2–1")),
        ("sebanyak 45 menewaskan", Figure("45", "", "45")),
    ],
)
def test_figures_come_with_what_they_count(text: str, expected: Figure) -> None:
    assert figures(text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "Minggu (8/2)",
        "8/2/2026",
        "8 Februari 2026",
        "pukul 14.15 Wita",
        "14:15 WIB",
        "tahun 1998",
        "ke 4 lagi",
    ],
)
def test_dates_and_times_are_no_figures(text: str) -> None:
    assert figures(text) == []


def test_figures_differ_where_both_count_a_thing_and_never_agree() -> None:
    here = figures("14 warga luka, 3 rumah rusak, 9 hari, 62 orang mengungsi")
    there = figures("12 warga luka, 3 rumah rusak, 5 hari")

    assert differing(here, there) == {"warga": (("14",), ("12",))}
    assert differing(figures("1 warga, 2 warga, 3 warga"), figures("9 warga")) == {}


def test_phrases_are_all_short_runs() -> None:
    (run,) = tell(BACKGROUND, "", "oleh Badan Sar Togu Marbela Rawi Kulon").names
    found = [key_of(phrase) for phrase in phrases(run)]

    assert len(set(found)) == len(found) == 5 + 5 + 4 + 3 + 2 + 1
    assert max(len(key) for key in found) == 5
    assert weight(run) > weight(run[:1])


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_is_told(title: str, text: str) -> None:
    """Whatever strangers write: nothing fails, and every name and figure stands in what they wrote."""
    told = tell(BACKGROUND, title, text)

    assert told == tell(BACKGROUND, title, text)
    whole = f"{title}\n{text}"
    assert all(word.text in whole for run in told.names for word in run)
    assert all(figure.written.split(" ")[-1] in whole for figure in told.figures)
