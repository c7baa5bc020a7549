"""Input nobody wrote in good faith: nothing raises, nothing takes more than linear time, nothing waits for ever."""

import gzip
import json
import time
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import service.extract.pool as pool_module
from service.extract import (
    Page,
    PagePool,
    PageTooComplex,
    article_key,
    canonical_url,
    event_dates,
    from_html,
    from_page,
    from_text,
    outlet_of,
    parse_time,
)
from service.extract.page import page_from_dict, page_to_dict

PAGES = Path(__file__).parent / "fixtures" / "pages"
CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus" / "articles.ndjson.gz"
SIZE = 1_000_000
UNITS = [
    *(
        "<",
        " ",
        ",",
        ", ",
        ",.",
        ", ,",
        "Baca juga ",
        "Baca juga\n",
        "Baca juga: Anu Itu Ini\n",
        "1",
        "1/1/",
        "\n",
        "\n,",
    ),
    *(
        "Senin, ",
        "Senin (",
        "12 Mei ",
        "2 Mei 2020, 10.00 WIB\nAku ini judul\n",
        "dilansir dari laman ",
        "&amp",
        "&",
        '"',
    ),
    *(
        "Artikel ini telah tayang di A",
        "Penulis: A\n",
        "JAKARTA, ",
        "Jakarta ",
        "A - ",
        "Aa ",
        "(abc/",
        "(",
        "- ",
        "—",
    ),
    *(
        "Tag\n",
        "Simak\n",
        "Sumber: \n",
        "Foto: x\n",
        "Advertisement",
        "Halaman 1 ",
        "Ringkasan Berita\n- a\n",
        "a\u0301",
    ),
    *(
        "SCROLL TO ",
        "[Gambas:",
        "Laporan Wartawan ",
        "Lihat Juga: Aku Anak Sehat ",
        "http://a/",
        "A|",
        "\x00",
        "\u2028",
    ),
]
# What real pages are made of, so that mangled text still meets the rules.
WORDS = st.sampled_from(
    [
        "Baca juga:",
        "JAKARTA, KOMPAS.com - ",
        "Penulis : ",
        "Rep: A/ Red: B",
        "(abc/xyz)",
        "sumber : Reuters",
        "Tag",
        "Halaman 1 2",
        ",,",
        ".,",
        "\n",
        "\n\n",
        'Artikel ini telah tayang di Kompas.com dengan judul "',
        "Kamis, 02 Nov 2023 20:59 WIB",
        "Jakarta\n-\n",
        "Foto: ",
        "99/99/99",
        "Liputan6.com, Jakarta",
        "Laporan Wartawan ",
        "Ringkasan Berita:\n- ",
        "Simak\nbreaking news",
        "29 Feb 2023",
        ". ",
        '"',
        "(",
        ")",
    ]
)
MIXED = st.lists(st.one_of(WORDS, st.text(max_size=12)), max_size=30).map("".join)
MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("unit", UNITS)
def test_a_megabyte_of_anything_takes_linear_time(unit: str) -> None:
    text = unit * (SIZE // len(unit))
    start = time.process_time()
    from_text("Judul", text)
    middle = time.process_time()
    from_page(text)
    assert middle - start < 0.5
    assert time.process_time() - middle < 0.5


@pytest.mark.parametrize("unit", UNITS)
def test_small_readers_take_linear_time_too(unit: str) -> None:
    text = unit * (SIZE // len(unit))
    start = time.process_time()
    parse_time(text)
    event_dates(text, date(2020, 1, 1))
    for address in (text, "https://www.kompas.com/" + text, "https://a.id/?" + text):
        canonical_url(address)
        article_key(address)
        outlet_of(address)
    assert time.process_time() - start < 1.0


@MANY
@given(st.text(), MIXED)
@example("", "")
@example("\ud800", "\ud800\n")
def test_bodies_and_pages_never_raise(title: str, text: str) -> None:
    for page in (
        from_text(title, text),
        from_page(text),
        from_page(f"{title}\n{text}", url=text, source=title),
    ):
        assert isinstance(page, Page)
        assert page_from_dict(json.loads(json.dumps(page_to_dict(page)))) == page


@MANY
@given(st.one_of(st.text(), MIXED, st.from_regex(r"[0-9/., :-]{0,30}(Mei|Senin|WIB)?", fullmatch=True)))
@example("https://\ud800.id/?\ud800=1")
@example("9999-12-31T23:59:59-14:00")
@example("0001-01-01T00:00:00+14:00")
def test_small_readers_never_raise(text: str) -> None:
    time_read = parse_time(text)
    assert time_read is None or time_read.at.tzinfo is not None
    canonical_url(text)
    article_key(text)
    outlet_of(text)
    event_dates(text, date(2020, 2, 29))
    event_dates(text, date.min)
    event_dates(text, date.max)


@MANY
@given(st.sampled_from(["kompas.html", "detik.html", "tempo.html"]), st.data())
def test_mangled_html_never_raises(name: str, data: st.DataObject) -> None:
    html = (PAGES / name).read_text(encoding="utf-8")
    start = data.draw(st.integers(0, len(html)))
    end = data.draw(st.integers(start, min(len(html), start + 400)))
    mangled = html[:start] + data.draw(st.text(max_size=20)) + html[end:]
    assert isinstance(from_html(mangled, url=data.draw(st.one_of(st.none(), st.text(max_size=20)))), Page)


@settings(max_examples=40, deadline=None)
@given(st.text())
@example("\ud800")
@example("<script type='application/ld+json'>" + "[" * 100_000 + "</script>")
@example(
    '<script type=\'application/ld+json\'>{"@type":"NewsArticle","datePublished":7,"author":[[]]}</script>'
)
@example("<div class='read__content'>" + "<div>" * 5_000 + "teks")
def test_any_text_as_html_never_raises(text: str) -> None:
    assert isinstance(from_html(text), Page)


def test_a_page_cannot_claim_another_outlets_address() -> None:
    html = (
        '<link rel="canonical" href="https://www.kompas.com/read/2023/11/02/213419026/x"><h1>Judul Palsu</h1>'
    )
    assert from_html(html, url="https://salinan.id/x").url == "https://salinan.id/x"


def test_an_unknown_outlet_is_read_by_the_generic_extractor() -> None:
    sentence = (
        "Kebun raya itu dibuka lagi untuk umum setelah perbaikan jalur pejalan kaki selesai pekan lalu. "
    )
    paragraphs = "".join(f"<p>{sentence * 3}Bagian {number}.</p>" for number in range(4))
    html = (
        f"<html><body><nav>Menu</nav><article><h1>Kebun Raya Dibuka</h1>{paragraphs}</article></body></html>"
    )
    page = from_html(html, url="https://kebun.contoh.id/berita/1")
    assert (page.title, page.source) == ("Kebun Raya Dibuka", "contoh.id")
    assert page.text.count("Kebun raya itu dibuka lagi") == 12


def test_the_hot_path_is_fast_enough_on_real_articles() -> None:
    if not CORPUS.exists():
        pytest.skip("the real articles lie beside the checkout, not in it")
    with gzip.open(CORPUS, "rt", encoding="utf-8") as lines:
        articles = [json.loads(line) for _, line in zip(range(1500), lines, strict=False)]
    best = min(_seconds(articles) for _ in range(3))
    # 0.11 ms on an idle machine of two cores; the bound leaves room for neighbours.
    assert best / sum(len(article["text"]) for article in articles) * 1_700 < 0.0004


def _seconds(articles: list[dict[str, str]]) -> float:
    start = time.process_time()
    for article in articles:
        from_text(article["title"], article["text"], url=article["url"], source=article["source"])
    return time.process_time() - start


def test_the_pool_gives_what_from_html_gives() -> None:
    html = (PAGES / "kompas.html").read_text(encoding="utf-8")
    with PagePool(timeout=10.0) as pool:
        assert pool.extract(
            html, url="https://regional.kompas.com/read/2023/11/02/213419026/lain"
        ) == from_html(html, url="https://regional.kompas.com/read/2023/11/02/213419026/lain")


def test_a_page_that_takes_too_long_is_given_up_and_the_pool_lives_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with PagePool(timeout=0.5) as pool:
        work = pool_module._work
        monkeypatch.setattr(pool_module, "_work", _sleep)
        with pytest.raises(PageTooComplex, match="longer"):
            pool.extract("<p>lama</p>")
        monkeypatch.setattr(pool_module, "_work", _crash)
        with pytest.raises(PageTooComplex, match="down"):
            pool.extract("<p>jatuh</p>")
        monkeypatch.setattr(pool_module, "_work", work)
        assert pool.extract("<h1>Judul Halaman</h1>").title == "Judul Halaman"


def test_too_many_tags_are_refused_before_a_worker_starts() -> None:
    with PagePool() as pool:
        with pytest.raises(PageTooComplex, match="tags"):
            pool.extract("<p>" * 20_001)
        assert pool._pool is None


def test_a_closed_pool_says_so() -> None:
    pool = PagePool()
    pool.close()
    with pytest.raises(RuntimeError, match="closed"):
        pool.extract("<p>x</p>")


def _sleep(html: str, url: str | None, source: str | None) -> None:
    time.sleep(30)


def _crash(html: str, url: str | None, source: str | None) -> None:
    import os  # noqa: PLC0415 - in the worker

    os._exit(3)
