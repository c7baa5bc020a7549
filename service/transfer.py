"""A whole store as lines of JSON, and back: for another database, another version, or eyes and tools of one's own.

The first line measures every table, the last one seals what stands between: `sha256` of all lines before it.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from base64 import b64decode, b64encode
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, cast

from pydantic_core import from_json, to_json

from service.backup import Restored, new_store, settle
from service.placing import part_in, put_in_place
from service.store import copying, rows
from service.store.engine import known_schemas, migrate, writer_engine
from service.store.failures import StoreError
from service.store.rows import Extent, Row
from service.store.sqlite import FILE, own_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection

FORMAT = 1
MAX_LINE = 16 * 2**20
"""Bytes; the largest article takes less than a megabyte."""
_GZIP = b"\x1f\x8b"
_BYTES = "base64"


class TransferError(StoreError):
    """A file of lines cannot be written or read; the message says where and why."""


# --- out --------------------------------------------------------------------------------------------------------------


def export_lines(connection: Connection, file: Path, *, progress: Callable[[int], None]) -> int:
    """Write everything this view of the store holds to a new `file`, compressed if its name ends in `.gz`; return the rows.

    Raises:
        TransferError: there is such a file, or none can be written.
    """
    if file.exists():
        raise TransferError(f"{file} is there already. Name a new file: an export is never written over.")
    count = 0
    try:
        with part_in(file.parent) as part:
            with _writing(part, compressed=file.suffix == ".gz") as out:
                seal = hashlib.sha256()

                def write(value: dict[str, Any]) -> None:
                    line = to_json(value) + b"\n"
                    seal.update(line)
                    out.write(line)

                write(_head(connection))
                for table, row in rows.all_rows(connection):
                    write({"table": table, "row": {name: _outward(one) for name, one in row.items()}})
                    count += 1
                    progress(1)
                out.write(to_json({"end": count, "sha256": seal.hexdigest()}) + b"\n")
            put_in_place(part, file)
    except OSError as error:
        raise TransferError(f"{file} cannot be written ({error.strerror}).") from error
    return count


def _head(connection: Connection) -> dict[str, Any]:
    measured = {name: {"rows": one.rows, "last": one.last} for name, one in rows.extents(connection).items()}
    return {"benang": "export", "format": FORMAT, "schema": known_schemas()[-1], "tables": measured}


@contextmanager
def _writing(file: Path, *, compressed: bool) -> Iterator[IO[bytes]]:
    with file.open("wb") as raw:
        if not compressed:
            yield raw
            return
        with gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6) as out:
            yield cast("IO[bytes]", out)


def _outward(value: Any) -> Any:
    return {_BYTES: b64encode(value).decode("ascii")} if isinstance(value, bytes) else value


# --- in ---------------------------------------------------------------------------------------------------------------


def import_lines(file: Path, data: Path, *, progress: Callable[[int, int], None]) -> Restored:
    """Make the store that `export_lines` wrote to `file` anew in `data`; `progress` hears of rows done and rows in all.

    All of it is there at once, checked, or nothing is.

    Raises:
        FolderInUseError: a process writes to the folder.
        StoreError: a store that holds something is there, or the file is not whole.
    """
    if not file.is_file():
        raise TransferError(f"There is no file {file}.")
    with own_folder(data):
        _require_blank(data)
        with new_store(data) as made:
            _fill(file, made, progress)
            held = copying.examine(made / FILE)
            findings, blank = settle(made, data)
            if blank is not None:
                blank.unlink()
            return Restored(held, findings, None)


def _require_blank(data: Path) -> None:
    if (data / FILE).exists() and not copying.is_blank(data / FILE):
        raise TransferError(
            f"There is a store in {data} that holds something. Name an empty folder with --data."
        )


def _fill(file: Path, made: Path, progress: Callable[[int, int], None]) -> None:
    with _reading(file) as lines:
        head = lines.head()
        measured = _measured(head)
        if head["schema"] not in known_schemas():
            raise TransferError(
                f"{file} was written by a later version of benang (schema {head['schema']}; this one knows up to "
                f"{known_schemas()[-1]}). Install that version first."
            )
        total = sum(one.rows for one in measured.values())
        engine = writer_engine(made)
        try:
            migrate(engine, head["schema"])
            rows.write_rows(engine, lines.rows(lambda done: progress(done, total)), measured)
        except TransferError:
            raise
        except StoreError as error:
            raise TransferError(f"{file}, before line {lines.number + 1}: {error}") from error
        finally:
            engine.dispose()


def _measured(head: dict[str, Any]) -> dict[str, Extent]:
    tables = head["tables"]
    if not isinstance(tables, dict):
        raise TransferError("The first line measures no tables.")
    found = {}
    for name, one in tables.items():
        if not isinstance(one, dict) or {type(one.get(key)) for key in ("rows", "last")} != {int}:
            raise TransferError(f"The first line does not measure {name}.")
        found[name] = Extent(one["rows"], one["last"])
    return found


class _Lines:
    """The lines of an export, read one by one and held against their seal."""

    def __init__(self, file: Path, stream: IO[bytes]) -> None:
        self.number = 0
        self._file = file
        self._stream = stream
        self._seal = hashlib.sha256()

    def head(self) -> dict[str, Any]:
        """Read the first line."""
        line = self._next()
        found = self._parsed(line)
        if found.get("benang") != "export" or not {"schema", "tables"} <= found.keys():
            raise TransferError(
                f"{self._file} is no export of benang (`benang export FILE.ndjson` writes one)."
            )
        if found.get("format") != FORMAT:
            raise TransferError(
                f"{self._file} was written by a later version of benang. Install that version first."
            )
        self._seal.update(line)
        return found

    def rows(self, progress: Callable[[int], None]) -> Iterator[tuple[str, Row]]:
        """Yield the rows, to the last line."""
        while True:
            line = self._next()
            found = self._parsed(line)
            if "end" in found:
                break
            table, row = found.get("table"), found.get("row")
            if not isinstance(table, str) or not isinstance(row, dict):
                raise self._bad("this is no row")
            self._seal.update(line)
            yield table, {name: self._inward(one) for name, one in row.items()}
            progress(self.number - 1)
        if found.get("sha256") != self._seal.hexdigest():
            raise TransferError(
                f"{self._file} was changed since it was written: its checksum does not match."
            )
        if self._read():
            raise self._bad("nothing may follow the end")

    def _next(self) -> bytes:
        line = self._read()
        self.number += 1
        if not line.endswith(b"\n"):
            raise self._bad(
                "the file ends here, it is not whole" if len(line) < MAX_LINE else "this is too long"
            )
        return line

    def _read(self) -> bytes:
        try:
            return self._stream.readline(MAX_LINE)
        except (OSError, EOFError, zlib.error) as error:
            raise self._bad("the file cannot be read on, it is not whole") from error

    def _parsed(self, line: bytes) -> dict[str, Any]:
        try:
            found = from_json(line, allow_inf_nan=False)
        except ValueError as error:
            raise self._bad("this is not JSON") from error
        if not isinstance(found, dict):
            raise self._bad("this is no object")
        return found

    def _inward(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        try:
            return b64decode(value[_BYTES], validate=True)
        except (KeyError, TypeError, ValueError) as error:
            raise self._bad("this holds a value that cannot be read") from error

    def _bad(self, reason: str) -> TransferError:
        return TransferError(f"{self._file}, line {self.number}: {reason}.")


@contextmanager
def _reading(file: Path) -> Iterator[_Lines]:
    with file.open("rb") as raw:
        is_compressed = raw.read(2) == _GZIP
        raw.seek(0)
        yield _Lines(file, cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if is_compressed else raw)
