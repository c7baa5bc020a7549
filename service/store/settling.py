"""Which articles no night has settled yet: a narrow table, so that settling a million rewrites no text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import bindparam, delete, exists, insert, select

from service.store.bulk import chunks
from service.store.tables import articles, unsettled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

IS_PROVISIONAL = (
    exists(select(unsettled.c.article_seq).where(unsettled.c.article_seq == articles.c.seq))
    .correlate(articles)
    .label("provisional")
)
"""A column of a query over `articles`."""


def unsettle(connection: Connection, ids: Sequence[str]) -> None:
    """Have the next night look at these articles; those that wait for it already go on waiting."""
    for part in chunks(ids):
        connection.execute(
            insert(unsettled).from_select(
                ["article_seq"],
                select(articles.c.seq).where(articles.c.id.in_(part), ~IS_PROVISIONAL.element),
            )
        )


def unsettle_all(connection: Connection) -> None:
    """Have the next night look at every article."""
    connection.execute(
        insert(unsettled).from_select(
            ["article_seq"], select(articles.c.seq).where(~IS_PROVISIONAL.element).order_by(articles.c.seq)
        )
    )


def settle(connection: Connection, seqs: Iterable[int]) -> None:
    """Take articles, by `seq`, as settled."""
    ordered = np.unique(np.fromiter(seqs, dtype=np.int64))
    # Most of a night's articles stand one behind the other: a run of them is one deletion.
    runs = np.split(ordered, np.flatnonzero(np.diff(ordered) > 1) + 1)
    rows = [{"first": int(run[0]), "last": int(run[-1])} for run in runs if len(run)]
    if rows:
        between = unsettled.c.article_seq.between(bindparam("first"), bindparam("last"))
        connection.execute(delete(unsettled).where(between), rows)
