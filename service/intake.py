"""Files to articles: NDJSON, JSON, HTML pages, pasted pages, folders, standard input."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import IO

NDJSON = {".ndjson", ".jsonl"}
PAGES = {".html": "html", ".htm": "html", ".txt": "page"}
KNOWN = NDJSON | {".json"} | set(PAGES)
FIELDS = frozenset(
    {
        "url",
        "external_id",
        "source",
        "title",
        "published_at",
        "author",
        "language",
        "metadata",
        "text",
        "html",
        "page",
    }
)
MAX_KEY, MAX_VALUE, MAX_KEYS = 64, 512, 32


class IntakeError(ValueError):
    """A path cannot be read; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Record:
    """One article as a file gives it: where it stands, and its fields or why there are none."""

    place: str
    fields: dict[str, Any] | None
    error: str | None = None


class Line(NamedTuple):
    """One line of an NDJSON file as it stands there, for who parses it elsewhere."""

    place: str
    json: bytes

    def record(self) -> Record:
        """Parse the line."""
        try:
            value = json.loads(self.json)
        except (ValueError, RecursionError):
            return Record(self.place, None, "not JSON")
        return _record(self.place, value)


def find_files(paths: Iterable[str]) -> list[str]:
    """Return the files named by `paths`, folders opened; "-" stays standard input.

    Raises:
        IntakeError: a path does not exist or is of a kind that is not read.
    """
    found: list[str] = []
    for name in paths:
        path = Path(name)
        if name == "-":
            found.append(name)
        elif path.is_dir():
            found += sorted(str(file) for file in path.rglob("*") if file.is_file() and _kind(file) in KNOWN)
        elif not path.exists():
            raise IntakeError(f"{name} does not exist.")
        elif _kind(path) not in KNOWN:
            raise IntakeError(
                f"{name}: this kind of file is not read. Give .ndjson, .jsonl, .json (each also .gz), .html or .txt."
            )
        else:
            found.append(name)
    return found


def read_records(name: str) -> Iterator[Record]:
    """Yield the articles of one file; a line that cannot be read is yielded with its error.

    Raises:
        IntakeError: the file breaks off or is damaged.
    """
    for item in read_items(name):
        yield item.record() if isinstance(item, Line) else item


def read_items(name: str) -> Iterator[Line | Record]:
    """Yield the articles of one file, those of NDJSON unparsed.

    Raises:
        IntakeError: the file breaks off or is damaged.
    """
    if name == "-":
        yield from _lines("stdin", sys.stdin.buffer)
        return
    try:
        yield from _read_file(name, Path(name))
    except (OSError, EOFError, zlib.error) as error:
        raise IntakeError(f"{name} cannot be read to its end: {error}. What came before is kept.") from error


def _read_file(name: str, path: Path) -> Iterator[Line | Record]:
    kind = _kind(path)
    if kind in PAGES:
        text = _read(path).decode("utf-8", "replace")
        yield Record(name, {PAGES[kind]: text})
    elif kind == ".json":
        yield from _json(name, _read(path))
    else:
        with _open(path) as lines:
            yield from _lines(name, lines)


def count_records(names: Iterable[str]) -> int | None:
    """Return about how many articles the files hold, for a progress bar; None where that is not known before reading."""
    total = 0
    for name in names:
        if name == "-" or _kind(Path(name)) == ".json":
            return None
        if _kind(Path(name)) in PAGES:
            total += 1
            continue
        try:
            with _open(Path(name)) as lines:
                total += sum(piece.count(b"\n") for piece in iter(lambda: lines.read(1 << 20), b""))
        except (OSError, EOFError, zlib.error):
            return None  # reading it for good says what is wrong
    return total


def _kind(path: Path) -> str:
    suffixes = path.suffixes
    return suffixes[-2] if len(suffixes) > 1 and suffixes[-1] == ".gz" else path.suffix


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _read(path: Path) -> bytes:
    with _open(path) as file:
        return file.read()


def _lines(name: str, lines: Iterable[bytes]) -> Iterator[Line]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield Line(f"{name}:{number}", line)


def _json(name: str, data: bytes) -> Iterator[Record]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        yield Record(name, None, "not JSON")
        return
    items = value if isinstance(value, list) else [value]
    for number, item in enumerate(items):
        yield _record(f"{name}[{number}]", item)


def _record(place: str, value: Any) -> Record:
    """Keep the fields the service knows; what else a file holds becomes metadata when it is short text."""
    if not isinstance(value, dict):
        return Record(place, None, "not a JSON object")
    fields = {name: item for name, item in value.items() if name in FIELDS and item is not None}
    other = {
        str(name): str(item)
        for name, item in value.items()
        if name not in FIELDS and isinstance(item, str | int | float) and len(str(name)) <= MAX_KEY
    }
    if other:
        given = fields.get("metadata")
        known = given if isinstance(given, dict) else {}
        short = {name: item for name, item in other.items() if len(item) <= MAX_VALUE}
        fields["metadata"] = dict(list({**short, **known}.items())[:MAX_KEYS])
    return Record(place, fields)
