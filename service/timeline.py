"""How a story is told: which article speaks for an event, what each event adds, what a story is about."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from embeddings.text import normalise, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_TERMS = 8
EARLIEST_ORIGINAL = "earliest_original"
EARLIEST = "earliest"

_MIN_LENGTH = 3
# Function words of Indonesian headlines and what headlines say about themselves.
_COMMON_WORDS = (
    "ada adalah agar akan akibat antara apa atas atau bagi bahwa baru begini bila bisa buat bukan cara dalam dan dapat dari "
    "demi dengan depan di dia dua enam empat gara hal hanya hari harus hingga ia ikut ini itu jadi jangan jelang juga "
    "kali karena kata kata ke kembali kepada ketika kini lagi lain lalu lebih lewat lima mana masih mau melalui "
    "mengapa menjadi menurut mereka minta mulai namun oleh orang pada para pasca pun pula punya resmi saat saja salah "
    "sama sambil sampai satu saya se sebab sebagai sebelum sebut sebuah secara sejak sejumlah sekarang selama semua "
    "seorang seperti serta setelah siap siapa soal sudah supaya tahun tak tanpa telah tentang terhadap terkait tetap "
    "tiga tidak tiap tolak untuk usai video viral yakni yaitu yang foto update populer terbaru berita cek fakta "
    "and are for from has have its not the that this was were what when who will with"
)
_COMMON = frozenset(_COMMON_WORDS.split())


def title_terms(title: str) -> list[str]:
    """List the words of a title that say something, in order."""
    found = words(normalise(title).lower())
    return [word for word in found if len(word) >= _MIN_LENGTH and word not in _COMMON and not word.isdigit()]


def top_terms(titles: Iterable[str], *, known: Iterable[str] = (), limit: int = MAX_TERMS) -> list[str]:
    """List the words that most of `titles` have and `known` lacks; ties stand in order of appearance."""
    counts: Counter[str] = Counter()
    for title in titles:
        counts.update(list(dict.fromkeys(title_terms(title))))
    for word in known:
        counts.pop(word, None)
    return [word for word, _ in counts.most_common(limit)]


def new_terms(events: Sequence[Sequence[str]], *, limit: int = MAX_TERMS) -> list[list[str]]:
    """For each event, given as the titles of its articles in order of time, list the words no earlier one had."""
    known: set[str] = set()
    found = []
    for titles in events:
        found.append(top_terms(titles, known=known, limit=limit))
        known.update(word for title in titles for word in title_terms(title))
    return found


def representative(relations: Sequence[str]) -> tuple[int, str]:
    """Choose the article that speaks for an event: the earliest original, else the earliest.

    `relations` stand in order of time; the answer is a position and the reason.
    """
    for position, relation in enumerate(relations):
        if relation == "original":
            return position, EARLIEST_ORIGINAL
    return 0, EARLIEST
