"""What all commands share: the application, common options, settings, the store, and how they answer or fail."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from pydantic import ValidationError

from service import console
from service.display import display_json
from service.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DAYS = 36_500

app = typer.Typer(
    name="benang",
    help="News in, threads out: finds copies, clusters reports of one event, ties events into stories.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
)


@app.callback()
def log_aside() -> None:
    """Log to standard error: standard output is the command's answer."""
    from service.telemetry import set_up_logging  # noqa: PLC0415

    set_up_logging(lambda: sys.stderr)


Data = Annotated[
    Path | None,
    typer.Option("--data", "-d", help="Folder that holds the store.  [default: data]", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def one_thread_a_library() -> None:
    """Keep numerical libraries from starting a thread a core: reading, encoding and deciding already share the cores."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def settings_of(**given: Any) -> Settings:
    """Return the settings that options and environment name, or end with what is wrong with them."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        found = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        fail(f"A setting cannot be used. {'; '.join(found)}. docs/operations.md lists them.")


def store_errors() -> tuple[type[Exception], ...]:
    """Return what opening a store may raise; naming them loads the model libraries."""
    from embeddings.encoder import ModelError  # noqa: PLC0415
    from service.learned import ModelMismatchError  # noqa: PLC0415  loads the model libraries
    from service.store.failures import StoreError  # noqa: PLC0415

    return (StoreError, ModelMismatchError, ModelError)


@contextmanager
def reading_store(settings: Settings) -> Iterator[Any]:
    """Lend a connection that reads the store, or end with why it cannot be read."""
    from service.errors import StoreUnavailable  # noqa: PLC0415
    from service.store.engine import reader_engine, told  # noqa: PLC0415
    from service.store.failures import StoreError  # noqa: PLC0415
    from service.store.read import reading  # noqa: PLC0415

    require_store(settings)
    try:
        engine = reader_engine(settings.place)
        try:
            with reading(engine) as connection:
                yield connection
        finally:
            engine.dispose()
    except StoreUnavailable:
        fail(
            f"The store in {told(settings.place)} cannot be read: it does not answer, is damaged, has no room left on its "
            "disk, or was not written by this version of benang. Restore it from a backup if it is damaged."
        )
    except StoreError as error:
        fail(str(error))


def require_store(settings: Settings) -> None:
    """End unless there is a store to work on."""
    from service.store.engine import exists  # noqa: PLC0415

    if not exists(settings.place):
        fail(
            f"There is no store in {settings.data}. `benang ingest` or `benang serve` makes one; --data names it."
        )


def require_folder(settings: Settings, instead: str) -> None:
    """End where the store is no folder, saying what to do `instead`."""
    from service.store.engine import told  # noqa: PLC0415

    if not isinstance(settings.place, Path):
        fail(f"The store is {told(settings.place)}, and this works on a data folder. {instead}")


def print_json(value: Any) -> None:
    """Print a value as JSON; whoever reads may leave."""
    with suppress(BrokenPipeError):
        sys.stdout.write(display_json(value) + "\n")


def days_of(option: str, text: str) -> float:
    """Read a length of time (30d, 12h) as days, or end with what is wrong with it."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in {"d", "h"} else (text, "d")
    try:
        days = float(number) / (24 if unit == "h" else 1)
    except ValueError:
        days = 0.0
    if not 0 < days < MAX_DAYS:
        fail(f"{option} {text} is no length of time. Write days or hours: 30d, 12h.")
    return days


def fail(message: str) -> NoReturn:
    """Say what went wrong, and end with status 2."""
    console.complain(message)
    raise typer.Exit(2)
