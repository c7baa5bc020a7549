"""Files into a desk through real worker processes: the same decisions as one article after the other."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select
from wire import groups, models

from service import feed as feed_module
from service.demo.show import read_articles
from service.desk import Desk
from service.extract import PagePool
from service.feed import Tally, feed
from service.intake import Record, find_files, read_items, read_records
from service.learned import load_models
from service.model import Outcome
from service.prepare import prepare
from service.reading import Rejected
from service.schemas import ArticleIn
from service.settings import Settings
from service.store import tables
from service.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wire import Groups

BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"title": "Tanpa isi", "url": "https://contoh.example/x"}, "invalid", ": Send exactly one"),
    ({"title": "T", "text": "Isi", "source": "s"}, "invalid", "/url: Send `url` or `external_id`"),
    ({"title": "T", "text": "Isi", "url": "ftp://contoh.example"}, "invalid", "/url: Send a full http"),
    (
        {"title": "T", "text": "Isi", "url": "https://contoh.example/y", "published_at": "2099-01-01"},
        "invalid",
        "/published_at: The time lies in the future.",
    ),
    ({"page": "…"}, "invalid", "/title"),
    ({"html": "<a>" * 30_000, "url": "https://contoh.example/z"}, "page_too_complex", ""),
]


def desk_on(folder: Path, **changes: Any) -> Desk:
    return Desk.open(Settings(data=folder, **changes), Metrics(), models=models())


def post_one_by_one(desk: Desk, bodies: Sequence[dict[str, Any]]) -> None:
    """Post each article and await its answer before the next."""
    with PagePool() as pages:
        for body in bodies:
            now = datetime.now(tz=UTC)
            item = prepare(ArticleIn.model_validate(body), now=now, future_tolerance_s=600, pages=pages)
            desk.submit([item]).result(30)


def one_by_one(folder: Path, bodies: Sequence[dict[str, Any]]) -> Groups:
    """What the desk decides when each article is posted and awaited alone."""
    with desk_on(folder) as desk:
        post_one_by_one(desk, bodies)
        return groups(desk.reader)


def decided(desk: Desk) -> list[tuple[Any, ...]]:
    """Each article in order with its text, the bytes of its vectors and all that was decided, told without IDs."""
    a, c, v = tables.articles.c, tables.clusters.c, tables.vectors.c
    query = select(tables.articles, c.story_reason, v.blob, v.opens_cluster, c.article_count).join(
        tables.clusters, c.id == a.cluster_id
    )
    with desk.reader.connect() as connection:
        rows = connection.execute(
            query.outerjoin(tables.vectors, v.article_seq == a.seq).order_by(a.seq)
        ).all()
    names = {row.id: row.external_id for row in rows}

    def reason(text: str) -> dict[str, Any]:
        values: dict[str, Any] = json.loads(text)
        return values | {"nearest": names.get(values["nearest"]), "runner_up": values["runner_up"] is None}

    return [
        (
            *(
                row.external_id,
                row.title,
                row.text,
                row.labels,
                row.fingerprint,
                row.published_us,
                row.relation,
            ),
            *(names.get(row.copy_of), row.similarity, row.blob, row.opens_cluster, row.article_count),
            *(reason(row.reason), reason(row.story_reason)),
        )
        for row in rows
    ]


@pytest.fixture
def mixed() -> list[Record]:
    """The demo with bad records among it, one of them no JSON at all."""
    records = [Record(f"demo:{number}", body) for number, body in enumerate(read_articles())]
    for number, (body, _code, _error) in enumerate(BAD):
        records.insert(number * 9 + 3, Record(f"bad:{number}", body))
    records.insert(20, Record("bad:line", None, "not JSON"))
    return records


@pytest.mark.parametrize(("workers", "queue_size"), [(1, 64), (2, 1)])
def test_feeding_equals_posting_one_by_one(
    tmp_path: Path, mixed: list[Record], monkeypatch: pytest.MonkeyPatch, workers: int, queue_size: int
) -> None:
    """Groups, statuses and order are those of single posts; each bad record is told by place, code and field."""
    monkeypatch.setattr(feed_module, "CHUNK", 10)
    heard: list[tuple[Record, Outcome | Rejected]] = []

    def listen(records: list[Record], results: list[Outcome | Rejected]) -> None:
        heard.extend(zip(records, results, strict=True))

    with desk_on(tmp_path / "fed", queue_size=queue_size) as desk:
        tally = feed(desk, mixed, workers=workers, on_chunk=listen)
        found = groups(desk.reader)
        told = desk.metrics.render().decode()

    assert one_by_one(tmp_path / "posted", read_articles()) == found
    assert [record.place for record in mixed] == [record.place for record, _result in heard]
    for record, result in heard:
        if isinstance(result, Outcome):
            assert record.fields is not None
            assert record.fields["external_id"] == result.article.external_id
    outcomes = [result for _record, result in heard if isinstance(result, Outcome)]
    assert {"created": 64, "rejected": len(BAD) + 1} == tally.statuses
    assert Counter(outcome.placement.relation for outcome in outcomes) == tally.relations
    assert len(found.clusters) == tally.clusters_opened
    assert [result for _record, result in heard if isinstance(result, Rejected)] == tally.rejected
    expected = {f"bad:{number}": (code, error) for number, (_body, code, error) in enumerate(BAD)}
    expected["bad:line"] = ("malformed_json", "not JSON")
    for rejected in tally.rejected:
        code, error = expected.pop(rejected.place)
        assert code == rejected.code
        assert not error or any(one.startswith(error) for one in rejected.errors), rejected
    assert expected == {}
    assert f'benang_rejected_total{{reason="invalid"}} {len(BAD) - 1}.0' in told


@pytest.mark.parametrize("workers", [1, 2])
def test_readers_encode_with_the_bundled_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """Read and encoded in other processes, from lines of a file: to the byte what one process makes of single posts."""
    monkeypatch.setattr(feed_module, "CHUNK", 10)
    bodies = [*read_articles(), *strange_articles()]
    file = tmp_path / "a.ndjson"
    file.write_text("\n".join(json.dumps(body) for body in bodies), encoding="utf-8")
    bundled = load_models("bundled")
    found = []
    for name in ("fed", "posted"):
        with Desk.open(Settings(data=tmp_path / name), Metrics(), models=bundled) as desk:
            if name == "fed":
                feed(desk, read_items(str(file)), workers=workers)
            else:
                post_one_by_one(desk, bodies)
            found.append((decided(desk), groups(desk.reader)))
    fed, posted = found

    assert len(bodies) == len(fed[0])
    assert any(vector is not None and any(vector[18:274]) for *_, vector, _, _, _, _ in fed[0])
    assert posted == fed


def strange_articles() -> list[dict[str, Any]]:
    """Texts whose characters change when they are normalised, and one of which no word is known."""
    texts = (
        "“Gempa” \u0130STANBUL ﬁlm kafe\u0301 \u00adber\u200bita ½ Rp２.５００",
        "zxqv wvuqx",
        "é" * 3000,
    )
    return [
        {
            "external_id": f"strange-{number}",
            "source": "contoh.example",
            "title": text[:60],
            "text": f"{text} {text}",
            "published_at": "2026-02-10T08:00:00+07:00",
        }
        for number, text in enumerate(texts)
    ]


def test_a_file_twice_changes_nothing(tmp_path: Path) -> None:
    """P4: feeding a file again, or a folder that holds it, leaves every article unchanged."""
    lines = [json.dumps(body | {"ruang": "uji"}) for body in read_articles()]
    (tmp_path / "a.ndjson").write_text("\n".join(lines), encoding="utf-8")
    tallies = []
    with desk_on(tmp_path / "data") as desk:
        for paths in ([str(tmp_path / "a.ndjson")], [str(tmp_path)]):
            records = [record for name in find_files(paths) for record in read_records(name)]
            tallies.append(feed(desk, records))
            found = groups(desk.reader)

    assert [Counter(created=64), Counter(unchanged=64)] == [tally.statuses for tally in tallies]
    assert one_by_one(tmp_path / "posted", read_articles()) == found


def test_nothing_to_feed(tmp_path: Path) -> None:
    """No records, no result."""
    with desk_on(tmp_path) as desk:
        assert Tally() == feed(desk, [])


def test_the_tally_keeps_a_thousand_refusals() -> None:
    """All are counted; the first thousand are kept with their places."""
    tally = Tally()
    for number in range(1005):
        tally.refuse(Rejected(f"p{number}", "invalid", ()))

    assert tally.statuses["rejected"] == 1005
    assert [one.place for one in tally.rejected] == [f"p{number}" for number in range(1000)]
