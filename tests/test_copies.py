"""Copies against shares worked out with plain tables, and on invented reports in every shape a copy takes."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from helpers import unhurried
from hypothesis import given
from hypothesis import strategies as st

from service.copies import LEAD_WORDS, MAX_WORDS, MIN_WORDS, Copy, Wording, near_copy, relation, wording

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
NOON_US = 20_000 * DAY_US + 5 * HOUR_US  # noon in western Indonesia

REPORT = (
    "Bupati Wanasegara Ratna Kusumaningtyas membuka jembatan gantung Citamiang yang menghubungkan dua kecamatan pada "
    "Selasa pagi. Jembatan sepanjang 142 meter itu menggantikan rakit yang dipakai warga sejak banjir tujuh tahun lalu. "
    'Ratna mengatakan pembangunan menelan biaya Rp 6,4 miliar dari anggaran daerah. "Anak sekolah tidak perlu lagi '
    'menunggu rakit," kata Ratna di Desa Mekarlintang. Kepala Dinas Pekerjaan Umum Bayu Prakoso menyebut jembatan mampu '
    "menahan beban 3 ton dan akan diperiksa setiap enam bulan. Warga diminta tidak melintas dengan kendaraan roda empat. "
    "Pedagang Pasar Rengasdengkul, Sumarni, berharap ongkos angkut sayur turun karena jarak ke pasar kini hanya 4 "
    "kilometer. Sebelumnya ia harus memutar lewat Kota Marapalam sejauh 31 kilometer. Pemerintah kabupaten berencana "
    "membangun jembatan kedua di hilir tahun depan apabila anggaran disetujui dewan."
)
TOLD_BY_ANOTHER_DESK = (
    "Warga dua kecamatan di Wanasegara kini bisa menyeberangi Sungai Citamiang tanpa rakit. Jembatan gantung baru yang "
    "panjangnya 142 meter diresmikan Selasa. Menurut Bayu Prakoso dari Dinas Pekerjaan Umum, konstruksi itu kuat menahan "
    "3 ton, tetapi mobil dilarang lewat. Bupati Ratna Kusumaningtyas menuturkan dana Rp 6,4 miliar berasal dari kas "
    "daerah. Di Pasar Rengasdengkul, pedagang bernama Sumarni menghitung ongkosnya bakal lebih murah sebab jalan memutar "
    "31 kilometer lewat Marapalam tidak diperlukan lagi. Jembatan berikutnya menunggu persetujuan dewan tahun depan."
)
TITLE = "Jembatan Gantung Citamiang Dibuka, Warga Tak Lagi Naik Rakit"


def at(text: str, title: str = TITLE, *, days: int = 0) -> Wording:
    return wording(title, text, NOON_US + days * DAY_US)


def without_some_words(text: str) -> str:
    """Lose each ninth word, as scraping loses linked names: a comma stands in its place."""
    return " ".join("," if number % 9 == 4 else word for number, word in enumerate(text.split()))


# --- shapes of copies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        REPORT,
        REPORT.upper(),
        f"KABARLIMA.EXAMPLE, WANASEGARA - {REPORT}",
        f"{REPORT} Simak kabar lain di kanal kami.",
        without_some_words(REPORT),
        REPORT[:450],
        REPORT.replace("mengatakan", "menuturkan")
        .replace("menyebut", "menjelaskan")
        .replace("kini", "sekarang"),
        " ".join([*REPORT.split()[:100], *TOLD_BY_ANOTHER_DESK.split()[-12:]]),
    ],
    ids=["same", "capitals", "dateline", "extended", "lost words", "truncated", "touched up", "other ending"],
)
def test_a_copy_is_found_in_every_shape(text: str) -> None:
    """What another desk does to a text it takes over leaves it a copy, the same day or the next."""
    for days in (0, 1):
        found = near_copy(at(REPORT), at(text, "Judul Lain Sama Sekali", days=days))
        assert found is not None
        assert 0.65 <= found.similarity <= 1


@pytest.mark.parametrize(
    "text",
    [
        TOLD_BY_ANOTHER_DESK,
        " ".join([*REPORT.split()[:75], *(f"kata{number}" for number in range(80))]),
        f"{TOLD_BY_ANOTHER_DESK} {REPORT[:300]}",
        REPORT[:150],
        "",
        "— … —",
    ],
    ids=["another desk", "own opening reused", "quoted at the end", "snippet", "empty", "no words"],
)
def test_what_is_no_copy(text: str) -> None:
    """The same facts, the same opening with another report behind it, a quotation and a snippet are no copies."""
    assert near_copy(at(REPORT), at(text)) is None
    assert near_copy(at(text), at(REPORT)) is None


def test_an_identical_text_is_a_copy_with_similarity_one() -> None:
    """Whatever its headline, day and length beyond twenty words."""
    for text in (REPORT, " ".join(REPORT.split()[:20]), " ".join([REPORT] * 12)):
        assert Copy(1.0) == near_copy(at(text), at(text, "Judul lain", days=3))


def test_a_short_text_needs_its_headline() -> None:
    """Nineteen words or fewer are the same report only under the same headline."""
    short = "Simak selengkapnya dalam video berikut ini."

    assert Copy(1.0) == near_copy(at(short), at(short))
    assert near_copy(at(short), at(short, "Sungai Citamiang Meluap, Empat Kelurahan Terendam")) is None
    assert near_copy(at("", ""), at("…", "—")) is None


# --- templates --------------------------------------------------------------------------------------------------------

RATE = (
    "Harga emas batangan Logam Wanasegara {move} pada perdagangan hari ini. Satu gram dijual Rp {price} menurut laman "
    "resmi perusahaan. Harga itu dipantau setiap pukul delapan pagi di butik emas Kota Marapalam. Pembeli dikenai pajak "
    "penghasilan sesuai aturan. Harga pembelian kembali dihitung terpisah dan dapat berubah sewaktu-waktu mengikuti "
    "pasar. Pembayaran hanya melalui butik resmi, kantor pos, dan laman perusahaan dengan tanda pengenal yang berlaku."
)
FORECAST = (
    "Badan cuaca Marapalam memperkirakan langit cerah berawan pada pagi hari di seluruh wilayah kota. Hujan ringan "
    "diperkirakan turun di bagian selatan menjelang sore lalu reda pada malam hari. Angin bertiup dari timur dengan "
    "kecepatan sedang. Warga pesisir diminta memperhatikan tinggi gelombang sebelum melaut dan mengikuti siaran resmi "
    "setiap tiga jam. Suhu udara berkisar antara {low} hingga {high} derajat dengan kelembapan {wet} persen."
)


@pytest.mark.parametrize(
    ("today", "tomorrow"),
    [
        (RATE.format(move="turun", price="754.000"), RATE.format(move="naik", price="757.500")),
        (RATE.format(move="turun", price="0754"), RATE.format(move="turun", price="757")),
        (FORECAST.format(low=24, high=32, wet=80), FORECAST.format(low=23, high=31, wet=75)),
        (
            "Selasa (10/9/2019). " + FORECAST.format(low=24, high=32, wet=80),
            "Rabu (11/9/2019). " + FORECAST.format(low=24, high=32, wet=80),
        ),
    ],
    ids=["rate", "leading zero", "figures at the end", "only the date"],
)
def test_templates_are_no_copies_across_days(today: str, tomorrow: str) -> None:
    """A text that says other figures on another day is another day's report, however alike the words."""
    for days in (-1, 1, 7):
        assert near_copy(at(today, "Harga Hari Ini"), at(tomorrow, "Harga Hari Ini", days=days)) is None
    assert near_copy(at(today, "Harga Hari Ini"), at(tomorrow, "Harga Hari Ini")) is not None


def test_figures_in_the_headline_count() -> None:
    """Two columns of the same words, dated in the headline alone, belong to two days."""
    text = FORECAST.format(low=24, high=32, wet=80)
    ninth, tenth = "Ramalan 9 September", "Ramalan 10 September"

    assert near_copy(at(text, ninth), at(text, tenth, days=1)) is None
    assert near_copy(at(text, ninth), at(text, ninth, days=1)) is not None


def test_leading_zeros_and_a_longer_version_change_no_figure() -> None:
    """09.00 and 9.00 are one figure; figures on one side only come with a longer version."""
    nine, padded = f"Pukul 9.00. {REPORT}", f"Pukul 09.00. {REPORT} Panjang jalan 17 kilometer."

    assert near_copy(at(nine), at(padded, days=1)) is not None


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [(16, 17, False), (17, 40, True), (0, 16, True)],
    ids=["before and after midnight", "one day", "the morning"],
)
def test_days_are_those_of_western_indonesia(first: int, second: int, *, same: bool) -> None:
    """Midnight in Jakarta is 17:00 UTC."""
    midnight = 20_000 * DAY_US
    days = [wording("", "", midnight + hours * HOUR_US).day for hours in (first, second)]

    assert same == (days[0] == days[1])


# --- against tables ---------------------------------------------------------------------------------------------------


def in_common(a: tuple[str, ...], b: tuple[str, ...]) -> int:
    row = [0] * (len(b) + 1)
    for word in a:
        before, row = row, [0]
        for place, other in enumerate(b):
            row.append(before[place] + 1 if word == other else max(row[place], before[place + 1]))
    return row[-1]


def share(a: tuple[str, ...], b: tuple[str, ...]) -> float:
    if not a or not b:
        return 0.0
    return in_common(a, b) / max(min(len(a), len(b)), min(40, max(len(a), len(b))))


def expected(a: Wording, b: Wording) -> Copy | None:
    lead, whole = share(a.words[:80], b.words[:80]), share(a.words, b.words)
    conflict = a.day != b.day and bool(a.figures - b.figures) and bool(b.figures - a.figures)
    return Copy(round(whole, 4)) if lead >= 0.81 and whole >= 0.65 and not conflict else None


def edited(text: list[str], chance: random.Random) -> list[str]:
    """Shorten, extend, or replace some words."""
    start = chance.choice([0, 0, chance.randrange(len(text))])
    kept = text[start : chance.choice([len(text), len(text), chance.randrange(len(text) + 1)])]
    rate = chance.choice([0, 0.05, 0.1, 0.2, 0.3])
    words = [f"ganti{chance.randrange(50)}" if chance.random() < rate else word for word in kept]
    return words + [f"tambah{number}" for number in range(chance.choice([0, 0, 5, 20, 60]))]


@unhurried
@given(st.integers(0, 10**9), st.integers(20, 140), st.sampled_from([3, 30, 400]), st.integers(0, 1))
def test_near_copy_equals_plain_tables(seed: int, length: int, vocabulary: int, days: int) -> None:
    """Shares, verdict and similarity are those of the tables, and the two articles may change places."""
    chance = random.Random(seed)
    text = [f"kata{chance.randrange(vocabulary)}" for _ in range(length)]
    a, b = at(" ".join(text)), at(" ".join(edited(text, chance)), days=days)

    assert expected(a, b) == near_copy(a, b) == near_copy(b, a)


def of(*words: str) -> Wording:
    return Wording(words, frozenset(), 0)


def numbered(size: int, name: str = "kata") -> list[str]:
    return [f"{name}{number}" for number in range(size)]


@pytest.mark.parametrize(
    ("kept", "size", "found"),
    [(65, 80, Copy(0.8125)), (64, 80, None), (33, 40, Copy(0.825)), (32, 40, None), (10, 10, Copy(1.0))],
)
def test_threshold_of_the_lead(kept: int, size: int, found: Copy | None) -> None:
    """Four fifths of the opening and a little, and not one word less."""
    text = of(*numbered(kept), *numbered(size - kept, "lain"))

    assert found == near_copy(of(*numbered(size)), text)


@pytest.mark.parametrize(("kept", "found"), [(130, Copy(0.65)), (129, None)])
def test_threshold_of_the_whole(kept: int, found: Copy | None) -> None:
    """Of two texts with one opening, thirteen twentieths of the shorter must be the other's."""
    a, b = of(*numbered(300)), of(*numbered(kept), *numbered(200 - kept, "lain"))

    assert found == near_copy(a, b)


def test_a_few_words_are_no_copy_of_a_long_text() -> None:
    """Below forty words a text is measured against forty of the longer one."""
    whole = of(*numbered(300))

    assert Copy(1.0) == near_copy(of(*numbered(MIN_WORDS)), whole)
    assert Copy(0.825) == near_copy(of(*numbered(33)), whole)
    assert near_copy(of(*numbered(32)), whole) is None


def test_words_beyond_the_limit_are_not_looked_at() -> None:
    """A wording holds a thousand words at most, and all figures."""
    long = at(" ".join([*numbered(MAX_WORDS + 500), "8888"]))

    assert MAX_WORDS == len(long.words) > LEAD_WORDS
    assert "8888" in long.figures


@pytest.mark.parametrize(
    ("exact", "same_publisher", "expected"),
    [
        (True, True, "exact_copy"),
        (False, True, "near_copy"),
        (True, False, "reprint"),
        (False, False, "reprint"),
    ],
)
def test_relation(*, exact: bool, same_publisher: bool, expected: str) -> None:
    """Another publisher's copy is a reprint, word for word or not."""
    assert expected == relation(exact=exact, same_publisher=same_publisher)


VERDICTS = Path(__file__).resolve().parents[1] / "benchmarks" / "copies_read.json"


def test_verdicts_are_ids_and_a_word() -> None:
    """What was read of published news stays out of the repository: IDs in order, two answers, one word."""
    for verdicts in json.loads(VERDICTS.read_text(encoding="utf-8")).values():
        pairs = [(verdict["a"], verdict["b"]) for verdict in verdicts]
        assert sorted(set(pairs)) == pairs
        for verdict in verdicts:
            assert sorted(verdict) == ["a", "b", "copy", "labelled", "reason"]
            assert verdict["a"] < verdict["b"]
            assert {type(verdict["copy"]), type(verdict["labelled"])} == {bool}
            assert all(len(verdict[key]) <= 16 for key in ("a", "b", "reason"))
            assert verdict["reason"].replace("_", "").isalpha()
