"""Commands that keep a store: backups and exports, and the way back."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service import bars, console
from service.cli.options import (
    Data,
    Json,
    app,
    fail,
    print_json,
    reading_store,
    require_folder,
    require_store,
    settings_of,
)

if TYPE_CHECKING:
    from service.backup import Restored
    from service.settings import Settings
    from service.store.copying import Held


@app.command()
def backup(
    to: Annotated[Path, typer.Option("--to", help="File to write, or a folder that gets a file a backup.")],
    data: Data = None,
    keep: Annotated[
        int | None, typer.Option(min=1, help="Backups that stay in the folder, the newest.  [default: all]")
    ] = None,
    as_json: Json = False,
) -> None:
    """Copy the store to one file, while the service runs or not.

    The copy is checked before it takes its name; a backup of the same name stays until then.
    """
    from service.backup import back_up  # noqa: PLC0415
    from service.store.copying import CopyError  # noqa: PLC0415

    settings = settings_of(data=data)
    require_folder(
        settings, "Back up the database: `pg_dump -Fc`, or a base backup with an archive of the log."
    )
    require_store(settings)
    try:
        with bars.bytes_bar("Copying", quiet=as_json) as progress:
            made = back_up(settings.data, to, keep=keep, progress=progress)
    except CopyError as error:
        fail(str(error))
    if as_json:
        removed = [str(one) for one in made.removed]
        print_json({"file": str(made.file), "bytes": made.size, **_told(made.held), "removed": removed})
    else:
        console.say(f"{made.file}: {_sentence(made.held)}.")
        for one in made.removed:
            console.say(f"{one} is removed.")


@app.command()
def restore(
    backup: Annotated[Path, typer.Argument(help="File that `benang backup` wrote.")],
    data: Data = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Replace the store that is there, and keep it beside the new one."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Put a backup in place as the store, checked from its first page to its last count.

    Refused while a service runs on the folder. Exit status 1 when the check found something that does not mend itself.
    """
    from service.backup import restore as put_back  # noqa: PLC0415
    from service.store.failures import StoreError  # noqa: PLC0415

    settings = settings_of(data=data)
    require_folder(settings, "Restore the database with `pg_restore`, then run `benang check`.")
    try:
        with bars.bytes_bar("Copying", quiet=as_json) as progress:
            done = put_back(backup, settings.data, replace=replace, progress=progress)
    except StoreError as error:
        fail(str(error))
    _show(done, settings, as_json=as_json)


class ExportFormat(StrEnum):
    """What a store is written as."""

    PARQUET = "parquet"
    NDJSON = "ndjson"


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="New folder (Parquet), or new file (.ndjson, .ndjson.gz).")],
    data: Data = None,
    format_: Annotated[
        ExportFormat | None,
        typer.Option("--format", help="What to write.  [default: what the name says]", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the store for other tools: a Parquet archive, a folder a day, or every row as a line of JSON.

    Reads one view of the store, beside a running service or alone. `benang import` reads lines of JSON back.
    """
    is_file = out.name.endswith((".ndjson", ".ndjson.gz"))
    chosen = format_ or (ExportFormat.NDJSON if is_file else ExportFormat.PARQUET)
    if is_file != (chosen == ExportFormat.NDJSON):
        fail(
            f"{out} is no name for {chosen.value}: lines of JSON go to FILE.ndjson or FILE.ndjson.gz, Parquet to a folder."
        )
    told = (_export_lines if is_file else _export_archive)(settings_of(data=data), out, quiet=as_json)
    if as_json:
        print_json({**told, "format": chosen.value})
    else:
        count, noun = (told["rows"], "rows") if is_file else (told["articles"], "articles")
        console.say(f"{count:,} {noun} are in {out}.")


def _export_archive(settings: Settings, out: Path, *, quiet: bool) -> dict[str, Any]:
    try:
        from service.archive import ArchiveError, write_archive  # noqa: PLC0415
    except ImportError as error:
        fail(f"{error}: Parquet needs `pip install benang[cluster]`.")
    from service.store.export import count_articles  # noqa: PLC0415
    from service.store.failures import StoreError  # noqa: PLC0415

    with reading_store(settings) as connection:
        try:
            with bars.bar("Writing", count_articles(connection), quiet=quiet) as advance:
                return {"articles": write_archive(connection, out, progress=advance), "folder": str(out)}
        except (ArchiveError, StoreError, OSError) as error:
            fail(str(error))


def _export_lines(settings: Settings, out: Path, *, quiet: bool) -> dict[str, Any]:
    from service.store.rows import extents  # noqa: PLC0415
    from service.transfer import TransferError, export_lines  # noqa: PLC0415

    with reading_store(settings) as connection:
        total = sum(one.rows for one in extents(connection).values())
        try:
            with bars.bar("Writing", total, quiet=quiet) as advance:
                return {"rows": export_lines(connection, out, progress=advance), "file": str(out)}
        except TransferError as error:
            fail(str(error))


@app.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(help="File of lines that `benang export` wrote.")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Make a store anew from an export, with every ID, revision, edit and change; only where there is none yet.

    Exit status 1 when a check of it found something that does not mend itself.
    """
    from service.store.failures import StoreError  # noqa: PLC0415
    from service.transfer import import_lines  # noqa: PLC0415

    settings = settings_of(data=data)
    require_folder(settings, "Import into a folder (BENANG_STORE empty), then `benang migrate-store` it.")
    try:
        with bars.rows_bar("Reading", quiet=as_json) as progress:
            done = import_lines(file, settings.data, progress=progress)
    except StoreError as error:
        fail(str(error))
    _show(done, settings, as_json=as_json)


def _show(done: Restored, settings: Settings, *, as_json: bool) -> None:
    wrong = [f"{one.name}: {one.detail}" for one in done.findings if not one.ok]
    if as_json:
        kept = None if done.aside is None else str(done.aside)
        print_json({"data": str(settings.data), **_told(done.held), "replaced": kept, "wrong": wrong})
    else:
        console.say(f"{settings.data} holds {_sentence(done.held)}.")
        if done.aside is not None:
            console.say(f"The store that was there is kept as {done.aside}.")
        for one in wrong:
            console.complain(one)
    if not done.is_sound:
        raise typer.Exit(1)


def _told(held: Held) -> dict[str, Any]:
    newest = None if held.newest_us is None else _time(held.newest_us)
    counts = {"articles": held.articles, "clusters": held.clusters, "stories": held.stories}
    return {**counts, "newest_received_at": newest, "schema": held.schema}


def _sentence(held: Held) -> str:
    counts = f"{held.articles:,} articles in {held.clusters:,} clusters and {held.stories:,} stories"
    return counts if held.newest_us is None else f"{counts}, the last received at {_time(held.newest_us)}"


def _time(us: int) -> str:
    return datetime.fromtimestamp(us // 1_000_000, tz=UTC).isoformat()
