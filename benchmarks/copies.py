"""Copies on labelled news, raw and after reading: `python -m benchmarks.copies GOLD.ndjson.gz ...`.

The labels are precise and not complete, so the pairs on which rule and labels differ were read; `copies_read.json` has
the verdicts under each file's name: two IDs, whether labelled, whether a copy, and a word on why. The raw figure is the
measure; the other one says what it hides. A differing pair without a verdict counts as the labels have it.
`--publish` writes the table into `benchmarks/README.md`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.table import markdown, publish
from service import metrics
from service.evaluate import copies_found, replay
from service.gold import read_gold
from service.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.metrics import Score

VERDICTS = Path(__file__).parent / "copies_read.json"
HEAD = (
    "file",
    "labelled pairs",
    "found pairs",
    "raw P / R / **F1**",
    "found, not labelled: copies after all / not / unread",
    "after reading P / R / F1",
)


def after_reading(labelled: set[tuple[str, str]], verdicts: Sequence[dict[str, Any]]) -> set[tuple[str, str]]:
    """Return the labelled pairs with what reading added and took away."""
    copies = {(verdict["a"], verdict["b"]) for verdict in verdicts if verdict["copy"]}
    return (labelled | copies) - {(verdict["a"], verdict["b"]) for verdict in verdicts if not verdict["copy"]}


def row(
    name: str,
    labelled: set[tuple[str, str]],
    found: set[tuple[str, str]],
    verdicts: Sequence[dict[str, Any]],
) -> list[str]:
    known = {(verdict["a"], verdict["b"]): verdict["copy"] for verdict in verdicts}
    extra = [known.get(pair) for pair in found - labelled]
    return [
        name,
        f"{len(labelled)}",
        f"{len(found)}",
        _shown(metrics.sets(labelled, found), bold=True),
        f"{extra.count(True)} / {extra.count(False)} / {extra.count(None)}",
        _shown(metrics.sets(after_reading(labelled, verdicts), found), bold=False),
    ]


def _shown(score: Score, *, bold: bool) -> str:
    mark = "**" if bold else ""
    return f"{score.precision:.3f} / {score.recall:.3f} / {mark}{score.f1:.3f}{mark}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("gold", type=Path, nargs="+")
    parser.add_argument("--publish", action="store_true")
    arguments = parser.parse_args()
    verdicts = json.loads(VERDICTS.read_text(encoding="utf-8"))
    rows = []
    for path in arguments.gold:
        gold = read_gold(path)
        outcomes = replay(gold, Settings()).outcomes
        labelled = metrics.copied({article.external_id: article.copy_of for article in gold})
        name = path.name.partition(".")[0]
        rows.append(row(name, labelled, metrics.copied(copies_found(gold, outcomes)), verdicts.get(name, [])))
    text = markdown(HEAD, rows)
    if arguments.publish:
        publish("copies", text)
    else:
        print(text)


if __name__ == "__main__":
    main()
