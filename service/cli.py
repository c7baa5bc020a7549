"""The command line: arguments in, `service` called, something readable out."""

from __future__ import annotations

import getpass
import json
import os
import sys
from contextlib import contextmanager, suppress
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from pydantic import ValidationError

from service import console
from service.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

app = typer.Typer(
    name="benang",
    help="News in, threads out: finds copies, clusters reports of one event, ties events into stories.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
)

Data = Annotated[
    Path | None,
    typer.Option("--data", "-d", help="Folder that holds the store.  [default: data]", show_default=False),
]


class ExportFormat(StrEnum):
    """What an archive is written as."""

    PARQUET = "parquet"


MAX_WINDOW_DAYS = 36_500
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def main() -> None:
    """Run the command line."""
    app()


@app.command()
def serve(
    data: Data = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.  [default: 127.0.0.1]")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 picks a free one.  [default: 8080]")
    ] = None,
    recluster_at: Annotated[
        str | None, typer.Option(help="Local time of the nightly run, such as 02:00.  [default: none]")
    ] = None,
) -> None:
    """Run the service: POST articles to /v1/articles, read stories from /v1/stories.

    Everything it needs lies in the data folder; stop it with Ctrl-C, it finishes what it has accepted.
    """
    from service.server import CannotListenError, run_server  # noqa: PLC0415  loads the model libraries

    expected: tuple[type[Exception], ...] = (CannotListenError, *_store_errors())
    try:
        run_server(_settings(data=data, host=host, port=port, recluster_at=recluster_at))
    except expected as error:
        _fail(str(error))


@app.command()
def ingest(
    paths: Annotated[
        list[str],
        typer.Argument(
            help="NDJSON, JSON (each also .gz), HTML, pasted pages (.txt), folders, or - for stdin."
        ),
    ],
    data: Data = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that read and clean.")] = 1,
    rejected: Annotated[
        Path | None, typer.Option(help="Write what was refused here, one JSON object a line.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Put articles into the store: each is decided and durable when the bar has passed it.

    Works alone on the data folder, or through a running service that owns it. Fields the service does not know are
    kept as metadata. Sending a file twice changes nothing.
    """
    _one_thread_a_library()
    from service.intake import IntakeError, find_files  # noqa: PLC0415
    from service.loading import ServiceRefusedError, load_alone, load_through  # noqa: PLC0415  loads the model libraries
    from service.server import running_service  # noqa: PLC0415

    settings = _settings(data=data)
    expected: tuple[type[Exception], ...] = (IntakeError, ServiceRefusedError, *_store_errors())
    try:
        files = find_files(paths)
        address = running_service(settings.data)
        result = (
            load_alone(settings, files, workers=workers, quiet=as_json)
            if address is None
            else load_through(address, files, quiet=as_json)
        )
    except expected as error:
        _fail(str(error))
    if rejected is not None:
        lines = [json.dumps(asdict(item), ensure_ascii=False) + "\n" for item in result.tally.rejected]
        rejected.write_text("".join(lines), encoding="utf-8")
    if as_json:
        _print_json(result.as_dict())
    else:
        console.show_load(result)
    if result.tally.statuses["rejected"]:
        raise typer.Exit(1)


@app.command()
def recluster(
    data: Data = None,
    window: Annotated[
        str | None,
        typer.Option(
            help="How far to look back over what was received: 30d, 12h.  [default: 14d]", show_default=False
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    jobs: Annotated[int, typer.Option(min=0, help="Processes that compare; 0 takes one a core.")] = 0,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Compare on the Dask cluster of this scheduler: tcp://host:8786.", show_default=False
        ),
    ] = None,
    archive: Annotated[
        Path | None,
        typer.Option(help="Parquet archive that its workers read, else the data folder.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Group the articles of the window anew, as a nightly run does: better groups under the IDs people hold.

    Works alone on the data folder, or through a running service that owns it. All changes become true at once, at the
    end; stopped before, it has changed nothing.
    """
    _one_thread_a_library()
    from service.nightly import EmptyWindowError  # noqa: PLC0415
    from service.reclustering import recluster_alone, recluster_through  # noqa: PLC0415  loads the model libraries
    from service.server import running_service  # noqa: PLC0415
    from service.shift import NightError, Work  # noqa: PLC0415

    expected: tuple[type[Exception], ...] = (EmptyWindowError, NightError, *_store_errors())
    settings = _settings(data=data, scheduler=scheduler, archive=archive)
    days = None if window is None else _days(window)
    _require_store(settings)
    try:
        address = running_service(settings.data)
        if address is not None and (scheduler or archive or jobs):
            _fail(
                f"The service at {address} owns {settings.data} and decides where its nights run: set BENANG_SCHEDULER "
                "and BENANG_ARCHIVE there."
            )
        with console.night_bar(quiet=as_json) as on_progress:
            night = (
                recluster_alone(
                    settings,
                    window_days=days or settings.recluster_window_days,
                    dry_run=dry_run,
                    work=Work(jobs, settings.scheduler, settings.archive),
                    on_progress=on_progress,
                )
                if address is None
                else recluster_through(address, window_days=days, dry_run=dry_run, on_progress=on_progress)
            )
    except expected as error:
        _fail(str(error))
    if as_json:
        _print_json(night)
    else:
        console.show_night(night)


def _days(window: str) -> float:
    number, unit = (window[:-1], window[-1]) if window[-1:] in {"d", "h"} else (window, "d")
    try:
        days = float(number) / (24 if unit == "h" else 1)
    except ValueError:
        days = 0.0
    if not 0 < days < MAX_WINDOW_DAYS:
        _fail(f"--window {window} is no length of time. Write days or hours: 30d, 12h.")
    return days


Actor = Annotated[str, typer.Option(help="Who says so.  [default: the name you are logged in with]")]
Note = Annotated[str, typer.Option(help="Why, for those who come after.")]


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="New folder for the archive.")],
    data: Data = None,
    format_: Annotated[ExportFormat, typer.Option("--format", help="What to write.")] = ExportFormat.PARQUET,
    as_json: Json = False,
) -> None:
    """Write every article with its groups and vectors as an archive, a folder a day.

    Reads one view of the store, beside a running service or alone.
    """
    try:
        from service.archive import ArchiveError, write_archive  # noqa: PLC0415
    except ImportError as error:
        _fail(f"{error}: Parquet needs `pip install benang[cluster]`.")
    from service.store.export import count_articles  # noqa: PLC0415

    with _reading(_settings(data=data)) as connection:
        try:
            with console.bar("Writing", count_articles(connection), quiet=as_json) as advance:
                count = write_archive(connection, out, progress=advance)
        except (ArchiveError, OSError) as error:
            _fail(str(error))
    if as_json:
        _print_json({"articles": count, "folder": str(out), "format": format_.value})
    else:
        console.say(f"{count:,} articles are in {out}.")


@app.command()
def merge(
    group: Annotated[str, typer.Argument(help="The cluster (clu_…) or story (sto_…) that keeps its ID.")],
    other: Annotated[str, typer.Argument(help="The one that goes into it; its ID leads there from now on.")],
    data: Data = None,
    actor: Actor = "",
    note: Note = "",
    as_json: Json = False,
) -> None:
    """Say that two clusters, or two stories, are one; no later run parts them.  `undo` takes it back."""
    _edit(data, group, "merge", {"other_id": other, "actor": actor or _login(), "note": note}, as_json)


@app.command()
def split(
    group: Annotated[str, typer.Argument(help="A cluster (clu_…) or story (sto_…).")],
    leaving: Annotated[
        list[str], typer.Argument(help="What leaves it: articles (art_…) of a cluster, clusters of a story.")
    ],
    data: Data = None,
    actor: Actor = "",
    note: Note = "",
    as_json: Json = False,
) -> None:
    """Say that some of a cluster's articles, or of a story's clusters, are another one; no later run joins them."""
    name = "article_ids" if group.startswith("clu_") else "cluster_ids"
    _edit(data, group, "split", {name: leaving, "actor": actor or _login(), "note": note}, as_json)


@app.command()
def undo(
    edit: Annotated[str, typer.Argument(help="The ID that `merge` or `split` answered (edt_…).")],
    data: Data = None,
    actor: Actor = "",
    as_json: Json = False,
) -> None:
    """Take an editor's word back: groups go back as far as later changes allow."""
    _edit(data, edit, "undo", {"actor": actor or _login()}, as_json)


@app.command()
def history(
    group: Annotated[str, typer.Argument(help="A cluster (clu_…) or story (sto_…), also a merged one.")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Tell what nightly runs and editors did to a cluster or story."""
    from service.errors import NotFound  # noqa: PLC0415
    from service.store import edits  # noqa: PLC0415

    with _reading(_settings(data=data)) as connection:
        try:
            told = edits.history_of(connection, "cluster" if group.startswith("clu_") else "story", group)
        except NotFound:
            _fail(f"There is no group {group}. `benang stories` lists the stories there are.")
    if as_json:
        _print_json(told)
    else:
        console.show_history(told)


def _edit(data: Path | None, group: str, action: str, word: dict[str, Any], as_json: bool) -> None:
    from service.editorial import EditRefusedError, say_alone, say_through  # noqa: PLC0415  loads the model libraries
    from service.server import running_service  # noqa: PLC0415

    expected: tuple[type[Exception], ...] = (EditRefusedError, *_store_errors())
    settings = _settings(data=data)
    _require_store(settings)
    try:
        address = running_service(settings.data)
        said = (
            say_alone(settings, group, action, word)
            if address is None
            else say_through(address, group, action, word)
        )
    except expected as error:
        _fail(str(error))
    if as_json:
        _print_json(said)
    else:
        console.show_edit(said)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unnamed"


@app.command()
def stories(
    data: Data = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many.")] = 20,
    q: Annotated[str | None, typer.Option(help="Only stories whose title holds this.")] = None,
    min_sources: Annotated[int | None, typer.Option(min=1, help="Least independent sources.")] = None,
    as_json: Json = False,
) -> None:
    """List the stories told last, newest first."""
    from service.store import groups  # noqa: PLC0415

    wanted = groups.GroupFilter(q=q, min_sources=min_sources)
    with _reading(_settings(data=data)) as connection:
        items, following = groups.list_stories(connection, wanted, limit=limit)
    if as_json:
        _print_json({"items": items, "next_cursor": following})
    else:
        console.show_stories(items)


@app.command()
def story(
    story_id: Annotated[str, typer.Argument(help="A story's ID (sto_…).")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Tell a story: its events in order of time, each with its reports, copies folded."""
    from service.errors import NotFound  # noqa: PLC0415
    from service.store import groups  # noqa: PLC0415

    with _reading(_settings(data=data)) as connection:
        try:
            head = groups.get_story(connection, story_id)
            timeline = groups.get_timeline(connection, story_id)
        except NotFound:
            _fail(f"There is no story {story_id}. `benang stories` lists those there are.")
    if as_json:
        _print_json({**head, **timeline})
    else:
        console.show_story(head, timeline)


@app.command()
def why(
    article_id: Annotated[str, typer.Argument(help="An article's ID (art_…).")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Say why an article is in its cluster and its cluster in its story: what they share, and by how much."""
    from service.errors import NotFound  # noqa: PLC0415
    from service.store import read  # noqa: PLC0415

    with _reading(_settings(data=data)) as connection:
        try:
            article = read.get_article(connection, article_id)
            told = read.get_explanation(connection, article_id)
        except NotFound:
            _fail(f"There is no article {article_id}. The service's /v1/articles lists those there are.")
    if as_json:
        _print_json(told)
    else:
        console.show_explanation(article, told)


@app.command()
def evaluate(
    gold: Annotated[Path, typer.Argument(help="Labelled articles, NDJSON or NDJSON.gz, in order of time.")],
    as_json: Json = False,
) -> None:
    """Replay a gold file through the real road into a new store, and score clusters, copies and stories.

    Each line holds external_id, url, source, title, text, published_at, cluster, story and copy_of.
    """
    _one_thread_a_library()
    from service.evaluate import EvaluationError  # noqa: PLC0415
    from service.evaluate import evaluate as run  # noqa: PLC0415  loads the model libraries
    from service.gold import GoldError, read_gold  # noqa: PLC0415

    try:
        articles = read_gold(gold)
        if not articles:
            _fail(f"{gold} holds no articles.")
        with console.bar("Replaying", len(articles), quiet=as_json) as advance:
            report = run(articles, _settings(), on_chunk=advance)
    except (OSError, GoldError, EvaluationError) as error:
        _fail(str(error))
    if as_json:
        _print_json(report.as_dict())
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
    _one_thread_a_library()
    from service import fit as fitting  # noqa: PLC0415  loads the model libraries
    from service.gold import GoldError, read_gold  # noqa: PLC0415

    expected: tuple[type[Exception], ...] = (OSError, GoldError, fitting.FitError, *_store_errors())
    try:
        fitting.check_folder(out)
        parts = fitting.split(fitting.together([read_gold(path) for path in gold]), held_out)
        with console.bar("Learning", fitting.steps(parts), quiet=as_json) as advance:
            fitted = fitting.fit(parts, _settings(), advance=advance)
        if fitted.is_better:
            fitting.write_model(out, fitted, [path.name for path in gold])
    except expected as error:
        _fail(str(error))
    if as_json:
        _print_json(fitted.as_dict())
    else:
        console.show_fit(fitted, fitting.table(fitted), out)
    if not fitted.is_better:
        raise typer.Exit(1)


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="Port of the demo's own service; 0 picks a free one.")] = 0,
    as_json: Json = False,
) -> None:
    """Start a service of its own, post a sample of invented news to it, and show the stories it finds."""
    from service.demo.show import run_demo  # noqa: PLC0415

    try:
        result = run_demo(port=port, quiet=as_json)
    except RuntimeError as error:
        _fail(str(error))
    if as_json:
        _print_json(result.as_dict())
    else:
        console.show_demo(result)


@app.command()
def check(data: Data = None, as_json: Json = False) -> None:
    """Check the store: the database, every checksum, every count and every reference.

    Exit status 0 when all is well, 1 when something is wrong.
    """
    from service.check import check_store  # noqa: PLC0415

    settings = _settings(data=data)
    with _reading(settings) as connection:
        findings = check_store(connection)
    if as_json:
        _print_json([asdict(finding) for finding in findings])
    else:
        console.show_findings(findings)
    if any(not finding.ok for finding in findings):
        raise typer.Exit(1)


def _one_thread_a_library() -> None:
    """Keep numerical libraries from starting a thread a core: reading, encoding and deciding already share the cores."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def _settings(**given: Any) -> Settings:
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        found = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        _fail(f"A setting cannot be used. {'; '.join(found)}. docs/operations.md lists them.")


def _store_errors() -> tuple[type[Exception], ...]:
    from embeddings.encoder import ModelError  # noqa: PLC0415
    from service.learned import ModelMismatchError  # noqa: PLC0415  loads the model libraries
    from service.store.engine import StoreError  # noqa: PLC0415

    return (StoreError, ModelMismatchError, ModelError)


@contextmanager
def _reading(settings: Settings) -> Iterator[Any]:
    from service.errors import StoreUnavailable  # noqa: PLC0415
    from service.store.engine import reader_engine  # noqa: PLC0415
    from service.store.read import reading  # noqa: PLC0415

    _require_store(settings)
    engine = reader_engine(settings.data)
    try:
        with reading(engine) as connection:
            yield connection
    except StoreUnavailable:
        _fail(
            f"The store in {settings.data} cannot be read: it is damaged, or was not written by this version of benang. "
            "Restore it from a backup."
        )
    finally:
        engine.dispose()


def _require_store(settings: Settings) -> None:
    from service.store.engine import FILE  # noqa: PLC0415

    if not (settings.data / FILE).is_file():
        _fail(
            f"There is no store in {settings.data}. `benang ingest` or `benang serve` makes one; --data names it."
        )


def _print_json(value: Any) -> None:
    with suppress(BrokenPipeError):
        json.dump(value, sys.stdout, ensure_ascii=False, indent=2)
        sys.stdout.write("\n")


def _fail(message: str) -> NoReturn:
    console.complain(message)
    raise typer.Exit(2)


if __name__ == "__main__":
    main()
