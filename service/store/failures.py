"""What can be wrong with a store as a whole, and what an error of its database means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from service.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["full", "io", "busy", "lost", "corrupt", "other"]

_SQLITE: Mapping[int, Kind] = {5: "busy", 6: "busy", 10: "io", 11: "corrupt", 13: "full", 26: "corrupt"}
_SQLITE_FULL = frozenset({778, 4874})
"""Writes that the file system refuses, to a file or to the index of the log; other errors of reading and writing have other
numbers above 255."""
_UNREADABLE = "Could not decode to UTF-8"
"""What the driver says of text that was never written so; it has no number for it."""
# By the whole state, else by its class; PostgreSQL's manual, appendix A.
_STATES: Mapping[str, Kind] = {
    "53100": "full",
    "58030": "io",
    "55P03": "busy",
    "40001": "busy",
    "40P01": "busy",
    "57014": "busy",
    "57P01": "lost",
    "57P02": "lost",
    "57P03": "lost",
    "57P05": "lost",
    "25006": "lost",
    "XX001": "corrupt",
    "XX002": "corrupt",
}
_NO_TABLE = "42P01"
_CLASSES: Mapping[str, Kind] = {"08": "lost", "53": "busy"}


class StoreError(RuntimeError):
    """The store cannot be used; the message says why and what to do."""


class StoreInUseError(StoreError):
    """Another process writes to the store."""


class FolderInUseError(StoreInUseError):
    """Another process owns the data folder."""


def is_out_of_reach(error: DBAPIError) -> bool:
    """Say whether a database cannot be read at all, so that it is no fault of the statement."""
    known = isinstance(error, OperationalError | InterfaceError) or kind_of(error) == "corrupt"
    return known or getattr(error.orig, "sqlstate", None) == _NO_TABLE


def kind_of(error: BaseException) -> Kind:
    """Return what a failure means, whichever database it comes from."""
    if isinstance(error, StoreUnavailable) and error.__cause__ is not None:
        return kind_of(error.__cause__)
    if isinstance(error, StoreInUseError):
        return "lost"
    if not isinstance(error, DBAPIError):
        return "other"
    if error.connection_invalidated:
        return "lost"
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return _STATES.get(state, _CLASSES.get(state[:2], "other"))
    return _kind_of_sqlite(error.orig)


def _kind_of_sqlite(error: BaseException | None) -> Kind:
    number = getattr(error, "sqlite_errorcode", None)
    if number is None:
        return "corrupt" if _UNREADABLE in str(error) else "other"
    return "full" if number in _SQLITE_FULL else _SQLITE.get(number & 0xFF, "other")
