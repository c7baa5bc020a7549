"""What the API takes and answers about the change feed."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from service.answers import Answer
from service.model import Kind
from service.schemas import Strict, Url, refusal

MAX_CHANGES = 1000
# The last that every reader of JSON holds exactly; a change has a smaller number until 2255.
LAST_NUMBER = 2**53 - 1

Place = Annotated[int, Field(ge=0, le=LAST_NUMBER)]


def check_number(value: Any) -> Any:
    """Refuse what pydantic would make a number of, as it has to in an address.

    Raises:
        PydanticCustomError: The value is text or a truth value.
    """
    if isinstance(value, str | bool):
        raise refusal("wrong_type")
    return value


class FeedSearch(Strict):
    """Which changes are wanted."""

    after: Place = Field(default=0, description="Number of the last change you have; 0 for none.")
    kind: list[Kind] = Field(
        default=[], description="Only changes of these kinds; may be given several times."
    )


class ChangeSearch(FeedSearch):
    """Which changes are wanted, and how many at once."""

    limit: int = Field(default=100, ge=1, le=MAX_CHANGES, description="Changes in one answer.")


class ChangeRow(Answer):
    """One change; what does not apply to its kind is left out."""

    seq: int = Field(description="Its number: later changes have greater ones.")
    at: str
    kind: Kind
    article_id: str | None = None
    cluster_id: str | None = Field(default=None, description="The cluster as it is after the change.")
    story_id: str | None = Field(default=None, description="The story as it is after the change.")
    other_id: str | None = Field(
        default=None, description="Where it came from (moved, split), or what it was merged into (merged)."
    )
    cause: str | None = Field(default=None, description="The run or the edit that did it; none for ingest.")


class ChangeList(Answer):
    """A part of the change feed, in order."""

    items: list[ChangeRow]
    next_after: int = Field(description="Give it back as `after`.")
    last: int = Field(
        description="Number of the newest change of all; you are up to date when `next_after` is it."
    )


class WebhookIn(Strict):
    """Who wants to be told of changes."""

    url: Url = Field(
        description="Where to send them: an https address of an allowed host, or http to this machine itself.",
        examples=["https://hooks.example/benang"],
    )
    kinds: list[Kind] = Field(default=[], description="Only changes of these kinds; empty for all.")
    after: Annotated[Place, BeforeValidator(check_number)] | None = Field(
        default=None,
        description="Begin behind this number, 0 for everything; when missing, with what comes next.",
    )


class Registered(Answer):
    """Who is told of changes."""

    id: str = Field(examples=["whk_01J8ZC5W5E6Q8R9S0T1V2W3X4Y"])
    url: str
    kinds: list[Kind]
    created_at: str
    after_seq: int = Field(description="Number of the last change its receiver has confirmed.")


class NewWebhook(Registered):
    """A new webhook."""

    secret: str = Field(description="Signs what is sent; it is not shown again.")


class WebhookRow(Registered):
    """A webhook and how it fares."""

    lag: int = Field(description="How many changes of any kind came after the last one it has confirmed.")
    failures: int = Field(description="Tries that failed since the last that did not.")
    next_try_at: str | None
    last_error: str | None = Field(description="What went wrong at the last try, if it failed.")


class WebhookList(Answer):
    """All webhooks, the oldest first."""

    items: list[WebhookRow]
