"""The gate: figures on one labelled file may not fall below the floors that are kept in `floors.json`."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.evaluate import Report, Scores

FLOORS = Path(__file__).with_name("floors.json")
MARGIN, WIDE_MARGIN = 0.003, 0.005
WIDE = ("pairwise", "copies")
"""Few pairs decide these, so that they move more than the others when nothing got worse."""
DECIMALS = 4


class GateError(RuntimeError):
    """The figures do not pass, or cannot be compared; the message says why."""


@dataclass(frozen=True, slots=True)
class Floors:
    """What the figures on the labelled file with this SHA-256 may not fall below."""

    sha256: str
    floors: Mapping[str, float]


def digest(gold: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(gold.read_bytes()).hexdigest()


def figures(found: Report) -> dict[str, float]:
    """Return the figures that are kept from falling, by name."""
    named = {
        f"{name}.{figure}": value
        for name, scores in (("online", found.online), ("nightly", found.nightly))
        for figure, value in _of(scores).items()
    }
    return {**named, "copies.f1": found.copies.f1}


def _of(scores: Scores) -> dict[str, float]:
    return {
        "bcubed.f1": scores.bcubed.f1,
        "pairwise.f1": scores.pairwise.f1,
        "ceaf_e.f1": scores.ceaf_e.f1,
        "ami": scores.ami,
        "stories_all.f1": scores.stories_all.f1,
        "stories_labelled.f1": scores.stories_labelled.f1,
    }


def floors_for(measured: Mapping[str, float]) -> dict[str, float]:
    """Return the floors under measured figures."""
    return {name: round(value - _margin(name), DECIMALS) for name, value in measured.items()}


def _margin(name: str) -> float:
    return WIDE_MARGIN if any(part in WIDE for part in name.split(".")) else MARGIN


def read(path: Path = FLOORS) -> Floors | None:
    """Return the floors, or None where none are kept yet.

    Raises:
        GateError: the file is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Floors(
            str(content["sha256"]), {str(name): float(value) for name, value in content["floors"].items()}
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise GateError(f"{path.name} is damaged ({error!r}); take it back from the last commit.") from error


def write(floors: Floors, path: Path = FLOORS) -> None:
    """Replace the floors as a whole: whoever reads meets the old file or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps(asdict(floors), indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def demand_same_gold(floors: Floors | None, gold: Path) -> Floors:
    """Return the floors, once it is sure that they were measured on this very file.

    Raises:
        GateError: there are none, or they were measured on another file.
    """
    if floors is None:
        raise GateError("No floors are kept yet. Measure them with --gate --update.")
    if digest(gold) != floors.sha256:
        raise GateError(
            f"{gold.name} is not the file the floors were measured on: its SHA-256 is another. Figures on different files "
            "say nothing about one another. Take the file the floors name, or measure anew with --gate --update "
            "--allow-regression."
        )
    return floors


def demand_no_fall(floors: Floors, measured: Mapping[str, float]) -> None:
    """Compare figures with their floors.

    Raises:
        GateError: one is lower, or is not measured any more.
    """
    fallen = [
        f"  {name}: {measured[name]:.4f} is below {floor:.4f}"
        if name in measured
        else f"  {name}: is not measured"
        for name, floor in floors.floors.items()
        if not measured.get(name, float("-inf")) >= floor
    ]
    if fallen:
        raise GateError("\n".join(["Quality fell below its floor:", *fallen]))


def raised(
    floors: Floors | None, measured: Mapping[str, float], sha256: str, *, allow_regression: bool
) -> Floors:
    """Return the floors under new figures.

    Raises:
        GateError: one would be lower than it was, or the file is another, and that is not allowed.
    """
    new = Floors(sha256, floors_for(measured))
    if floors is None or allow_regression:
        return new
    if floors.sha256 != sha256:
        raise GateError("The floors were measured on another file; --allow-regression drops them.")
    lower = [
        f"  {name}: {floor:.4f} would become {new.floors.get(name, float('nan')):.4f}"
        for name, floor in floors.floors.items()
        if not new.floors.get(name, float("-inf")) >= floor
    ]
    if lower:
        raise GateError(
            "\n".join(
                [
                    "A floor would be lowered:",
                    *lower,
                    "Use --allow-regression if that is meant, and say why in the commit.",
                ]
            )
        )
    return new
