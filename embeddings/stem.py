"""Indonesian words to stems: the same verb or noun under its affixes (menangkap, ditangkap, penangkapan → tangkap).

A light stemmer in the spirit of Tala (2003): affixes are cut by rule, without a dictionary, and only while four letters
stay. It need not be right, only the same for both articles of a pair; names must not pass through it. Short roots are
missed: menguat would leave three letters and stays as it is.
"""

from __future__ import annotations

import functools
import re

MIN_STEM = 4
_MIN_WORD = 6
_ENDINGS = ("nya", "lah", "kah", "kan", "an")
_PREFIX = re.compile(
    r"memper|diper|menge|penge|meny|peny|meng|peng|mem|pem|men|pen|ber|ter|per|di|se|ke|me|pe"
)
# The nasal swallowed the first letter of the stem: memukul is me + pukul, menulis me + tulis, menyapu me + sapu.
_SWALLOWED = {"mem": "p", "pem": "p", "men": "t", "pen": "t", "meny": "s", "peny": "s"}
_VOWELS = frozenset("aeiou")


@functools.lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """Return the stem of a word in lower case; short words and words with digits come back as they are."""
    if len(word) < _MIN_WORD or not word.isalpha():
        return word
    word = _without_ending(_without_ending(word))
    prefix = _PREFIX.match(word)
    if prefix is None:
        return word
    rest = word[prefix.end() :]
    if rest and rest[0] in _VOWELS:
        rest = _SWALLOWED.get(prefix[0], "") + rest
    return rest if len(rest) >= MIN_STEM else word


def _without_ending(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= MIN_STEM:
            return word[: -len(ending)]
    return word
