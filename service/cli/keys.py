"""Commands of keys: who may call the service, and what for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer

from service import console
from service.cli.options import (
    Data,
    Json,
    app,
    days_of,
    fail,
    print_json,
    reading_store,
    require_store,
    settings_of,
)

keys = typer.Typer(
    help="Create, list and revoke keys: from the first one on, every request to the service needs one.",
    no_args_is_help=True,
)
app.add_typer(keys, name="keys")


class ScopeName(StrEnum):
    """What a key opens."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is, or what for: redaksi, crawler-2.")],
    scope: Annotated[
        ScopeName, typer.Option(help="What it opens; each scope opens what those before it open.")
    ] = ScopeName.READ,
    expires: Annotated[
        str | None,
        typer.Option(help="How long it opens: 90d, 12h.  [default: until it is revoked]", show_default=False),
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Create a key and print it; it cannot be shown again.

    Works before the first start of the service, beside a stopped one and through a running one, where it opens at once.
    Callers send it as `Authorization: Bearer benang_…`.
    """
    from service.locksmith import KeyRefusedError, create_key  # noqa: PLC0415
    from service.store.failures import StoreError  # noqa: PLC0415

    wanted = {"name": name, "scope": scope.value}
    if expires is not None:
        until = datetime.now(tz=UTC) + timedelta(days=days_of("--expires", expires))
        wanted["expires_at"] = until.isoformat()
    try:
        made = create_key(settings_of(data=data), wanted)
    except (KeyRefusedError, StoreError) as error:
        fail(str(error))
    if as_json:
        print_json(made)
    else:
        console.show_new_key(made)


@keys.command(name="list")
def list_all(data: Data = None, as_json: Json = False) -> None:
    """List all keys there ever were, without what opens."""
    from service.store.keys import key_row, list_keys  # noqa: PLC0415

    now_us = round(datetime.now(tz=UTC).timestamp() * 1_000_000)
    with reading_store(settings_of(data=data)) as connection:
        rows = [key_row(one, now_us) for one in list_keys(connection)]
    if as_json:
        print_json({"items": rows})
    else:
        console.show_keys(rows)


@keys.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's ID (key_…), as `list` shows it.")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Revoke a key for ever; a running service refuses it from now on."""
    from service.locksmith import KeyRefusedError, revoke_key  # noqa: PLC0415
    from service.store.failures import StoreError  # noqa: PLC0415

    settings = settings_of(data=data)
    require_store(settings)
    try:
        revoke_key(settings, key_id)
    except (KeyRefusedError, StoreError) as error:
        fail(str(error))
    if as_json:
        print_json({"id": key_id, "status": "revoked"})
    else:
        console.say(f"{key_id} opens nothing any more.")


@app.command()
def audit(
    limit: Annotated[int, typer.Option(min=1, help="How many, the latest first.")] = 50,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Tell who deleted, merged, split, took back, started a night, or touched webhooks and keys."""
    from service.store.trail import list_trail  # noqa: PLC0415

    with reading_store(settings_of(data=data)) as connection:
        items, _ = list_trail(connection, limit=limit)
    if as_json:
        print_json({"items": items})
    else:
        console.show_trail(items)
