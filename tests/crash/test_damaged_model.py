"""P8: a bundled model of which a file is damaged, cut or missing is refused before anything is decided with it."""

from __future__ import annotations

import shutil
from functools import partial
from typing import TYPE_CHECKING

import pytest
from test_cli import run, said, write_lines
from test_damage import cut_off, flip

from embeddings.bundle import SUMS, check_bundle
from embeddings.encoder import BUNDLED, ModelError
from service import learned
from service.demo.show import read_articles

if TYPE_CHECKING:
    from pathlib import Path

FILES = [line.split("  ")[1] for line in (BUNDLED / SUMS).read_text().splitlines()]


def test_every_bundled_file_is_sealed() -> None:
    """Whoever trains anew: `sha256sum FILE… > checksums.txt` in that folder."""
    there = {str(file.relative_to(BUNDLED)) for file in BUNDLED.rglob("*") if file.is_file()}
    assert there - {SUMS, "MODEL_CARD.md"} == {*FILES}
    check_bundle()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["flipped", "cut", "deleted"])
def test_a_damaged_model_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, damage: str
) -> None:
    folder = shutil.copytree(BUNDLED, tmp_path / "model")
    file = folder / name
    if damage == "flipped":
        flip(file, file.stat().st_size // 2)
    elif damage == "cut":
        cut_off(file, 0.9)
    else:
        file.unlink()

    with pytest.raises(ModelError, match="Install benang again"):
        check_bundle(folder)

    if name == FILES[0]:
        monkeypatch.setattr(learned, "check_bundle", partial(check_bundle, folder))
        result = run(
            "ingest", write_lines(tmp_path / "n.ndjson", read_articles()[:1]), "--data", tmp_path / "data"
        )
        assert (result.exit_code, result.stdout) == (2, "")
        assert "Install benang again" in said(result)


def test_a_bundle_without_its_seal_is_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(BUNDLED, tmp_path / "model")
    (folder / SUMS).unlink()
    with pytest.raises(ModelError, match="not whole"):
        check_bundle(folder)
