"""TLS versions and ALPN protocols of listeners and pools: null where there is no TLS. Nobody could set them so far."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"


def upgrade() -> None:
    for table in ("listener", "pool"):
        for name in ("tls_versions", "alpn_protocols"):
            # Anew instead of altered: SQLite could only alter it by making the whole table anew.
            op.drop_column(table, name)
            op.add_column(table, sa.Column(name, sa.Text(), nullable=True))
