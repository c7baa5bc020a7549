"""What is provisional stands in a table of its own, and members are counted from indexes alone."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_SEQ = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "unsettled",
        sa.Column("article_seq", _SEQ, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["article_seq"], ["articles.seq"]),
        sa.PrimaryKeyConstraint("article_seq"),
    )
    op.execute(
        "INSERT INTO unsettled (article_seq) SELECT seq FROM articles WHERE provisional = 1 ORDER BY seq"
    )
    op.drop_column("articles", "provisional")
    op.drop_index("ix_articles_cluster", "articles")
    op.create_index("ix_articles_members", "articles", ["cluster_id", "published_us", "copy_of", "publisher"])
    op.drop_index("ix_clusters_story_id", "clusters")
    op.create_index("ix_clusters_story", "clusters", ["story_id", "id"])
