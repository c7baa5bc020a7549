"""Nights, redirects, the change feed, editors and webhooks; what is stored already becomes the feed's beginning."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_SEQ = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    for table in ("stories", "clusters"):
        op.add_column(table, sa.Column("split_from", sa.String()))
    op.create_index("ix_articles_received", "articles", ["received_us"])
    op.create_table(
        "redirects",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("merged_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_redirects_target", "redirects", ["target"])
    op.create_table(
        "changes",
        sa.Column("seq", _SEQ, autoincrement=True, nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("article_id", sa.String()),
        sa.Column("cluster_id", sa.String()),
        sa.Column("story_id", sa.String()),
        sa.Column("other_id", sa.String()),
        sa.Column("cause", sa.String()),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True,
    )
    for name in ("cluster", "story", "other"):
        op.create_index(
            f"ix_changes_{name}",
            "changes",
            [f"{name}_id", "seq"],
            sqlite_where=sa.text("cause IS NOT NULL"),
            postgresql_where=sa.text("cause IS NOT NULL"),
        )
    op.create_table(
        "edits",
        sa.Column("seq", _SEQ, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("these", sa.Text(), nullable=False),
        sa.Column("those", sa.Text(), nullable=False),
        sa.Column("group_id", sa.String(), nullable=False),
        sa.Column("other_id", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("undone_us", sa.BigInteger()),
        sa.Column("undone_by", sa.String()),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "reclusterings",
        sa.Column("seq", _SEQ, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("dry_run", sa.SmallInteger(), nullable=False),
        sa.Column("window_days", sa.Float(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("finished_us", sa.BigInteger()),
        sa.Column("diff", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "webhooks",
        sa.Column("seq", _SEQ, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.String(), nullable=False),
        sa.Column("kinds", sa.Text(), nullable=False),
        sa.Column("after_seq", sa.BigInteger(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("next_try_us", sa.BigInteger(), nullable=False),
        sa.Column("last_error", sa.Text()),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    _tell_what_is_stored()


def _tell_what_is_stored() -> None:
    op.execute(
        "INSERT INTO changes (at_us, kind, story_id) SELECT updated_us, 'story.created', id FROM stories ORDER BY seq"
    )
    op.execute(
        "INSERT INTO changes (at_us, kind, cluster_id, story_id) "
        "SELECT updated_us, 'cluster.created', id, story_id FROM clusters ORDER BY seq"
    )
    op.execute(
        "INSERT INTO changes (at_us, kind, article_id, cluster_id, story_id) "
        "SELECT a.received_us, 'article.assigned', a.id, a.cluster_id, c.story_id "
        "FROM articles a JOIN clusters c ON c.id = a.cluster_id ORDER BY a.seq"
    )
