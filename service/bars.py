"""How far long work is, shown on standard error: spinners and bars, quiet where the answer is to be JSON."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from service.console import err
from service.display import display_form

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from service.shift import Progress as Far

Item = TypeVar("Item")


@contextmanager
def waiting(message: str, *, quiet: bool = False) -> Iterator[None]:
    """Show a spinner while something without a measurable length goes on."""
    if quiet:
        yield
        return
    with err.status(message):
        yield


@contextmanager
def bar(message: str, total: int, *, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """Show a progress bar of `total` things; yields the function that moves it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=quiet) as progress:
        task = progress.add_task(message, total=total)
        yield lambda count: progress.advance(task, count)


@contextmanager
def bytes_bar(message: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar of bytes; yields the function that hears of those done and those in all."""
    with _share_bar(message, DownloadColumn(), quiet=quiet) as heard:
        yield heard


@contextmanager
def rows_bar(message: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar of rows; yields the function that hears of those done and those in all."""
    with _share_bar(message, MofNCompleteColumn(), quiet=quiet) as heard:
        yield heard


@contextmanager
def _share_bar(message: str, amount: ProgressColumn, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
    with Progress(*columns, console=err, disable=quiet) as progress:
        task = progress.add_task(message, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def night_bar(*, quiet: bool = False) -> Iterator[Callable[[Far], None]]:
    """Show how far a night is; yields the function that hears of it."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(
        *columns, TimeElapsedColumn(), TimeRemainingColumn(), console=err, disable=quiet
    ) as progress:
        task = progress.add_task("starting", total=1.0)
        yield lambda far: progress.update(task, completed=far.fraction, description=far.stage)


class FilesBar:
    """Progress over files; their number of articles is set right once they are read."""

    def __init__(self, progress: Progress, names: Sequence[str], total: int | None) -> None:
        self._progress = progress
        self._names = list(names)
        self._task = progress.add_task("Reading", total=total, rate="")
        self._articles = 0
        self._read = 0
        self._start = datetime.now().astimezone()

    def reading(self, name: str, records: Iterator[Item]) -> Iterator[Item]:
        """Pass the records of one file through, counting them."""
        for record in records:
            self._read += 1
            yield record
        if name == self._names[-1]:
            self._progress.update(self._task, total=self._read)

    def passed(self, count: int, place: str) -> None:
        """Say that `count` more articles are decided and durable, the last of them at `place`."""
        self._articles += count
        seconds = (datetime.now().astimezone() - self._start).total_seconds()
        rate = f"{self._articles / seconds:,.0f}/s" if seconds > 0 else ""
        self._progress.update(
            self._task, completed=self._articles, description=display_form(place), rate=rate
        )


@contextmanager
def files_bar(names: Sequence[str], total: int | None, *, quiet: bool = False) -> Iterator[FilesBar]:
    """Show how many articles of the files are decided and durable."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.completed:,} articles"),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, disable=quiet) as progress:
        yield FilesBar(progress, names, total)
