"""Clusters: the articles about one event."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from service.answers import ClusterDetail, ClusterList
from service.api.desk import OpenDesk
from service.api.ids import ClusterId, known_id
from service.api.problems import problems
from service.api.search import group_filter
from service.schemas import ClusterSearch
from service.store import groups
from service.store.read import reading

router = APIRouter(prefix="/v1/clusters", tags=["clusters"])


@router.get("", response_model=ClusterList, responses=problems("invalid", "store_unavailable"))
def list_clusters(wanted: Annotated[ClusterSearch, Query()], desk: OpenDesk) -> dict[str, Any]:
    """List clusters, the latest report first.

    A cluster that grows while you page moves to the head of the list; `updated_from` finds it.
    """
    with reading(desk.reader) as connection:
        items, following = groups.list_clusters(
            connection, group_filter(wanted), limit=wanted.limit, cursor=wanted.cursor
        )
    return {"items": items, "next_cursor": following}


@router.get(
    "/{cluster_id}",
    response_model=ClusterDetail,
    responses=problems("not_found", "gone", "store_unavailable"),
)
def get_cluster(cluster_id: ClusterId, desk: OpenDesk) -> dict[str, Any]:
    """Show a cluster with its members in order of time, copies folded."""
    with reading(desk.reader) as connection:
        return groups.get_cluster(connection, known_id(cluster_id))
