"""IDs in addresses: what they look like, and what can be one at all."""

from typing import Annotated, Any

from fastapi import Path

from service.errors import NotFound
from service.model import ID_PREFIXES


def _path(kind: str) -> Any:
    """Tell in the document how an ID is written; anything else is looked up in vain, and answered as what is not there."""
    return Path(json_schema_extra={"pattern": f"^{ID_PREFIXES[kind]}[0-7][0-9A-HJKMNP-TV-Z]{{25}}$"})


ArticleId = Annotated[str, _path("article")]
ClusterId = Annotated[str, _path("cluster")]
StoryId = Annotated[str, _path("story")]
RunId = Annotated[str, _path("run")]
EditId = Annotated[str, _path("edit")]
WebhookId = Annotated[str, _path("webhook")]
KeyId = Annotated[str, _path("key")]


def known_id(given: str) -> str:
    """Pass on what can be an ID.

    Raises:
        NotFound: It cannot, and no database needs to see it.
    """
    if not given.isascii() or not given.isprintable() or len(given) > 40:  # noqa: PLR2004  30 are used
        raise NotFound
    return given
