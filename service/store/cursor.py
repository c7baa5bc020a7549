"""Where the next page of a list begins: an opaque word that holds the last row's sort key."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass

from service.errors import FieldError, Refused

_LIMIT = 2**63
_KEY_LENGTH = 2


@dataclass(frozen=True, slots=True)
class Cursor:
    """The sort key of the last row on a page: a time in microseconds and the row's `seq`."""

    us: int
    seq: int

    def encode(self) -> str:
        """Write the cursor as the API gives it out."""
        raw = json.dumps([self.us, self.seq]).encode()
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    @classmethod
    def decode(cls, given: str) -> Cursor:
        """Read a cursor back.

        Raises:
            Refused: It was not made by `encode`.
        """
        try:
            raw = base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True)
            key = json.loads(raw)
        except (binascii.Error, ValueError, RecursionError):
            raise _bad() from None
        if not isinstance(key, list) or len(key) != _KEY_LENGTH:
            raise _bad()
        us, seq = key
        if not _fits(us) or not _fits(seq):
            raise _bad()
        return cls(us, seq)


def _fits(value: object) -> bool:
    return type(value) is int and -_LIMIT <= value < _LIMIT


def _bad() -> Refused:
    return Refused("invalid", [FieldError.of("/query/cursor", "bad_cursor")])
