"""Commands of labelled news: score them, and learn from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service import bars, console
from service.cli.options import (
    Json,
    app,
    fail,
    one_thread_a_library,
    print_json,
    settings_of,
    store_errors,
)


@app.command()
def evaluate(
    gold: Annotated[Path, typer.Argument(help="Labelled articles, NDJSON or NDJSON.gz, in order of time.")],
    as_json: Json = False,
) -> None:
    """Replay a gold file through the real road into a new store, and score clusters, copies and stories.

    Each line holds external_id, url, source, title, text, published_at, cluster, story and copy_of.
    """
    one_thread_a_library()
    from service.evaluate import EvaluationError  # noqa: PLC0415
    from service.evaluate import evaluate as run  # noqa: PLC0415  loads the model libraries
    from service.gold import GoldError, read_gold  # noqa: PLC0415

    try:
        articles = read_gold(gold)
        if not articles:
            fail(f"{gold} holds no articles.")
        with bars.bar("Replaying", len(articles), quiet=as_json) as advance:
            report = run(articles, settings_of(), on_chunk=advance)
    except (OSError, GoldError, EvaluationError) as error:
        fail(str(error))
    if as_json:
        print_json(report.as_dict())
    else:
        console.show_report(gold.name, report)


@app.command()
def fit(
    gold: Annotated[
        list[Path], typer.Argument(help="Labelled articles, NDJSON or NDJSON.gz, as for `evaluate`.")
    ],
    out: Annotated[Path, typer.Option(help="New folder for the models; BENANG_PAIR_MODEL then names it.")],
    held_out: Annotated[
        float, typer.Option(min=0.05, max=0.6, help="Share of the articles kept back to choose the cuts on.")
    ] = 0.25,
    as_json: Json = False,
) -> None:
    """Train the pair models and choose the cuts on labels of your own.

    The stories that begin last are held out; on them the models in use and the new ones are compared. The models are
    written only when they do better. Exit status 1 when they do not.
    """
    one_thread_a_library()
    from service import fit as fitting  # noqa: PLC0415  loads the model libraries
    from service.fitted import check_folder, table, write_model  # noqa: PLC0415
    from service.gold import GoldError, read_gold  # noqa: PLC0415
    from service.labels import FitError, split, together  # noqa: PLC0415

    expected: tuple[type[Exception], ...] = (OSError, GoldError, FitError, *store_errors())
    try:
        check_folder(out)
        parts = split(together([read_gold(path) for path in gold]), held_out)
        with bars.bar("Learning", fitting.steps(parts), quiet=as_json) as advance:
            fitted = fitting.fit(parts, settings_of(), advance=advance)
        if fitted.is_better:
            write_model(out, fitted, [path.name for path in gold])
    except expected as error:
        fail(str(error))
    if as_json:
        print_json(fitted.as_dict())
    else:
        console.show_fit(fitted, table(fitted), out)
    if not fitted.is_better:
        raise typer.Exit(1)
