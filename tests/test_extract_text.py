"""Bodies: datelines of INDONESIAN_NEWS §4, furniture of §5, bylines, credits and stamps of §6-7, labels of §9."""

import pytest

from service.extract import ReprintStamp, from_text

FIRST = "Presiden meresmikan bendungan itu kemarin pagi di hadapan warga."
BODY = f"{FIRST}\nWarga menyambut peresmian itu dengan pentas seni.\nBendungan mulai diisi bulan depan."

DATELINES = [
    ("REPUBLIKA.CO.ID, MOSKOW -- ", "MOSKOW", "republika.co.id"),
    ("REPUBLIKA.CO.ID,JAKARTA --", "JAKARTA", "republika.co.id"),
    ("REPUBLIKA.CO.ID, JAKARTA ", "JAKARTA", "republika.co.id"),
    ("JAKARTA, KOMPAS.com - ", "JAKARTA", "kompas.com"),
    ("JAKARTA,KOMPAS.com–", "JAKARTA", "kompas.com"),
    ("KOMPAS.com - ", None, "kompas.com"),
    ("BELARUS, KOMPAS.TV - ", "BELARUS", "kompas.tv"),
    ("Jakarta\n-\n", "Jakarta", None),
    ("Jakarta -\n", "Jakarta", None),
    ("Jakarta\n", "Jakarta", None),
    ("TEMPO.CO, Jakarta - ", "Jakarta", "tempo.co"),
    ("TEMPO.CO,\u00a0Jakarta\u00a0- ", "Jakarta", "tempo.co"),
    ("Jakarta (ANTARA) - ", "Jakarta", None),
    ("Jakarta (ANTARA/JACX) - ", "Jakarta", None),
    ("Palangka Raya (Antara Kalteng) - ", "Palangka Raya", None),
    ("Mataram, 7/12 (Antara) - ", "Mataram", None),
    ("TRIBUNNEWS.COM, JAKARTA – ", "JAKARTA", "tribunnews.com"),
    ("TRIBUN-BALI.COM, MANGUPURA - ", "MANGUPURA", "tribunnews.com"),
    ("POS-KUPANG.COM - ", None, "pos-kupang.com"),
    (
        "Laporan Wartawan TribunJakarta.com, Budi Santoso\nTRIBUNJAKARTA.COM, CAKUNG - ",
        "CAKUNG",
        "tribunnews.com",
    ),
    ("JAKARTA - ", "JAKARTA", None),
    ("LENS- ", "LENS", None),
    ("Liputan6.com, Jakarta - ", "Jakarta", "liputan6.com"),
    ("Liputan6.com, Jakarta ", "Jakarta", "liputan6.com"),
    ("Liputan6.com, Jakarta", "Jakarta", "liputan6.com"),
    ("Jakarta, CNN Indonesia -- ", "Jakarta", "cnnindonesia.com"),
    ("Jakarta, CNN Indonesia - - ", "Jakarta", "cnnindonesia.com"),
    ("VIVA.co.id - ", None, "viva.co.id"),
    ("Suara.com - ", None, "suara.com"),
    ("Bisnis.com, JAKARTA — ", "JAKARTA", "bisnis.com"),
    ("KONTAN.CO.ID - JAKARTA. ", "JAKARTA", "kontan.co.id"),
    ("JAKARTA, iNews.id - ", "JAKARTA", "inews.id"),
    ("jpnn.com, WASHINGTON - ", "WASHINGTON", "jpnn.com"),
    (", , - ", None, None),
]
NOT_DATELINES = [
    "Presiden ke-7 RI datang ke lokasi.",
    "Timnas U-23 Indonesia menang telak.",
    "Baru-baru ini warga mengeluh.",
    "Paris Saint-Germain menang lagi.",
    "PEMBALAP Tim Anu menang di Misano.",
    "TIM advokasi datang ke kantor polisi.",
    "KPK-Polri bekerja sama lagi.",
    "Kompas.com mencoba menemui warga itu.",
    "Jakarta dan sekitarnya hujan lebat.",
    "Laporan keuangan perusahaan itu terbit.",
]
DROPPED = [
    "Baca juga: Bendungan Lain Masih Dibangun",
    "Baca Juga",
    "BACA JUGA: Bendungan Lain Masih Dibangun",
    "(baca: Bendungan Lain Masih Dibangun)",
    "Simak juga Video: Peresmian Bendungan",
    'Simak Video "Peresmian Bendungan"',
    "Saksikan Live DetikSore:",
    "Tonton juga: Peresmian Bendungan",
    "Lihat juga: Peresmian Bendungan",
    "Video: Peresmian Bendungan",
    "[Gambas:Video 20detik]",
    "Advertisement",
    "Iklan",
    "ADVERTISEMENT",
    "SCROLL TO CONTINUE WITH CONTENT",
    "ADVERTISEMENT SCROLL TO CONTINUE WITH CONTENT",
    "Scroll ke bawah untuk membaca berita",
    "Baca berita tanpa iklan. Gabung Kompas.com+",
    "Baca berita dengan sedikit iklan, klik di sini",
    "Perbesar",
    "Daftar Isi",
    "Ringkasan Berita:\n- Satu hal\n- Hal lain",
    "Tampilkan Ringkasan Artikel",
    "Add as a preferred source on Google",
    "Pilihan Editor: Mengapa Bendungan Retak",
    "A post shared by Akun Contoh (@contoh)",
    "Konten di bawah ini disajikan oleh Advertiser.",
    "Dengarkan artikel",
    "Bagikan",
    "Text Sizes",
]
ENDINGS = [
    "Berita Terkait",
    "Berita Lainnya",
    "Berita detikcom Lainnya",
    "Terkini Lainnya",
    "Terpopuler",
    "Tag",
    "Tag Terkait",
    "Tags:",
    "Pilihan Untukmu",
    "Pilihan Editor",
    "Lihat Nasional Selengkapnya",
    "Bagikan Artikel Ini",
    "Bagikan artikel ini melalui",
    "Ikuti kami di",
    "Ikuti Whatsapp Channel Republika",
    "Follow Berita Okezone di Google News",
    "Follow WhatsApp Channel Contoh untuk berita terbaru",
    "Cek Berita dan artikel yang lain di Google News",
    "Dapatkan Berita Pilihan di WhatsApp Anda",
    "Dapatkan update berita pilihan setiap hari. Mari bergabung di Grup Telegram",
    "Simak breaking news dan berita pilihan kami langsung di ponselmu.",
    "Simak\nbreaking news\ndan\nberita pilihan",
    "Periksa kembali dan lengkapi data dirimu",
    "Data dirimu akan digunakan untuk verifikasi akun",
    "#JernihBerkomentar",
    "Hoegeng Awards 2025",
    "Copyright © 2023 Contoh",
    "Dilarang keras mengambil konten, melakukan crawling",
    "* Fakta atau Hoaks?",
    "Cari Berita Lain Di Sini",
]


@pytest.mark.parametrize(("opening", "place", "outlet"), DATELINES)
def test_every_dateline_goes_and_its_place_stays(opening: str, place: str | None, outlet: str | None) -> None:
    page = from_text("Judul", opening + BODY)
    assert (page.text, page.dateline_place, page.source) == (BODY, place, outlet)


@pytest.mark.parametrize("opening", NOT_DATELINES)
def test_what_only_looks_like_a_dateline_stays(opening: str) -> None:
    page = from_text("Judul", f"{opening}\n{BODY}")
    assert (page.text, page.dateline_place) == (f"{opening}\n{BODY}", None)


def test_an_antara_dateline_credits_antara_except_at_home() -> None:
    assert from_text("J", f"Jakarta (ANTARA) - {BODY}", source="contoh.id").agency == "Antara"
    assert from_text("J", f"Jakarta (ANTARA) - {BODY}", source="antaranews").agency is None


def test_paid_content_is_labelled_and_is_no_place() -> None:
    page = from_text("Judul", f"INFO NASIONAL - {BODY}")
    assert (page.text, page.dateline_place, page.labels) == (BODY, None, ("advertorial",))


@pytest.mark.parametrize("line", DROPPED)
def test_furniture_between_paragraphs_goes(line: str) -> None:
    first, rest = BODY.split("\n", 1)
    page = from_text("Judul", f"{first}\n{line}\n{rest}")
    assert page.text == BODY
    assert page.removed or line.startswith(("[Gambas", "SCROLL", "ADVERTISEMENT SCROLL"))


@pytest.mark.parametrize("heading", ENDINGS)
def test_a_heading_in_the_second_half_ends_the_article(heading: str) -> None:
    page = from_text("Judul", f"{BODY}\n{heading}\nJudul berita lain yang tidak ada hubungannya\nEkonomi")
    assert page.text == BODY
    assert ("cut", "Ekonomi") in page.removed


def test_a_heading_at_the_top_cuts_nothing() -> None:
    assert from_text("Judul", f"Terpopuler\n{BODY}").text == BODY


@pytest.mark.parametrize(
    "sentence",
    [
        "Ia meminta warga baca juga petunjuk di papan.",
        "Tagihan listrik warga naik dua kali lipat bulan ini.",
        "Videografer itu merekam banjir dari atap rumahnya.",
        "Iklan rokok dilarang di seluruh kota sejak kemarin.",
        "Sumber daya air di wilayah itu menyusut sejak Mei.",
        "Sumber industri melaporkan, produsen menaikkan harga.",
        "Bagikan sembako, bupati itu dikerumuni ratusan warga.",
        "Editorial koran itu mengecam keputusan pemerintah.",
        "Halaman rumah itu dipenuhi karangan bunga.",
        "Video itu beredar luas hingga berita ini dimuat.",
    ],
)
def test_nothing_inside_a_sentence_is_furniture(sentence: str) -> None:
    body = f"{FIRST}\n{sentence}\n{BODY}"
    assert from_text("Judul", body).text == body


def test_related_titles_are_kept_as_links() -> None:
    page = from_text(
        "J",
        f"{BODY}\nBaca juga:\nBendungan Lain Masih Dibangun\nWarga pulang sore hari.\nBACA JUGA: Warga Menunggu Air Bersih",
    )
    assert page.related == ("Bendungan Lain Masih Dibangun", "Warga Menunggu Air Bersih")
    assert page.text == f"{BODY}\nWarga pulang sore hari."


def test_a_bare_baca_juga_keeps_the_paragraph_below() -> None:
    assert from_text("J", f"{FIRST}\nBaca Juga\n{BODY}").text == f"{FIRST}\n{BODY}"


def test_baca_juga_glued_to_a_paragraph_keeps_the_paragraph() -> None:
    paragraph = "Ya, pesan itu lebih banyak berupa candaan. Warga tertawa mendengarnya."
    assert from_text("J", f"{FIRST}\nBaca Juga:{paragraph}\n{BODY}").text == f"{FIRST}\n{paragraph}\n{BODY}"


def test_a_place_glued_to_the_first_word_is_still_a_place() -> None:
    page = from_text("J", "Liputan6.com, JakartaTeka-teki hilangnya kapal itu terjawab.")
    assert (page.text, page.dateline_place) == ("Teka-teki hilangnya kapal itu terjawab.", "Jakarta")


def test_related_title_at_the_end_of_a_line_that_lost_its_breaks() -> None:
    page = from_text("J", f"{FIRST} Baca juga: Bendungan Lain Masih Dibangun")
    assert (page.text, page.related) == (FIRST, ("Bendungan Lain Masih Dibangun",))


@pytest.mark.parametrize(
    "mark",
    ["Halaman 1 2", "Selanjutnya", "Show All", "Halaman: 1 2 Show All", "Selanjutnya Halaman 1 2", "1 / 4"],
)
def test_page_marks_say_that_text_is_missing(mark: str) -> None:
    page = from_text("J", f"{BODY}\n{mark}")
    assert (page.text, page.is_truncated) == (BODY, True)


def test_the_teaser_of_the_next_page_goes() -> None:
    page = from_text("J", f"{BODY}\nHalaman Selanjutnya\nMenurut dia, bendungan itu ...")
    assert (page.text, page.is_truncated) == (BODY, True)


@pytest.mark.parametrize(
    ("line", "author", "editors", "agency"),
    [
        ("Penulis : Budi Santoso\nEditor : Ani Lestari", "Budi Santoso", ("Ani Lestari",), None),
        ("Penulis: Budi Santoso | Editor: Ani Lestari", "Budi Santoso", ("Ani Lestari",), None),
        ("Rep: Budi Santoso/ Red: Ani Lestari", "Budi Santoso", ("Ani Lestari",), None),
        ("Pewarta: Budi Santoso\nEditor: Ani Lestari", "Budi Santoso", ("Ani Lestari",), None),
        ("Pewarta : Budi SantosoEditor: Ani Lestari", "Budi Santoso", ("Ani Lestari",), None),
        ("Reporter : Budi Santoso", "Budi Santoso", (), None),
        ("Penulis: Kompas Cyber Media", None, (), None),
        ("Penulis: Tim Redaksi", None, (), None),
        ("Sumber: RandomEditor: Ani Lestari", None, ("Ani Lestari",), None),
        ("sumber : Reuters", None, (), "Reuters"),
        ("Sumber: Antara", None, (), "Antara"),
        ("Sumber Sky News", None, (), "Sky News"),
        ("Sumber BBC", None, (), "BBC"),
        ("Sumber: Reuters/AFP", None, (), "Reuters"),
        ("COPYRIGHT © ANTARA 2023", None, (), "Antara"),
        ("Artikel ini pertama kali terbit dalam bahasa Inggris", None, (), "DW"),
        ("Diproduksi oleh tim ABC Indonesia", None, (), "ABC"),
        ("Diadaptasi oleh Budi Santoso", None, ("Budi Santoso",), None),
        ("(abc/xyz)", None, (), None),
        ("(abc)", None, (), None),
        ("(*)", None, (), None),
        ("(Budi Santoso)", "Budi Santoso", (), None),
        ("Budi Santoso", "Budi Santoso", (), None),
        ("ANTARA", None, (), "Antara"),
        ("Budi Santoso berkontribusi dalam penulisan artikel ini", "Budi Santoso", (), None),
        ("(Antara)", None, (), "Antara"),
    ],
)
def test_bylines_and_credits_are_read_and_dropped(
    line: str, author: str | None, editors: tuple[str, ...], agency: str | None
) -> None:
    page = from_text("J", f"{BODY}\n{line}", source="contoh.id")
    assert (page.author, page.editors, page.agency) == (author, editors, agency)
    assert page.text == BODY


def test_closing_initials_at_the_end_of_a_sentence() -> None:
    assert from_text("J", f"{BODY} (abc/xyz)").text == BODY
    assert from_text("J", f"{BODY}\nKursnya Rp 15.000 per dolar Amerika Serikat (AS)").text.endswith("(AS)")


def test_the_report_line_names_the_author() -> None:
    page = from_text(
        "J", f"Laporan Wartawan TribunJakarta.com, Budi Santoso\nTRIBUNJAKARTA.COM, CAKUNG - {BODY}"
    )
    assert page.author == "Budi Santoso"


def test_the_outlets_own_name_is_no_agency() -> None:
    assert from_text("J", f"{BODY}\nsumber : Republika", source="republika").agency is None


def test_tags_below_the_initials_go() -> None:
    assert from_text("J", f"{BODY}\n(abc/xyz)\nbendungan\nTimnas Indonesia\npekan ini").text == BODY


@pytest.mark.parametrize(
    ("sentence", "names"),
    [
        ("Melansir BBC, ribuan orang berkumpul.", ("BBC",)),
        ("Seperti dilansir dari Reuters, Sabtu, harga naik.", ("Reuters",)),
        ("Demikian dikutip dari laman Sky News, Minggu.", ("Sky News",)),
        ("Menurut laporan Bloomberg, saham turun.", ("Bloomberg",)),
        ("Hal itu dilaporkan kantor berita Xinhua kemarin.", ("Xinhua",)),
        ("Ia mengutip Presiden yang meminta warga sabar.", ()),
        ("Tidak ada yang dikutip di sini.", ()),
    ],
)
def test_mentions_are_weak_and_only_noted(sentence: str, names: tuple[str, ...]) -> None:
    page = from_text("J", f"{BODY}\n{sentence}")
    assert (page.based_on, page.agency, page.reprint_of) == (names, None, None)


@pytest.mark.parametrize(
    ("line", "stamp"),
    [
        (
            (
                'Artikel ini telah tayang di Kompas.com dengan judul "Bendungan Anu Diresmikan", Klik untuk baca: '
                "https://regional.kompas.com/read/2025/06/10/063000078/x. Penulis : Budi Editor : Ani Kompascom+ baca berita "
                "tanpa iklan: https://kmp.im/plus6 Download aplikasi: https://kmp.im/app6"
            ),
            ReprintStamp(
                "kompas.com",
                "Bendungan Anu Diresmikan",
                "https://regional.kompas.com/read/2025/06/10/063000078/x",
            ),
        ),
        (
            "Berita ini telah tayang di Kontan.co.id dengan judul: Bendungan anu diresmikan hari ini",
            ReprintStamp("kontan.co.id", "Bendungan anu diresmikan hari ini", None),
        ),
        (
            "Artikel ini telah tayang di TribunJabar.id dengan judulBendungan Anu Diresmikan",
            ReprintStamp("tribunnews.com", "Bendungan Anu Diresmikan", None),
        ),
        ("Artikel ini telah tayang di Tribunnews.com", ReprintStamp("tribunnews.com", None, None)),
        ("Artikel ini telah tayang diCNN Indonesia.", ReprintStamp("cnnindonesia.com", None, None)),
        ("Artikel ini sudah tayang di detikSumut, baca di sini", ReprintStamp("detik.com", None, None)),
        ("Artikel ini telah tayang di , dengan judul", None),
    ],
)
@pytest.mark.parametrize("glue", ["\n", " "])
def test_reprint_stamps_are_read_and_deleted(line: str, stamp: ReprintStamp | None, glue: str) -> None:
    page = from_text("J", f"{BODY}{glue}{line}")
    assert (page.reprint_of, page.text) == (stamp, BODY)


def test_a_film_that_has_been_shown_is_no_stamp() -> None:
    body = f"{BODY}\nFilm yang telah tayang di Festival Cannes itu menang."
    page = from_text("J", body)
    assert (page.reprint_of, page.text) == (None, body)


@pytest.mark.parametrize(
    ("title", "labels"),
    [
        ("[POPULER GLOBAL] Gempa di Arkadia | Pemilu di Belania | Banjir", ("roundup",)),
        ("Populer Jateng: Banjir dan Longsor", ("roundup",)),
        ("Terpopuler: Banjir dan Longsor", ("roundup",)),
        ("5 Berita Terpopuler Kemarin", ("roundup",)),
        ("5 Populer Nasional: Banjir hingga Longsor", ("roundup",)),
        ("Top 3 Bisnis: Emas Naik", ("roundup",)),
        ("Top 5 News: Emas Naik", ("roundup",)),
        ("Rangkuman Hasil Liga Anu", ("roundup",)),
        ("Peristiwa Penting di Tirta Asri Sepekan", ("roundup",)),
        ("IHSG Turun 2 Persen dalam Sepekan", ()),
        ("Menteri Tinggal di Arkadia Selama Sepekan", ()),
        ("LIVE: Sidang Pembacaan Putusan", ("live",)),
        ("Live Report Sidang Putusan", ("live",)),
        ("Link Live Streaming Arkadia vs Belania", ("live",)),
        ("Jadwal Liga Anu Malam Ini", ("schedule",)),
        ("Prakiraan Cuaca Kota Melati Besok", ("schedule",)),
        ("Imsakiyah Kota Melati 3 April", ("schedule",)),
        ("Ramalan Zodiak 18 Juni", ("schedule",)),
        ("Kunci Jawaban Matematika Kelas 5", ("schedule",)),
        ("Harga Emas Antam Hari Ini Turun", ("price",)),
        ("FOTO: Banjir di Kota Melati", ("gallery",)),
        ("Potret Warga Mengungsi", ("gallery",)),
        ("INFOGRAFIS: Cara Memilih", ("gallery",)),
        ("VIDEO: Banjir di Kota Melati", ("video",)),
        ("OPINI: Air dan Kita", ("opinion",)),
        ("[Kolom Pakar] Air dan Kita", ("opinion",)),
        ("[HOAKS] Bendungan Jebol", ("factcheck",)),
        ("[KLARIFIKASI] Bendungan Tidak Jebol", ("factcheck",)),
        ("Cek Fakta: Bendungan Jebol", ("factcheck",)),
        ("Hoaks! Bendungan Jebol", ("factcheck",)),
        ("INFO NASIONAL Bendungan Baru", ("advertorial",)),
        ("Bendungan Baru Siap Pakai (adv)", ("advertorial",)),
        ("Gubernur Resmikan Bendungan Anu", ()),
        ("Polisi Sita Video Rekaman Pelaku", ()),
    ],
)
def test_labels(title: str, labels: tuple[str, ...]) -> None:
    assert from_text(title, BODY).labels == labels


def test_the_address_labels_paid_content() -> None:
    assert from_text("J", BODY, url="https://biz.kompas.com/read/cm/2023/11/02/213419026/x").labels == (
        "advertorial",
    )


@pytest.mark.parametrize(
    ("title", "clean"),
    [
        ("Bendungan Anu Diresmikan - Kompas.com", "Bendungan Anu Diresmikan"),
        ("Bendungan Anu Diresmikan Halaman all - Kompas.com", "Bendungan Anu Diresmikan"),
        ("Bendungan Anu Diresmikan - detikNews", "Bendungan Anu Diresmikan"),
        ("Bendungan Anu Diresmikan - ANTARA News Jawa Tengah", "Bendungan Anu Diresmikan"),
        ("Bendungan Anu Diresmikan | Republika Online", "Bendungan Anu Diresmikan"),
        ("Bendungan Anu Diresmikan – Halaman all", "Bendungan Anu Diresmikan"),
        ("Bendungan Anu Diresmikan – Page 3", "Bendungan Anu Diresmikan"),
        ("  Bendungan   “Anu”\nDiresmikan ", 'Bendungan "Anu" Diresmikan'),
        ("Arkadia - Belania Imbang", "Arkadia - Belania Imbang"),
    ],
)
def test_titles_lose_the_outlets_suffix(title: str, clean: str) -> None:
    assert from_text(title, BODY).title == clean


@pytest.mark.parametrize(
    ("debris", "mended"),
    [
        ("Sebuah desa di ,, Jakarta Pusat, banjir.", "Sebuah desa di, Jakarta Pusat, banjir."),
        ("Presiden , , dijadwalkan tiba.", "Presiden, dijadwalkan tiba."),
        ("Ia membeli ,,” ujarnya.", 'Ia membeli," ujarnya.'),
        ("Mereka pengungsi ,.", "Mereka pengungsi."),
        ("Ia tiba kemarin.,Menurut dia, warga senang.", "Ia tiba kemarin.\nMenurut dia, warga senang."),
        ('"Kami senang," katanya.,"Sekali."', '"Kami senang," katanya.\n"Sekali."'),
        ("Dinas Kesehatan¬†Kota itu tutup.", "Dinas Kesehatan Kota itu tutup."),
        ("Tim itu melawan Jepang\n, Selasa (10/6/2025).", "Tim itu melawan Jepang, Selasa (10/6/2025)."),
        ("Kata dia: &ldquo;ya&rdquo; &amp; pergi.", 'Kata dia: "ya" & pergi.'),
        ("Soft\u00adhyphen dan\u00a0spasi\u200b.", "Softhyphen dan spasi."),
        ("Harga 1.000,50 per kilo, naik.", "Harga 1.000,50 per kilo, naik."),
    ],
)
def test_debris_of_lost_links_is_mended(debris: str, mended: str) -> None:
    assert from_text("Judul", debris).text == mended


def test_a_body_that_repeats_its_title_loses_it() -> None:
    assert from_text("Bendungan Anu Diresmikan", f"Bendungan Anu Diresmikan\n{BODY}").text == BODY
