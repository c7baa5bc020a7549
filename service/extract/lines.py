"""Lines that are furniture: which to drop, which to read first, and which headings end the article.

One combined expression decides, and only for lines whose first four characters promise something: this is the hot
path. Rules match at the start of a line, never inside a sentence.
"""

import re
from dataclasses import dataclass, field
from itertools import accumulate

_CAP = 420
_RELATED_CAP = 240
_TITLE_WORDS = (3, 22)
_TITLE_CHARS = (15, 170)
_PROSE = 80
_CUT_SHARE = 0.4
_RECORDED = 400
_RECORDED_CHARS = 240
_AFTER_CUT = 60
_CREDIT_LINES = 60
_CREDIT_CHARS = 200
_SENTENCE = ". "
# Page marks such as `10 / 12` start with a number, so every very short line is looked at.
_SHORT = 8
_INLINE_RELATED = 4
_BULLET = re.compile(r"[•*·-] ?|[0-9]{1,2}[.)] ")

_ROLES = r"penulis|editor|rep|red|reporter|pewarta|penerjemah|redaktur(?: pelaksana)?|uploader|wartawan|author|kontributor"
CREDIT = (
    rf"(?:(?:{_ROLES}) ?: ?\S.*|sumber ?: ?\S.*|sumber (?-i:[A-Z][\w.]*(?: [A-Z][\w.]*){{0,3}})$"
    r"|diproduksi oleh .*|diadaptasi oleh .*|oleh ?: .*|copyright ?© ?antara.*"
    r"|artikel ini pertama kali terbit dalam .*)"
)
_RULES = (
    ("credit", CREDIT),
    (
        "related",
        r"(?:[(\[*-]{0,2} ?(?:baca|lihat|simak|tonton)[ _]?(?:juga|pula)\b.*|[(\[]?baca ?: .*)",
    ),
    (
        "video",
        r"(?:(?:simak|tonton|saksikan|lihat) (?:video|live|siaran)\b.*|video ?: .*|\[gambas:.*|video (?:pilihan|terkini).*)",
    ),
    (
        "advertisement",
        (
            r"(?:(?:advertisement ?)+(?:scroll .*)?$|iklan$|scroll (?:to|ke bawah)\b.*|close ads|gulir untuk .*"
            r"|konten di bawah ini disajikan oleh advertiser.*)"
        ),
    ),
    (
        "promotion",
        (
            r"(?:baca berita (?:tanpa|dengan sedikit) iklan.*|gabung kompas\.com\+.*|add as a preferred source.*"
            r"|dengarkan (?:artikel|berita).*|a post shared by .*|view this post on .*|baca kisah inspiratif kandidat.*"
            r"|(?:baca )?(?:berita |artikel )?selengkapnya(?: di sini| klik| ?:|$).{0,80}|dailysocial\.id adalah .*"
            r"|!!!membaca bagi pikiran.*|update berita lainnya di .*|- ?baca berita terbaru lainnya.*)"
        ),
    ),
    (
        "interface",
        (
            r"(?:bagikan ?:?$|text sizes?$|aa$|a a a$|perbesar$|daftar isi ?:?$|tampilkan ringkasan artikel|komentar$"
            r"|copy link$|ukuran (?:font|huruf)\b.*|print$|share ?:?$|tweet$|-{2,}$|\*{3,}$|[.-]$)"
        ),
    ),
    ("summary", r"ringkasan berita ?:?$"),
    ("choice", r"pilihan editor ?: ?\S.*"),
    (
        "paging",
        (
            r"(?:halaman(?: ?:)? ?[0-9][0-9 ]*(?:show all|selanjutnya|next|all)?$|halaman (?:selanjutnya|berikutnya).*"
            r"|(?:baca )?(?:di )?halaman (?:selanjutnya|berikutnya).*|selanjutnya(?:$| halaman .*)|show all$"
            r"|[0-9]{1,2} ?/ ?[0-9]{1,2}(?: selanjutnya.*)?$|bersambung ke halaman.*|next page$)"
        ),
    ),
    ("caption", r"\(?(?:sumber )?foto ?: ?.{1,120}$"),
    (
        "cut",
        (
            r"(?:berita (?:terkait|lainnya|rekomendasi|populer)$|berita detikcom lainnya.*|terkini lainnya|terpopuler$"
            r"|tags?(?: terkait)? ?:?$|tags? ?: .*|topik(?: terkait)? ?:?$|pilihan (?:untukmu|editor) ?:?$|artikel terkait$"
            r"|lihat .{2,40} selengkapnya$|bagikan artikel ini.*|bagikan berita ini.*|ikuti kami di.*"
            r"|ikuti (?:whatsapp )?channel .*|ikuti berita .{2,60} google news.*|ikuti perkembangan terbaru .*"
            r"|follow (?:berita|whatsapp|google).*|cek berita dan artikel yang lain di google news.*"
            r"|dapatkan (?:berita pilihan|update berita|berita viral|informasi lain).*|simak breaking news.*"
            r"|periksa kembali dan lengkapi data.*|data dirimu akan digunakan.*|#?jernihberkomentar.*|hoegeng awards.*"
            r"|copyright ?©.*|dilarang keras mengambil konten.*|\* ?fakta atau hoaks\?.*|.{0,40}sobat republika.*"
            r"|cari berita lain di sini.*|video (?:rekomendasi|lainnya)$|baca juga berita lainnya$|rekomendasi untuk ?anda"
            r"|ikuti whatsapp .*|berita terpopuler$|terkini$|jangan lewatkan$|kabar internasional lainnya)"
        ),
    ),
)
_FURNITURE = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _RULES), re.IGNORECASE)
# The first four characters of everything above, lower-cased: a line that starts otherwise is never furniture.
_HEADS = frozenset(
    [
        "penu",
        "edit",
        "rep:",
        "rep ",
        "red:",
        "red ",
        "repo",
        "pewa",
        "pene",
        "reda",
        "uplo",
        "wart",
        "auth",
        "kont",
        "sumb",
        "dipr",
        "diad",
        "oleh",
        "copy",
        "arti",
        "baca",
        "liha",
        "sima",
        "sela",
        "tont",
        "(bac",
        "[bac",
        "*bac",
        "-bac",
        "- ba",
        "* ba",
        "( ba",
        "(lih",
        "(sim",
        "saks",
        "vide",
        "[gam",
        "adve",
        "ikla",
        "scro",
        "clos",
        "guli",
        "gabu",
        "add ",
        "deng",
        "a po",
        "view",
        "sele",
        "beri",
        "dail",
        "!!!m",
        "upda",
        "bagi",
        "text",
        "aa",
        "a a ",
        "perb",
        "daft",
        "tamp",
        "kome",
        "ukur",
        "prin",
        "shar",
        "twee",
        "----",
        "****",
        "ring",
        "pili",
        "hala",
        "show",
        "di h",
        "bers",
        "next",
        "foto",
        "(fot",
        "terk",
        "terp",
        "tag",
        "tag:",
        "tag ",
        "tags",
        "topi",
        "jang",
        "ikut",
        "foll",
        "cek ",
        "dapa",
        "peri",
        "data",
        "#jer",
        "jern",
        "hoeg",
        "dila",
        "* fa",
        "*fak",
        "soba",
        "cari",
        "reko",
        "kaba",
    ]
)
_TARGET = re.compile(
    r"[(\[*-]{0,2} ?(?:baca|lihat|simak|tonton)(?:[ _]?(?:juga|pula))? ?[:,]{0,2} ?", re.IGNORECASE
)
_PAGE_NUMBER = re.compile(r"([0-9]{1,2}) ?/ ?([0-9]{1,2})")


@dataclass(slots=True)
class Sweep:
    """The lines that stay, and what was read from those that went."""

    kept: list[str]
    removed: list[tuple[str, str]] = field(default_factory=list)
    related: list[str] = field(default_factory=list)
    credits: list[str] = field(default_factory=list)
    truncated: bool = False


def sweep(lines: list[str]) -> Sweep:
    """Drop furniture lines and cut the tail, keeping related titles, credits and page marks."""
    hits = [index for index, line in enumerate(lines) if line[:4].lower() in _HEADS or len(line) < _SHORT]
    out = Sweep(kept=lines)
    if not hits:
        return out
    gone: dict[int, str] = {}
    end = len(lines)
    weights: _Weights | None = None
    for index in hits:
        if index in gone:
            continue
        rule = rule_of(lines[index], lines[index + 1] if index + 1 < len(lines) else "")
        if rule is None or (rule == "credit" and len(lines[index]) > _CREDIT_CHARS):
            continue
        if rule == "related" and not _is_related(lines[index]):
            _free_paragraph(lines, index)
            continue
        if rule == "cut":
            weights = weights or _Weights(lines)
            if weights.end_article(index):
                end = index
                break
        gone[index] = rule
        _read(out, lines, index, rule, gone)
    _finish(out, lines, gone, end)
    return out


def rule_of(line: str, following: str = "") -> str | None:
    """Name the furniture rule that a line falls under, or None for text."""
    if len(line) > _CAP:
        return None
    match = _FURNITURE.match(line)
    if match is not None:
        return match.lastgroup
    if line.lower() == "simak" and following.lower().startswith("breaking news"):
        return "cut"  # Kompas's channel line, split at its links
    return None


def is_title_like(line: str) -> bool:
    """Tell whether a line could be a headline: some words, a capital or a sign first, no full stop."""
    low, high = _TITLE_CHARS
    if not low <= len(line) <= high or line[-1] in ".,:;" or line[0].islower():
        return False
    few, many = _TITLE_WORDS
    return few <= line.count(" ") + 1 <= many


def is_prose(line: str) -> bool:
    """Tell whether a line reads as a sentence or more of running text."""
    return len(line) >= _PROSE or (line[-1:] in ".!?\"')" and line.count(" ") > 4)  # noqa: PLR2004


def related_target(line: str) -> str:
    """Read the title that a `Baca juga` line points to, "" when it stands alone."""
    return _TARGET.sub("", line, count=1).strip(" )]\"'")


def cut_inline_related(out: Sweep) -> None:
    """Take `Baca juga: <title>` off the end of lines that lost their breaks."""
    kept = [_without_related(line, out) if "uga:" in line else line for line in out.kept]
    out.kept = [line for line in kept if line]


def _without_related(line: str, out: Sweep) -> str:
    for _ in range(_INLINE_RELATED):
        at = max(line.rfind("Baca juga:"), line.rfind("Baca Juga:"), line.rfind("Lihat Juga:"))
        target = line[at + len("Baca juga:") : at + _RELATED_CAP].lstrip(": ")
        rest = line[:at].rstrip() if at > 0 else ""
        if not rest or not is_title_like(target) or ". " in target or rest[-1] in ",;":
            break
        out.related.append(target)
        _record(out, "related", line[at:])
        line = rest
    return line


def _free_paragraph(lines: list[str], index: int) -> None:
    """Take a bare `Baca juga:` off the paragraph it was glued to."""
    target = related_target(lines[index])
    if ":" in lines[index][:16] and _SENTENCE in target:
        lines[index] = target


def _is_related(line: str) -> bool:
    target = related_target(line)
    if len(line) > _RELATED_CAP or (_SENTENCE in target and target.endswith((".", '"'))):
        return False
    if not target or line[:5].lower() in {"baca:", "(baca", "[baca"}:
        return True
    if target[0].islower():
        return False
    return ":" in line[:16] or not target.endswith(".")


def _read(out: Sweep, lines: list[str], index: int, rule: str, gone: dict[int, str]) -> None:
    """Read a furniture line before it goes, and take along the lines that belong to it."""
    line = lines[index]
    following = lines[index + 1] if index + 1 < len(lines) else ""
    if rule == "credit":
        if len(out.credits) < _CREDIT_LINES:
            out.credits.append(line)
    elif rule == "related":
        target = related_target(line)
        if not target and following and is_title_like(following) and not is_prose(following[:-1]):
            gone[index + 1] = "related"
            target = following
        if target and not target.lower().endswith("di sini"):
            out.related.append(target)
    elif rule == "paging":
        out.truncated = out.truncated or _more_follows(line)
        if following.endswith(("...", "…")) and line.lower().startswith("halaman s"):
            gone[index + 1] = "paging"
    elif rule == "summary":
        for later in range(index + 1, min(index + 9, len(lines))):
            if not _BULLET.match(lines[later]):
                break
            gone[later] = "summary"


def _more_follows(line: str) -> bool:
    numbers = _PAGE_NUMBER.match(line)
    return numbers is None or int(numbers[1]) < int(numbers[2])


class _Weights:
    """How much of the text stands before each line, summed once: a page may hold thousands of headings."""

    def __init__(self, lines: list[str]) -> None:
        self._chars = list(accumulate(map(len, lines), initial=0))
        self._prose = list(accumulate((len(line) if is_prose(line) else 0 for line in lines), initial=0))

    def end_article(self, index: int) -> bool:
        """Check that 40 % of the text precedes, counting all characters or only running text.

        A pasted page can trail more menu than article, so the share of running text decides as well.
        """
        prose = self._prose[index]
        return _share(self._chars[index], self._chars[-1]) or (prose > 0 and _share(prose, self._prose[-1]))


def _share(before: int, total: int) -> bool:
    return before >= _CUT_SHARE * total


def _finish(out: Sweep, lines: list[str], gone: dict[int, str], end: int) -> None:
    """Settle which lines stay; a credit may still stand below the cut."""
    for line in lines[end : end + _AFTER_CUT]:
        if line[:4].lower() in _HEADS and rule_of(line) == "credit":
            out.credits.append(line)
    if not gone and end == len(lines):
        return
    out.kept = [line for index, line in enumerate(lines[:end]) if index not in gone]
    for index in sorted(gone):
        if index < end:
            _record(out, gone[index], lines[index])
    for line in lines[end:]:
        _record(out, "cut", line)


def _record(out: Sweep, rule: str, line: str) -> None:
    if len(out.removed) < _RECORDED:
        out.removed.append((rule, line[:_RECORDED_CHARS]))
