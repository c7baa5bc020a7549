"""Values of the domain: plain, frozen, without behaviour that touches the world."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from datetime import datetime

Precision = Literal["second", "minute", "day"]
Relation = Literal["original", "exact_copy", "near_copy", "reprint"]
Status = Literal["created", "unchanged", "revised"]
Rule = Literal["copy", "joined", "opened", "regrouped", "editor"]
Kind = Literal[
    "article.assigned",
    "article.revised",
    "article.moved",
    "article.deleted",
    "cluster.created",
    "cluster.split",
    "cluster.moved",
    "cluster.merged",
    "cluster.deleted",
    "story.created",
    "story.split",
    "story.merged",
    "story.deleted",
    "store.restored",
]
"""What can become of an article, a group or the whole store, as the change feed calls it."""
KINDS: tuple[Kind, ...] = get_args(Kind)

Action = Literal[
    "article.deleted",
    "edit.merged",
    "edit.split",
    "edit.undone",
    "reclustering.started",
    "webhook.created",
    "webhook.deleted",
    "key.created",
    "key.revoked",
]
"""What others may ask about later, as the audit trail calls it."""
ACTIONS: tuple[Action, ...] = get_args(Action)

ID_PREFIXES = {
    "article": "art_",
    "cluster": "clu_",
    "story": "sto_",
    "run": "run_",
    "edit": "edt_",
    "webhook": "whk_",
    "key": "key_",
}


@dataclass(frozen=True, slots=True)
class Article:
    """One publication by one outlet at one URL, clean and ready to be decided on.

    `published_at` is aware; `received_at_us` is UTC microseconds.
    """

    title: str
    text: str
    source: str
    publisher: str
    published_at: datetime
    precision: Precision
    published_at_source: str
    received_at_us: int
    external_id: str | None = None
    url: str | None = None
    url_key: str | None = None
    author: str | None = None
    agency: str | None = None
    language: str | None = None
    reprint_of: str | None = None
    labels: tuple[str, ...] = ()
    related: tuple[str, ...] = ()
    is_truncated: bool = False
    metadata: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def published_us(self) -> int:
        """Publication time in UTC microseconds."""
        return round(self.published_at.timestamp() * 1_000_000)

    @property
    def event_us(self) -> int:
        """The time decisions use: a claimed date never lies after receipt."""
        return min(self.published_us, self.received_at_us)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an article is where it is.

    `probability` is that of the chosen group (or of the best one refused), `threshold` the cut it was held
    against, `nearest` the article that spoke most for it, `evidence` the similarities of that pair.
    """

    rule: Rule
    probability: float
    threshold: float
    nearest: str | None
    runner_up: str | None
    evidence: dict[str, float]
    model: str


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one article ended: its copy relation, cluster and story, each with the reason."""

    relation: Relation
    copy_of: str | None
    similarity: float | None
    cluster_id: str
    story_id: str
    cluster_created: bool
    reason: Reason
    story_reason: Reason | None

    @property
    def opens_story(self) -> bool:
        """Say whether the article opened its story with its cluster."""
        return self.cluster_created and self.story_reason is not None and self.story_reason.rule == "opened"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the service answers for one accepted article."""

    id: str
    status: Status
    article: Article
    placement: Placement
    provisional: bool = True
