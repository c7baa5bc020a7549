"""Strangers' text as people may see it: nothing that a terminal obeys, nothing that an eye cannot see."""

from __future__ import annotations

import json
from typing import Any


def display_form(text: str) -> str:
    """Return text with a space for every control, direction-changing or invisible character."""
    return text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text)


def display_json(value: Any) -> str:
    """Return a value as JSON for people, in which these characters are escapes: it parses back to the same value."""
    written = json.dumps(value, ensure_ascii=False, indent=2)
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in written)
