"""A mirror of the store kept by its change feed alone: what a consumer writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Mirror:
    """Which cluster every article is in, and which story every cluster."""

    cluster_of: dict[str, str] = field(default_factory=dict)
    story_of: dict[str, str] = field(default_factory=dict)


def apply(mirror: Mirror, change: dict[str, Any]) -> None:
    """Follow one change."""
    match change["kind"]:
        case "article.assigned" | "article.moved":
            mirror.cluster_of[change["article_id"]] = change["cluster_id"]
        case "article.deleted":
            del mirror.cluster_of[change["article_id"]]
        case "cluster.created" | "cluster.split" | "cluster.moved":
            mirror.story_of[change["cluster_id"]] = change["story_id"]
        case "cluster.deleted":
            del mirror.story_of[change["cluster_id"]]
        case "cluster.merged":
            del mirror.story_of[change["cluster_id"]]
            _follow(mirror.cluster_of, change["cluster_id"], change["other_id"])
        case "story.merged":
            _follow(mirror.story_of, change["story_id"], change["other_id"])


def _follow(groups: dict[str, str], old: str, new: str) -> None:
    groups.update({member: new for member, group in groups.items() if group == old})
