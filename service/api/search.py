"""From the parameters of a list to the filter the store takes."""

from datetime import datetime, timedelta
from typing import Any

from service.extract import outlet_of
from service.schemas import ArticleSearch, ClusterSearch, GroupSearch, Moment
from service.store.groups import GroupFilter
from service.store.read import ArticleFilter


def article_filter(wanted: ArticleSearch) -> ArticleFilter:
    """Translate the filters of the list of articles."""
    return ArticleFilter(
        q=wanted.q,
        source=outlet_of(wanted.source) if wanted.source else None,
        cluster_id=wanted.cluster_id,
        story_id=wanted.story_id,
        from_us=_start(wanted.from_),
        to_us=_end(wanted.to),
    )


def group_filter(wanted: GroupSearch) -> GroupFilter:
    """Translate the filters of the lists of clusters and stories."""
    return GroupFilter(
        q=wanted.q,
        source=outlet_of(wanted.source) if wanted.source else None,
        from_us=_start(wanted.from_),
        to_us=_end(wanted.to),
        updated_from_us=_start(wanted.updated_from),
        min_sources=wanted.min_sources,
        story_id=wanted.story_id if isinstance(wanted, ClusterSearch) else None,
    )


def document_parameters(document: dict[str, Any]) -> dict[str, Any]:
    """Say in an OpenAPI document that a parameter may be missing but not null, which cannot be written in an address."""
    for operations in document["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                schema = parameter["schema"]
                kinds = [one for one in schema.pop("anyOf", ()) if one != {"type": "null"}]
                schema.update(*kinds)
    return document


def _start(moment: Moment | None) -> int | None:
    return None if moment is None else _microseconds(moment.at)


def _end(moment: Moment | None) -> int | None:
    """A day alone ends with its last moment, a time is where the span ends."""
    if moment is None:
        return None
    day = 86_400_000_000 if moment.precision == "day" else 0
    return _microseconds(moment.at) + day


def _microseconds(at: datetime) -> int:
    return (at - datetime.fromtimestamp(0, tz=at.tzinfo)) // timedelta(microseconds=1)
