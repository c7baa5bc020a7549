"""Read a gold file: articles labelled with event, story and copy.

NDJSON in UTF-8, one article per line, plain or gzipped.
"""

import gzip
import io
import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

_GZIP_MAGIC = b"\x1f\x8b"
_NULLABLE = frozenset({"story", "copy_of"})
_IDS = frozenset({"external_id", "cluster", "story", "copy_of"})


class GoldError(ValueError):
    """A gold file that cannot be used; the message names the line and the remedy."""


@dataclass(frozen=True, slots=True)
class GoldArticle:
    """One labelled article: what was crawled, its event, its story and the article it repeats."""

    external_id: str
    url: str
    source: str
    title: str
    text: str
    published_at: str  # ISO 8601; about a tenth of the rows carry only a date
    cluster: str  # never null: a singleton has an event of its own
    story: str | None
    copy_of: str | None


_FIELDS = tuple(field.name for field in fields(GoldArticle))


def read_gold(path: Path) -> list[GoldArticle]:
    """Read all articles of a gold file in file order, or raise GoldError at the first flaw.

    Source: the gold file of this project, NDJSON; gzip is known by its first bytes, not by the name.
    """
    lines: dict[str, int] = {}
    articles: list[GoldArticle] = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(_unzipped(file), start=1):
                if not line.strip():
                    continue
                article = _article(line, f"{path.name}, line {number}")
                if article.external_id in lines:
                    raise GoldError(
                        f"{path.name}, line {number}: external_id {article.external_id!r} is already on line "
                        f"{lines[article.external_id]}; remove one of the two or give it an id of its own"
                    )
                lines[article.external_id] = number
                articles.append(article)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise GoldError(
            f"{path.name}, after line {max(lines.values(), default=0)}: the gzip data is damaged or cut short; "
            "copy the file again"
        ) from error
    _check_copies(articles, lines, path.name)
    return articles


def _unzipped(file: io.BufferedReader) -> Iterable[bytes]:
    return gzip.open(file) if file.peek(2).startswith(_GZIP_MAGIC) else file


def _article(line: bytes, where: str) -> GoldArticle:
    try:
        record = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise GoldError(f"{where}: the text is not UTF-8; save the file as UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise GoldError(f"{where}: not valid JSON ({error}); write one JSON object per line") from error
    if not isinstance(record, dict):
        raise GoldError(f"{where}: not a JSON object; write one article per line as {{...}}")
    return GoldArticle(**{name: _value(record, name, where) for name in _FIELDS})


def _value(record: dict[str, Any], name: str, where: str) -> Any:
    """Return the field's value, which is a string, or null where that is allowed."""
    if name not in record:
        remedy = "write null where there is none" if name in _NULLABLE else "every article needs it"
        raise GoldError(f"{where}: the field {name!r} is missing; {remedy}")
    value = record[name]
    if value is None and name in _NULLABLE:
        return None
    if not isinstance(value, str):
        remedy = "a singleton needs an event id of its own" if name == "cluster" else "write a string"
        raise GoldError(f"{where}: the field {name!r} is {json.dumps(value)[:40]}; {remedy}")
    if not value and name in _IDS:
        remedy = "write null where there is none" if name in _NULLABLE else "give an id"
        raise GoldError(f"{where}: the field {name!r} is empty; {remedy}")
    return value


def _check_copies(articles: list[GoldArticle], lines: dict[str, int], file: str) -> None:
    for article in articles:
        where = f"{file}, line {lines[article.external_id]}"
        if article.copy_of == article.external_id:
            raise GoldError(
                f"{where}: copy_of names the article itself; name the earlier article or write null"
            )
        if article.copy_of is not None and article.copy_of not in lines:
            raise GoldError(
                f"{where}: copy_of {article.copy_of!r} is not an external_id of this file; "
                "add that article or write null"
            )
