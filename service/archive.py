"""An archive of the store as Parquet, a folder a day: for analysis elsewhere, and for nights on many machines."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from service.stage import HandsError
from service.store import export

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from service.stage import Numbers

FACTS = "_archive.json"
"""Readers of Parquet folders pass over names that begin so."""
FILE = "articles.parquet"
CHUNK = 2000
_KEPT = 2
SCHEMA = pa.schema(
    [
        ("seq", pa.int64()),
        ("id", pa.string()),
        ("external_id", pa.string()),
        ("url", pa.string()),
        ("source", pa.string()),
        ("publisher", pa.string()),
        ("title", pa.string()),
        ("text", pa.string()),
        ("author", pa.string()),
        ("language", pa.string()),
        ("published_at", pa.timestamp("us", tz="UTC")),
        ("received_at", pa.timestamp("us", tz="UTC")),
        ("relation", pa.string()),
        ("copy_of", pa.string()),
        ("similarity", pa.float64()),
        ("cluster_id", pa.string()),
        ("story_id", pa.string()),
        ("provisional", pa.bool_()),
        ("vectors", pa.binary()),
    ]
)


class ArchiveError(HandsError):
    """A folder that cannot be used as an archive; the message says why."""


def write_archive(
    connection: Connection, folder: Path, *, progress: Callable[[int], None] = lambda _rows: None
) -> int:
    """Write every article with its groups and vectors below `folder`, one `day=YYYY-MM-DD` a day; return their number.

    Days are those of the event (UTC). `_archive.json` is written last: a folder without it is no archive.

    Raises:
        ArchiveError: the folder holds something already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ArchiveError(f"{folder} is not empty. Name a new folder: an archive is never written over.")
    folder.mkdir(parents=True, exist_ok=True)
    facts = export.facts(connection)
    count = 0
    for day, rows in export.by_day(connection):
        place = folder / f"day={day}"
        place.mkdir()
        with pq.ParquetWriter(place / FILE, SCHEMA, compression="zstd") as writer:
            for part in rows:
                writer.write_table(pa.Table.from_pylist(part, schema=SCHEMA))
                count += len(part)
                progress(len(part))
    (folder / FACTS).write_text(json.dumps({**facts, "articles": count}, indent=2) + "\n", encoding="utf-8")
    return count


def read_facts(folder: Path) -> dict[str, Any]:
    """Return what an archive says of itself.

    Raises:
        ArchiveError: the folder is no archive.
    """
    try:
        facts: dict[str, Any] = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArchiveError(
            f"{folder} is no archive: it has no {FACTS} that can be read. `benang export` writes one."
        ) from error
    return facts


class ArchiveVectors:
    """The vectors of an archive, read day by day."""

    def __init__(self, folder: Path) -> None:
        read_facts(folder)
        self._files = sorted(folder.glob(f"day=*/{FILE}"))
        found = [pq.read_table(file, columns=["seq"])["seq"].to_numpy() for file in self._files]
        days = np.repeat(np.arange(len(found)), [len(seqs) for seqs in found])
        seqs = np.concatenate([np.zeros(0, dtype=np.int64), *found])
        order = np.argsort(seqs)
        self._seqs, self._days = seqs[order], days[order]
        self._day = lru_cache(maxsize=_KEPT)(self._read_day)

    def missing(self, seqs: Numbers) -> int:
        """Return how many of these articles the archive does not hold."""
        return int((~np.isin(seqs, self._seqs)).sum())

    def read(self, seqs: Numbers) -> Iterator[bytes | None]:
        """Yield the vectors of articles by `seq`, in the order asked; None for those that are not there."""
        for seq in seqs.tolist():
            place = int(np.searchsorted(self._seqs, seq))
            if place == len(self._seqs) or self._seqs[place] != seq:
                yield None
            else:
                yield self._day(int(self._days[place])).get(seq)

    def _read_day(self, day: int) -> dict[int, bytes]:
        table = pq.read_table(self._files[day], columns=["seq", "vectors"])
        return dict(zip(table["seq"].to_pylist(), table["vectors"].to_pylist(), strict=True))
