"""The gold reader: what it accepts, and what it says when it refuses."""

import gzip
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import pytest

from service.gold import GoldArticle, GoldError, read_gold

GOLD_FOLDER = Path(__file__).resolve().parents[2] / "shared" / "gold"
FIRST: dict[str, Any] = {
    "external_id": "a1",
    "url": "https://contoh.example/a1",
    "source": "contoh.example",
    "title": "Gempa Magnitudo 5,2 Guncang Kota",
    "text": "Kota — gempa mengguncang, Senin (16/9).\nWarga keluar rumah.\u2028Tidak ada korban.",
    "published_at": "2019-09-16T08:30:00+07:00",
    "cluster": "gempa-kota",
    "story": None,
    "copy_of": None,
}
SECOND = FIRST | {"external_id": "a2", "story": "gempa", "copy_of": "a1", "title": ""}


class Writer(Protocol):
    def __call__(self, content: bytes, name: str = "gold.ndjson") -> Path: ...


def ndjson(*records: object) -> bytes:
    return b"".join(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records)


@pytest.fixture
def file(tmp_path: Path) -> Writer:
    def write(content: bytes, name: str = "gold.ndjson") -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def test_reads_articles_in_file_order(file: Writer) -> None:
    assert [asdict(article) for article in read_gold(file(ndjson(FIRST, SECOND)))] == [FIRST, SECOND]


@pytest.mark.parametrize("name", ["gold.ndjson.gz", "gold.ndjson"])
def test_gzip_is_known_by_its_content(file: Writer, name: str) -> None:
    plain = read_gold(file(ndjson(FIRST, SECOND), "plain.ndjson"))
    assert read_gold(file(gzip.compress(ndjson(FIRST, SECOND)), name)) == plain


def test_unknown_fields_are_ignored(file: Writer) -> None:
    assert read_gold(file(ndjson(FIRST | {"part": 3, "note": {"a": []}}))) == [GoldArticle(**FIRST)]


def test_blank_lines_byte_order_mark_and_windows_line_ends(file: Writer) -> None:
    content = b"\xef\xbb\xbf" + ndjson(FIRST).replace(b"\n", b"\r\n") + b"\r\n" + ndjson(SECOND).rstrip()
    assert [article.external_id for article in read_gold(file(content))] == ["a1", "a2"]


def test_copy_may_stand_before_its_original(file: Writer) -> None:
    assert [article.external_id for article in read_gold(file(ndjson(SECOND, FIRST)))] == ["a2", "a1"]


def test_empty_file_has_no_articles(file: Writer) -> None:
    assert read_gold(file(b"")) == []


@pytest.mark.parametrize("name", sorted(FIRST))
def test_missing_field(file: Writer, name: str) -> None:
    short = {key: value for key, value in SECOND.items() if key != name}
    remedy = "write null" if name in {"story", "copy_of"} else "every article needs it"
    with pytest.raises(GoldError, match=rf"gold\.ndjson, line 2: the field '{name}' is missing; {remedy}"):
        read_gold(file(ndjson(FIRST, short)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cluster": None}, "line 2: the field 'cluster' is null; a singleton needs an event id of its own"),
        ({"cluster": ""}, "line 2: the field 'cluster' is empty; give an id"),
        ({"story": ""}, "line 2: the field 'story' is empty; write null"),
        ({"story": 7}, "line 2: the field 'story' is 7; write a string"),
        ({"title": None}, "line 2: the field 'title' is null; write a string"),
        ({"external_id": 12}, "line 2: the field 'external_id' is 12; write a string"),
        ({"external_id": "a1"}, "line 2: external_id 'a1' is already on line 1; remove one"),
        ({"copy_of": "zz"}, "line 2: copy_of 'zz' is not an external_id of this file; add that article"),
        ({"copy_of": "a2"}, "line 2: copy_of names the article itself; name the earlier article"),
    ],
)
def test_wrong_value(file: Writer, change: dict[str, object], message: str) -> None:
    with pytest.raises(GoldError) as refused:
        read_gold(file(ndjson(FIRST, SECOND | change)))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"external_id": "a2",', "line 3: not valid JSON"),
        (b"[1, 2]", "line 3: not a JSON object"),
        (b"null", "line 3: not a JSON object"),
        (b"[" * 100_000, "line 3: not valid JSON"),
        (b'{"title": "caf\xe9"}', "line 3: the text is not UTF-8"),
    ],
)
def test_unreadable_line(file: Writer, line: bytes, message: str) -> None:
    """Blank lines count, so that the number is the one an editor shows."""
    with pytest.raises(GoldError) as refused:
        read_gold(file(ndjson(FIRST) + b"\n" + line + b"\n"))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b[:-8] + b"\0" * 8, lambda b: b[:10] + b"\xff" * 9]
)
def test_damaged_gzip(file: Writer, damage: Callable[[bytes], bytes]) -> None:
    content = damage(gzip.compress(ndjson(FIRST, SECOND)))
    with pytest.raises(
        GoldError, match=r"line \d: the gzip data is damaged or cut short; copy the file again"
    ):
        read_gold(file(content, "gold.ndjson.gz"))


def test_missing_file_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_gold(tmp_path / "none.ndjson")


def test_error_is_a_value_error() -> None:
    assert issubclass(GoldError, ValueError)


@pytest.mark.shared
def test_development_set_is_as_documented() -> None:
    path = GOLD_FOLDER / "dev.ndjson.gz"
    if not path.exists():
        pytest.skip("the development gold set is third-party news and lies beside the checkout only")
    articles = read_gold(path)
    sizes = Counter(article.cluster for article in articles)
    assert len(articles) == 4094
    assert len(sizes) == 2476
    assert sum(size == 1 for size in sizes.values()) == 1858
    assert max(sizes.values()) == 33
    assert len({article.story for article in articles} - {None}) == 172
    assert sum(article.copy_of is not None for article in articles) == 52
