"""What a text names, counts and talks about, as it is written.  Pure.

Vectors decide; people read words. This is where an article's words come back for them: names as phrases, figures with
what they count, and the words that news seldom uses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from embeddings.terms import BUCKETS, UNKNOWN_SHARE
from embeddings.text import identities

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from embeddings.terms import Background

LEAD_CHARS = 1500
MAX_PHRASE = 5
MAX_DIFFERING = 2
MIN_NAME_IDF = 2.0
MIN_WORD_IDF = 2.8
_MIN_LENGTH = 3
_RARE_IDF = 7.0
_SUFFIXES = ("nya", "lah", "kah")
_SURE_SHARE = 0.7
_POSSIBLE_SHARE = 0.25

_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_SENTENCE_ENDS = frozenset('.!?:;"“”‘(\n•–—|/[')
_JOINS = frozenset({" ", "-", ". "})

# Written with a capital but no name of the matter: days, months, zones, forms of address.
_NO_NAME_WORDS = (
    "senin selasa rabu kamis jumat sabtu minggu ahad januari februari maret april mei juni juli agustus september "
    "oktober november desember jan feb mar apr jun jul agu agt sep okt nov des wib wita wit anda pak bu bapak ibu "
    "baca foto video dok istimewa reporter editor penulis rp"
)
_COMMON_WORDS = (
    "ada adalah agar akan akibat antara apa atas atau bagi bahwa baru begini bila bisa buat bukan cara dalam dan "
    "dapat dari demi dengan depan di dia dua enam empat gara hal hanya hari harus hingga ia ikut ini itu jadi jangan "
    "jelang juga kali karena kata ke kembali kepada ketika kini lagi lain lalu lebih lewat lima mana masih mau "
    "melalui mengapa menjadi menurut mereka minta mulai namun oleh orang pada para pasca pun pula punya saat saja "
    "salah sama sambil sampai satu saya se sebab sebagai sebelum sebut sebuah secara sejak sejumlah sekarang "
    "selama semua seorang seperti serta setelah siap siapa soal sudah supaya tahun tak tanpa telah tentang terhadap "
    "terkait tetap tiga tidak tiap untuk usai viral yakni yaitu yang foto video update populer terbaru "
    "tersebut bersama beberapa sehingga sementara berdasarkan sangat kita kami anda adanya diduga dilakukan ujar "
    "ujarnya tutur tuturnya ungkap ungkapnya katanya jelas jelasnya imbuh imbuhnya pagi siang sore malam dini adapun sebanyak alhasil sejurus selain seusai demikian"
)
COMMON_WORDS = frozenset(_COMMON_WORDS.split())
"""Function words, and what headlines say about themselves."""
_NO_NAMES = frozenset(_NO_NAME_WORDS.split()) | COMMON_WORDS

_DAY_OR_TIME = re.compile(
    r"\(?\b\d{1,2}/\d{1,2}(?:/\d{2,4})?\b\)?"
    r"|\b\d{1,2} (?:jan|feb|mar|apr|mei|jun|jul|agu|ags|agt|sep|okt|nov|des)[a-z]*\b(?: \d{4})?"
    r"|\b(?:pukul|jam) \d{1,2}[.:]\d{2}\b|\b\d{1,2}[.:]\d{2}(?= ?(?:wib|wita|wit)\b)|\b(?:19|20)\d\d\b",
    re.IGNORECASE,
)
_FIGURE = re.compile(
    r"(?<![\w.,])(?P<money>rp\.? ?|us\$ ?|\$ ?)?(?P<number>\d{1,3}(?:[.,]\d{3})+(?:,\d+)?|\d+(?:[.,]\d+)?)(?![.,]?\d)"
    r"(?P<scale> ?%| (?:persen|ribu|juta|miliar|triliun)\b)?(?: (?P<unit>[a-z][a-z]{2,})\b)?",
    re.IGNORECASE,
)
_MONEY = re.compile(r"Rp\d+")
_SPELT = (
    "dua tiga empat lima enam tujuh delapan sembilan sepuluh sebelas".split()  # noqa: SIM905  reads as it is said
)
_COUNTED = "orang korban warga penumpang rumah kapal mobil unit siswa anak tersangka jenazah saksi gol poin"
_SPELT_FIGURE = re.compile(
    rf"\b(?P<word>{'|'.join(_SPELT)})(?P<tens> belas| puluh)? (?P<unit>{'|'.join(_COUNTED.split())})\b",
    re.IGNORECASE,
)
_SCORE = re.compile(r"(?<![\w.,/–-])\d{1,2}[-–]\d{1,2}(?![\w.,/–-])")
SCORE = "score"
# Words that follow a number without being what it counts: verbs, and what joins sentences.
_NO_UNIT = re.compile(
    r"(?:men|mem|ber|di)[a-z]{4,}|per|"
    + "|".join(sorted(COMMON_WORDS - {"orang", "hari", "tahun", "kali"}, key=len, reverse=True)),
    re.IGNORECASE,
)
_MEASURES = frozenset(
    ["meter", "kilometer", "ton", "hektare", "gram", "kilogram", "liter", "derajat", "poin"]
)
_THOUSANDS = re.compile(r"\d{1,3}(?:[.,]\d{3})+")
# What everything is counted in says nothing about what differs.
VAGUE_UNITS = frozenset({"hari", "jam", "menit", "detik", "tahun", "bulan", "minggu", "kali"})


@dataclass(frozen=True, slots=True)
class Word:
    """A word as written, whether it may belong to a name, and how rarely news uses it."""

    text: str
    key: str
    idf: float


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with what it counts: `number` and `unit` compare, `written` is for reading.

    `unit` is empty where no word follows.
    """

    number: str
    unit: str
    written: str


@dataclass(frozen=True, slots=True)
class Telling:
    """What stands out in an article: runs of words written as names, other rare words, figures, each in order.

    `title` holds the words of the headline in lower case.
    """

    names: tuple[tuple[Word, ...], ...]
    words: tuple[Word, ...]
    figures: tuple[Figure, ...]
    title: frozenset[str]


def tell(background: Background, title: str, text: str, *, outlets: Collection[str] = ()) -> Telling:
    """Return what stands out in a headline and the text under it (the caller cuts it).

    The names of `outlets` (domains) are passed over: who reports is not what is reported.
    """
    own = frozenset(part for outlet in outlets for part in outlet.lower().split("."))
    runs, rest = _read(background, text, own, is_title=False)
    body = {word.key for run in runs for word in run}
    title_runs, title_rest = _read(background, title, own, is_title=True, confirmed=body if text else None)
    others: dict[str, Word] = {}
    for word in title_rest + rest:
        others.setdefault(word.key, word)
    named = body | {word.key for run in title_runs for word in run}
    found: dict[tuple[str, str], Figure] = {}
    for figure in figures(title, is_title=True) + figures(text):
        found.setdefault((figure.number, figure.unit), figure)
    return Telling(
        (*title_runs, *runs),
        tuple(word for key, word in others.items() if key not in named),
        tuple(found.values()),
        frozenset(keys(title)),
    )


def phrases(run: Sequence[Word]) -> Iterator[tuple[Word, ...]]:
    """Yield every run of at most `MAX_PHRASE` words in `run`, the longest first from each place."""
    for start in range(len(run)):
        for end in range(min(len(run), start + MAX_PHRASE), start, -1):
            yield tuple(run[start:end])


def keys(text: str) -> set[str]:
    """Return what the words of a text are known by."""
    return {token.lower() for token in _TOKEN.findall(text)}


def key_of(phrase: Iterable[Word]) -> tuple[str, ...]:
    """Return what makes two phrases the same, however they are written."""
    return tuple(word.key for word in phrase)


def written(phrase: Iterable[Word]) -> str:
    """Return a phrase as it is read."""
    return " ".join(word.text for word in phrase)


def weight(phrase: Sequence[Word]) -> float:
    """Return how much a name tells: its rarest word, and a little for each further one."""
    return max(word.idf for word in phrase) + 0.5 * (len(phrase) - 1)


def tells(word: Word) -> bool:
    """Say whether a word that is no name is worth showing."""
    return (
        len(word.key) >= _MIN_LENGTH
        and word.idf >= MIN_WORD_IDF
        and word.key not in _NO_NAMES
        and not any(char.isdigit() for char in word.key)
    )


def figures(text: str, *, is_title: bool = False) -> list[Figure]:
    """List the figures of a text in order of appearance, without dates, years and times of day.

    A single digit that counts nothing is left out: it may be a place in a list. What is counted stands in small letters,
    but for headlines.
    """
    text = _DAY_OR_TIME.sub(" | ", text)
    found = [
        (match.start(), Figure(match[0].replace("–", "-"), SCORE, match[0]))
        for match in _SCORE.finditer(text)
    ]
    text = _SCORE.sub(lambda match: "|" * len(match[0]), text)
    found += [(match.start(), _digits(match, is_title=is_title)) for match in _FIGURE.finditer(text)]
    found += [(match.start(), _spelt(match)) for match in _SPELT_FIGURE.finditer(text)]
    ordered = [figure for _, figure in sorted(found, key=lambda one: one[0])]
    return [figure for figure in ordered if figure.unit or len(figure.number) > 1]


def differing(
    here: Iterable[Figure], there: Iterable[Figure]
) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return, for each thing that both texts count without one number in common, the numbers of each.

    A text that counts a thing more than `MAX_DIFFERING` times says no one number of it.
    """
    ours, theirs = _by_unit(here), _by_unit(there)
    return {
        unit: (tuple(ours[unit]), tuple(theirs[unit]))
        for unit in ours
        if unit in theirs
        and max(len(ours[unit]), len(theirs[unit])) <= MAX_DIFFERING
        and not ours[unit].keys() & theirs[unit].keys()
    }


def _by_unit(found: Iterable[Figure]) -> Mapping[str, dict[str, None]]:
    units: dict[str, dict[str, None]] = {}
    for figure in found:
        if figure.unit and figure.unit not in VAGUE_UNITS:
            units.setdefault(figure.unit, {})[figure.number] = None
    return units


def _digits(match: re.Match[str], *, is_title: bool) -> Figure:
    number, scale = match["number"], (match["scale"] or "").strip().lower()
    whole, _, decimals = number.partition(",")
    if _THOUSANDS.fullmatch(number):
        value = number.replace(".", "").replace(",", "")
    elif _THOUSANDS.fullmatch(whole):
        value = f"{whole.replace('.', '')}.{decimals}"
    else:
        value = number.replace(",", ".")
    money = (match["money"] or "").strip().lower()
    parts = (money, value, "%" if scale == "persen" else scale)
    unit = match["unit"] or ""
    if (
        money
        or scale
        or ("." in value and unit.lower() not in _MEASURES)
        or _NO_UNIT.fullmatch(unit)
        or not (is_title or unit.islower())
    ):
        unit = ""
    shown = f"{match['money'] or ''}{number}{match['scale'] or ''}"
    return Figure(" ".join(part for part in parts if part), unit.lower(), f"{shown} {unit}".rstrip())


def _spelt(match: re.Match[str]) -> Figure:
    value = _SPELT.index(match["word"].lower()) + 2
    if match["tens"]:
        value = value + 10 if match["tens"].strip().lower() == "belas" else value * 10
    return Figure(str(value), match["unit"].lower(), match[0])


def _read(
    background: Background,
    text: str,
    own: frozenset[str],
    *,
    is_title: bool,
    confirmed: set[str] | None = None,
) -> tuple[list[tuple[Word, ...]], list[Word]]:
    """Return the runs of words that are written as names, and the other words that tell something.

    Headlines write every word with a capital, so the text under them says which are names: those it has `confirmed`.
    """
    matches = list(_TOKEN.finditer(text))
    tokens = [match[0] for match in matches]
    # The parts of a word with an apostrophe are known to the background one by one; the first stands for all.
    ids = identities([token.replace("’", "'").partition("'")[0] for token in tokens]) % BUCKETS
    idf, share = background.idf[ids].tolist(), background.name_share[ids].tolist()
    runs: list[tuple[Word, ...]] = []
    rest: list[Word] = []
    run: list[tuple[Word, bool]] = []
    for place, token in enumerate(tokens):
        kind = None
        word = Word(token, token.lower(), idf[place])
        if word.key in own:
            pass
        elif token[0].isupper() and word.key not in _NO_NAMES and not _MONEY.fullmatch(token):
            gap = text[matches[place - 1].end() : matches[place].start()] if place else "\n"
            if run and not _continues(gap, run[-1][0]):
                runs += _named(run)
                run = []
            starts = not _SENTENCE_ENDS.isdisjoint(gap) or gap.strip() == "-" != gap
            if confirmed is not None:
                kind = True if word.key in confirmed else None
            else:
                kind = _kind(word, share[place], is_certain=not is_title and not starts)
        if kind is not None:
            run.append((word, kind))
            continue
        if run:
            runs += _named(run)
            run = []
        if word.key not in own and tells(word):
            rest.append(word)
    return runs + _named(run), rest


def _continues(gap: str, previous: Word) -> bool:
    """Say whether a word after `gap` may belong to the same name; a full stop only follows an initial."""
    return gap in _JOINS and (gap != ". " or len(previous.text) == 1)


def _kind(word: Word, share: int, *, is_certain: bool) -> bool | None:
    """Return True for part of a name, False for what may be part of one beside others, None for neither."""
    if is_certain:
        return True
    if share == UNKNOWN_SHARE:  # a common word seen only where sentences start is none
        return True if word.idf >= _RARE_IDF and not word.key.endswith(_SUFFIXES) else None
    if share > _SURE_SHARE * 254:
        return True
    return False if share > _POSSIBLE_SHARE * 254 else None


def _named(run: Sequence[tuple[Word, bool]]) -> list[tuple[Word, ...]]:
    """Return the run as a name, if any of it is sure to be one and tells something."""
    words = tuple(word for word, _ in run)
    if not any(sure and len(word.text) > 1 for word, sure in run):
        return []
    if max(word.idf for word in words) < MIN_NAME_IDF or all(len(word.text) < _MIN_LENGTH for word in words):
        return []
    return [words]
