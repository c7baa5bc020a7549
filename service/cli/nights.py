"""The command of nightly runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service import bars, console
from service.cli.options import (
    Data,
    Json,
    app,
    days_of,
    fail,
    one_thread_a_library,
    print_json,
    require_store,
    settings_of,
    store_errors,
)


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
    one_thread_a_library()
    from service.nightly import EmptyWindowError  # noqa: PLC0415
    from service.reclustering import recluster_alone, recluster_through  # noqa: PLC0415  loads the model libraries
    from service.server import running_service  # noqa: PLC0415
    from service.shift import NightError, Work  # noqa: PLC0415

    expected: tuple[type[Exception], ...] = (EmptyWindowError, NightError, *store_errors())
    settings = settings_of(data=data, scheduler=scheduler, archive=archive)
    days = None if window is None else days_of("--window", window)
    require_store(settings)
    try:
        service = running_service(settings)
        if service is not None and (scheduler or archive or jobs):
            fail(
                f"The service at {service.url} owns the store and decides where its nights run: set BENANG_SCHEDULER "
                "and BENANG_ARCHIVE there."
            )
        with bars.night_bar(quiet=as_json) as on_progress:
            night = (
                recluster_alone(
                    settings,
                    window_days=days or settings.recluster_window_days,
                    dry_run=dry_run,
                    work=Work(jobs, settings.scheduler, settings.archive),
                    on_progress=on_progress,
                )
                if service is None
                else recluster_through(service, window_days=days, dry_run=dry_run, on_progress=on_progress)
            )
    except expected as error:
        fail(str(error))
    if as_json:
        print_json(night)
    else:
        console.show_night(night)
