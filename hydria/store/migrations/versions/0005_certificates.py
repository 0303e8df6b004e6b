"""TLS versions and ALPN protocols of listeners and pools: null where there is no TLS. Inline certificates."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    for table in ("listener", "pool"):
        for name in ("tls_versions", "alpn_protocols"):
            # Anew instead of altered, for nobody could set them so far: SQLite alters one by making its table anew.
            op.drop_column(table, name)
            op.add_column(table, sa.Column(name, sa.Text(), nullable=True))
    op.create_table(
        "certificate",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=True),
        sa.Column("project_id", sa.String(36), nullable=False),
        sa.Column("description", sa.String(255), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("names", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=True),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_certificate"),
    )
    op.create_index("ix_certificate_project_id", "certificate", ["project_id", "created_at"])
