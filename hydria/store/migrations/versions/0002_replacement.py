"""Why an amphora is to be replaced."""

from typing import Literal

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # SQLite makes the table anew, so that its text is what the structs say, whatever way it came about.
    recreate: Literal["always", "never"] = "always" if op.get_context().dialect.name == "sqlite" else "never"
    with op.batch_alter_table("amphora", recreate=recreate) as amphora:
        amphora.add_column(sa.Column("replace_for", sa.String(64), nullable=True))
