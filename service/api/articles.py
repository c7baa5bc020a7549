"""Articles: taken, listed, shown, explained, compared, deleted."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from service.answers import Accepted, ArticleDetail, ArticleList, Explanation, Neighbours
from service.api.audit import by_of
from service.api.desk import Desk, OpenDesk, apart, settled
from service.api.ids import ArticleId, known_id
from service.api.problems import BODY, problems
from service.api.search import article_filter
from service.api.strict import StrictRoute
from service.model import Article, Outcome
from service.prepare import prepare
from service.schemas import ArticleIn, ArticleSearch, Probe
from service.store import read
from service.store.redirect import missing

UNNAMED = "unnamed"

router = APIRouter(prefix="/v1", tags=["articles"], route_class=StrictRoute)

_REFUSED = (*BODY, "invalid", "page_too_complex")
_BUSY = ("queue_full", "not_ready", "store_unavailable")
_MISSING = ("not_found", "gone")

Limit = Annotated[int, Query(ge=1, le=100, description="Most neighbours to answer.")]


@router.post(
    "/articles",
    status_code=201,
    response_model=Accepted,
    responses={
        200: {
            "model": Accepted,
            "description": "Seen before: `unchanged`, or `revised` when the text was edited.",
        },
        **problems(*_REFUSED, *_BUSY, "storage_full"),
    },
)
async def post_article(
    item: ArticleIn, request: Request, response: Response, desk: OpenDesk
) -> dict[str, Any]:
    """Take one article and answer its cluster and story; the answer comes once everything is stored."""
    article = await read_article(request, desk, item)
    (outcome,) = await settled(desk.submit([article]))
    if outcome.status != "created":
        response.status_code = 200
    request.state.notes.update(article=outcome.status, relation=outcome.placement.relation)
    return accepted(outcome)


@router.get("/articles", response_model=ArticleList, responses=problems("invalid", "store_unavailable"))
def list_articles(wanted: Annotated[ArticleSearch, Query()], desk: OpenDesk) -> dict[str, Any]:
    """List articles, newest first."""
    with read.reading(desk.reader) as connection:
        items, following = read.list_articles(
            connection, article_filter(wanted), limit=wanted.limit, cursor=wanted.cursor
        )
    return {"items": items, "next_cursor": following}


@router.get(
    "/articles/{article_id}", response_model=ArticleDetail, responses=problems(*_MISSING, "store_unavailable")
)
def get_article(article_id: ArticleId, desk: OpenDesk) -> dict[str, Any]:
    """Show one article with its assignment and revisions."""
    with read.reading(desk.reader) as connection:
        return read.get_article(connection, known_id(article_id))


@router.delete(
    "/articles/{article_id}", status_code=204, response_class=Response, responses=problems(*_MISSING, *_BUSY)
)
async def delete_article(article_id: ArticleId, request: Request, desk: OpenDesk) -> None:
    """Delete one article; its ID answers 410 from then on."""
    if not await settled(desk.delete(known_id(article_id), by_of(request))):
        await run_in_threadpool(_raise_missing, desk, article_id)


@router.get(
    "/articles/{article_id}/explanation",
    response_model=Explanation,
    responses=problems(*_MISSING, "store_unavailable"),
)
def explain_article(article_id: ArticleId, desk: OpenDesk) -> dict[str, Any]:
    """Say why an article is where it is: rule, evidence, probability, threshold, runner-up, model."""
    with read.reading(desk.reader) as connection:
        return read.get_explanation(connection, known_id(article_id))


@router.get(
    "/articles/{article_id}/similar",
    response_model=Neighbours,
    responses=problems(*_MISSING, "invalid", *_BUSY),
)
async def similar_articles(article_id: ArticleId, desk: OpenDesk, limit: Limit = 10) -> dict[str, Any]:
    """List the stored articles nearest to one of them."""
    found = await settled(desk.similar_to(known_id(article_id), limit))
    if found is None:
        await run_in_threadpool(_raise_missing, desk, article_id)
    return {"items": found}


@router.post("/similar", response_model=Neighbours, responses=problems(*_REFUSED, *_BUSY))
async def similar_to_text(item: Probe, request: Request, desk: OpenDesk, limit: Limit = 10) -> dict[str, Any]:
    """List the stored articles nearest to a new one; nothing is stored."""
    article = await read_article(request, desk, item, default_source=UNNAMED)
    return {"items": await settled(desk.similar(article, limit))}


async def read_article(
    request: Request, desk: Desk, item: Probe, *, default_source: str | None = None
) -> Article:
    """Extract the article of a request, apart from the answers of others."""
    with desk.metrics.stage("extract"):
        return await apart(
            request,
            prepare,
            item,
            now=request.app.state.clock(),
            future_tolerance_s=desk.settings.future_tolerance_s,
            pages=desk.pages,
            default_source=default_source,
        )


def accepted(outcome: Outcome) -> dict[str, Any]:
    """Show an outcome."""
    article, placement = outcome.article, outcome.placement
    return {
        "id": outcome.id,
        "external_id": article.external_id,
        "url": article.url,
        "source": article.source,
        "title": article.title,
        "published_at": article.published_at.isoformat(),
        "published_at_precision": article.precision,
        "published_at_source": article.published_at_source,
        "status": outcome.status,
        "relation": placement.relation,
        "copy_of": placement.copy_of,
        "similarity": placement.similarity,
        "cluster_id": placement.cluster_id,
        "story_id": placement.story_id,
        "cluster_created": placement.cluster_created,
        "probability": placement.reason.probability,
        "provisional": outcome.provisional,
        "warnings": list(article.warnings),
    }


def _raise_missing(desk: Desk, article_id: str) -> None:
    with read.reading(desk.reader) as connection:
        raise missing(connection, article_id)
