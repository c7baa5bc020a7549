"""What requests may hold: the refusals pydantic does not know, and what is passed on."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from newsroom import NOW, example
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from service.errors import FIELD_MESSAGES, Refused
from service.extract import PagePool
from service.prepare import prepare
from service.schemas import ArticleIn, ArticleSearch, Probe, check_url, parse_moment

POOL = PagePool()


def outcome(work: Callable[[], str]) -> str:
    """What comes out, or the code of the refusal."""
    try:
        return work()
    except PydanticCustomError as error:
        return error.type


def codes(body: dict[str, Any]) -> set[str]:
    try:
        ArticleIn.model_validate(body)
    except ValidationError as error:
        return {one["type"] for one in error.errors()}
    return set()


@pytest.mark.parametrize(
    ("given_time", "at", "precision"),
    [
        ("2020-08-16T12:59:00+07:00", "2020-08-16T12:59:00+07:00", "second"),
        ("2020-08-16t12:59:00z", "2020-08-16T12:59:00+00:00", "second"),
        ("2020-08-16 12:59:00Z", "2020-08-16T12:59:00+00:00", "second"),
        ("2020-08-16T12:59:00.123456789-03:30", "2020-08-16T12:59:00.123456-03:30", "second"),
        ("2020-08-16T12:59+09:00", "2020-08-16T12:59:00+09:00", "minute"),
        ("2020-08-16", "2020-08-16T00:00:00+07:00", "day"),
        ("1900-01-01T00:00:00Z", "1900-01-01T00:00:00+00:00", "second"),
    ],
)
def test_times_keep_their_offset_and_precision(given_time: str, at: str, precision: str) -> None:
    moment = parse_moment(given_time)

    assert (at, precision) == (moment.at.isoformat(), moment.precision)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("2020-08-16T12:59:00", "naive_time"),
        ("2020-08-16 12:59", "naive_time"),
        ("2020-08-16T12:59:00 07:00", "plus_as_space"),
        ("1899-12-31T23:59:59Z", "too_early"),
        ("0001-01-01T00:00:00+14:00", "bad_time"),
        ("9999-12-31T23:59:59-14:00", "bad_time"),
        ("2020-13-01", "bad_time"),
        ("2020-02-30T00:00:00Z", "bad_time"),
        ("2020-08-16T24:00:00Z", "bad_time"),
        ("2020-08-16T12:59.5Z", "bad_time"),
        ("2020-08-16T12:59:00+07:60", "bad_time"),
        ("2020-08-16T12:59:00+25:00", "bad_time"),
        ("٢٠٢٠-٠٨-١٦", "bad_time"),
        ("2020-08-16\n", "bad_time"),
        ("20200816", "bad_time"),
        ("", "bad_time"),
        (1597557540, "bad_time"),
        (None, "bad_time"),
        (True, "bad_time"),
    ],
)
def test_times_are_never_guessed(value: Any, code: str) -> None:
    with pytest.raises(PydanticCustomError) as refused:
        parse_moment(value)

    assert code == refused.value.type


@given(st.datetimes(datetime(1901, 1, 1), datetime(2200, 1, 1)), st.integers(-23 * 60, 23 * 60))  # noqa: DTZ001
def test_every_rfc3339_time_is_read_back(at: datetime, minutes: int) -> None:
    sign = "-" if minutes < 0 else "+"
    text = f"{at.isoformat()}{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"

    moment = parse_moment(text)
    assert at == moment.at.replace(tzinfo=None)
    assert timedelta(minutes=minutes) == moment.at.utcoffset()


@given(st.one_of(st.text(), st.from_regex(re.compile(r"\A[0-9T:+Zz .-]{0,30}\Z"))))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    assert outcome(lambda: parse_moment(text).at.isoformat()[10:11]) in {"T", *FIELD_MESSAGES}


@pytest.mark.parametrize(
    "url", ["https://x.id/a?b=ç#d", "http://[::1]:80/", " https://x.id ", "https://x.id:8443/á"]
)
def test_http_addresses_pass(url: str) -> None:
    assert url.strip() == check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "x.id/a", "//x.id/a", "javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", "http://", "https:///x", "https://[::1",
        "https://x.id:99999/", "https://x.id:ab/", "https://x.id/a b", "https://x.id/\n", "https://x.id/\x00", "https://x.id/<b>", 'https://x.id/"', "",
    ],
)  # fmt: skip
def test_other_addresses_do_not(url: str) -> None:
    if url.strip() != url:
        url += "x"
    with pytest.raises(PydanticCustomError):
        check_url(url)


@given(st.text())
def test_any_address_passes_or_is_refused(text: str) -> None:
    for url in (text, f"https://{text}", f"https://x.id/{text}"):
        found = outcome(partial(check_url, url))
        assert found.startswith("http") or found in FIELD_MESSAGES


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, set()),
        ({"title": "x" * 500}, set()),
        ({"title": "x" * 501}, {"string_too_long"}),
        ({"text": "x" * 50_001}, {"string_too_long"}),
        ({"text": None, "title": None, "html": "x" * 1_000_001}, {"string_too_long"}),
        ({"url": "https://x.id/" + "a" * 2048}, {"string_too_long"}),
        ({"metadata": {str(number): "" for number in range(32)}}, set()),
        ({"metadata": {str(number): "" for number in range(33)}}, {"too_long"}),
        ({"metadata": {"a": 1}}, {"string_type"}),
        ({"metadata": {"a": {"b": "c"}}}, {"string_type"}),
        ({"metadata": {"a": "x" * 513}}, {"string_too_long"}),
        ({"metadata": {"": "x"}}, {"string_too_short"}),
        ({"metadata": {"a\x00": "x"}}, {"nul"}),
        ({"metadata": {"a": "\x00"}}, {"nul"}),
        ({"metadata": []}, {"dict_type"}),
        ({"author": "\ud800"}, {"string_unicode"}),
        ({"language": "id-ID"}, set()),
        ({"language": "bahasa indonesia"}, {"string_pattern_mismatch"}),
        ({"external_id": " "}, {"blank"}),
        ({"title": "\u202e\u200b \u00ad"}, {"blank"}),
        ({"title": "🔥"}, set()),
        ({"cluster": "x"}, {"extra_forbidden"}),
        ({"page": "x"}, {"one_body"}),
    ],
)
def test_limits_and_refusals(changes: dict[str, Any], expected: set[str]) -> None:
    assert expected == codes(example(1, **changes))


def test_identity_rules() -> None:
    """Text needs a name and an outlet; a page may name itself; a probe needs neither."""
    assert set() == codes(example(1, url=None, external_id="x", source="kompas.com"))
    assert {"no_identity"} == codes(example(1, url=None, source="kompas.com"))
    assert {"source_needed"} == codes(example(1, url=None, external_id="x"))
    assert set() == codes({"page": "x"})
    assert Probe.model_validate({"title": "a", "text": "b"}).url is None


def test_search_uses_from() -> None:
    found = ArticleSearch.model_validate({"from": "2020-08-16", "limit": 3})

    assert found.from_ is not None
    assert found.from_.precision == "day"
    with pytest.raises(ValidationError):
        ArticleSearch.model_validate({"from_": "2020-08-16"})


# --- prepare: what the caller gave beats what was read -------------------------------------------------------------


def prepared(body: dict[str, Any], **options: Any) -> Any:
    now = options.get("now", NOW)
    return prepare(ArticleIn.model_validate(body), now=now, future_tolerance_s=600, pages=POOL)


def test_given_fields_beat_extracted_ones() -> None:
    page = (
        "Judul Halaman Tentang Gempa Kota\nKompas.com - 16/02/2026, 12:59 WIB\nPALAKA, KOMPAS.com - "
        + "Isi berita. " * 30
    )
    plain = prepared({"page": page})
    told = prepared(
        {
            "page": page,
            "title": "Judul Pengirim",
            "source": "detik",
            "author": "Ani",
            "published_at": "2026-02-01",
        }
    )

    assert (
        plain.title,
        plain.source,
        plain.published_at_source,
    ) == ("Judul Halaman Tentang Gempa Kota", "kompas.com", "visible")
    assert (
        told.title,
        told.source,
        told.published_at_source,
        told.precision,
        told.author,
    ) == ("Judul Pengirim", "detik.com", "given", "day", "Ani")
    assert told.warnings == ("date_conflict",)
    assert told.publisher == "Trans/CT"


@pytest.mark.parametrize(
    ("ahead_s", "refused"), [(-1, False), (599, False), (601, True), (86_400, True), (10**9, True)]
)
def test_future_times_are_refused_beyond_the_tolerance(ahead_s: int, refused: bool) -> None:
    body = example(1, published_at=(NOW + timedelta(seconds=ahead_s)).isoformat())
    if refused:
        with pytest.raises(Refused):
            prepared(body)
    else:
        assert prepared(body).published_at == NOW + timedelta(seconds=ahead_s)


def test_today_east_of_us_is_no_future() -> None:
    """NOW is 07:00 in western Indonesia; at 18:00 UTC it is tomorrow there."""
    now = datetime(2026, 3, 1, 16, tzinfo=UTC)

    assert prepared(example(1, published_at="2026-03-02"), now=now).precision == "day"
    with pytest.raises(Refused):
        prepared(example(1, published_at="2026-03-03"), now=now)


def test_page_from_the_future_gets_the_time_of_receipt() -> None:
    page = (
        "Judul Halaman Tentang Gempa Kota\nKompas.com - 16/02/2099, 12:59 WIB\nPALAKA, KOMPAS.com - "
        + "Isi berita. " * 30
    )
    found = prepared({"page": page})

    assert (found.published_at, found.published_at_source) == (NOW, "received")
    assert "published_at_in_future" in found.warnings


def test_identity_of_addresses_and_pasted_pages() -> None:
    url = "https://nasional.kompas.com/read/2024/03/27/06161181/satu?utm_source=x"
    other = "https://www.kompas.com/nasional/read/2024/03/27/06161181/dua"
    page = (
        "Judul Halaman Tentang Gempa Kota\nKompas.com - {}, 12:59 WIB\nPALAKA, KOMPAS.com - "
        + "Isi berita. " * 30
    )

    assert prepared(example(1, url=url)).url_key == prepared(example(1, url=other)).url_key
    assert url == prepared(example(1, url=url)).url
    assert prepared(example(1, url=None, external_id="x", source="a.id")).url_key is None
    one, same = (prepared({"page": page.format("16/02/2026")}, now=NOW + timedelta(days=d)) for d in (0, 3))
    third = prepared({"page": page.format("17/02/2026")})
    assert one.url_key is not None
    assert one.url_key.startswith("text:")
    assert one.url_key == same.url_key
    assert one.url_key != third.url_key


def test_page_without_a_date_is_the_same_article_tomorrow() -> None:
    """The day of receipt is no part of what the page says."""
    page = "PALAKA, KOMPAS.com - " + "Warga keluar rumah saat gempa. " * 20
    body = {"page": page, "title": "Gempa Guncang Kota", "source": "kompas.com"}
    keys = {prepared(body, now=NOW + timedelta(days=day)).url_key for day in range(3)}

    assert len(keys) == 1


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"page": "Menu\nBeranda"}, {"/title", "/text", "/source"}),
        ({"page": "Menu\nBeranda", "title": "Ada Judul Gempa"}, {"/source"}),
        (example(1, title="- detikNews"), {"/title"}),
    ],
)
def test_what_is_not_found_is_asked_for(body: dict[str, Any], pointers: set[str]) -> None:
    with pytest.raises(Refused) as refused:
        prepared(body)

    assert {error.pointer for error in refused.value.errors} <= {"/title", "/text", "/page", "/source"}
    assert {error.pointer for error in refused.value.errors} & pointers
