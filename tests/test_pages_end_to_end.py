"""Two outlets' pasted pages through the whole road: what a reader of both would say of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from service.desk import Desk
from service.extract import PagePool
from service.learned import load_models
from service.prepare import prepare
from service.schemas import ArticleIn
from service.settings import Settings
from service.store.groups import get_story, get_timeline
from service.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.model import Article, Outcome

PAGES = Path(__file__).resolve().parents[2] / "shared" / "pages"
NOW = datetime(2026, 11, 1, tzinfo=UTC)
"""Long after the pages: nothing may be dated by its receipt."""

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not PAGES.is_dir(), reason="needs ../shared/pages beside the checkout"),
]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    settings = Settings(data=tmp_path_factory.mktemp("pages"))
    with Desk.open(settings, Metrics(), models=load_models("bundled")) as opened:
        yield opened


def read(name: str, now: datetime = NOW) -> Article:
    """Prepare a pasted page as the API does: nothing is known but the page itself."""
    item = ArticleIn(page=(PAGES / name).read_text(encoding="utf-8"))
    with PagePool() as pages:
        return prepare(item, now=now, future_tolerance_s=600, pages=pages)


def post(desk: Desk, *items: Article) -> list[Outcome]:
    return desk.submit(items).result(60)


@pytest.fixture(scope="module")
def answers(desk: Desk) -> dict[str, Outcome]:
    """Both pages posted one after the other."""
    names = {"kompas": "kompas_belarus.txt", "republika": "republika_belarusia.txt"}
    return {outlet: post(desk, read(name))[0] for outlet, name in names.items()}


def test_what_each_page_says_of_itself(answers: dict[str, Outcome]) -> None:
    """Title, outlet, publisher and time are the pages' own."""
    told = {
        outlet: (
            it.article.title,
            it.article.source,
            it.article.publisher,
            it.article.published_at.isoformat(),
        )
        for outlet, it in answers.items()
    }

    assert told == {
        "kompas": (
            "Putin Janjikan Bantuan Keamanan kepada Presiden Belarus Lukashenko",
            "kompas.com",
            "Kompas Gramedia",
            "2020-08-16T12:59:00+07:00",
        ),
        "republika": (
            "Belarusia dan Rusia akan Kerja Sama Respons Ancaman Asing",
            "republika.co.id",
            "Republika",
            "2020-10-25T16:25:00+07:00",
        ),
    }


def test_bodies_are_clean(answers: dict[str, Outcome]) -> None:
    """The bodies begin and end with the reports; nothing of the pages around them is left."""
    kompas, republika = answers["kompas"].article.text, answers["republika"].article.text

    assert kompas.startswith("Presiden Belarus Alexander Lukashenko mengatakan")
    assert kompas.endswith('"penyiksaan yang meluas".')
    assert republika.startswith("Kantor berita Rusia melaporkan")
    assert republika.endswith("simbol oposisi.")
    for debris in (
        "baca juga",
        "advertisement",
        "terkini",
        "panda",
        "komentar",
        "rep:",
        "foto:",
        "login untuk",
    ):
        assert debris not in f"{kompas}\n{republika}".lower()


def test_two_events_of_one_story(answers: dict[str, Outcome]) -> None:
    """Ten weeks apart they are two events, and one saga, without either being a copy."""
    first, second = answers["kompas"].placement, answers["republika"].placement

    assert (first.relation, second.relation) == ("original", "original")
    assert first.cluster_id != second.cluster_id
    assert first.story_id == second.story_id
    assert second.story_reason is not None
    assert answers["kompas"].id == second.story_reason.nearest


def test_the_timeline_tells_both_in_order(desk: Desk, answers: dict[str, Outcome]) -> None:
    """The story has two clusters of two publishers; its timeline tells August before October."""
    with desk.reader.connect() as connection:
        story = get_story(connection, answers["kompas"].placement.story_id)
        timeline = get_timeline(connection, story["id"])

    assert story["title"] == answers["kompas"].article.title
    assert [story["article_count"], story["cluster_count"], story["independent_source_count"]] == [2, 2, 2]
    assert sorted(story["sources"]) == ["kompas.com", "republika.co.id"]
    assert timeline["events_complete"]
    expected: list[tuple[Any, ...]] = [
        ("2020-08-16", answers["kompas"].article.title, answers["kompas"].id),
        ("2020-10-25", answers["republika"].article.title, answers["republika"].id),
    ]
    assert expected == [
        (told["date"], told["headline"], told["representative"]["id"]) for told in timeline["events"]
    ]


@pytest.mark.parametrize("outlet", ["kompas", "republika"])
def test_a_page_posted_again_is_known(desk: Desk, answers: dict[str, Outcome], outlet: str) -> None:
    """Pasted once more, a year later, a page without address or ID is the same article."""
    name = {"kompas": "kompas_belarus.txt", "republika": "republika_belarusia.txt"}[outlet]

    (again,) = post(desk, read(name, NOW.replace(year=2027)))

    assert (answers[outlet].id, "unchanged") == (again.id, again.status)


def test_the_other_order_tells_the_same_story(tmp_path: Path) -> None:
    """October posted before August: the same two events, one story, the timeline still in order of time."""
    with Desk.open(Settings(data=tmp_path), Metrics(), models=load_models("bundled")) as desk:
        later, earlier = post(desk, read("republika_belarusia.txt"), read("kompas_belarus.txt"))
        with desk.reader.connect() as connection:
            timeline = get_timeline(connection, earlier.placement.story_id)

    assert later.placement.story_id == earlier.placement.story_id
    assert [told["representative"]["id"] for told in timeline["events"]] == [earlier.id, later.id]
