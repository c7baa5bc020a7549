"""Text to words, fingerprints and words in common, against plain Python and against hostile input."""

import random
import time
import unicodedata

import pytest
from helpers import unhurried
from hypothesis import given
from hypothesis import strategies as st

from embeddings.text import (
    MAX_CHARS,
    MAX_MARKS,
    MIN_BODY_WORDS,
    fingerprint,
    identities,
    kept_in_order,
    normalise,
    term_id,
    words,
)

INVISIBLE = [
    chr(code)
    for low, high in ((0xAD, 0xAD), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x2069), (0xFEFF, 0xFEFF))
    for code in range(low, high + 1)
]
HOSTILE = {
    "one character that becomes eighteen": "\ufdfa" * 1_000_000,
    "zero width": "\u200b" * 1_000_000,
    "one accent": "a" + "\u0301" * 1_000_000,
    "accents out of order": "a" + "\u0315\u0316" * 500_000,
    "accents in reverse": "a" + "\u0315" * 25_000 + "\u0316" * 25_000,
    "accents and zero width": "a" + "\u0315\u200b\u0316" * 333_333,
    "accents that become two": "a" + "\u0315\u0344\u0f73" * 333_333,
    "half-width sound marks": "a" + "\u0315\uff9e" * 500_000,
    "accents just below the bound": ("a" + "\u0315\u0316" * (MAX_MARKS // 2)) * 40_000,
    "dashes": "–" * 1_000_000,
    "Hangul parts": "\u1100\u1161\u11a8" * 333_333,
}
VOCABULARY = ("api", "banjir", "cuaca", "desa", "e-KTP", "Feri", "gempa")
TOKENS = st.lists(st.sampled_from([word for name in VOCABULARY for word in words(name)]), max_size=40)
SENTENCE = [f"kata{number}" for number in range(MIN_BODY_WORDS)]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_is_normalised_in_linear_time(text: str) -> None:
    """A megabyte made to be slow takes less than half a second and stays within the cap."""
    started = time.perf_counter()
    result = normalise(text)

    assert time.perf_counter() - started < 0.5
    assert len(result) <= MAX_CHARS


@unhurried
@given(st.text(st.characters() | st.sampled_from([*INVISIBLE, *"ée\u0301\u0315\uff9eﬁ…㎞"]), max_size=60))
def test_normalised_text_is_nfkc_without_invisible_characters(text: str) -> None:
    """What comes out is NFKC, shows every character, and does not change when normalised again."""
    result = normalise(text)

    assert unicodedata.is_normalized("NFKC", result)
    assert set(result).isdisjoint(INVISIBLE)
    assert normalise(result) == result


@unhurried
@given(st.text(st.characters(exclude_characters=INVISIBLE), max_size=60))
def test_normalising_visible_text_is_nfkc_alone(text: str) -> None:
    """Nothing but invisible characters and piles of accents is taken away."""
    assert unicodedata.normalize("NFKC", text) == normalise(text)


def test_a_letter_keeps_its_accent_over_an_invisible_character() -> None:
    """Two letters that look the same are the same, whatever hides between letter and accent."""
    assert normalise("kafe\u0301") == normalise("kafe\u200b\u0301") == normalise("ka\u00adfé") == "kafé"


def test_accents_beyond_thirty_on_one_letter_are_dropped() -> None:
    """Thirty accents on a letter stay, the ones piled above them go, and what follows is untouched."""
    assert normalise("x" + "\u0316" * 30 + "y") == "x" + "\u0316" * 30 + "y"
    assert normalise("x" + "\u0316" * 90 + "y" + "\u0316" * 2) == "x" + "\u0316" * 30 + "y" + "\u0316" * 2
    assert normalise("é" + "🌋️" * 40) == "é" + "🌋️" * 40
    assert normalise("q" + "\u0344" * 40) == "q" + "\u0308\u0301" * 15


def test_text_is_cut_at_the_cap() -> None:
    """The cap counts the characters of the result, plain or not."""
    assert normalise("a" * (MAX_CHARS + 1)) == "a" * MAX_CHARS
    assert normalise("é" * (MAX_CHARS + 1)) == "é" * MAX_CHARS
    assert normalise("…" * MAX_CHARS) == "." * MAX_CHARS


def test_words_are_letters_and_digits_as_written() -> None:
    """Punctuation, hyphens and underscores part words; case, digits and foreign letters stay."""
    text = "KPK—menahan (3) e-KTP's, snake_case; Rp1.500,00 «Żubr» 北京 ½"

    assert words(text) == [
        *("KPK", "menahan", "3", "e", "KTP", "s", "snake", "case"),
        *("Rp1", "500", "00", "Żubr", "北京", "½"),
    ]
    assert words("") == words(" _-_ …") == []


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("gempa", 877_472_570),
        ("banjir", 1_143_037_751),
        ("jakarta", 988_387_090),
        ("é", 235_179_326),
        ("", 0),
    ],
)
def test_term_identities_never_change(term: str, expected: int) -> None:
    """Stored vectors stay readable: these identities are part of the storage format."""
    assert expected == term_id(term)


@given(st.lists(st.text(max_size=8), max_size=8))
def test_identities_are_those_of_the_lower_case_words(tokens: list[str]) -> None:
    """Identities fit 31 bits and come in the order of the words, whatever their case."""
    result = identities(tokens)

    assert [term_id(token.lower()) for token in tokens] == result.tolist()
    assert (result >= 0).all()


@given(st.lists(st.sampled_from(VOCABULARY), max_size=40), st.randoms(use_true_random=False))
def test_case_and_punctuation_do_not_change_a_fingerprint(tokens: list[str], chance: random.Random) -> None:
    """A report set in capitals, with other dashes, quotes or line breaks, reads the same."""

    def restyled(token: str) -> str:
        return chance.choice([token.upper(), token.lower(), token, f"“{token}”", f"{token},"])

    text, title = " ".join(tokens), "Gempa di Desa"
    other = chance.choice([" ", "\n\n", " – ", "\t"]).join(map(restyled, tokens))

    assert fingerprint(title, text) == fingerprint(chance.choice([title, title.upper() + "!"]), other)


@pytest.mark.parametrize("position", range(MIN_BODY_WORDS))
def test_any_changed_word_changes_a_fingerprint(position: int) -> None:
    """A word replaced, taken out, doubled or moved makes another text."""
    changed = [*SENTENCE[:position], "lain", *SENTENCE[position + 1 :]]
    missing = [*SENTENCE[:position], *SENTENCE[position + 1 :]]
    doubled = [*SENTENCE[: position + 1], *SENTENCE[position:]]
    moved = (
        [*missing, SENTENCE[position]] if position < MIN_BODY_WORDS - 1 else [SENTENCE[position], *missing]
    )
    texts = [SENTENCE, changed, missing, doubled, moved]

    assert len({fingerprint("Judul", " ".join(text)) for text in texts}) == len(texts)


def test_a_long_body_stands_alone_and_a_short_one_needs_its_title() -> None:
    """Twenty words are the same report under any headline; nineteen are not."""
    long, short = " ".join(SENTENCE), " ".join(SENTENCE[1:])

    assert fingerprint("Judul", long) == fingerprint("Judul lain", long) == fingerprint("", long)
    assert fingerprint("Judul", short) != fingerprint("Judul lain", short)
    assert fingerprint("Judul kata1", " ".join(SENTENCE[2:])) != fingerprint("Judul", short)
    assert len(fingerprint("", "")) == 16


def longest_common(a: list[str], b: list[str]) -> int:
    """The table of Wagner & Fischer, row by row."""
    row = [0] * (len(b) + 1)
    for word in a:
        before = row
        row = [0]
        for place, other in enumerate(b):
            row.append(before[place] + 1 if word == other else max(row[place], before[place + 1]))
    return row[-1]


FEW_WORDS = st.lists(st.sampled_from(["api", "banjir", "gempa", "hujan", "kota", "warga"]), max_size=150)


@unhurried
@given(FEW_WORDS, FEW_WORDS)
def test_words_kept_in_order_are_the_longest_common_subsequence(left: list[str], right: list[str]) -> None:
    """The whole-number recurrence gives what the table gives, in either direction."""
    assert longest_common(left, right) == kept_in_order(left, right) == kept_in_order(right, left)


@given(FEW_WORDS, st.randoms(use_true_random=False))
def test_a_text_keeps_what_is_left_of_it(text: list[str], chance: random.Random) -> None:
    """Lost words take nothing else with them, and added words take nothing away."""
    left = [word for word in text if chance.random() < 0.7]
    longer = [part for word in text for part in ([word, "sela"] if chance.random() < 0.3 else [word])]

    assert len(left) == kept_in_order(text, left)
    assert len(text) == kept_in_order(text, longer) == kept_in_order(text, text)
    assert kept_in_order(text, ["lain"] * 9) == kept_in_order(text, []) == kept_in_order([], text) == 0


def test_two_long_texts_are_compared_in_milliseconds() -> None:
    """A thousand words against a thousand, few of them distinct, which is the worst case."""
    chance = random.Random(1)
    a, b = ([f"kata{chance.randrange(7)}" for _ in range(1_000)] for _ in range(2))

    start = time.perf_counter()
    for _ in range(10):
        kept_in_order(a, b)

    assert time.perf_counter() - start < 1
