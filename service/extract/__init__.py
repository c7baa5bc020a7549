"""From a page to a clean article: HTML, pasted text or a body, with dates, outlets, credits and labels."""

from service.extract.dates import ParsedTime, event_dates, parse_time
from service.extract.html import from_html
from service.extract.outlets import outlet_of, publisher_of
from service.extract.page import Page, Precision, ReprintStamp
from service.extract.plain import from_page, from_text
from service.extract.pool import PagePool, PageTooComplex
from service.extract.urls import article_key, canonical_url

__all__ = [
    "Page",
    "PagePool",
    "PageTooComplex",
    "ParsedTime",
    "Precision",
    "ReprintStamp",
    "article_key",
    "canonical_url",
    "event_dates",
    "from_html",
    "from_page",
    "from_text",
    "outlet_of",
    "parse_time",
    "publisher_of",
]
