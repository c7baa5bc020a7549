"""What texts look like, for the OpenAPI document: the same that `service.schemas` checks, as regular expressions.

They are never run here: on a long text the functions of `service.schemas` are faster. Written for ECMA-262 with `u`, as JSON
Schema asks. No `format` stands beside them: those of JSON Schema are narrower than what is taken.
"""

STORABLE = r"^[^\u0000]*$"
VISIBLE = r"^[^\u0000]*[\p{L}\p{M}\p{N}\p{P}\p{S}][^\u0000]*$"

UNSAFE_IN_URL = r"\x00-\x20\x7f-\xa0\u2028\u2029<>\x22\x5c"
# What Unicode's compatible form (NFKC) would turn into a delimiter.
_DELIMITING = r"\u2047\u2048\u2049\u2100\u2101\u2105\u2106\u2a74\ufe13\ufe16\ufe55\ufe56\ufe5f\ufe6b\uff03\uff0f\uff1a\uff1f\uff20"
_HEX = "[0-9A-Fa-f]{1,4}"
_IPV6 = "|".join(
    (
        f"(?:{_HEX}:){{7}}{_HEX}",
        f"(?:{_HEX}:){{1,7}}:",
        *(f"(?:{_HEX}:){{1,{7 - last}}}(?::{_HEX}){{1,{last}}}" for last in range(1, 7)),
        f":(?::{_HEX}){{1,7}}",
        "::",
    )
)
_HOST = rf"(?:[^{UNSAFE_IN_URL}{_DELIMITING}/?#@:\[\]]+|\[(?:{_IPV6})\])"
_PORT = ":0*(?:[0-9]{0,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
URL = rf"^[Hh][Tt][Tt][Pp][Ss]?://{_HOST}(?:{_PORT})?(?:[/?#][^{UNSAFE_IN_URL}]*)?$"

_YEAR = "(?:19|[2-9][0-9])[0-9]{2}"
_LEAP_YEAR = (
    "(?:(?:19|[2-9][0-9])(?:0[48]|[2468][048]|[13579][26])"
    "|(?:[2468][048]|[3579][26])00)"
)  # fmt: skip
_DAY = (
    "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_CLOCK = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
# The calendar begins with 1900 and ends with 9999 in UTC: on the first and the last day the offset decides.
WHEN = (
    f"^(?:{_YEAR}-{_DAY}|{_LEAP_YEAR}-02-29)"
    rf"(?:[Tt ]{_CLOCK}(?::[0-5][0-9](?:\.[0-9]{{1,9}})?)?(?:[Zz]|[+-]{_CLOCK}))?$"
)
