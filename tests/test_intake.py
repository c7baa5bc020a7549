"""Files to records: every kind that is read, in order, and a place and a reason for all that cannot be."""

from __future__ import annotations

import gzip
import io
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.intake import FIELDS, IntakeError, Record, count_records, find_files, read_records

if TYPE_CHECKING:
    from pathlib import Path

ARTICLE = {"url": "https://contoh.example/1", "title": "Judul", "text": "Isi.", "source": "contoh.example"}


def write(path: Path, data: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return str(path)


def ndjson(*items: Any) -> bytes:
    return b"".join(json.dumps(item).encode() + b"\n" for item in items)


def test_folders_are_opened_in_order(tmp_path: Path) -> None:
    """A folder stands for all files below it that can be read, sorted; others in it are passed over."""
    names = [
        "b.ndjson",
        "a.json",
        "c/d.html",
        "c/a.txt.gz",
        "e.jsonl.gz",
        "f.htm",
        "c/skip.pdf",
        "skip.gz",
        "skip",
    ]
    for name in names:
        write(tmp_path / name, b"{}")

    found = find_files([str(tmp_path / "b.ndjson"), str(tmp_path)])

    wanted = ["b.ndjson", "a.json", "b.ndjson", "c/a.txt.gz", "c/d.html", "e.jsonl.gz", "f.htm"]
    assert [str(tmp_path / name) for name in wanted] == found


def test_standard_input_stays_a_name() -> None:
    """A dash is no file, and what it holds is not known before it is read."""
    assert find_files(["-"]) == ["-"]
    assert count_records(["-"]) is None


@pytest.mark.parametrize("name", ["nowhere.ndjson", "picture.png"])
def test_a_path_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    """A missing file or one of an unknown kind is refused by name, before anything is read."""
    write(tmp_path / "picture.png", b"")

    with pytest.raises(IntakeError, match=name):
        find_files([str(tmp_path / name)])


@pytest.mark.parametrize("name", ["a.ndjson", "a.jsonl", "a.ndjson.gz", "a.b.jsonl.gz"])
def test_lines(tmp_path: Path, name: str) -> None:
    """Each line is an article with its line number; empty lines count and are passed over; bad ones are told apart."""
    data = (
        ndjson(ARTICLE)
        + b"\n  \r\n{bad\n[1]\n"
        + ndjson(ARTICLE).rstrip()
        + b"\n"
        + b"[" * 100_000
        + b"\n\xff\n"
    )
    file = write(tmp_path / name, data)

    assert list(read_records(file)) == [
        Record(f"{file}:1", ARTICLE),
        Record(f"{file}:4", None, "not JSON"),
        Record(f"{file}:5", None, "not a JSON object"),
        Record(f"{file}:6", ARTICLE),
        Record(f"{file}:7", None, "not JSON"),
        Record(f"{file}:8", None, "not JSON"),
    ]


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (ARTICLE, [("[0]", ARTICLE, None)]),
        (
            [ARTICLE, 3, ARTICLE],
            [("[0]", ARTICLE, None), ("[1]", None, "not a JSON object"), ("[2]", ARTICLE, None)],
        ),
        ([], []),
    ],
)
def test_json(tmp_path: Path, name: str, value: Any, expected: list[tuple[str, Any, Any]]) -> None:
    """A JSON file holds one article or a list of them."""
    file = write(tmp_path / name, json.dumps(value).encode())

    assert [Record(f"{file}{place}", fields, error) for place, fields, error in expected] == list(
        read_records(file)
    )


def test_broken_json_is_one_bad_record(tmp_path: Path) -> None:
    """A JSON file that does not parse is one record without fields."""
    file = write(tmp_path / "a.json", b"[{}, {")

    assert [Record(file, None, "not JSON")] == list(read_records(file))


@pytest.mark.parametrize(
    ("name", "field"), [("a.html", "html"), ("a.htm.gz", "html"), ("a.txt", "page"), ("a.txt.gz", "page")]
)
def test_pages(tmp_path: Path, name: str, field: str) -> None:
    """A page is one record; bytes that are not UTF-8 are replaced, not refused."""
    file = write(tmp_path / name, b"Kabar \xff baru")

    assert [Record(file, {field: "Kabar � baru"})] == list(read_records(file))


def test_standard_input_is_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dash reads NDJSON from standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(ndjson(ARTICLE) + b"bad\n")))

    assert [Record("stdin:1", ARTICLE), Record("stdin:2", None, "not JSON")] == list(read_records("-"))


def test_unknown_fields_become_metadata(tmp_path: Path) -> None:
    """Short values of other fields are kept as text beside the metadata that is there, which wins; the rest is dropped."""
    item = ARTICLE | {
        "views": 7,
        "score": 1.5,
        "desk": "nasional",
        "long": "x" * 513,
        "k" * 65: "v",
        "tags": ["a"],
        "none": None,
        "author": None,
        "metadata": {"desk": "daerah", "own": "1"},
    }
    file = write(tmp_path / "a.ndjson", ndjson(item))

    (record,) = read_records(file)

    assert record.fields == ARTICLE | {
        "metadata": {"views": "7", "score": "1.5", "desk": "daerah", "own": "1"}
    }


@given(
    st.dictionaries(
        st.one_of(st.sampled_from(sorted(FIELDS)), st.text(max_size=70)),
        st.one_of(st.none(), st.integers(), st.text(max_size=5), st.just("y" * 600), st.lists(st.integers())),
        max_size=50,
    )
)
def test_any_object_gives_known_fields_and_small_metadata(item: dict[str, Any]) -> None:
    """Known fields pass untouched, nulls go, and metadata made of other fields stays within what the service takes."""
    from service.intake import _record  # noqa: PLC0415

    fields = _record("here", item).fields

    assert fields is not None
    known = {name: value for name, value in item.items() if name in FIELDS and value is not None}
    assert {name: fields[name] for name in known if name != "metadata"} == {
        name: value for name, value in known.items() if name != "metadata"
    }
    assert set(fields) <= set(known) | {"metadata"}
    if set(item) - FIELDS and "metadata" in fields and "metadata" not in known:
        assert len(fields["metadata"]) <= 32
        assert all(len(name) <= 64 and len(value) <= 512 for name, value in fields["metadata"].items())


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    """What can be read of a gzip file that is cut short comes first; then the file is named, as is one that is no gzip."""
    items = [ARTICLE | {"title": f"Judul {number}"} for number in range(20_000)]
    whole = gzip.compress(ndjson(*items))
    lines, page = tmp_path / "a.ndjson.gz", tmp_path / "b.txt.gz"
    lines.write_bytes(whole[: len(whole) // 2])
    page.write_bytes(b"no gzip at all")
    records: list[Record] = []

    with pytest.raises(IntakeError, match=r"a\.ndjson\.gz"):
        records.extend(read_records(str(lines)))
    with pytest.raises(IntakeError, match=r"b\.txt\.gz"):
        list(read_records(str(page)))

    assert len(records) > 0
    assert [Record(f"{lines}:{number + 1}", items[number]) for number in range(len(records))] == records


def test_records_are_counted_before_they_are_read(tmp_path: Path) -> None:
    """The bar's total: lines of NDJSON, packed or not, one a page; unknown for stdin, JSON and damaged files."""
    (tmp_path / "a.ndjson").write_bytes(b"{}\n" * 7)
    (tmp_path / "b.ndjson.gz").write_bytes(gzip.compress(b"{}\n" * 5))
    (tmp_path / "c.html").write_text("<p>", encoding="utf-8")
    (tmp_path / "d.json").write_text("[]", encoding="utf-8")
    (tmp_path / "e.ndjson.gz").write_bytes(gzip.compress(b"{}\n" * 5)[:-9])
    names = {file.name: str(file) for file in tmp_path.iterdir()}

    assert count_records([names["a.ndjson"], names["b.ndjson.gz"], names["c.html"]]) == 13
    assert count_records([names["a.ndjson"], names["d.json"]]) is None
    assert count_records([names["a.ndjson"], names["e.ndjson.gz"]]) is None
