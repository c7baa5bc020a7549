"""Commands that read the store."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from service import console
from service.cli.options import (
    Data,
    Json,
    app,
    fail,
    print_json,
    reading_store,
    settings_of,
)


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
    with reading_store(settings_of(data=data)) as connection:
        items, following = groups.list_stories(connection, wanted, limit=limit)
    if as_json:
        print_json({"items": items, "next_cursor": following})
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

    with reading_store(settings_of(data=data)) as connection:
        try:
            head = groups.get_story(connection, story_id)
            timeline = groups.get_timeline(connection, story_id)
        except NotFound:
            fail(f"There is no story {story_id}. `benang stories` lists those there are.")
    if as_json:
        print_json({**head, **timeline})
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

    with reading_store(settings_of(data=data)) as connection:
        try:
            article = read.get_article(connection, article_id)
            told = read.get_explanation(connection, article_id)
        except NotFound:
            fail(f"There is no article {article_id}. The service's /v1/articles lists those there are.")
    if as_json:
        print_json(told)
    else:
        console.show_explanation(article, told)


@app.command()
def check(data: Data = None, as_json: Json = False) -> None:
    """Check the store: the database, every checksum, every count and every reference.

    Exit status 0 when all is well, 1 when something is wrong.
    """
    from service.check import check_store  # noqa: PLC0415

    settings = settings_of(data=data)
    with reading_store(settings) as connection:
        findings = check_store(connection)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        console.show_findings(findings)
    if any(not finding.ok for finding in findings):
        raise typer.Exit(1)
