"""Which rows hold a term: the lists behind a search by shared terms."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

ROW_CODE = "i"
"""Rows are kept as C integers of four bytes."""


class Postings:
    """The rows that hold each term, in the order they came."""

    def __init__(self) -> None:
        # Two of three terms that are heavy enough to be kept stand in one row only: those spare themselves the list.
        self._rows: dict[int, int | array[int]] = {}

    def add(self, terms: Iterable[int], row: int) -> None:
        """Note that `row` holds each of `terms`."""
        for term in terms:
            known = self._rows.setdefault(term, row)
            if isinstance(known, array):
                known.append(row)
            elif known != row:
                self._rows[term] = array(ROW_CODE, (known, row))

    def remove(self, terms: Iterable[int], row: int) -> None:
        """Take back what `add` noted.

        Raises:
            KeyError, ValueError: `row` was not noted for a term.
        """
        for term in terms:
            known = self._rows[term]
            if isinstance(known, array):
                known.remove(row)
                if not known:
                    del self._rows[term]
            elif known == row:
                del self._rows[term]
            else:
                raise ValueError(f"row {row} does not hold term {term}")

    def share(self, term: int, cap: int, into: array[int]) -> int:
        """Append the rows that hold `term` to `into`, none when they are more than `cap`; return how many it appended."""
        known = self._rows.get(term)
        if known is None:
            return 0
        if not isinstance(known, array):
            into.append(known)
            return 1
        if len(known) > cap:
            return 0
        into.extend(known)
        return len(known)
