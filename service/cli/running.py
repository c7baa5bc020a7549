"""Commands that run the service or feed it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from service import console
from service.cli.options import (
    Data,
    Json,
    app,
    fail,
    one_thread_a_library,
    print_json,
    settings_of,
    store_errors,
)


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
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Serve what another process writes; refuse to write.")
    ] = False,
) -> None:
    """Run the service: POST articles to /v1/articles, read stories from /v1/stories.

    Everything it needs lies in the data folder; stop it with Ctrl-C, it finishes what it has accepted.
    """
    from service.server import CannotListenError, run_server  # noqa: PLC0415  loads the model libraries
    from service.tracing import TracingError  # noqa: PLC0415

    expected: tuple[type[Exception], ...] = (CannotListenError, TracingError, *store_errors())
    try:
        run_server(
            settings_of(
                data=data, host=host, port=port, recluster_at=recluster_at, read_only=read_only or None
            )
        )
    except expected as error:
        fail(str(error))


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
    one_thread_a_library()
    from service.intake import IntakeError, find_files  # noqa: PLC0415
    from service.loading import ServiceRefusedError, load_alone, load_through  # noqa: PLC0415  loads the model libraries
    from service.server import running_service  # noqa: PLC0415

    settings = settings_of(data=data)
    expected: tuple[type[Exception], ...] = (IntakeError, ServiceRefusedError, *store_errors())
    try:
        files = find_files(paths)
        service = running_service(settings)
        result = (
            load_alone(settings, files, workers=workers, quiet=as_json)
            if service is None
            else load_through(service, files, quiet=as_json)
        )
    except expected as error:
        fail(str(error))
    if rejected is not None:
        lines = [json.dumps(asdict(item), ensure_ascii=False) + "\n" for item in result.tally.rejected]
        rejected.write_text("".join(lines), encoding="utf-8")
    if as_json:
        print_json(result.as_dict())
    else:
        console.show_load(result)
    if result.tally.statuses["rejected"]:
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
        fail(str(error))
    if as_json:
        print_json(result.as_dict())
    else:
        console.show_demo(result)
