"""Gzip bodies within bounds: no piece of input may cost more memory than the limit says."""

from __future__ import annotations

import zlib

from service.errors import Refused

MAX_MEMBERS = 1_000
_PIECE = 65_536
_GZIP = 31


class Inflater:
    """Inflate a gzip body as it arrives, at most `limit` bytes of it.

    Nothing may be used before `finish`: only then are all checksums known to be right.
    """

    def __init__(self, limit: int) -> None:
        self._body = bytearray()
        self._limit = limit
        self._members = 1
        self._stream = zlib.decompressobj(wbits=_GZIP)

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the body.

        Raises:
            Refused: It is not gzip, has too many members or grows over the limit.
        """
        # Small steps, because zlib copies what follows a member: 1,000 members in 8 MiB would copy 8 GB.
        for start in range(0, len(piece), _PIECE):
            rest = piece[start : start + _PIECE]
            while rest:
                if self._stream.eof:
                    self._next_member()
                rest = self._inflate(rest)

    def finish(self) -> bytes:
        """Return the whole body.

        Raises:
            Refused: It was cut short.
        """
        if not self._stream.eof:
            raise Refused("malformed_gzip")
        return bytes(self._body)

    def _inflate(self, given: bytes) -> bytes:
        """Inflate to the end of what is given or of the member; return what is left."""
        stream = self._stream
        while not stream.eof:
            try:
                out = stream.decompress(given, _PIECE)
            except zlib.error:
                raise Refused("malformed_gzip") from None
            if len(self._body) + len(out) > self._limit:
                raise Refused("inflated_too_large")
            self._body += out
            given = stream.unconsumed_tail
            # A full piece may leave output inside zlib although all input is taken.
            if not given and len(out) < _PIECE:
                break
        return stream.unused_data

    def _next_member(self) -> None:
        self._members += 1
        if self._members > MAX_MEMBERS:
            raise Refused("malformed_gzip")
        self._stream = zlib.decompressobj(wbits=_GZIP)
