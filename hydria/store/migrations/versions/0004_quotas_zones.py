"""Quotas, availability zones and their profiles."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_LIMITS = ("loadbalancer", "listener", "pool", "member", "healthmonitor", "l7policy", "l7rule")
_OWNED = ("pool", "listener", "l7policy", "l7rule", "member", "health_monitor")


def upgrade() -> None:
    op.create_table(
        "quota",
        sa.Column("project_id", sa.String(36), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=True) for name in _LIMITS),
        sa.PrimaryKeyConstraint("project_id", name="pk_quota"),
    )
    op.create_table(
        "quota_lock",
        sa.Column("project_id", sa.String(36), nullable=False),
        sa.PrimaryKeyConstraint("project_id", name="pk_quota_lock"),
    )
    for name in _OWNED:
        op.create_index(f"ix_{name}_project_id", name, ["project_id", "created_at"])
    _zones()
    _zone_of_load_balancers()


def _zones() -> None:
    op.create_table(
        "availability_zone_profile",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=True),
        sa.Column("provider_name", sa.String(255), nullable=False),
        sa.Column("availability_zone_data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_availability_zone_profile"),
    )
    op.create_table(
        "availability_zone",
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.String(255), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("availability_zone_profile_id", sa.String(36), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_availability_zone"),
        sa.ForeignKeyConstraint(
            ["availability_zone_profile_id"],
            ["availability_zone_profile.id"],
            name="fk_availability_zone_availability_zone_profile_id",
            ondelete="RESTRICT",
        ),
    )
    op.create_index(
        "ix_availability_zone_availability_zone_profile_id", "availability_zone", ["availability_zone_profile_id"]
    )


def _zone_of_load_balancers() -> None:
    """Until now there was no zone that one could be in. A new column: SQLite cannot add a reference to one it has."""
    op.drop_column("load_balancer", "availability_zone")
    if op.get_bind().dialect.name == "sqlite":
        reference = "REFERENCES availability_zone (name) ON DELETE RESTRICT"
        op.execute(f"ALTER TABLE load_balancer ADD COLUMN availability_zone VARCHAR(255) {reference}")
    else:
        name = "fk_load_balancer_availability_zone"
        zone = sa.ForeignKey("availability_zone.name", name=name, ondelete="RESTRICT")
        op.add_column("load_balancer", sa.Column("availability_zone", sa.String(255), zone, nullable=True))
    op.create_index("ix_load_balancer_availability_zone", "load_balancer", ["availability_zone"])
