"""The OpenAPI document and the checks say the same: what one takes the other takes."""

import itertools
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jsonschema_rs
import pytest
from helpers import unhurried
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from service import patterns
from service.edit_schemas import ClusterSplitIn, MergeIn, StorySplitIn, UndoIn
from service.feed_schemas import LAST_NUMBER, WebhookIn
from service.key_schemas import KeyIn
from service.night_schemas import ReclusteringIn
from service.schemas import ArticleIn, Name, Note, Probe, check_url, parse_moment

# Of each part of a time some that are right and some that are not; `test_every_…` below have the days.
PARTS = (
    (
        "2020-08-16",
        "1900-01-02",
        "1899-06-30",
        "9998-12-31",
        "2021-02-29",
        "2020-13-01",
        "20200816",
        "٢٠٢٠-٠٨-١٦",
    ),
    ("T", "t", " ", "", "  "),
    ("12:59", "00:00", "23:59", "24:00", "12:60", "7:00", ""),
    ("", ":00", ":59", ":60", ":0"),
    ("", ".5", ".123456789", ".1234567890", "."),
    ("Z", "z", "+07:00", "-23:59", "+24:00", "+07:60", " 07:00", "+0700", "", "Z\n"),
)
URL_PARTS = (
    (
        "x.id",
        "é.id",
        "日本",
        "x\u2100",
        "x\uff0fy",
        "[::1]",
        "[1::1::1]",
        "a@x.id",
        "",
        "%",
        "x y",
        "x:",
    ),
    ("", ":", ":80", ":080", ":0000000080", ":65535", ":65536", ":99999", ":a", ":８０"),
    ("", "/", "/a|b", "?q=[1]", "#á", "/a b", "/<b>", "/\\", "/\u2028x"),
)
# Characters that are newer than Python's tables are visible to others only.
KNOWN = st.characters(exclude_categories=["Cs", "Cn"])
ODD = st.text(KNOWN | st.sampled_from("\x00 \t\n\x1f\x85\xa0\xad\u200b\u2028\u3000\ufeff"), max_size=6)


NAME: TypeAdapter[str] = TypeAdapter(Name)
NOTE: TypeAdapter[str] = TypeAdapter(Note)


def matches(pattern: str) -> Callable[[str], bool]:
    return jsonschema_rs.Draft202012Validator({"type": "string", "pattern": pattern}).is_valid


def passes(check: Callable[[Any], object], value: Any) -> bool:
    try:
        check(value)
    except (PydanticCustomError, ValidationError):
        return False
    return True


WHEN, VISIBLE, STORABLE, URL = map(
    matches, (patterns.WHEN, patterns.VISIBLE, patterns.STORABLE, patterns.URL)
)


def test_a_time_is_told_as_it_is_read() -> None:
    """On the first and the last day of the calendar the offset decides, which no pattern can tell."""
    times = [*map("".join, itertools.product(*PARTS))]
    assert [time for time in times if WHEN(time)] == [time for time in times if passes(parse_moment, time)]


@pytest.mark.parametrize("year", [1999, 2024])
def test_every_day_of_a_year_is_told_as_it_is_read(year: int) -> None:
    days = [f"{year}-{month:02d}-{day:02d}" for month in range(14) for day in range(33)]
    assert [day for day in days if WHEN(day)] == [day for day in days if passes(parse_moment, day)]


def test_every_leap_year_is_told_as_it_is_read() -> None:
    days = [f"{year}-02-29" for year in range(1890, 10_000)]
    assert [day for day in days if WHEN(day)] == [day for day in days if passes(parse_moment, day)]


@unhurried
@given(ODD)
def test_text_is_told_as_it_is_checked(text: str) -> None:
    assert VISIBLE(text) == passes(NAME.validate_python, text)
    assert STORABLE(text) == passes(NOTE.validate_python, text)


@pytest.mark.parametrize("scheme", ["http", "HttpS", "ftp", ""])
def test_an_address_is_told_as_it_is_checked(scheme: str) -> None:
    urls = [f"{scheme}://{''.join(parts)}" for parts in itertools.product(*URL_PARTS)]
    assert [url for url in urls if URL(url)] == [url for url in urls if passes(check_url, url)]


@unhurried
@given(st.text(st.sampled_from('ab.:/?#@é日-_%8 <>\\"|\xa0\uff0f'), max_size=12))
def test_what_stands_for_an_address_is_told_as_it_is_checked(rest: str) -> None:
    url = f"https://{rest}".strip()
    assert URL(url) == passes(check_url, url)


@unhurried
@given(st.lists(st.sampled_from(["", "0", "1", "Ffff", "fffff", "g"]), max_size=9).map(":".join))
def test_an_address_of_the_sixth_version_is_told_as_it_is_checked(host: str) -> None:
    url = f"https://[{host}]:80/"
    assert URL(url) == passes(check_url, url)


GOOD: Mapping[str, Any] = {
    "url": "https://warta.example/a", "published_at": "2020-08-16", "expires_at": "2020-08-16T12:59:00Z", "language": "id",
    "metadata": {"rubrik": "daerah"}, "article_ids": ["art_x"], "cluster_ids": ["clu_x"], "after": 7, "window_days": 7.5,
    "dry_run": True, "scope": "read", "kinds": ["cluster.merged"],
}  # fmt: skip
"""A value that each field takes; the others take words."""
VALUES: tuple[Any, ...] = (
    *(None, 0, 7.0, 7.5, -1, 36_500, 36_501, LAST_NUMBER, LAST_NUMBER + 1, True, "7", [], {}, [""], ["a\x00"], [7]),
    *({"": "x"}, {"x" * 65: ""}, {"a": "\x00"}, {"a\x00": ""}, {"a": 1}, {"a": "x" * 513}, {str(n): "" for n in range(33)}),
    *("", " ", "\u200b", "a\x00", "x" * 255, "x" * 256, "x" * 501, "berita \u200b", "write", "all", "id-ID", "a b"),
    *("2020-08-16T12:59Z", "2020-08-16T12:59:00", "2021-02-29", "1899-12-31", "ftp://a.example", "https://a@b.example/"),
    *("x" * 2001, "x" * 50_001, "x" * 1_000_001),
)  # fmt: skip
BODIES = {"text", "html", "page"}


def told_and_taken(model: type[BaseModel], bodies: Iterable[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """What the document takes of these, and what the model takes."""
    is_told = jsonschema_rs.Draft202012Validator(model.model_json_schema()).is_valid
    bodies = list(bodies)
    return (
        [repr(body)[:1000] for body in bodies if is_told(body)],
        [repr(body)[:1000] for body in bodies if passes(model.model_validate, body)],
    )


@pytest.mark.parametrize(
    "model",
    [ArticleIn, Probe, UndoIn, MergeIn, ClusterSplitIn, StorySplitIn, KeyIn, WebhookIn, ReclusteringIn],
)
def test_a_field_is_told_as_it_is_taken(model: type[BaseModel]) -> None:
    """Whatever stands in one field of a good body."""
    fields = {name: GOOD.get(name, "warta") for name in model.model_fields}
    bases = [{name: fields[name] for name in {*fields} - BODIES | {body}} for body in {*fields} & BODIES]
    bodies = [
        base | {name: value} for base in bases or [fields] for name in (*base, "nix") for value in VALUES
    ]
    told, taken = told_and_taken(model, [*(bases or [fields]), *bodies])
    assert told == taken
    assert len(taken) > len(bases or [fields])


@pytest.mark.parametrize("model", [ArticleIn, Probe])
def test_fields_that_go_together_are_told_as_they_are_taken(model: type[BaseModel]) -> None:
    """Each of these there, null or missing."""
    names = ("url", "source", "title", "external_id", *sorted(BODIES))
    each: list[tuple[dict[str, Any], ...]] = [
        ({}, {name: None}, {name: GOOD.get(name, "warta")}) for name in names
    ]
    told, taken = told_and_taken(model, (dict(ChainMap(*chosen)) for chosen in itertools.product(*each)))
    assert told == taken
    assert taken
