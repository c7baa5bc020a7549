"""The table of date strings in INDONESIAN_NEWS §3, row by row, and the dates a body names."""

from datetime import date

import pytest

from service.extract import event_dates, parse_time

PUBLISHED = {
    "Kompas.com - 16/08/2020, 12:59 WIB": "2020-08-16T12:59:00+07:00",
    "Kompas.com, 03/08/2026, 17:53 WIB": "2026-08-03T17:53:00+07:00",
    "02/11/2023, 21:34 WIB": "2023-11-02T21:34:00+07:00",
    "Kamis 26 Nov 2020 06:03 WIB": "2020-11-26T06:03:00+07:00",
    "Ahad 25 Oct 2020 16:25 WIB": "2020-10-25T16:25:00+07:00",
    "Ahad , 25 Oct 2020, 16:25 WIB": "2020-10-25T16:25:00+07:00",
    "Rabu 16 Dec 2020 15:41 WIB": "2020-12-16T15:41:00+07:00",
    "Minggu 5 May 2024 08:00 WIB": "2024-05-05T08:00:00+07:00",
    "Jumat 07 Aug 2020 10:00 WIT": "2020-08-07T10:00:00+09:00",
    "Ahad 25 Okt 2020 16:25 WIB": "2020-10-25T16:25:00+07:00",
    "Jum'at, 7 Agustus 2020 10:00 WIB": "2020-08-07T10:00:00+07:00",
    "Jum’at, 7 Agustus 2020 10:00 WIB": "2020-08-07T10:00:00+07:00",
    "Jum`at, 7 Agustus 2020 10:00 WIB": "2020-08-07T10:00:00+07:00",
    "Jumat, 7 Agustus 2020 pukul 10.00 WIB": "2020-08-07T10:00:00+07:00",
    "Kamis, 02 Nov 2023 20:59 WIB": "2023-11-02T20:59:00+07:00",
    "Senin, 03/08/2020, 09:01 WITA": "2020-08-03T09:01:00+08:00",
    "Tayang: Selasa, 10 Juni 2025 07:37 WITA": "2025-06-10T07:37:00+08:00",
    "Tayang: Senin, 9 Juni 2025 13:01 WIT": "2025-06-09T13:01:00+09:00",
    ", Jurnalis-Rabu, 18 Juni 2025 |13:45 WIB": "2025-06-18T13:45:00+07:00",
    "18 Juni 2025 | 20.04 WIB": "2025-06-18T20:04:00+07:00",
    "Selasa, 20 April 2021 - 17:28:00 WIB": "2021-04-20T17:28:00+07:00",
    "Selasa, 29 Januari 2019 / 20:44 WIB": "2019-01-29T20:44:00+07:00",
    "Diterbitkan 17 Feb 2024, 15:30 WIB": "2024-02-17T15:30:00+07:00",
    "18:59 25 Okt 2019": "2019-10-25T18:59:00+07:00",
    "13-Sep-19 16:30 WIB": "2019-09-13T16:30:00+07:00",
    "31/12/25 23.59 WIB": "2025-12-31T23:59:00+07:00",
    "3 Agst 2025 10:00 WIB": "2025-08-03T10:00:00+07:00",
    "3 Ags 2025 10:00 WIB": "2025-08-03T10:00:00+07:00",
    "3 Nopember 2025 10:00 WIB": "2025-11-03T10:00:00+07:00",
    "3 Peb 2025 10:00 WIB": "2025-02-03T10:00:00+07:00",
    "2023-11-02T14:34:19+00:00": "2023-11-02T14:34:19+00:00",
    "2023-11-02T20:59:53+0700": "2023-11-02T20:59:53+07:00",
    "2023/11/02 20:59:53": "2023-11-02T20:59:53+07:00",
    "Oktober 19, 2019": "2019-10-19T00:00:00+07:00",
    "Senin, 10 Juni 2025 07:37 WIB": "2025-06-10T07:37:00+07:00",
    "Senin, 09 Juni 2025 - 21:55 WIB": "2025-06-09T21:55:00+07:00",
    "17 Feb 2024, 15:30 WIB | diperbarui 18 Feb 2024, 09:00 WIB": "2024-02-17T15:30:00+07:00",
}
UPDATED = {
    "Kompas.com- Diperbarui 01/07/2025, 16:42 WIB": "2025-07-01T16:42:00+07:00",
    "oleh Nama Orang diperbarui 22 Nov 2024, 03:02 WIB": "2024-11-22T03:02:00+07:00",
}
NOT_A_TIME = [
    "2023-11-02T20-59-53Z",
    "2 jam yang lalu",
    "Kemarin",
    "29 Feb 2023 10:00 WIB",
    "32/13/2025, 10:00 WIB",
    "11/25/2020, 10:00 WIB",
    "minggu lalu",
    "Skor akhir 2-1 untuk tuan rumah",
    "10 Juni 2025 25:61 WIB",
    "",
]
_MONTHS = [
    "Januari Jan January",
    "Februari Pebruari Feb Peb",
    "Maret Mar",
    "April Apr",
    "Mei May",
    "Juni Jun June",
    "Juli Jul July",
    "Agustus Agu Agt Agst Ags Aug August",
    "September Sep Sept",
    "Oktober Okt Oct October",
    "November Nopember Nov Nop",
    "Desember Des Dec December",
]


@pytest.mark.parametrize(("shown", "expected"), PUBLISHED.items())
def test_every_published_form_gives_the_required_result(shown: str, expected: str) -> None:
    time = parse_time(shown)
    assert time is not None
    assert (time.at.isoformat(), time.kind) == (expected, "published")


@pytest.mark.parametrize(("shown", "expected"), UPDATED.items())
def test_an_update_is_never_a_publication(shown: str, expected: str) -> None:
    time = parse_time(shown)
    assert time is not None
    assert (time.at.isoformat(), time.kind) == (expected, "updated")


@pytest.mark.parametrize("shown", NOT_A_TIME)
def test_what_is_no_date_gives_none(shown: str) -> None:
    assert parse_time(shown) is None


@pytest.mark.parametrize(
    ("number", "name"), [(i, name) for i, names in enumerate(_MONTHS, 1) for name in names.split()]
)
def test_every_month_name_in_any_case(number: int, name: str) -> None:
    for shown in (name, name.upper(), name.lower()):
        time = parse_time(f"3 {shown} 2025 10:00 WIB")
        assert time is not None
        assert (time.at.month, time.at.day) == (number, 3)


@pytest.mark.parametrize(
    ("shown", "precision"),
    [
        ("Oktober 19, 2019", "day"),
        ("Jumat, 5 September 2025", "day"),
        ("02/11/2023, 21:34 WIB", "minute"),
        ("20 April 2021 - 17:28:00 WIB", "second"),
        ("2023-11-02", "day"),
    ],
)
def test_precision_is_what_was_shown(shown: str, precision: str) -> None:
    time = parse_time(shown)
    assert time is not None
    assert time.precision == precision


def test_a_missing_zone_is_assumed_and_said_so() -> None:
    bare, zoned = parse_time("18:59 25 Okt 2019"), parse_time("25 Okt 2019 18:59 WIT")
    assert bare is not None
    assert zoned is not None
    assert (bare.tz_assumed, zoned.tz_assumed) == (True, False)
    naive = parse_time("2023/11/02 20:59:53")
    assert naive is not None
    assert naive.tz_assumed


def test_a_weekday_checks_and_never_decides() -> None:
    wrong, right = parse_time("Senin, 10 Juni 2025 07:37 WIB"), parse_time("Selasa, 10 Juni 2025 07:37 WIB")
    assert wrong is not None
    assert right is not None
    assert (wrong.weekday_conflict, right.weekday_conflict) == (True, False)
    assert wrong.at == right.at


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("kata dia, Rabu (25/11).", [date(2020, 11, 25)]),
        ("di Jakarta, Kamis (2/11/2023).", [date(2023, 11, 2)]),
        ("pada Rabu, 18 Juni 2025, warga", [date(2025, 6, 18)]),
        ("Senin (13/3/ 2017) pagi", [date(2017, 3, 13)]),
        ("Kamis (31/12) malam dan Jumat (1/1) pagi", [date(2020, 12, 31), date(2021, 1, 1)]),
        ("kata dia di Jakarta, Kamis.", [date(2020, 11, 26)]),
        ("kata dia di Jakarta, Jumat.", [date(2020, 11, 20)]),
        ("minggu lalu tidak ada apa-apa", []),
        ("skor (2/1) dan 29/30 peserta", []),
        ("Senin (25/11) salah hari", []),
        ("Rabu (31/2) tidak ada", []),
        ("Rabu (25/11) lalu Rabu (25/11) lagi", [date(2020, 11, 25)]),
    ],
)
def test_event_dates_take_the_year_nearest_to_publication(body: str, expected: list[date]) -> None:
    assert list(event_dates(body, date(2020, 11, 26))) == expected
