"""Two real pages, ten weeks apart, end as two events of one story."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.desk import Desk
from service.prepare import prepare
from service.schemas import ArticleIn
from service.settings import Settings
from service.store.groups import get_timeline
from service.telemetry import Metrics

PAGES = Path(__file__).resolve().parents[2] / "shared" / "pages"
NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.shared
def test_two_pages_of_one_saga(tmp_path: Path) -> None:
    """Posted as copied from the browser: title, outlet, time, clean body, one story, two clusters, one timeline."""
    if not PAGES.exists():
        pytest.skip("the pages of real outlets are not beside this checkout")
    with Desk.open(Settings(data=tmp_path), Metrics()) as desk:
        read = [
            prepare(
                ArticleIn(page=(PAGES / name).read_text(encoding="utf-8")),
                now=NOW,
                future_tolerance_s=600,
                pages=desk.pages,
            )
            for name in ("kompas_belarus.txt", "republika_belarusia.txt")
        ]
        august, october = (desk.submit([article]).result()[0] for article in read)
        again = desk.submit([read[0]]).result()[0]
        with desk.reader.connect() as connection:
            timeline = get_timeline(connection, august.placement.story_id)

    assert [(one.title, one.source, one.published_at.isoformat(), one.agency) for one in read] == [
        (
            "Putin Janjikan Bantuan Keamanan kepada Presiden Belarus Lukashenko",
            "kompas.com",
            "2020-08-16T12:59:00+07:00",
            "BBC",
        ),
        (
            "Belarusia dan Rusia akan Kerja Sama Respons Ancaman Asing",
            "republika.co.id",
            "2020-10-25T16:25:00+07:00",
            "Reuters",
        ),
    ]
    for one in read:
        assert not any(
            word in one.text for word in ("Baca", "BACA", "Simak", "Terkini", "Advertisement", "sumber")
        )
    assert august.placement.story_id == october.placement.story_id
    assert august.placement.cluster_id != october.placement.cluster_id
    assert [event["date"] for event in timeline["events"]] == ["2020-08-16", "2020-10-25"]
    assert (again.status, again.id) == ("unchanged", august.id)
