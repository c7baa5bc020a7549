"""Whole pages: synthetic ones of every outlet's shape, and the real ones beside the checkout."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from service.extract import Page, from_html, from_page

PAGES = Path(__file__).parent / "fixtures" / "pages"
SHARED = Path(__file__).resolve().parents[2] / "shared" / "pages"
EXPECTED = json.loads((PAGES / "expected.json").read_text(encoding="utf-8"))


def _extract(name: str, folder: Path = PAGES) -> Page:
    text = (folder / name).read_text(encoding="utf-8")
    return from_html(text) if name.endswith(".html") else from_page(text)


def _shared(name: str) -> Page:
    if not (SHARED / name).exists():
        pytest.skip("the real pages lie beside the checkout, not in it")
    return _extract(name, SHARED)


def _plain(page: Page, field: str) -> Any:
    value = getattr(page, field)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return list(value)
    if field == "reprint_of" and value is not None:
        return {"source": value.source, "title": value.title, "url": value.url}
    return value


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_page_of_each_outlets_shape_comes_out_whole(name: str) -> None:
    page = _extract(name)
    expected = EXPECTED[name]
    assert {field: _plain(page, field) for field in expected} == expected


def test_the_same_kompas_article_from_html_names_no_warning() -> None:
    assert _extract("kompas.html").warnings == ()


def test_tribuns_clock_above_the_title_is_the_day_of_the_visit() -> None:
    page = _extract("tribun.txt")
    assert page.published_at is not None
    assert page.published_at.isoformat() == "2025-06-10T07:37:00+08:00"
    assert page.warnings == ()


def test_a_line_that_shows_only_an_update_gives_no_publication() -> None:
    page = from_page(
        "Jembatan Awan Dibuka Lagi Setelah Sebulan\n\nKompas.com- Diperbarui 01/07/2025, 16:42 WIB\n\n"
        "RIMBA JAYA, KOMPAS.com - Jembatan itu dibuka lagi setelah diperbaiki selama sebulan penuh oleh dinas.\n",
        url="https://regional.kompas.com/read/2025/06/30/101500078/jembatan-awan",
    )
    assert page.updated_at is not None
    assert page.updated_at.isoformat() == "2025-07-01T16:42:00+07:00"
    assert page.published_at is not None
    assert page.published_at.isoformat() == "2025-06-30T10:15:00+07:00"
    assert (page.published_at_source, page.precision) == ("url", "second")


def test_real_republika_page() -> None:
    page = _shared("republika_belarusia.txt")
    assert page.title == "Belarusia dan Rusia akan Kerja Sama Respons Ancaman Asing"
    assert page.source == "republika.co.id"
    assert page.published_at is not None
    assert page.published_at.isoformat() == "2020-10-25T16:25:00+07:00"
    assert (page.author, page.editors, page.agency) == ("Lintar Satria", ("Nur Aini",), "Reuters")
    assert page.dateline_place == "MOSKOW"
    assert page.text.startswith("Kantor berita Rusia melaporkan")
    assert page.text.endswith("simbol oposisi.")
    for debris in (
        "baca juga",
        "sumber :",
        "advertisement",
        "foto:",
        "soal kerja sama dengan rusia",
        "republika",
    ):
        assert debris not in page.text.lower()


def test_real_kompas_page() -> None:
    page = _shared("kompas_belarus.txt")
    assert page.title == "Putin Janjikan Bantuan Keamanan kepada Presiden Belarus Lukashenko"
    assert page.source == "kompas.com"
    assert page.published_at is not None
    assert page.published_at.isoformat() == "2020-08-16T12:59:00+07:00"
    assert (page.author, page.agency) == ("Miranti Kencana Wirawan", "BBC")
    assert page.text.startswith("Presiden Belarus Alexander Lukashenko mengatakan")
    assert page.text.endswith('"penyiksaan yang meluas".')
    assert len(page.related) == 3
    for debris in ("baca juga", "simak breaking", "terkini", "panda", "kompas.com", "komentar", "penulis"):
        assert debris not in page.text.lower()


def test_real_kompas_html() -> None:
    page = _shared("kompas_menhub.html")
    assert page.published_at is not None
    assert page.published_at.isoformat() == "2023-11-02T21:34:19+07:00"
    assert (page.author, page.editors) == ("Isna Rifka Sri Rahayu", ("Yoga Sukmana",))
    assert page.is_truncated
    assert page.text.startswith("Menteri Perhubungan (Menhub) Budi Karya Sumadi menyebut")
    assert page.text.endswith("kondisi sosial politik global.")
    assert len(page.related) == 3
    assert "Baca juga" not in page.text
    assert page.warnings == ()


def test_real_detik_html() -> None:
    page = _shared("detik_stroke.html")
    assert page.title == "Curhat Wanita Kena Stroke di Umur 26, Ketahuan saat Terkapar di Kamar Mandi"
    assert page.published_at is not None
    assert page.published_at.isoformat() == "2023-11-02T20:59:53+07:00"
    assert (page.author, page.source, page.dateline_place) == ("Vidya Pinandhita", "detik.com", "Jakarta")
    assert page.text.startswith("Seorang wanita muda terkena stroke")
    assert page.text.endswith("serupa dengan dirinya.")
    for debris in ("advertisement", "simak video", "vyp/kna", "baca juga", "gambas"):
        assert debris not in page.text.lower()
