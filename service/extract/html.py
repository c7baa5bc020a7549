"""Articles from HTML: JSON-LD and meta, the outlet's container, else trafilatura; nothing is fetched."""

import json
import logging
import re
from typing import Any

import trafilatura
from selectolax.lexbor import LexborHTMLParser, LexborNode

from service.extract.body import clean_body
from service.extract.clean import lines_of, normalise
from service.extract.credits import Credits, agency_of, person
from service.extract.dates import ParsedTime, line_times, parse_time
from service.extract.outlets import outlet_of
from service.extract.page import Page, TimeSource
from service.extract.plain import assemble, clean_title, source_of
from service.extract.times import in_indonesia
from service.extract.urls import article_key, canonical_url

_CONTAINERS = (
    "div.read__content",
    "div.detail__body-text",
    "div.detail-text",
    "div.detail-content",
    "div.article-content-body",
    "div.side-article.txt-article",
    "div.wrap__article-detail-content",
    "div.detail-desc",
    "#detail-desc",
    "div.c-detail.read",
    "div.article-content",
    "[itemprop=articleBody]",
)
_VISIBLE = (
    ".read__time",
    ".detail__date",
    ".detail-date-artikel",
    ".journalist span",
    ".article-date",
    ".date-article",
    ".list-inline-item.mr-2",
    ".date",
    "time",
)
_SKIPPED = frozenset(
    [
        "script",
        "style",
        "noscript",
        "iframe",
        "template",
        "svg",
        "figure",
        "figcaption",
        "picture",
        "video",
        "audio",
        "form",
        "button",
        "input",
        "select",
        "textarea",
        "nav",
        "aside",
        "head",
        "object",
    ]
)
_BLOCKS = frozenset(
    [
        "address",
        "article",
        "blockquote",
        "br",
        "center",
        "dd",
        "div",
        "dl",
        "dt",
        "fieldset",
        "footer",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "li",
        "main",
        "ol",
        "p",
        "pre",
        "section",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "ul",
    ]
)
_SKIPPED_CLASS = re.compile(
    r"\b(?:inject-video|parallaxindetail|para_caption|detail__body-tag|detail__media|photo__caption|ads-on-body|"
    r"kcm-read-copy|text-muted|lightbox|sharebox|social-?share)\b|\bpic_artikel"
)
_SPACE = re.compile(r"[ \t\r\n\f\xa0]+")
_NEWS = frozenset(
    {
        "NewsArticle",
        "Article",
        "ReportageNewsArticle",
        "BlogPosting",
        "LiveBlogPosting",
        "AnalysisNewsArticle",
    }
)
_NAIVE_META = ("content_PublishedDate", "publishdate", "dtk:publishdate", "pubdate", "publish_date", "date")
_MIN_BODY = 200
_LD_CAP = 64
_VISIBLE_NODES = 4

logging.getLogger("trafilatura").setLevel(logging.CRITICAL)


def from_html(html: str, *, url: str | None = None, source: str | None = None) -> Page:
    """Read an article from its HTML without any network; a page that holds none gives empty fields.

    For pages from strangers use `PagePool`, which limits the time this takes.
    """
    tree = LexborHTMLParser(_encodable(html))
    meta = _meta(tree)
    ld = _json_ld(tree)
    address = _address(tree, meta, url)
    outlet = source_of(source, address)
    title = clean_title(_title(tree, meta, ld))
    times = _visible_times(tree)
    credits_ = _credits(meta, ld, outlet)
    text = normalise(_body_text(tree, html, ld))
    body = clean_body(text, title, outlet, credits_)
    body.truncated = body.truncated or _more_pages(meta, url)
    updated = _updated(ld, times)
    return assemble(
        title,
        body,
        url=address,
        source=outlet or body.outlet,
        candidates=_stated_times(meta, ld, times),
        updated=in_indonesia(updated.at) if updated else None,
    )


def _encodable(html: str) -> str:
    return html.encode("utf-8", "replace").decode("utf-8")


def _meta(tree: LexborHTMLParser) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in tree.css("meta"):
        attributes = node.attributes
        name = attributes.get("property") or attributes.get("name") or attributes.get("itemprop")
        content = attributes.get("content")
        if name and content and content.strip():
            found.setdefault(name, content.strip())
    return found


def _json_ld(tree: LexborHTMLParser) -> dict[str, Any]:
    """Find the block that describes the article; the keys a later block adds are kept too."""
    found: dict[str, Any] = {}
    for script in tree.css('script[type="application/ld+json"]')[:_LD_CAP]:
        try:
            data = json.loads(script.text(deep=True), strict=False)
        except (ValueError, RecursionError):
            continue
        items = data if isinstance(data, list) else [data]
        for item in items[:_LD_CAP]:
            graph = item.get("@graph") if isinstance(item, dict) else None
            for entry in [item, *(graph if isinstance(graph, list) else [])][:_LD_CAP]:
                if isinstance(entry, dict) and _is_news(entry):
                    found = {**entry, **found}
    return found


def _is_news(entry: dict[str, Any]) -> bool:
    kind = entry.get("@type")
    kinds = kind if isinstance(kind, list) else [kind]
    return any(isinstance(one, str) and one in _NEWS for one in kinds)


def _text_value(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _address(tree: LexborHTMLParser, meta: dict[str, str], given: str | None) -> str | None:
    """Choose the page's own address, unless it points to another outlet or article than the one asked for."""
    link = tree.css_first('link[rel="canonical"]')
    stated = (link.attributes.get("href") if link is not None else None) or meta.get("og:url") or ""
    own = canonical_url(stated) if stated.startswith(("http://", "https://")) else None
    if given is None:
        return own
    asked = canonical_url(given)
    if own is None or outlet_of(own) != outlet_of(asked):
        return asked
    key = article_key(asked)
    return own if key is None or article_key(own) == key else asked


def _title(tree: LexborHTMLParser, meta: dict[str, str], ld: dict[str, Any]) -> str:
    for value in (meta.get("og:title"), _text_value(ld.get("headline"))):
        if value:
            return value
    for selector in ("h1", "title"):
        node = tree.css_first(selector)
        text = node.text(deep=True).strip() if node is not None else ""
        if text:
            return text
    return ""


def _body_text(tree: LexborHTMLParser, html: str, ld: dict[str, Any]) -> str:
    """Take the outlet's container, else the article body in JSON-LD, else what trafilatura finds."""
    texts = []
    for selector in _CONTAINERS:
        node = tree.css_first(selector)
        if node is not None:
            texts.append(block_text(node))
            if len(texts[-1]) >= _MIN_BODY:
                return texts[-1]
    stated = _text_value(ld.get("articleBody"))
    if len(stated) >= _MIN_BODY:
        return block_text_of(stated)
    texts += [stated, _generic(html)]
    return max(texts, key=len)


def block_text_of(stated: str) -> str:
    """Give a JSON-LD article body, which may hold markup, as plain lines."""
    if "<" not in stated:
        return stated
    root = LexborHTMLParser(stated).body
    return block_text(root) if root is not None else stated


def _generic(html: str) -> str:
    try:
        text = trafilatura.extract(html, include_comments=False, include_tables=False, favor_precision=True)
    except Exception:  # noqa: BLE001 - a third-party parser on a stranger's page: no body is an answer too
        return ""
    return text or ""


def block_text(root: LexborNode) -> str:
    """Write a node's text with a newline around blocks and the spaces of inline nodes left alone."""
    parts: list[str] = []
    stack: list[LexborNode | None] = [root]
    while stack:
        node = stack.pop()
        if node is None:
            parts.append("\n")
            continue
        tag = node.tag
        if tag == "-text":
            parts.append(_SPACE.sub(" ", node.text_content or ""))
        elif tag and tag[0] not in "-_!" and tag not in _SKIPPED and not _is_skipped(node):
            if tag in _BLOCKS:
                parts.append("\n")
                stack.append(None)
            stack.extend(reversed(list(node.iter(include_text=True))))
    return "\n".join(lines_of("".join(parts)))


def _is_skipped(node: LexborNode) -> bool:
    name = node.attributes.get("class")
    return bool(name) and _SKIPPED_CLASS.search(name or "") is not None


def _stated_times(
    meta: dict[str, str], ld: dict[str, Any], visible: list[ParsedTime]
) -> list[tuple[TimeSource, ParsedTime]]:
    """Order the times: JSON-LD and meta with offset, the visible line, then naive values as WIB."""
    stated: list[tuple[TimeSource, str]] = [
        ("json-ld", _text_value(ld.get("datePublished"))),
        ("meta", meta.get("article:published_time", "")),
        *((("meta", meta.get(name, ""))) for name in _NAIVE_META),
    ]
    read: list[tuple[TimeSource, ParsedTime]] = [
        (kind, time) for kind, value in stated if value and (time := parse_time(value)) is not None
    ]
    sure = [item for item in read if not item[1].tz_assumed]
    naive = [item for item in read if item[1].tz_assumed]
    shown: list[tuple[TimeSource, ParsedTime]] = [
        ("visible", time) for time in visible if time.kind == "published"
    ]
    return [*sure, *shown, *naive]


def _visible_times(tree: LexborHTMLParser) -> list[ParsedTime]:
    """Read the date line that a visitor sees, from the first place that shows a time of day."""
    for selector in _VISIBLE:
        times = [
            time
            for node in tree.css(selector)[:_VISIBLE_NODES]
            for time in line_times(" ".join(normalise(node.text(deep=True)[:400]).split()))
            if time.precision != "day"
        ]
        if times:
            return times
    return []


def _updated(ld: dict[str, Any], visible: list[ParsedTime]) -> ParsedTime | None:
    shown = [time for time in visible if time.kind == "updated"]
    if shown:
        return max(shown, key=lambda time: time.at)
    stated = parse_time(_text_value(ld.get("dateModified")))
    first = parse_time(_text_value(ld.get("datePublished")))
    if stated is None or stated.tz_assumed or (first is not None and stated.at <= first.at):
        return None
    return stated


def _credits(meta: dict[str, str], ld: dict[str, Any], outlet: str | None) -> Credits:
    """Read names from meta and JSON-LD; Kompas states its editor as the JSON-LD author."""
    out = Credits()
    stated = _ld_author(ld)
    if outlet == "kompas.com":
        out.author = person(meta.get("content_author", ""))
        editor = person(meta.get("content_editor", "")) or stated
        out.editors = [editor] if editor and editor != out.author else []
    else:
        values = (
            meta.get("content_author", ""),
            meta.get("dtk:author", ""),
            stated or "",
            meta.get("author", ""),
        )
        out.author = next((name for value in values if (name := person(value))), None)
        editor = person(meta.get("content_editor", ""))
        out.editors = [editor] if editor else []
    if meta.get("content_source"):
        out.agency = agency_of(meta["content_source"], outlet)
    return out


def _ld_author(ld: dict[str, Any]) -> str | None:
    author = ld.get("author")
    first = author[0] if isinstance(author, list) and author else author
    name = first.get("name") if isinstance(first, dict) else first
    return person(_text_value(name))


def _more_pages(meta: dict[str, str], url: str | None) -> bool:
    """Tell whether a Kompas page says that pages follow it."""
    if url is not None and ("page=all" in url or "single=1" in url):
        return False
    total, current = meta.get("content_total_pages", ""), meta.get("content_current_page", "1")
    if not (total.isdecimal() and current.isdecimal() and len(total) < 5 and len(current) < 5):  # noqa: PLR2004 - pages
        return False
    return int(current) < int(total)
