"""What the API takes and answers about nightly runs."""

from typing import Literal

from pydantic import ConfigDict, Field

from service.answers import Answer
from service.schemas import Strict


class ReclusteringIn(Strict):
    """What a nightly run is asked for."""

    model_config = ConfigDict(strict=True)

    window_days: float | None = Field(
        default=None,
        gt=0,
        le=36_500,
        description="Days of receipt to look back over; the setting when missing.",
    )
    dry_run: bool = Field(default=False, description="Only say what would change.")


class Merged(Answer):
    """A group whose ID leads to another from now on."""

    id: str
    merged_into: str


class Opened(Answer):
    """A new group, and the one it was split off."""

    id: str
    split_from: str


class Moved(Answer):
    """An article and its clusters, or a cluster and its stories."""

    model_config = ConfigDict(populate_by_name=True)

    id: str
    from_: str = Field(alias="from")
    to: str


class Counts(Answer):
    """How many of each change there are."""

    clusters_merged: int
    clusters_split: int
    articles_moved: int
    clusters_moved: int
    stories_merged: int
    stories_split: int


class Diff(Answer):
    """What a run changed; lists are left out of lists of runs, and cut at 10,000."""

    articles: int = Field(description="Articles looked at, copies among them.")
    clusters: int
    stories: int
    articles_unchanged: int
    counts: Counts
    clusters_merged: list[Merged] | None = None
    clusters_split: list[Opened] | None = None
    articles_moved: list[Moved] | None = None
    clusters_moved: list[Moved] | None = None
    stories_merged: list[Merged] | None = None
    stories_split: list[Opened] | None = None
    complete: bool = Field(description="Whether the lists hold everything.")


class Reclustering(Answer):
    """A nightly run."""

    id: str
    status: Literal["running", "done", "failed"]
    dry_run: bool
    window_days: float
    created_at: str
    finished_at: str | None
    stage: str | None = Field(
        description="What it does now: reading, comparing, openings, grouping, telling or writing."
    )
    fraction: float | None = Field(description="How far it is, 0 to 1.")
    diff: Diff | None
    error: str | None


class ReclusteringList(Answer):
    """Nightly runs, the latest first."""

    items: list[Reclustering]
