"""Commands of editors: groups merged, split, taken back, and what became of them."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated, Any

import typer

from service import console
from service.cli.options import (
    Data,
    Json,
    app,
    fail,
    print_json,
    reading_store,
    require_store,
    settings_of,
    store_errors,
)

Actor = Annotated[str, typer.Option(help="Who says so.  [default: the name you are logged in with]")]
Note = Annotated[str, typer.Option(help="Why, for those who come after.")]


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

    with reading_store(settings_of(data=data)) as connection:
        try:
            told = edits.history_of(connection, "cluster" if group.startswith("clu_") else "story", group)
        except NotFound:
            fail(f"There is no group {group}. `benang stories` lists the stories there are.")
    if as_json:
        print_json(told)
    else:
        console.show_history(told)


def _edit(data: Path | None, group: str, action: str, word: dict[str, Any], as_json: bool) -> None:
    from service.editorial import EditRefusedError, say_alone, say_through  # noqa: PLC0415  loads the model libraries
    from service.server import running_service  # noqa: PLC0415

    expected: tuple[type[Exception], ...] = (EditRefusedError, *store_errors())
    settings = settings_of(data=data)
    require_store(settings)
    try:
        service = running_service(settings)
        said = (
            say_alone(settings, group, action, word)
            if service is None
            else say_through(service, group, action, word)
        )
    except expected as error:
        fail(str(error))
    if as_json:
        print_json(said)
    else:
        console.show_edit(said)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unnamed"
