"""What can go wrong, in one tree; the API turns each into one problem (RFC 9457).

    BenangError
    ├── Refused               the caller's fault, with the fields that are wrong
    ├── PageTooComplex        a page that may not be parsed (`service.extract` raises its own, mapped at the edge)
    ├── NotFound
    │   └── Gone              deleted, the tombstone stays
    ├── QueueFull             the writer has as much as it may hold
    ├── TooManyStreams        as many streams are open as may be
    ├── ReadOnly              only the process that writes can do this
    ├── NotReady              a condition of /readyz does not hold
    └── StoreUnavailable      the database did not answer
        └── StorageFull       no room for another commit

Titles, details and messages are constants: nothing here repeats what the caller sent.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

BASE = "https://benang.example/problems/"
MAX_ERRORS = 20
MAX_POINTER = 200
MAX_INSTANCE = 200


@dataclass(frozen=True, slots=True)
class Problem:
    """What a code means: HTTP status, title and detail."""

    status: int
    title: str
    detail: str


PROBLEMS: Mapping[str, Problem] = {
    "malformed_json": Problem(400, "Malformed JSON", "The body is not strict JSON in UTF-8."),
    "malformed_gzip": Problem(
        400, "Malformed gzip", "The gzip body is damaged, cut short or has too many parts."
    ),
    "malformed_request": Problem(400, "Malformed request", "A header of the request cannot be understood."),
    "unauthenticated": Problem(
        401, "Unauthenticated", "Send a key that is live, as one `Authorization: Bearer` header."
    ),
    "forbidden": Problem(
        403, "Forbidden", "What you came in with does not open this: it needs a key of another scope."
    ),
    "webhooks_off": Problem(
        403, "Webhooks are off", "The operator has to name the hosts that may be told of changes."
    ),
    "not_found": Problem(404, "Not found", "Nothing is stored under this address."),
    "reclustering_running": Problem(
        409, "Re-clustering is running", "One run at a time: wait until it is done, then start another."
    ),
    "contradiction": Problem(
        409, "Contradiction", "Another editor's word says the opposite; `errors` names it."
    ),
    "gone": Problem(410, "Gone", "This was deleted; its ID is never used again."),
    "method_not_allowed": Problem(
        405,
        "Method not allowed",
        "The address does not take this method; the Allow header names those it takes.",
    ),
    "body_timeout": Problem(408, "Body timeout", "The body did not arrive in time."),
    "too_many_keys": Problem(
        409, "Too many keys", "There are as many live keys as this service keeps: revoke one first."
    ),
    "too_many_webhooks": Problem(
        409, "Too many webhooks", "There are as many webhooks as this service keeps: delete one first."
    ),
    "body_too_large": Problem(413, "Body too large", "The body is larger than this route takes."),
    "inflated_too_large": Problem(413, "Inflated body too large", "The body is too large once inflated."),
    "too_many_items": Problem(
        413, "Too many items", "A bulk body holds too many articles: send it in parts."
    ),
    "unsupported_media_type": Problem(
        415, "Unsupported media type", "Send application/json; bulk bodies may also be application/x-ndjson."
    ),
    "unsupported_encoding": Problem(
        415, "Unsupported encoding", "Only bulk bodies may be encoded, with one gzip; see Accept-Encoding."
    ),
    "invalid": Problem(422, "Invalid", "A value is missing or cannot be used; `errors` names each one."),
    "page_too_complex": Problem(
        422, "Page too complex", "The page cannot be read within the limits: send its text instead."
    ),
    "rate_limited": Problem(429, "Rate limited", "You ask too often: try again after Retry-After seconds."),
    "queue_full": Problem(
        429, "Queue full", "Too many articles are waiting: try again after Retry-After seconds."
    ),
    "internal": Problem(
        500, "Internal error", "The service failed; the log tells why under this request_id."
    ),
    "not_ready": Problem(
        503, "Not ready", "The service cannot take this yet: try again after Retry-After seconds."
    ),
    "too_many_streams": Problem(
        503,
        "Too many streams",
        "As many streams are open as this service takes: try again, or read page by page.",
    ),
    "store_unavailable": Problem(
        503, "Store unavailable", "The database did not answer: try again, a repeated article is stored once."
    ),
    "read_only": Problem(503, "Read only", "This process only reads: send this to the one that writes."),
    "storage_full": Problem(507, "Storage full", "There is no room to store more; reading goes on."),
}

_RULES = {
    "missing": "missing",
    "extra_forbidden": "unknown_field",
    "string_too_long": "too_long",
    "too_long": "too_long",
    "string_too_short": "too_short",
    "string_unicode": "surrogate",
    "int_parsing_size": "out_of_range",
    "greater_than": "out_of_range",
    "literal_error": "unknown_value",
    "greater_than_equal": "out_of_range",
    "less_than_equal": "out_of_range",
}
_PLACES = {"body": "", "query": "/query", "path": "/path", "header": "/header"}

RETRY_AFTER_S = {
    "queue_full": 1,
    "rate_limited": 1,
    "read_only": 1,
    "not_ready": 5,
    "too_many_streams": 5,
    "store_unavailable": 2,
    "storage_full": 60,
}

FIELD_MESSAGES: Mapping[str, str] = {
    "missing": "This field is needed.",
    "unknown_field": "This field is not known here.",
    "too_long": "This is longer than allowed.",
    "too_short": "This is shorter than allowed.",
    "out_of_range": "This number is outside the allowed range.",
    "wrong_type": "This has the wrong type.",
    "unknown_value": "This is none of the values taken here.",
    "nul": "NUL characters cannot be stored.",
    "surrogate": "Lone surrogates are not text.",
    "blank": "This holds nothing that can be read.",
    "one_body": "Send exactly one of `text`, `html` and `page`.",
    "no_identity": "Send `url` or `external_id`, so that the article is known when it comes again.",
    "title_needed": "An article sent as `text` needs its `title`.",
    "source_needed": "An article sent as `text` needs a `source` or a `url`.",
    "title_not_found": "No title was found: send `title`.",
    "text_not_found": "No article text was found: send the article itself as `text`.",
    "source_not_found": "The page does not name its outlet: send `source` or `url`.",
    "bad_url": "Send a full http or https address.",
    "url_credentials": "An address must not hold a user name or password.",
    "https_needed": "Send an https address; http may only lead to the machine of the service itself.",
    "host_not_allowed": "The operator has not named this host among those that may be told of changes.",
    "bad_time": "Send an RFC 3339 time with an offset (2020-08-16T12:59:00+07:00) or a date (2020-08-16).",
    "naive_time": "The time has no offset: add Z or one such as +07:00.",
    "plus_as_space": "The `+` of the offset arrived as a space: write it as %2B in an address.",
    "in_future": "The time lies in the future.",
    "in_past": "The time lies in the past.",
    "too_early": "The time lies before 1900.",
    "bad_cursor": "Send a `next_cursor` as it was given, with the same filters.",
    "same_group": "Both are the same group already.",
    "not_inside": "This is not in the group.",
    "is_copy": "A copy stays with the article it repeats: name that one.",
    "leaves_nothing": "Something must stay behind.",
    "contradicts": "This editor's word says the opposite: undo it first.",
    "undone_already": "This was undone already.",
    "after_ahead": "No change has this number yet: the store was replaced, mirror it anew from 0.",
    "invalid": "This value cannot be used.",
}


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with a request: where, which rule, and the sentence for people."""

    pointer: str
    code: str
    message: str

    @classmethod
    def of(cls, pointer: str, code: str, message: str | None = None) -> FieldError:
        """Make the error of a known code; `message` replaces the usual sentence."""
        return cls(_ascii(pointer, MAX_POINTER), code, message or FIELD_MESSAGES[code])

    def under(self, prefix: str) -> FieldError:
        """Return the same error one level deeper."""
        return FieldError(_ascii(prefix + self.pointer, MAX_POINTER), self.code, self.message)


class BenangError(Exception):
    """The root: each error knows its problem code."""

    code: ClassVar[str] = "internal"


class Refused(BenangError):  # noqa: N818  the name says what happened to the request
    """The request is refused: `problem_code` says why, `errors` where, `headers` what a client can make of it."""

    def __init__(
        self,
        problem_code: str,
        errors: Iterable[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(problem_code)
        self.problem_code = problem_code
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


class PageTooComplex(BenangError):  # noqa: N818
    """A page has too many tags, takes too long or breaks the parser."""

    code = "page_too_complex"


class NotFound(BenangError):  # noqa: N818
    """There is nothing under this ID."""

    code = "not_found"


class Gone(NotFound):
    """What stood under this ID was deleted."""

    code = "gone"


class QueueFull(BenangError):  # noqa: N818
    """The writer's queue has no room."""

    code = "queue_full"


class TooManyStreams(BenangError):  # noqa: N818
    """No more streams may be open."""

    code = "too_many_streams"


class NotReady(BenangError):  # noqa: N818
    """The service starts, stops or is impaired; `conditions` names what does not hold."""

    code = "not_ready"

    def __init__(self, *conditions: str) -> None:
        super().__init__(*conditions)
        self.conditions = conditions


class ReadOnly(BenangError):  # noqa: N818
    """This process reads what another one writes."""

    code = "read_only"


class StoreUnavailable(BenangError):  # noqa: N818
    """The database did not answer or lost the connection."""

    code = "store_unavailable"


class StorageFull(StoreUnavailable):
    """The database has no room left."""

    code = "storage_full"


def code_of(error: BenangError) -> str:
    """Name the problem code of an error."""
    return error.problem_code if isinstance(error, Refused) else error.code


def errors_of(error: BenangError) -> tuple[FieldError, ...]:
    """List the fields, or the conditions of readiness, that an error names."""
    if isinstance(error, Refused):
        return error.errors
    if isinstance(error, NotReady):
        return tuple(
            FieldError(f"/{name}", name, "This condition does not hold.") for name in error.conditions
        )
    return ()


def in_words(problem: Mapping[str, Any]) -> str:
    """Return what a problem that a service answered says, for the terminal."""
    reasons = [f"{one['pointer']}: {one['message']}" for one in problem["errors"]]
    return " ".join([f"{problem['title']}. {problem['detail']}", *reasons])


def problem(
    code: str, *, instance: str, request_id: str, errors: Iterable[FieldError] = (), status: int | None = None
) -> dict[str, Any]:
    """Make the problem object of a code; `status` replaces the usual one for answers of the server itself."""
    known = PROBLEMS[code]
    return {
        "type": BASE + code,
        "title": known.title,
        "status": status or known.status,
        "detail": known.detail,
        "instance": quote(instance[:MAX_INSTANCE], safe="/:")[:MAX_INSTANCE],
        "request_id": request_id,
        "code": code,
        "errors": [asdict(error) for error in list(errors)[:MAX_ERRORS]],
    }


def field_errors(found: Sequence[Mapping[str, Any]], prefix: str = "") -> list[FieldError]:
    """Turn pydantic's errors into ours: places and rules, never the input."""
    return [_field_error(error, prefix) for error in found[:MAX_ERRORS]]


def _field_error(error: Mapping[str, Any], prefix: str) -> FieldError:
    place = list(error["loc"])
    start = _PLACES[place.pop(0)] if place and place[0] in _PLACES and not prefix else prefix
    context = error.get("ctx") or {}
    if "field" in context:
        place.append(context["field"])
    # A key of `metadata` that is refused stands as its own name and the word [key].
    steps = [str(step).replace("~", "~0").replace("/", "~1") for step in place if step != "[key]"]
    rule = str(error["type"])
    code = rule if rule in FIELD_MESSAGES and rule not in _RULES else _RULES.get(rule, _other(rule))
    limit = context.get("max_length")
    message = None
    if code == "too_long" and isinstance(limit, int):
        message = f"At most {limit} are allowed."
    elif code == "unknown_value":
        message = f"Send one of {context['expected']}."
    return FieldError.of(start + "".join(f"/{step}" for step in steps), code, message)


def _other(rule: str) -> str:
    return "wrong_type" if rule.endswith(("_type", "_parsing")) else "invalid"


def _ascii(text: str, limit: int) -> str:
    return text[:limit].encode("unicode_escape").decode("ascii")[:limit]
