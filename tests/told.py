"""What a reader of the change feed alone knows, held against the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from service.store.read import assignments
from service.store.tables import changes, clusters, stories

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    Groups = dict[str, tuple[str, str]]
    """Cluster and story by article ID."""


def mirrored(connection: Connection) -> tuple[Groups, set[str], set[str]]:
    """What a reader of the feed alone knows: where every article is, and which clusters and stories there are."""
    cluster_of: dict[str, str] = {}
    story_of: dict[str, str] = {}
    sagas: set[str] = set()
    for one in connection.execute(select(changes).order_by(changes.c.seq)):
        match one.kind:
            case "story.created" | "story.split":
                assert one.story_id not in sagas
                sagas.add(one.story_id)
            case "story.merged" | "story.deleted":
                sagas.remove(one.story_id)
                assert one.story_id not in story_of.values()
            case "cluster.created" | "cluster.split":
                assert one.cluster_id not in story_of
                assert one.story_id in sagas
                story_of[one.cluster_id] = one.story_id
            case "cluster.moved":
                assert story_of[one.cluster_id] == one.other_id
                assert one.story_id in sagas
                story_of[one.cluster_id] = one.story_id
            case "cluster.merged" | "cluster.deleted":
                del story_of[one.cluster_id]
                assert one.cluster_id not in cluster_of.values()
            case "article.assigned":
                cluster_of[one.article_id] = one.cluster_id
            case "article.moved":
                assert cluster_of[one.article_id] == one.other_id
                assert story_of[one.cluster_id] == one.story_id
                cluster_of[one.article_id] = one.cluster_id
            case "article.deleted":
                del cluster_of[one.article_id]
    found = {one: (cluster, story_of[cluster]) for one, cluster in cluster_of.items()}
    return found, {*story_of}, sagas


def assert_told(engine: Engine) -> None:
    """The feed alone tells all that the store holds."""
    with engine.connect() as connection:
        found, told_clusters, told_stories = mirrored(connection)
        assert found == assignments(connection)
        assert told_clusters == set(connection.execute(select(clusters.c.id)).scalars())
        assert told_stories == set(connection.execute(select(stories.c.id)).scalars())
