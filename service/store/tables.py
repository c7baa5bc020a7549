"""The tables.  Times are UTC microseconds; offsets, precision and text stand in columns of their own.

Text compares byte by byte on both engines: order and search do not depend on the collation of a database.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData()

# SQLite gives rowid behaviour to INTEGER only; PostgreSQL wants 64 bits.
Seq = BigInteger().with_variant(Integer, "sqlite")
Word = String().with_variant(String(collation="C"), "postgresql")
Prose = Text().with_variant(Text(collation="C"), "postgresql")
_CAUSED: dict[str, Any] = {name: text("cause IS NOT NULL") for name in ("sqlite_where", "postgresql_where")}

meta = Table(
    "meta",
    metadata,
    Column("key", Word, primary_key=True),
    Column("value", Word, nullable=False),
)

stories = Table(
    "stories",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("id", Word, nullable=False, unique=True),
    Column("title", Prose, nullable=False),
    Column("cluster_count", Integer, nullable=False),
    Column("article_count", Integer, nullable=False),
    Column("copy_count", Integer, nullable=False),
    Column("independent_source_count", Integer, nullable=False),
    Column("first_published_us", BigInteger, nullable=False),
    Column("last_published_us", BigInteger, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
    Column("split_from", Word),
    Index("ix_stories_last_published", "last_published_us", "seq"),
    Index("ix_stories_updated", "updated_us"),
    sqlite_autoincrement=True,
)

clusters = Table(
    "clusters",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("id", Word, nullable=False, unique=True),
    Column("story_id", ForeignKey("stories.id"), nullable=False),
    Column("title", Prose, nullable=False),
    Column("article_count", Integer, nullable=False),
    Column("copy_count", Integer, nullable=False),
    Column("independent_source_count", Integer, nullable=False),
    Column("first_published_us", BigInteger, nullable=False),
    Column("last_published_us", BigInteger, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
    Column("story_reason", Prose, nullable=False),  # JSON
    Column("split_from", Word),
    Index("ix_clusters_story", "story_id", "id"),
    Index("ix_clusters_last_published", "last_published_us", "seq"),
    Index("ix_clusters_updated", "updated_us"),
    sqlite_autoincrement=True,
)

articles = Table(
    "articles",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("id", Word, nullable=False, unique=True),
    Column("external_id", Word, unique=True),
    Column("url", Prose),
    Column("url_key", Prose, unique=True),
    Column("source", Word, nullable=False),
    Column("publisher", Word, nullable=False),
    Column("title", Prose, nullable=False),
    Column("text", Prose, nullable=False),
    Column("author", Prose),
    Column("agency", Word),
    Column("language", Word),
    Column("labels", Prose, nullable=False),  # JSON array
    Column("related", Prose, nullable=False),  # JSON array
    Column("metadata", Prose, nullable=False),  # JSON object
    Column("warnings", Prose, nullable=False),  # JSON array
    Column("is_truncated", SmallInteger, nullable=False),
    Column("published_us", BigInteger, nullable=False),
    Column("offset_minutes", Integer, nullable=False),
    Column("precision", Word, nullable=False),
    Column("published_at_source", Word, nullable=False),
    Column("received_us", BigInteger, nullable=False),
    Column("event_us", BigInteger, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False, index=True),
    Column("revision", Integer, nullable=False),
    Column("relation", Word, nullable=False),
    Column("copy_of", Word),
    Column("similarity", Float),
    Column("cluster_id", ForeignKey("clusters.id"), nullable=False),
    Column("reason", Prose, nullable=False),  # JSON
    Index("ix_articles_published", "published_us", "seq"),
    Index("ix_articles_members", "cluster_id", "published_us", "copy_of", "publisher"),
    Index("ix_articles_source", "source", "published_us"),
    Index("ix_articles_copy_of", "copy_of"),
    Index("ix_articles_received", "received_us"),
    sqlite_autoincrement=True,
)

# Articles that no night has settled, or that were edited since.
unsettled = Table(
    "unsettled",
    metadata,
    Column("article_seq", Seq, ForeignKey("articles.seq"), primary_key=True, autoincrement=False),
)

# One row per article that is compared with others; exact copies inherit and need none.  `seq` is the order in which the
# rows stand in memory, so that a restart finds them in the order decisions saw them.
vectors = Table(
    "vectors",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("article_seq", ForeignKey("articles.seq"), nullable=False, unique=True),
    Column("opens_cluster", SmallInteger, nullable=False),
    Column("blob", LargeBinary, nullable=False),
    Column("crc", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

revisions = Table(
    "revisions",
    metadata,
    Column("article_id", Word, primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("title", Prose, nullable=False),
    Column("text", Prose, nullable=False),
    Column("received_us", BigInteger, nullable=False),
)

tombstones = Table(
    "tombstones",
    metadata,
    Column("id", Word, primary_key=True),
    Column("deleted_us", BigInteger, nullable=False),
)

# Where a cluster or story went that was merged into another; `target` is always one that exists or was deleted.
redirects = Table(
    "redirects",
    metadata,
    Column("id", Word, primary_key=True),
    Column("target", Word, nullable=False, index=True),
    Column("merged_us", BigInteger, nullable=False),
)

# Every change of a group, in the order it became true, written in the transaction that made it so.
changes = Table(
    "changes",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("at_us", BigInteger, nullable=False),
    Column("kind", Word, nullable=False),
    Column("article_id", Word),
    Column("cluster_id", Word),
    Column("story_id", Word),
    Column("other_id", Word),  # where it came from, or what it was merged into
    Column("cause", Word),  # the run or the edit that did it; none for what ingest does
    # For histories; what ingest does is told by the group itself and needs no place in an index.
    Index("ix_changes_cluster", "cluster_id", "seq", **_CAUSED),
    Index("ix_changes_story", "story_id", "seq", **_CAUSED),
    Index("ix_changes_other", "other_id", "seq", **_CAUSED),
    sqlite_autoincrement=True,
)

# An editor's word: the articles of `these` and `those` belong together (merge) or apart (split), on one level.
edits = Table(
    "edits",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("id", Word, nullable=False, unique=True),
    Column("level", Word, nullable=False),  # cluster or story
    Column("kind", Word, nullable=False),  # merge or split
    Column("these", Prose, nullable=False),  # JSON array of article IDs
    Column("those", Prose, nullable=False),  # JSON array of article IDs
    Column("group_id", Word, nullable=False),  # the group it was said of
    Column("other_id", Word, nullable=False),  # the group merged into it, or split from it
    Column("actor", Word, nullable=False),
    Column("note", Prose, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("undone_us", BigInteger),
    Column("undone_by", Word),
    sqlite_autoincrement=True,
)

reclusterings = Table(
    "reclusterings",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("id", Word, nullable=False, unique=True),
    Column("status", Word, nullable=False),  # queued, running, done or failed
    Column("dry_run", SmallInteger, nullable=False),
    Column("window_days", Float, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("finished_us", BigInteger),
    Column("diff", Prose),  # JSON object
    Column("error", Prose),
    sqlite_autoincrement=True,
)

# Who is told of changes: `after_seq` is the last change its receiver has confirmed, so `changes` is the outbox.
webhooks = Table(
    "webhooks",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("id", Word, nullable=False, unique=True),
    Column("url", Prose, nullable=False),
    Column("secret", Word, nullable=False),
    Column("kinds", Prose, nullable=False),  # JSON array, empty for all
    Column("after_seq", BigInteger, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("next_try_us", BigInteger, nullable=False),
    Column("last_error", Prose),
    sqlite_autoincrement=True,
)

# Who may call: of each key the digest of its secret.
keys = Table(
    "keys",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("id", Word, nullable=False, unique=True),
    Column("name", Word, nullable=False),
    Column("scope", Word, nullable=False),  # read, write or admin
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger),
    Column("revoked_us", BigInteger),
    sqlite_autoincrement=True,
)

# Who did what that others may ask about, written in the transaction that did it.
audit_trail = Table(
    "audit_trail",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("at_us", BigInteger, nullable=False),
    Column("caller", Word, nullable=False),  # a key's ID, or how someone without a key came in
    Column("action", Word, nullable=False),
    Column("target", Word, nullable=False),  # the ID it was done to; of an editor's word the edit
    Column("request_id", Word),  # none for what was done on the data folder itself
    sqlite_autoincrement=True,
)
