"""P9: a store written as lines and read back is the same store, row by row, and decides on as it would have."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from test_backup import groups_in, no_bar, rows_of, store
from test_changes import ACTIONS, History
from test_cli import run, said
from test_desk import opened, post
from wire import faults, groups, look_alikes

from service.store.changes import RESTORED
from service.store.failures import FolderInUseError, StoreError
from service.store.sqlite import FILE, own_folder, reader_engine
from service.store.tables import articles, changes, metadata
from service.transfer import TransferError, export_lines, import_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from service.backup import Restored

__all__ = ["store"]


def written(folder: Path, file: Path) -> int:
    engine = reader_engine(folder)
    with engine.connect() as connection:
        count = export_lines(connection, file, progress=lambda _rows: None)
    engine.dispose()
    return count


def read_back(file: Path, folder: Path) -> Restored:
    return import_lines(file, folder, progress=no_bar)


def numbers(folder: Path) -> dict[str, int]:
    """The last number that every table has given out."""
    engine = reader_engine(folder)
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT name, seq FROM sqlite_sequence WHERE name != 'changes'")
        last = {row.name: row.seq for row in found if row.seq}
    engine.dispose()
    return last


@pytest.fixture
def file(store: Path, tmp_path: Path) -> Path:
    written(store, tmp_path / "news.ndjson")
    return tmp_path / "news.ndjson"


# --- the same store ---------------------------------------------------------------------------------------------------


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    steps=st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 2**16)), min_size=1, max_size=8),
    compressed=st.booleans(),
)
def test_a_history_survives_its_lines(
    seed: int, steps: list[tuple[Callable[[History, random.Random], None], int]], compressed: bool
) -> None:
    """P9: after posts, edits, deletions, nights and editors' words by chance: the same rows, then the same decisions."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / ("news.ndjson.gz" if compressed else "news.ndjson")
        with opened(folder / "old") as desk:
            history = History(desk, look_alikes(seed, 60))
            for act, luck in steps:
                act(history, random.Random(luck))
            written(folder / "old", file)
        done = read_back(file, folder / "new")
        assert [one.name for one in done.findings if not one.ok] == []
        assert rows_of(folder / "new") == rows_of(folder / "old")
        assert numbers(folder / "new") == numbers(folder / "old")

        with opened(folder / "old") as old, opened(folder / "new") as new:
            for desk in (old, new):
                post(desk, *look_alikes(seed + 1, 12))
                assert faults(desk.reader) == []
            assert groups(old.reader) == groups(new.reader)
            assert places(old.reader) == places(new.reader)


def places(engine: Any) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(select(articles.c.seq, articles.c.external_id))]


def test_every_table_is_in_it(store: Path, file: Path) -> None:
    """Each row of each table is one line that any tool can read; bytes are base64."""
    head, *lines, end = [json.loads(line) for line in file.read_text().splitlines()]
    found: dict[str, int] = dict.fromkeys(metadata.tables, 0)
    for line in lines:
        found[line["table"]] += 1
    expected = {name: len(rows) for name, rows in rows_of(store).items()}

    assert found == expected == {name: one["rows"] for name, one in head["tables"].items()}
    assert all(
        found[name] for name in ("articles", "vectors", "revisions", "tombstones", "changes", "unsettled")
    )
    assert end["end"] == len(lines)
    body = file.read_bytes()
    assert hashlib.sha256(body[: body.rstrip(b"\n").rindex(b"\n") + 1]).hexdigest() == end["sha256"]
    titles = [line["row"]["title"] for line in lines if line["table"] == "articles"]
    assert titles == [row[7] for row in rows_of(store)["articles"]]


def test_the_feed_says_that_it_goes_on_from_elsewhere(file: Path, tmp_path: Path) -> None:
    read_back(file, tmp_path / "new")
    engine = reader_engine(tmp_path / "new")
    with engine.connect() as connection:
        *_, last = connection.execute(select(changes).order_by(changes.c.seq))
    engine.dispose()
    assert last.kind == RESTORED


def test_an_export_beside_the_writer_is_of_one_moment(tmp_path: Path) -> None:
    """What is committed while it is written is in none of its tables."""
    with opened(tmp_path / "data") as desk:
        post(desk, *look_alikes(3, 40))
        before = groups(desk.reader)
        more: Iterator[Any] = iter(look_alikes(4, 40))

        def meanwhile(_rows: int) -> None:
            if (item := next(more, None)) is not None:
                post(desk, item)

        with desk.reader.connect() as connection:
            export_lines(connection, tmp_path / "news.ndjson", progress=meanwhile)
        assert groups(desk.reader) != before

    read_back(tmp_path / "news.ndjson", tmp_path / "new")
    assert groups_in(tmp_path / "new") == before


SMALL = """
import sys
from pathlib import Path
from service.store.engine import reader_engine
from service.transfer import export_lines, import_lines
what, folder, file = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
if what == "export":
    with reader_engine(folder).connect() as connection:
        export_lines(connection, file, progress=lambda rows: None)
else:
    import_lines(file, folder, progress=lambda done, total: None)
(line,) = [one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM")]
print(line.split()[1])
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_store(tmp_path: Path) -> None:
    """P16: ten times the articles, exported and imported, take no more than the database's own cache."""
    peaks: dict[str, list[int]] = {"export": [], "import": []}
    for size in (300, 3000):
        source, file = tmp_path / f"data{size}", tmp_path / f"{size}.ndjson"
        with opened(source) as desk:
            long = look_alikes(5, 300)
            for start in range(0, size, 300):
                post(desk, *[numbered(item, start) for item in long])
        for what, folder in (("export", source), ("import", tmp_path / f"new{size}")):
            done = subprocess.run(
                [sys.executable, "-c", SMALL, what, str(folder), str(file)],
                capture_output=True,
                text=True,
                check=True,
                timeout=120,
            )
            peaks[what].append(int(done.stdout) // 1024)
        assert file.stat().st_size > size * 5000

    assert all(large - small < 40 for small, large in peaks.values()), peaks


def numbered(item: Any, start: int) -> Any:
    name = f"{item.external_id}-{start}"
    text = f"{item.text} Nomor {start}. " + item.text * 3
    return replace(item, external_id=name, url_key=name, text=text)


# --- what is refused --------------------------------------------------------------------------------------------------


def test_only_where_there_is_none_yet(store: Path, file: Path, tmp_path: Path) -> None:
    """A store that holds something stays as it is; one that never held anything is replaced; an owner is respected."""
    with opened(tmp_path / "full") as desk:
        post(desk, *look_alikes(1, 3))
    before = rows_of(tmp_path / "full")
    with pytest.raises(TransferError, match="holds something"):
        read_back(file, tmp_path / "full")
    assert rows_of(tmp_path / "full") == before
    with opened(tmp_path / "blank"), pytest.raises(FolderInUseError):
        read_back(file, tmp_path / "blank")
    with own_folder(tmp_path / "owned"), pytest.raises(FolderInUseError):
        read_back(file, tmp_path / "owned")

    read_back(file, tmp_path / "blank")

    assert rows_of(tmp_path / "blank") == rows_of(store)
    assert {one.name for one in (tmp_path / "blank").iterdir() if one.stat().st_size} == {FILE}


def lines_of(file: Path) -> list[bytes]:
    return file.read_bytes().splitlines(keepends=True)


def sealed(lines: list[bytes]) -> bytes:
    """Lines with a new end that fits them."""
    body = b"".join(lines[:-1])
    end = {"end": len(lines) - 2, "sha256": hashlib.sha256(body).hexdigest()}
    return body + json.dumps(end).encode() + b"\n"


def changed(lines: list[bytes], table: str, **values: Any) -> bytes:
    """The last row of a table with other values, and a seal that fits."""
    number = max(place for place, line in enumerate(lines) if f'"table":"{table}"'.encode() in line)
    one = json.loads(lines[number])
    one["row"] |= values
    return sealed([*lines[:number], json.dumps(one).encode() + b"\n", *lines[number + 1 :]])


def with_head(lines: list[bytes], **values: Any) -> bytes:
    return sealed([json.dumps(json.loads(lines[0]) | values).encode() + b"\n", *lines[1:]])


DAMAGE: dict[str, tuple[Callable[[list[bytes]], bytes], str]] = {
    "nothing": (lambda _lines: b"", "line 1: the file ends here"),
    "no end": (lambda lines: b"".join(lines[:-1]), "not whole"),
    "half a line": (lambda lines: b"".join(lines)[: len(b"".join(lines)) // 2], "not whole"),
    "a line lost": (lambda lines: b"".join(lines[:9] + lines[10:]), "checksum does not match"),
    "a letter changed": (lambda lines: b"".join(lines).replace(b"Harga", b"harga", 1), "checksum does not match"),
    "a row too few": (lambda lines: sealed(lines[:-2] + lines[-1:]), "should have"),
    "a row twice": (lambda lines: sealed([*lines[:-1], lines[-2], lines[-1]]), "contradict each other"),
    "more behind the end": (lambda lines: b"".join(lines) + b"{}\n", "nothing may follow"),
    "not JSON": (lambda lines: b"".join([*lines[:5], b"rubbish\n", *lines[5:]]), "line 6: this is not JSON"),
    "a list": (lambda lines: b"".join([*lines[:5], b"[]\n", *lines[5:]]), "line 6: this is no object"),
    "no row": (lambda lines: b"".join([*lines[:5], b'{"a":1}\n', *lines[5:]]), "line 6: this is no row"),
    "other NDJSON": (lambda _lines: b'{"title":"Gempa","text":"Isi"}\n', "no export of benang"),
    "another table": (lambda lines: b"".join(lines).replace(b'"table":"clusters"', b'"table":"x"', 1), "no table x"),
    "another column": (lambda lines: changed(lines, "articles", more=1), "other columns"),
    "text for a number": (lambda lines: changed(lines, "articles", published_us="soon"), "cannot be stored"),
    "a number too large": (lambda lines: changed(lines, "articles", published_us=2**63), "cannot be stored"),
    "null": (lambda lines: changed(lines, "articles", title=None), "cannot be stored"),
    "true": (lambda lines: changed(lines, "articles", revision=True), "cannot be stored"),
    "bad base64": (lambda lines: changed(lines, "vectors", blob={"base64": "%"}), "cannot be read"),
    "an object": (lambda lines: changed(lines, "vectors", blob={"a": 1}), "cannot be read"),
    "of no cluster": (lambda lines: changed(lines, "articles", cluster_id="clu_none"), "contradict each other"),
    "a later schema": (lambda lines: with_head(lines, schema="9999"), "later version"),
    "a later format": (lambda lines: with_head(lines, format=2), "later version"),
    "no tables": (lambda lines: with_head(lines, tables=[]), "measures no tables"),
    "bad measure": (lambda lines: with_head(lines, tables={"meta": {"rows": "x"}}), "does not measure meta"),
    "unknown measure": (lambda lines: with_head(lines, tables={"x": {"rows": 1, "last": 1}}), "no table x"),
    "half a gzip": (lambda lines: gzip.compress(b"".join(lines))[:-2000], "not whole"),
    "gzip of noise": (lambda lines: gzip.compress(b"".join(lines), mtime=0)[:99] + b"\xff" * 999, "not whole"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_file_that_is_not_whole_is_refused(file: Path, tmp_path: Path, damage: str) -> None:
    """P8, P9: in a sentence that says where; there is no store afterwards, and nothing half."""
    change, words = DAMAGE[damage]
    file.write_bytes(change(lines_of(file)))

    result = run("import", file, "--data", tmp_path / "new")

    assert result.exit_code == 2
    assert words in said(result)
    assert "Traceback" not in result.output
    assert [one.name for one in (tmp_path / "new").iterdir()] == ["lock"]


def test_wrong_counts_are_told(file: Path, tmp_path: Path) -> None:
    file.write_bytes(changed(lines_of(file), "stories", article_count=99))

    result = run("import", file, "--data", tmp_path / "new", "--json")

    assert result.exit_code == 1
    (wrong,) = json.loads(result.stdout)["wrong"]
    assert wrong.startswith("the counts of stories equal their members")


def test_an_export_is_never_written_over(store: Path, file: Path, tmp_path: Path) -> None:
    before = file.read_bytes()
    assert "is there already" in said(run("export", file, "--data", store))
    assert "cannot be written" in said(run("export", tmp_path / "nowhere" / "x.ndjson", "--data", store))
    assert "no name for" in said(run("export", tmp_path / "news", "--format", "ndjson", "--data", store))
    assert "no name for" in said(run("export", tmp_path / "x.ndjson", "--format", "parquet", "--data", store))
    assert file.read_bytes() == before
    assert {one.name for one in tmp_path.iterdir()} == {file.name}


def test_export_and_import_in_the_terminal(store: Path, tmp_path: Path) -> None:
    file = tmp_path / "news.ndjson.gz"
    told = json.loads(run("export", file, "--data", store, "--json").stdout)
    assert told == {"rows": sum(map(len, rows_of(store).values())), "file": str(file), "format": "ndjson"}
    assert file.stat().st_mode & 0o777 == 0o600

    result = run("import", file, "--data", tmp_path / "new")

    assert result.exit_code == 0
    count = len(rows_of(store)["articles"])
    assert f"holds {count} articles in" in " ".join(result.stdout.split())
    with pytest.raises(StoreError, match="holds something"):
        read_back(file, tmp_path / "new")
