"""Values that lists and timelines are made of: cursors, times, folds, terms."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import Refused, code_of
from service.store.cursor import Cursor
from service.store.groups import fold
from service.store.read import rfc3339
from service.timeline import new_terms, representative, top_terms


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
