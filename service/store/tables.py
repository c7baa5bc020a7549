"""The tables.  Times are UTC microseconds; offsets, precision and text stand in columns of their own."""

from __future__ import annotations

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
)

metadata = MetaData()

# SQLite gives rowid behaviour to INTEGER only; PostgreSQL wants 64 bits.
Seq = BigInteger().with_variant(Integer, "sqlite")

meta = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", String, nullable=False),
)

stories = Table(
    "stories",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("cluster_count", Integer, nullable=False),
    Column("article_count", Integer, nullable=False),
    Column("copy_count", Integer, nullable=False),
    Column("independent_source_count", Integer, nullable=False),
    Column("first_published_us", BigInteger, nullable=False),
    Column("last_published_us", BigInteger, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
    Index("ix_stories_last_published", "last_published_us", "seq"),
    Index("ix_stories_updated", "updated_us"),
    sqlite_autoincrement=True,
)

clusters = Table(
    "clusters",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("story_id", ForeignKey("stories.id"), nullable=False, index=True),
    Column("title", Text, nullable=False),
    Column("article_count", Integer, nullable=False),
    Column("copy_count", Integer, nullable=False),
    Column("independent_source_count", Integer, nullable=False),
    Column("first_published_us", BigInteger, nullable=False),
    Column("last_published_us", BigInteger, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
    Column("story_reason", Text, nullable=False),  # JSON
    Index("ix_clusters_last_published", "last_published_us", "seq"),
    Index("ix_clusters_updated", "updated_us"),
    sqlite_autoincrement=True,
)

articles = Table(
    "articles",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("external_id", String, unique=True),
    Column("url", Text),
    Column("url_key", Text, unique=True),
    Column("source", String, nullable=False),
    Column("publisher", String, nullable=False),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("author", Text),
    Column("agency", String),
    Column("language", String),
    Column("labels", Text, nullable=False),  # JSON array
    Column("related", Text, nullable=False),  # JSON array
    Column("metadata", Text, nullable=False),  # JSON object
    Column("warnings", Text, nullable=False),  # JSON array
    Column("is_truncated", SmallInteger, nullable=False),
    Column("published_us", BigInteger, nullable=False),
    Column("offset_minutes", Integer, nullable=False),
    Column("precision", String, nullable=False),
    Column("published_at_source", String, nullable=False),
    Column("received_us", BigInteger, nullable=False),
    Column("event_us", BigInteger, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False, index=True),
    Column("revision", Integer, nullable=False),
    Column("relation", String, nullable=False),
    Column("copy_of", String),
    Column("similarity", Float),
    Column("cluster_id", ForeignKey("clusters.id"), nullable=False),
    Column("reason", Text, nullable=False),  # JSON
    Column("provisional", SmallInteger, nullable=False),
    Index("ix_articles_published", "published_us", "seq"),
    Index("ix_articles_cluster", "cluster_id", "published_us"),
    Index("ix_articles_source", "source", "published_us"),
    Index("ix_articles_copy_of", "copy_of"),
    sqlite_autoincrement=True,
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
    Column("article_id", String, primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("received_us", BigInteger, nullable=False),
)

tombstones = Table(
    "tombstones",
    metadata,
    Column("id", String, primary_key=True),
    Column("deleted_us", BigInteger, nullable=False),
)
