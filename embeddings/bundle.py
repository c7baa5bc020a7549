"""The bundled models are the ones this version was made with, byte by byte, or are not used."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from embeddings.encoder import BUNDLED, ModelError

if TYPE_CHECKING:
    from pathlib import Path

SUMS = "checksums.txt"
"""As `sha256sum` writes it; `sha256sum --check` in that folder tells the same."""


def check_bundle(folder: Path = BUNDLED) -> None:
    """Make sure that every bundled file is there and unchanged.

    Raises:
        ModelError: one is missing or differs.
    """
    try:
        sums = (folder / SUMS).read_text(encoding="ascii")
        for line in sums.splitlines():
            expected, name = line.split("  ")
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != expected:
                raise ModelError(f"{folder / name} is damaged, or of another version. Install benang again.")
    except (OSError, ValueError) as error:
        raise ModelError(f"The models in {folder} are not whole ({error}). Install benang again.") from error
