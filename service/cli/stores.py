"""Commands that change what a store is kept in, or what its vectors are made with."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service import bars, console
from service.cli.options import (
    Data,
    Json,
    app,
    fail,
    print_json,
    require_store,
    settings_of,
    store_errors,
)
from service.settings import POSTGRES

if TYPE_CHECKING:
    from collections.abc import Callable


@app.command("migrate-store")
def migrate_store(
    source: Annotated[str, typer.Option("--from", help="The store: a data folder, or a database's URL.")],
    target: Annotated[str, typer.Option("--to", help="An empty database's URL, or a new folder.")],
    as_json: Json = False,
) -> None:
    """Copy a whole store between SQLite and PostgreSQL, and compare every table; the first one stays as it is.

    Nobody may write meanwhile. All of the copy is there at the end, or nothing.
    """
    from service.store.carrying import carry_over  # noqa: PLC0415
    from service.store.failures import StoreError  # noqa: PLC0415

    with ExitStack() as shown:

        def on_step(name: str, rows: int) -> Callable[[int], None]:
            shown.close()
            return shown.enter_context(bars.bar(name, rows, quiet=as_json))

        try:
            held = carry_over(_place(source), _place(target), on_step=on_step)
        except StoreError as error:
            shown.close()
            fail(str(error))
    if as_json:
        print_json({name: asdict(content) for name, content in held.items()})
    else:
        rows = sum(content.rows for content in held.values())
        console.say(f"{rows:,} rows in {len(held)} tables are there, the same as before.")


@app.command()
def reembed(data: Data = None, as_json: Json = False) -> None:
    """Compute all vectors of the store anew with the model that BENANG_MODEL names; the service then starts with it.

    Refused while a service runs. All vectors change at once, at the end; stopped before, nothing has. IDs and groups stay
    as they are, and the next nightly run groups all articles anew.
    """
    from service.reembed import reembed as run  # noqa: PLC0415  loads the model libraries

    settings = settings_of(data=data)
    require_store(settings)
    try:
        with bars.rows_bar("Computing vectors", quiet=as_json) as progress:
            done = run(settings, progress=progress)
    except store_errors() as error:
        fail(str(error))
    if as_json:
        print_json(asdict(done))
    elif done.before == done.now:
        console.say(f"The vectors are those of {done.now['encoder']} already; nothing was changed.")
    else:
        console.say(
            f"{done.vectors:,} vectors are those of {done.now['encoder']} now. The next nightly run groups all articles anew."
        )


def _place(given: str) -> Path | str:
    return given if given.startswith(POSTGRES) else Path(given)
