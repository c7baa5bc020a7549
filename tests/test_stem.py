"""Stems: words worked by hand, and what holds of any word."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embeddings.stem import MIN_STEM, stem

_AFFIXES = (
    "mem pem men pen meny peny meng peng menge memper diper ber ter per di se ke me pe kan an nya lah kah"
)
_ROOTS = "tangkap tulis pukul sapu kuat adil bom x a é 7"
PARTS = st.sampled_from(f"{_AFFIXES} {_ROOTS}".split())
WORDS = st.lists(PARTS, max_size=5).map("".join) | st.text(max_size=12).map(str.lower)


@pytest.mark.parametrize(
    ("stemmed", "forms"),
    [
        ("tangkap", "tangkap menangkap ditangkap tertangkap penangkapan tangkapannya"),
        ("bantu", "bantu membantu dibantu pembantu bantuan bantuannya bantulah"),
        ("bakar", "bakar membakar terbakar kebakaran dibakarnya"),
        ("temu", "temu bertemu pertemuan ditemukan penemuan"),
        ("periksa", "memeriksa pemeriksaan"),
        ("kuat", "kuat diperkuat memperkuat perkuatlah"),
        ("rumah", "rumah rumahnya rumahkan serumah"),
        # The letter that the prefix swallowed comes back before a vowel.
        ("pukul", "memukul pemukul dipukul pukulan"),
        ("tulis", "menulis penulis ditulis tulisannya"),
        ("sapu", "menyapu penyapu disapu sapukan"),
    ],
)
def test_the_forms_of_a_word_have_one_stem(stemmed: str, forms: str) -> None:
    """Verbs and nouns of one root meet."""
    assert dict.fromkeys(forms.split(), stemmed) == {form: stem(form) for form in forms.split()}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("", ""),
        ("di", "di"),
        ("makan", "makan"),
        ("berani", "berani"),
        ("dibom", "dibom"),
        ("dibomkan", "dibom"),
        ("diapakan", "diapa"),
        ("ekonomi", "ekonomi"),
        ("gubernur", "gubernur"),
        ("covid19nya", "covid19nya"),
        ("2000an", "2000an"),
        ("tangkapannyalah", "tangkapan"),
    ],
)
def test_too_little_is_left_alone(word: str, expected: str) -> None:
    """Words under six letters and those with digits stay; no cut leaves fewer than four letters, two endings at most."""
    assert expected == stem(word)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("menguat", "menguat"),
        ("penguatan", "penguat"),
        ("periksa", "iksa"),
        ("diperiksa", "iksa"),
        ("serangan", "rang"),
        ("mengirim", "irim"),
        ("gerakan", "gera"),
    ],
)
def test_rules_without_a_dictionary_miss_some(word: str, expected: str) -> None:
    """Roots of three letters with a prefix, roots that look like one, a swallowed k: known, and stored vectors rely on it."""
    assert expected == stem(word)


@given(WORDS)
def test_a_stem_is_the_word_without_its_ends(word: str) -> None:
    """A middle of the word of four letters or more, but for one letter that a prefix had swallowed."""
    found = stem(word)

    assert found in word or (found[0] in "pts" and found[1:] in word)
    assert len(found) >= min(MIN_STEM, len(word))
    assert len(found) <= len(word)
    if len(word) < 6 or not word.isalpha():
        assert word == found


@given(WORDS)
def test_a_stem_is_reached_by_one_rule_each(word: str) -> None:
    """Two endings and one prefix explain every stem."""
    ending = "(?:nya|lah|kah|kan|an)"
    prefix = "memper|diper|menge|penge|meny|peny|meng|peng|mem|pem|men|pen|ber|ter|per|di|se|ke|me|pe"
    found = re.escape(stem(word))
    swallowed = {"p": "[mp]em", "t": "[mp]en", "s": "[mp]eny"}.get(found[:1])
    ways = [f"(?:{prefix})?{found}{ending}{{0,2}}"]
    if swallowed:
        ways.append(f"{swallowed}{found[1:]}{ending}{{0,2}}")

    assert any(re.fullmatch(way, word) for way in ways)
