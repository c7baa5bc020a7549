"""Tables in `benchmarks/README.md`: each benchmark owns the lines between its two markers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

README = Path(__file__).parent / "README.md"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def publish(name: str, text: str) -> None:
    """Print `text` and put it between the markers of `name`.

    Raises:
        ValueError: the README has no such markers.
    """
    print(text)
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    page = README.read_text(encoding="utf-8")
    before, _, rest = page.partition(start)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"{README.name} has no place for {name}")
    README.write_text(f"{before}{start}\n{text}\n{end}{after}", encoding="utf-8")


def show(tables: Mapping[str, str], *, published: bool) -> None:
    """Print tables by the name of their place, and write them into the README where they are `published`."""
    for name, text in tables.items():
        if published:
            publish(name, text)
        else:
            print(f"{name}\n\n{text}\n")
