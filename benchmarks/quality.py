"""Quality on labelled news: `python benchmarks/quality.py GOLD.ndjson.gz ...`.

Replays each gold file through the real road (new store, worker process, one writer) and prints one row a file. With
`--cuts` it shows what the knob does: every row is a replay at another cut. `--publish` writes the table into
`benchmarks/README.md`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.table import markdown, publish
from service.evaluate import evaluate
from service.gold import read_gold
from service.settings import Settings

if TYPE_CHECKING:
    from service.evaluate import Report

HEAD = (
    "file",
    "cut",
    "articles",
    "events B³ P / R / **F1**",
    "all singletons B³",
    "events pairwise F1",
    "CEAF-e F1",
    "AMI",
    "copies F1",
    "stories B³ F1, all",
    "stories B³ F1, labelled",
)


def row(name: str, cut: float, report: Report) -> list[str]:
    bcubed = report.bcubed
    return [
        name,
        f"{cut:.2f}",
        f"{report.articles:,}",
        f"{bcubed.precision:.3f} / {bcubed.recall:.3f} / **{bcubed.f1:.3f}**",
        f"{report.bcubed_all_singletons:.3f}",
        f"{report.pairwise.f1:.3f}",
        f"{report.ceaf_e.f1:.3f}",
        f"{report.ami:.3f}",
        f"{report.copies.f1:.3f}",
        f"{report.stories_all.f1:.3f}",
        f"{report.stories_labelled.f1:.3f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("gold", type=Path, nargs="+")
    parser.add_argument("--cuts", type=float, nargs="*", default=[])
    parser.add_argument("--publish", action="store_true")
    options = parser.parse_args()
    settings = Settings()
    rows = []
    for path in options.gold:
        articles = read_gold(path)
        for cut in options.cuts or [settings.cut]:
            report = evaluate(articles, settings.model_copy(update={"cut": cut}))
            rows.append(row(path.name.partition(".")[0], cut, report))
    table = markdown(HEAD, rows)
    if options.publish:
        publish("quality", table)
    else:
        print(table)


if __name__ == "__main__":
    main()
