"""Commands that keep a store: backups, and the way back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service import console
from service.cli.options import Data, Json, app, fail, print_json, require_store, settings_of

if TYPE_CHECKING:
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
    require_store(settings)
    try:
        with console.bytes_bar("Copying", quiet=as_json) as progress:
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
    from service.store.engine import StoreError  # noqa: PLC0415

    settings = settings_of(data=data)
    try:
        with console.bytes_bar("Copying", quiet=as_json) as progress:
            done = put_back(backup, settings.data, replace=replace, progress=progress)
    except StoreError as error:
        fail(str(error))
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
