"""An editor's word from the terminal: alone on the data folder, or through the service that owns it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx

from service import editing
from service.editing import Editor
from service.errors import BenangError, Gone, NotFound, errors_of, in_words
from service.store.opening import owned_store
from service.store.trail import FOLDER, record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from service.editing import Edited
    from service.model import Action
    from service.server import Running
    from service.settings import Settings
    from service.store.edits import Level

TIMEOUT_S = 60.0
_LEVELS: Mapping[str, Level] = {"clu": "cluster", "sto": "story"}
_ACTIONS: Mapping[str, Action] = {"merge": "edit.merged", "split": "edit.split", "undo": "edit.undone"}
_PATHS = {"clu": "clusters", "sto": "stories", "edt": "edits"}


class EditRefusedError(ValueError):
    """An editor's word that cannot be taken; the message says why."""


def say_alone(settings: Settings, group: str, action: str, word: dict[str, Any]) -> dict[str, Any]:
    """Own the store, and merge, split or undo.

    Raises:
        EditRefusedError: the word cannot be taken; nothing changed.
        StoreError: another process owns the store, or it is damaged.
    """
    _known(group, action)
    with owned_store(settings.place) as engine:
        try:
            with engine.begin() as connection:
                said = _taken(connection, group, action, word).word
                record(connection, FOLDER, _ACTIONS[action], said["id"], time.time_ns() // 1000)
                return said
        except BenangError as error:
            raise EditRefusedError(_in_words(error, group)) from error


def say_through(service: Running, group: str, action: str, word: dict[str, Any]) -> dict[str, Any]:
    """Merge, split or undo in a running service.

    Raises:
        EditRefusedError: the service does not take the word.
    """
    path = f"/v1/{_PATHS[_known(group, action)]}/{group}/{action}"
    try:
        answer = httpx.post(
            f"{service.url}{path}", json=word, headers=service.headers, timeout=TIMEOUT_S, trust_env=False
        )
    except httpx.TransportError as error:
        raise EditRefusedError("The service does not answer; nothing was sent twice. Try again.") from error
    said: dict[str, Any] = answer.json()
    if answer.is_error:
        raise EditRefusedError(in_words(said))
    return said


def _known(group: str, action: str) -> str:
    """Return the kind of an ID.

    Raises:
        EditRefusedError: it is of none that can be merged, split or undone.
    """
    kind = group.partition("_")[0]
    if kind not in _PATHS or (kind == "edt") != (action == "undo"):
        wanted = "an edit (edt_…)" if action == "undo" else "a cluster (clu_…) or a story (sto_…)"
        raise EditRefusedError(f"{group} is not the ID of {wanted}.")
    return kind


def _taken(connection: Connection, group: str, action: str, word: dict[str, Any]) -> Edited:
    editor = Editor(word["actor"], word.get("note", ""), time.time_ns() // 1000)
    if action == "undo":
        return editing.undo(connection, group, editor)
    level = _LEVELS[group.partition("_")[0]]
    if action == "merge":
        return editing.merge(connection, level, group, word["other_id"], editor)
    leaving = word["article_ids" if level == "cluster" else "cluster_ids"]
    return editing.split(connection, level, group, leaving, editor)


def _in_words(error: BenangError, group: str) -> str:
    if isinstance(error, Gone):
        return f"{group}, or what was named beside it, was deleted."
    if isinstance(error, NotFound):
        return f"{group}, or what was named beside it, is not in this store."
    reasons = " ".join(f"{one.pointer}: {one.message}" for one in errors_of(error))
    return f"Refused. {reasons}"
