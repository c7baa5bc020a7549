"""Addresses: canonical form, keys and times of INDONESIAN_NEWS §1; outlets and publishers of §11."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.extract import article_key, canonical_url, from_text, outlet_of, publisher_of

KEYS = {
    "https://money.kompas.com/read/2023/11/02/213419026/slug-satu": "kompas.com:2023/11/02/213419026",
    "https://www.kompas.com/global/read/2024/03/27/06161181/slug": "kompas.com:2024/03/27/06161181",
    "http://nasional.kompas.com/read/xml/2015/01/02/12345678/slug": "kompas.com:2015/01/02/12345678",
    "https://biz.kompas.com/read/cm/2023/11/02/213419026/slug": "kompas.com:2023/11/02/213419026",
    "https://health.kompas.com/read/25H27130500368/slug": "kompas.com:25H27130500368",
    "https://internasional.republika.co.id/berita/qkd2jg282/slug": "republika.co.id:qkd2jg282",
    "http://www.republika.co.id/berita/nasional/umum/17/02/13/olbdkf282-slug": "republika.co.id:olbdkf282",
    "https://m.republika.co.id/amp/ql1aoq282/slug": "republika.co.id:ql1aoq282",
    "https://www.republika.co.id/berita/qkd2jg282-part1/slug": "republika.co.id:qkd2jg282",
    "https://www.republika.id/posts/46362/slug": "republika.id:46362",
    "https://news.detik.com/berita/d-7016153/slug?page=komentar": "detik.com:7016153",
    "https://www.tempo.co/politik/slug-1875223": "tempo.co:1875223",
    "https://nasional.tempo.co/read/1721469/slug": "tempo.co:read/1721469",
    "https://www.antaranews.com/berita/5020061/slug": "antaranews.com:www/5020061",
    "https://m.antaranews.com/berita/5020061/slug": "antaranews.com:www/5020061",
    "https://jogja.antaranews.com/berita/495682/slug": "antaranews.com:jogja/495682",
    "https://en.antaranews.com/news/495682/slug": "antaranews.com:en/495682",
    "https://jateng.tribunnews.com/2025/06/10/slug": "tribunnews.com:jateng/2025/06/10/slug",
    "https://www.tribunnews.com/nasional/2025/06/10/slug": "tribunnews.com:www/2025/06/10/slug",
    "https://www.tribunnews.com/nasional/7746900/slug": "tribunnews.com:7746900",
    "https://news.okezone.com/read/2025/06/18/337/3148500/slug": "okezone.com:3148500",
    "https://nasional.sindonews.com/read/1578499/13/slug-1749571610": "sindonews.com:1578499",
    "https://opera.liputan6.com/bisnis/read/6055477/slug": "liputan6.com:6055477",
    "https://www.cnnindonesia.com/tv/20230501141610-400-943931/slug": "cnnindonesia.com:943931",
}
SAME = [
    (
        "https://money.kompas.com/read/2023/11/02/213419026/judul-lama",
        "https://amp.kompas.com/money/read/2023/11/02/213419026/judul-baru",
    ),
    (
        "https://www.kompas.com/global/read/2024/03/27/06161181/a",
        "https://global.kompas.com/read/2024/03/27/06161181/b?page=all",
    ),
    (
        "https://fbeta.republika.co.id/berita/qkd2jg282/a",
        "https://internasional.republika.co.id/berita/qkd2jg282/b",
    ),
    ("https://news.detik.com/berita/d-7016153/a", "https://m.detik.com/news/berita/d-7016153/b?single=1"),
]
CANONICAL = {
    "http://News.Detik.COM/berita/d-1/slug?page=komentar": "https://news.detik.com/berita/d-1/slug",
    "https://m.kompas.com/read/1#komentar": "https://kompas.com/read/1",
    "https://health.detik.com/x/d-1/slug/amp": "https://health.detik.com/x/d-1/slug",
    "https://a.id/x?utm_source=wa&id=7&fbclid=z&source=home&single=1": "https://a.id/x?id=7",
    "https://republika.co.id/amp/ql1aoq282/slug": "https://republika.co.id/berita/ql1aoq282/slug",
    "https://a.id:443/x/": "https://a.id/x",
    "https://a.id:8080/x": "https://a.id:8080/x",
    "a.id/x?page=2": "https://a.id/x",
    "https://a.id": "https://a.id/",
    "bukan alamat": "bukan alamat",
    "https://[::1": "https://[::1",
}


@pytest.mark.parametrize(("url", "key"), KEYS.items())
def test_every_outlet_has_its_key(url: str, key: str) -> None:
    assert article_key(url) == key


@pytest.mark.parametrize("pair", SAME)
def test_slugs_and_hosts_do_not_change_the_key(pair: tuple[str, str]) -> None:
    first, second = (article_key(url) for url in pair)
    assert first == second
    assert first is not None


@pytest.mark.parametrize(
    "url",
    [
        "https://contoh.id/read/2023/11/02/213419026/slug",
        "https://www.kompas.com/tag/banjir",
        "https://www.kompas.tv/read/2023/11/02/213419026/slug",
        "kompas",
        "",
        "https://[::1/read/1",
    ],
)
def test_what_has_no_rule_has_no_key(url: str) -> None:
    assert article_key(url) is None


@pytest.mark.parametrize(("url", "canonical"), CANONICAL.items())
def test_canonical_form(url: str, canonical: str) -> None:
    assert canonical_url(url) == canonical


@given(
    st.text(max_size=60),
    st.sampled_from(["", "https://a.id/", "http://m.kompas.com/read/", "https://a.id/?"]),
)
def test_canonical_form_is_stable(tail: str, head: str) -> None:
    once = canonical_url(head + tail)
    assert canonical_url(once) == once


@pytest.mark.parametrize(
    ("url", "at", "precision", "warnings"),
    [
        ("https://money.kompas.com/read/2023/11/02/213419026/s", "2023-11-02T21:34:19+07:00", "second", ()),
        ("https://x.kompas.com/read/2024/03/27/06161181/s", "2024-03-27T06:16:11+07:00", "second", ()),
        ("https://health.kompas.com/read/25H27130500368/s", "2025-08-27T00:00:00+07:00", "day", ()),
        ("https://jateng.tribunnews.com/2025/06/10/s", "2025-06-10T00:00:00+07:00", "day", ()),
        ("https://news.okezone.com/read/2025/06/18/337/3148500/s", "2025-06-18T00:00:00+07:00", "day", ()),
        # Created at 23:45, shown at 06:03 of the next day: the time of creation gives no more than a day.
        (
            "https://www.republika.co.id/berita/qkd2jg282/s",
            "2020-11-25T00:00:00+07:00",
            "day",
            ("creation_time",),
        ),
        (
            "https://a.sindonews.com/read/1578499/13/s-1749571610",
            "2025-06-10T00:00:00+07:00",
            "day",
            ("creation_time",),
        ),
        (
            "https://www.cnnindonesia.com/tv/20230501141610-400-943931/s",
            "2023-05-01T00:00:00+07:00",
            "day",
            ("creation_time",),
        ),
    ],
)
def test_the_time_in_an_address_is_the_last_resort(
    url: str, at: str, precision: str, warnings: tuple[str, ...]
) -> None:
    page = from_text("Judul", "Isi berita.", url=url)
    assert page.published_at is not None
    assert (page.published_at.isoformat(), page.precision, page.warnings) == (at, precision, warnings)
    assert page.published_at_source == "url"


@pytest.mark.parametrize(
    "url",
    [
        "https://news.detik.com/berita/d-7016153/s",
        "https://money.kompas.com/read/2023/13/42/213419026/s",
        "https://www.antaranews.com/berita/5020061/s",
    ],
)
def test_an_address_without_a_time_gives_none(url: str) -> None:
    assert from_text("Judul", "Isi berita.", url=url).published_at is None


@pytest.mark.parametrize(
    ("name", "outlet"),
    [
        ("nasional.kompas.com", "kompas.com"),
        ("https://news.detik.com/berita/d-1/s", "detik.com"),
        ("//m.detik.com/x", "detik.com"),
        ("kompas", "kompas.com"),
        ("Kompas.com", "kompas.com"),
        ("cnn indonesia", "cnnindonesia.com"),
        ("CNNIndonesia", "cnnindonesia.com"),
        ("detikcom", "detik.com"),
        ("detikSumut", "detik.com"),
        ("antaranews", "antaranews.com"),
        ("TribunJakarta.com", "tribunnews.com"),
        ("TRIBUN-BALI.COM", "tribunnews.com"),
        ("jateng.tribunnews.com", "tribunnews.com"),
        ("koran.tempo.co", "tempo.co"),
        ("Kontan.co.id", "kontan.co.id"),
        ("republika", "republika.co.id"),
        ("berita.kota.go.id", "kota.go.id"),
        ("news.abc.net.au", "abc.net.au"),
        ("news.bbc.co.uk:443", "bbc.co.uk"),
        ("blog.contoh.id", "contoh.id"),
        ("10.0.0.1", "10.0.0.1"),
        ("Koran Anu", "koran anu"),
        ("", ""),
    ],
)
def test_outlets(name: str, outlet: str) -> None:
    assert outlet_of(name) == outlet


@pytest.mark.parametrize(
    ("outlet", "publisher"),
    [
        ("kompas.com", "Kompas Gramedia"),
        ("tribunnews.com", "Kompas Gramedia"),
        ("kontan.co.id", "Kompas Gramedia"),
        ("pos-kupang.com", "Kompas Gramedia"),
        ("detik.com", "Trans/CT"),
        ("cnnindonesia.com", "Trans/CT"),
        ("okezone.com", "MNC"),
        ("inews.id", "MNC"),
        ("liputan6.com", "Emtek/KLY"),
        ("tempo.co", "Tempo"),
        ("republika.id", "Republika"),
        ("antaranews.com", "Antara"),
        ("viva.co.id", "Viva"),
        ("jpnn.com", "Jawa Pos"),
        ("metrotvnews.com", "Media Group"),
        ("solopos.com", "Bisnis Indonesia"),
        ("contoh.id", "contoh.id"),
        ("blog.contoh.id", "contoh.id"),
    ],
)
def test_publishers(outlet: str, publisher: str) -> None:
    assert publisher_of(outlet) == publisher
