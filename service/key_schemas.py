"""What the API takes and answers about keys."""

from typing import Literal

from pydantic import Field

from service.answers import Answer
from service.keys import Scope
from service.model import Action
from service.schemas import Name, Strict, When


class KeyIn(Strict):
    """Who gets a key, and what it opens."""

    name: Name = Field(description="Whose it is, or what for.", examples=["redaksi"])
    scope: Scope = Field(description="What it opens; each scope opens what those before it open.")
    expires_at: When | None = Field(default=None, description="When it ceases to open; never when missing.")


class KeyRow(Answer):
    """A key, without what opens."""

    id: str = Field(examples=["key_01J8ZC5W5E6Q8R9S0T1V2W3X4Y"])
    name: str
    scope: Scope
    status: Literal["live", "expired", "revoked"]
    created_at: str
    expires_at: str | None
    revoked_at: str | None


class NewKey(KeyRow):
    """A new key."""

    secret: str = Field(description="What a caller shows as `Authorization: Bearer`; it is not shown again.")


class KeyList(Answer):
    """All keys there ever were, the oldest first."""

    items: list[KeyRow]


class AuditRow(Answer):
    """Something that was done."""

    at: str
    caller: str = Field(
        description="The ID of a key; `folder`: a command on the data folder; `schedule`: the service itself; "
        "`loopback` or `anyone`: nobody needed a key."
    )
    action: Action
    target: str = Field(description="What it was done to; of an editor's word the edit, which has its actor.")
    request_id: str | None = Field(description="Under this ID the log has the request.")


class AuditList(Answer):
    """What was done, the latest first."""

    items: list[AuditRow]
    next_cursor: str | None
