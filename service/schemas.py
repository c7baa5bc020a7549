"""What the API takes: models of requests, with the refusals that pydantic does not know.

Answers stand in `service/answers.py`.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from service import patterns
from service.errors import FIELD_MESSAGES
from service.model import Precision

MAX_TITLE = 500
MAX_TEXT = 50_000
MAX_PAGE = 1_000_000
MAX_URL = 2_048
MAX_NAME = 255
MAX_NOTE = 2000
MAX_METADATA = 32
MAX_LIST = 100

WIB = timezone(timedelta(hours=7))
_EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2})(?:(:[0-9]{2})(\.[0-9]{1,9})?)?"
    r"([Zz]|[+-][0-9]{2}:[0-5][0-9]| [0-9]{2}:[0-9]{2})?",
    re.ASCII,
)
# Most addresses need no parser: nothing quoted, no port, no credentials, no query.
_PLAIN_URL = re.compile(r"https?://[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*(?:/[A-Za-z0-9._~/-]*)?", re.ASCII)
_UNSAFE_URL = re.compile(f"[{patterns.UNSAFE_IN_URL}]")


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as the caller gave it: aware, and how sharp it is."""

    at: datetime
    precision: Precision


def refusal(code: str, *, field: str | None = None) -> PydanticCustomError:
    """Make the error of a code in `FIELD_MESSAGES`; `field` points below the value that is checked."""
    return PydanticCustomError(code, FIELD_MESSAGES[code], {"field": field} if field else None)


def parse_moment(value: Any) -> Moment:
    """Read an RFC 3339 time with offset, or a date alone, taken at 00:00 in western Indonesia.

    Raises:
        PydanticCustomError: It is something else; the code says what.
    """
    if isinstance(value, Moment):
        return value
    if not isinstance(value, str):
        raise refusal("bad_time")
    try:
        moment = _moment(value)
    except PydanticCustomError:
        raise
    except (ValueError, OverflowError):
        raise refusal("bad_time") from None
    if moment.at < _EARLIEST:
        raise refusal("too_early")
    return moment


def _moment(value: str) -> Moment:
    if _DATE.fullmatch(value):
        return Moment(datetime.fromisoformat(value).replace(tzinfo=WIB), "day")
    parts = _TIME.fullmatch(value)
    if parts is None:
        raise ValueError
    day, minutes, seconds, fraction, offset = parts.groups()
    if offset is None:
        raise refusal("naive_time")
    if offset.startswith(" "):
        raise refusal("plus_as_space")
    zone = "+00:00" if offset in {"Z", "z"} else offset
    at = datetime.fromisoformat(f"{day}T{minutes}{seconds or ''}{(fraction or '')[:7]}{zone}")
    at.astimezone(UTC)  # the first and last days of the calendar overflow here, not later
    return Moment(at, "second" if seconds else "minute")


def check_text(value: str) -> str:
    """Refuse what a database cannot keep.

    Raises:
        PydanticCustomError: The value holds NUL or a lone surrogate.
    """
    if "\x00" in value:
        raise refusal("nul")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise refusal("surrogate") from None
    return value


def check_visible(value: str) -> str:
    """Refuse text in which nothing can be read.

    Raises:
        PydanticCustomError: There are only spaces and invisible characters.
    """
    if not any(char.isprintable() and not char.isspace() for char in value):
        raise refusal("blank")
    return value


def check_url(value: str) -> str:
    """Refuse all but http and https addresses of a host, without credentials.

    Raises:
        PydanticCustomError: The address is something else.
    """
    value = value.strip()
    if _PLAIN_URL.fullmatch(value):
        return value
    try:
        parts = urlsplit(value)
        has_host = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        raise refusal("bad_url") from None
    if not has_host or _UNSAFE_URL.search(value):
        raise refusal("bad_url")
    if parts.username is not None or parts.password is not None:
        raise refusal("url_credentials")
    return value


_STORABLE = Field(json_schema_extra={"pattern": patterns.STORABLE})
_VISIBLE = Field(json_schema_extra={"minLength": 1, "pattern": patterns.VISIBLE})

Url = Annotated[
    str,
    StringConstraints(max_length=MAX_URL),
    AfterValidator(check_text),
    AfterValidator(check_url),
    Field(json_schema_extra={"pattern": patterns.URL}),
]
Name = Annotated[
    str,
    StringConstraints(max_length=MAX_NAME),
    AfterValidator(check_text),
    AfterValidator(check_visible),
    _VISIBLE,
]
Title = Annotated[
    str,
    StringConstraints(max_length=MAX_TITLE),
    AfterValidator(check_text),
    AfterValidator(check_visible),
    _VISIBLE,
]
Body = Annotated[
    str,
    StringConstraints(max_length=MAX_TEXT),
    AfterValidator(check_text),
    AfterValidator(check_visible),
    _VISIBLE,
]
PageBody = Annotated[
    str,
    StringConstraints(max_length=MAX_PAGE),
    AfterValidator(check_text),
    AfterValidator(check_visible),
    _VISIBLE,
]
Key = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(check_text)]
Value = Annotated[str, StringConstraints(max_length=512), AfterValidator(check_text), _STORABLE]
Note = Annotated[str, StringConstraints(max_length=MAX_NOTE), AfterValidator(check_text), _STORABLE]
Id = Annotated[str, StringConstraints(max_length=MAX_NAME), AfterValidator(check_text), _STORABLE]
When = Annotated[
    Moment,
    BeforeValidator(parse_moment),
    PlainSerializer(lambda moment: moment.at.isoformat(), return_type=str),
    WithJsonSchema({"type": "string", "pattern": patterns.WHEN, "examples": ["2020-08-16"]}),
]


class Strict(BaseModel):
    """A request: unknown fields are refused, so that a typing error is not silently dropped."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


def _either(*ways: str) -> list[JsonValue]:
    """Tell the ways in which an article can be sent, each by the fields it needs, with one body and no other."""
    told: list[JsonValue] = []
    for way in ways:
        needed = way.split()
        others = {"text", "html", "page"}.difference(needed)
        kinds: dict[str, JsonValue] = {name: {"type": "string"} for name in needed}
        kinds.update({name: {"type": "null"} for name in sorted(others)})
        told.append({"required": list(needed), "properties": kinds})
    return told


class Probe(Strict):
    """An article to compare with what is stored: exactly one of `text`, `html` and `page`."""

    model_config = ConfigDict(json_schema_extra={"anyOf": _either("text title", "html", "page")})

    url: Url | None = Field(
        default=None,
        description="Address of the article; never fetched, only compared.",
        examples=["https://www.kompas.com/read/2024/03/27/06161181/contoh"],
    )
    source: Name | None = Field(
        default=None,
        description="Outlet as a domain or a name; read from `url` when missing.",
        examples=["kompas.com"],
    )
    title: Title | None = Field(default=None, description="Headline; needed beside `text`.")
    published_at: When | None = Field(
        default=None,
        description="RFC 3339 with an offset, or a date alone (precision `day`, taken at 00:00 +07:00). "
        "When missing, it is read from the page or its address, else it is the time of receipt.",
        examples=["2024-03-27T06:16:00+07:00", "2024-03-27"],
    )
    author: Name | None = Field(default=None, description="Who wrote it.")
    language: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,3}$")] | None = (
        Field(default=None, description="Language tag.", examples=["id"])
    )
    text: Body | None = Field(default=None, description="The body, already extracted.")
    html: PageBody | None = Field(default=None, description="The page's HTML.")
    page: PageBody | None = Field(
        default=None, description="Plain text copied from the rendered page, boilerplate and all."
    )

    external_id: Name | None = Field(default=None, description="The caller's own ID of the article.")
    metadata: dict[Key, Value] = Field(
        default_factory=dict,
        max_length=MAX_METADATA,
        description="Flat object of strings, kept and given back untouched.",
        # Beside values that have a pattern of their own pydantic forgets that of the keys.
        json_schema_extra={"propertyNames": {"minLength": 1, "maxLength": 64, "pattern": patterns.STORABLE}},
    )

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if sum(body is not None for body in (self.text, self.html, self.page)) != 1:
            raise refusal("one_body")
        if self.text is not None and self.title is None:
            raise refusal("title_needed", field="title")
        return self


class ArticleIn(Probe):
    """One article of one outlet: an identity, exactly one of `text`, `html` and `page`, and what is known of it.

    Sent again under the same `url` or `external_id` it is the same article; an edited text is a revision.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": _either("text title url", "text title source external_id", "html", "page"),
            "examples": [
                {
                    "url": "https://www.kompas.com/read/2024/03/27/06161181/contoh",
                    "title": "Gempa Magnitudo 5,2 Guncang Kota",
                    "published_at": "2024-03-27T06:16:00+07:00",
                    "text": "Gempa bermagnitudo 5,2 mengguncang kota, Rabu pagi. Warga keluar rumah.",
                }
            ],
        }
    )

    @model_validator(mode="after")
    def _identity(self) -> Self:
        if self.text is None:
            return self
        if self.source is None and self.url is None:
            raise refusal("source_needed", field="source")
        if self.url is None and self.external_id is None:
            raise refusal("no_identity", field="url")
        return self


class Page(Strict):
    """Which part of a list: at most `limit` items, from where `cursor` points."""

    limit: int = Field(default=20, ge=1, le=MAX_LIST, description="Items on a page.")
    cursor: Annotated[str, StringConstraints(max_length=300)] | None = Field(
        default=None, description="`next_cursor` of the page before."
    )


class Search(Page):
    """What every list is filtered by; times are `from` <= published < `to`."""

    q: Name | None = Field(default=None, description="Part of the title, upper or lower case.")
    source: Name | None = Field(default=None, description="Outlet, as a domain or a name.")
    from_: When | None = Field(default=None, alias="from", description="Earliest time or day.")
    to: When | None = Field(default=None, description="Time before which, or last day.")


class ArticleSearch(Search):
    """Filters of the list of articles."""

    cluster_id: Id | None = Field(default=None, description="Only members of this cluster.")
    story_id: Id | None = Field(default=None, description="Only members of this story.")


class GroupSearch(Search):
    """Filters of the list of stories."""

    updated_from: When | None = Field(default=None, description="Changed at or after this time.")
    min_sources: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Least independent sources."
    )


class ClusterSearch(GroupSearch):
    """Filters of the list of clusters."""

    story_id: Id | None = Field(default=None, description="Only clusters of this story.")
