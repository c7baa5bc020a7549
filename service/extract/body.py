"""A body without its furniture: the one road that `from_text`, `from_page` and `from_html` share."""

from dataclasses import dataclass

from service.extract.clean import lines_of, mend
from service.extract.credits import Credits, find_stamp, mentions, read_credit, strip_closing
from service.extract.dateline import strip_dateline
from service.extract.lines import cut_inline_related, sweep
from service.extract.page import ReprintStamp


@dataclass(slots=True)
class Body:
    """The clean text, and what was read before lines were dropped."""

    text: str
    place: str | None
    outlet: str | None
    credits: Credits
    based_on: tuple[str, ...]
    stamp: ReprintStamp | None
    related: list[str]
    truncated: bool
    paid: bool
    removed: list[tuple[str, str]]


def clean_body(text: str, title: str, source: str | None, credits_: Credits | None = None) -> Body:
    """Clean a body whose characters are normalised already.

    Reads the reprint stamp, credits, related links and page marks before it deletes their lines, then cuts the
    tail, strips the dateline and the closing initials.
    """
    text = mend(text)
    stamp, stamp_words = None, ""
    if " ini telah " in text or " ini sudah " in text or " telah tayang " in text:
        stamp, text, stamp_words = find_stamp(text)
    swept = sweep(lines_of(text))
    if "uga:" in text:
        cut_inline_related(swept)
    opening = strip_dateline(swept.kept)
    names = credits_ or Credits()
    outlet = source or opening.outlet
    names.agency = names.agency or (opening.agency if outlet != "antaranews.com" else None)
    for line in swept.credits:
        read_credit(line, names, outlet)
    names.author = names.author or opening.author
    lines = list(opening.lines)
    if lines and lines[0] == title:
        del lines[0]
    removed = swept.removed
    if stamp_words:
        removed.append(("stamp", stamp_words))
    removed += strip_closing(lines, names, outlet)
    clean = "\n".join(lines)
    return Body(
        text=clean,
        place=opening.place,
        outlet=opening.outlet,
        credits=names,
        based_on=mentions(clean),
        stamp=stamp,
        related=swept.related,
        truncated=swept.truncated,
        paid=opening.paid,
        removed=removed,
    )
