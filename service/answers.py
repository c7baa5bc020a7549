"""What the API answers: one model per shape, so that OpenAPI says everything.

Titles and texts are what outlets published: data of strangers, to be escaped wherever they are shown.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from service.model import Precision, Relation, Rule, Status


class Answer(BaseModel):
    """An answer, made from the service's own values."""

    model_config = ConfigDict(from_attributes=True)


class FieldProblem(Answer):
    """One thing wrong with a request."""

    pointer: str = Field(description="JSON pointer to the value, `/query/…` for a parameter.")
    code: str = Field(description="Which rule was broken.")
    message: str = Field(description="The rule as a sentence.")


class Problem(Answer):
    """An error (RFC 9457)."""

    type: str = Field(examples=["https://benang.example/problems/not_found"])
    title: str
    status: int
    detail: str
    instance: str = Field(description="Path of the request.")
    request_id: str = Field(description="Under this ID the log has the reason.")
    code: str = Field(examples=["not_found"])
    errors: list[FieldProblem]


class Accepted(Answer):
    """An article that was taken, and where it stands now."""

    id: str = Field(examples=["art_01J8ZC5W5E6Q8R9S0T1V2W3X4Y"])
    external_id: str | None
    url: str | None
    source: str = Field(examples=["kompas.com"])
    title: str
    published_at: str = Field(examples=["2024-03-27T06:16:00+07:00"])
    published_at_precision: Precision
    published_at_source: str = Field(
        description="`given`, `json-ld`, `meta`, `visible`, `url` or `received`."
    )
    status: Status
    relation: Relation
    copy_of: str | None = Field(description="The earlier article this one repeats.")
    similarity: float | None = Field(description="How alike the two texts are, for copies.")
    cluster_id: str = Field(examples=["clu_01J8ZC5W5E6Q8R9S0T1V2W3X4Y"])
    story_id: str = Field(examples=["sto_01J8ZC5W5E6Q8R9S0T1V2W3X4Y"])
    cluster_created: bool
    probability: float = Field(description="Probability that the article reports the cluster's event.")
    provisional: bool = Field(description="Assigned online; the nightly run confirms or moves it.")
    warnings: list[str]


class BulkAccepted(Accepted):
    """An article of a bulk body that was taken."""

    index: int


class BulkRejected(Answer):
    """An article of a bulk body that was refused; the others are not touched by it."""

    index: int
    status: Literal["rejected"]
    error: Problem


class Bulk(Answer):
    """The fate of every article of a bulk body, in its order."""

    errors: bool = Field(description="Whether any was refused.")
    items: list[BulkAccepted | BulkRejected]


class ArticleRow(Answer):
    """An article with its assignment, without its text."""

    id: str
    external_id: str | None
    url: str | None
    source: str
    publisher: str
    title: str
    published_at: str
    published_at_precision: Precision
    first_seen_at: str
    author: str | None
    agency: str | None
    language: str | None
    labels: list[str]
    relation: Relation
    copy_of: str | None
    similarity: float | None
    cluster_id: str
    story_id: str
    provisional: bool
    revision: int


class Revision(Answer):
    """What an article said before it was edited."""

    revision: int
    title: str
    text: str
    received_at: str


class ArticleDetail(ArticleRow):
    """An article with its text and revisions."""

    text: str
    published_at_source: str
    related: list[str]
    is_truncated: bool
    metadata: dict[str, str]
    warnings: list[str]
    probability: float
    revisions: list[Revision]


class ArticleList(Answer):
    """A page of articles, newest first."""

    items: list[ArticleRow]
    next_cursor: str | None


class Evidence(Answer):
    """One similarity between the article and the nearest one."""

    name: str
    value: float


class DifferingFigures(Answer):
    """A thing that both articles count, without one number in common."""

    what: str = Field(examples=["orang"])
    here: list[str]
    there: list[str]


class Comparison(Answer):
    """What headline and first paragraphs of two articles have in common, as the compared one writes it."""

    hours_earlier: float = Field(
        description="How long before it the nearest was published; less than 0 for after."
    )
    same_outlet: bool
    shared_names: list[str] = Field(description="Names in both, the most telling first.")
    shared_words: list[str] = Field(
        description="Other words in both that news seldom uses, the rarest first."
    )
    shared_word_count: int = Field(
        description="How many words these are in all, those of the names included."
    )
    shared_figures: list[str]
    differing_figures: list[DifferingFigures]
    names_only_here: list[str]
    names_only_there: list[str]


class Decision(Answer):
    """Why something is where it is."""

    rule: Rule
    probability: float
    threshold: float
    nearest: str | None
    runner_up: str | None
    evidence: list[Evidence]
    model: str
    nearest_title: str | None
    nearest_source: str | None
    compared_article: str | None = Field(
        description="Whose words are compared with the nearest article's: for the story, the first report's."
    )
    runner_up_title: str | None
    runner_up_probability: float | None
    comparison: Comparison | None = Field(description="Made when asked, from the texts of today.")
    sentences: list[str] = Field(
        description="The decision in words. They quote headlines: escape them in pages."
    )


class Explanation(Answer):
    """Why an article is in its cluster, and the cluster in its story."""

    article_id: str
    cluster_id: str
    story_id: str
    relation: Relation
    copy_of: str | None
    cluster: Decision
    story: Decision | None


class NeighbourRow(Answer):
    """A stored article that resembles the one asked about."""

    id: str
    title: str
    source: str
    similarity: float
    probability: float
    cluster_id: str
    story_id: str
    relation: str


class Neighbours(Answer):
    """The nearest articles, best first."""

    items: list[NeighbourRow]


class Report(Answer):
    """One article of a cluster."""

    id: str
    title: str
    url: str | None
    source: str
    published_at: str
    published_at_precision: Precision
    relation: Relation
    copy_of: str | None
    similarity: float | None


class FoldedReport(Report):
    """An article with the copies of it."""

    copies: list[Report]


class Group(Answer):
    """What clusters and stories share."""

    id: str
    title: str
    article_count: int
    copy_count: int
    source_count: int
    independent_source_count: int = Field(description="Distinct publishers after copies are folded.")
    sources: list[str] = Field(description="Outlets, the most articles first.")
    first_published_at: str
    last_published_at: str
    updated_at: str


class ClusterRow(Group):
    """Articles about one event."""

    story_id: str


class ClusterDetail(ClusterRow):
    """A cluster with its members, copies folded."""

    requested_id: str = Field(description="The ID asked for.")
    merged_into: str | None = Field(description="The ID it has now, when the one asked for was merged.")
    split_from: str | None = Field(description="The group it was split off, if it was.")
    representative_article_id: str | None
    representative_reason: str | None
    members: list[FoldedReport]
    members_complete: bool = Field(description="False: list the rest with `/v1/articles?cluster_id=`.")


class ClusterList(Answer):
    """A page of clusters, the latest report first."""

    items: list[ClusterRow]
    next_cursor: str | None


class StoryRow(Group):
    """Clusters that belong to one saga."""

    cluster_count: int


class StoryDetail(StoryRow):
    """A story with its clusters, in order of time."""

    requested_id: str = Field(description="The ID asked for.")
    merged_into: str | None = Field(description="The ID it has now, when the one asked for was merged.")
    split_from: str | None = Field(description="The group it was split off, if it was.")
    keywords: list[str] = Field(
        description="Names and words that set the story apart from other news, as written.",
        examples=[["Pelabuhan Rawi", "Nusa Jelita", "nakhoda"]],
    )
    clusters: list[ClusterRow]
    clusters_complete: bool = Field(description="False: list the rest with `/v1/clusters?story_id=`.")


class StoryList(Answer):
    """A page of stories, the latest report first."""

    items: list[StoryRow]
    next_cursor: str | None


class Event(Answer):
    """One cluster in a timeline."""

    cluster_id: str
    date: str = Field(description="Local day of the first report.", examples=["2024-03-27"])
    headline: str = Field(description="Title of the representative article, never generated.")
    representative: Report
    representative_reason: str
    reports: list[FoldedReport]
    reports_complete: bool
    article_count: int
    copy_count: int
    independent_source_count: int
    what_is_new: list[str] = Field(
        description="Names, figures and words of the representative article that no earlier event had, as written."
    )
    new_terms: list[str] = Field(description="Words of the titles that no earlier event had.")


class Timeline(Answer):
    """A story told in its events, in order of time."""

    story_id: str
    requested_id: str = Field(description="The ID asked for.")
    merged_into: str | None = Field(description="The ID it has now, when the one asked for was merged.")
    title: str
    events: list[Event]
    events_complete: bool


class SourceCount(Answer):
    """How much of one outlet is stored."""

    source: str
    article_count: int


class Stats(Answer):
    """What is stored."""

    article_count: int
    cluster_count: int
    story_count: int
    copy_count: int
    source_count: int
    relations: dict[str, int]
    sources: list[SourceCount] = Field(description="The 50 outlets with the most articles.")
    first_published_at: str | None
    last_published_at: str | None
    last_received_at: str | None


class Ready(Answer):
    """All conditions of readiness hold."""

    status: Literal["ready"]
    conditions: dict[str, bool]


class Live(Answer):
    """The process answers."""

    status: Literal["alive"]
