"""L7 policies and rules, TLS of listeners and pools."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # With a default instead of anew: SQLite would empty all tables that refer to one that is made anew.
    for column in (*_tls_of_both(), *_tls_of_listeners()):
        op.add_column("listener", column)
    pool_refs = ("tls_container_ref", "ca_tls_container_ref", "crl_container_ref")
    for column in (
        sa.Column("tls_enabled", sa.Boolean(), nullable=False, server_default=sa.false()),
        *(sa.Column(name, sa.String(255), nullable=True) for name in pool_refs),
        *_tls_of_both(),
    ):
        op.add_column("pool", column)
    _l7policy()
    _l7rule()


def _tls_of_both() -> list[sa.Column[Any]]:
    return [
        sa.Column("tls_ciphers", sa.Text(), nullable=True),
        # MariaDB takes a default of a TEXT only in parentheses.
        sa.Column("tls_versions", sa.Text(), nullable=False, server_default=sa.text("('[]')")),
        sa.Column("alpn_protocols", sa.Text(), nullable=False, server_default=sa.text("('[]')")),
    ]


def _tls_of_listeners() -> list[sa.Column[Any]]:
    refs = ("default_tls_container_ref", "client_ca_tls_container_ref", "client_crl_container_ref")
    return [
        *(sa.Column(name, sa.String(255), nullable=True) for name in refs),
        sa.Column("sni_container_refs", sa.Text(), nullable=False, server_default=sa.text("('[]')")),
        sa.Column("client_authentication", sa.String(64), nullable=False, server_default="NONE"),
        sa.Column("hsts_max_age", sa.BigInteger(), nullable=True),
        sa.Column("hsts_include_subdomains", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("hsts_preload", sa.Boolean(), nullable=False, server_default=sa.false()),
    ]


def _provisioned() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=True),
        sa.Column("project_id", sa.String(36), nullable=False),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("provisioning_status", sa.String(64), nullable=False),
        sa.Column("operating_status", sa.String(64), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
    ]


def _l7policy() -> None:
    op.create_table(
        "l7policy",
        *_provisioned(),
        sa.Column("description", sa.String(255), nullable=False),
        sa.Column("listener_id", sa.String(36), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("redirect_pool_id", sa.String(36), nullable=True),
        sa.Column("redirect_url", sa.String(255), nullable=True),
        sa.Column("redirect_prefix", sa.String(255), nullable=True),
        sa.Column("redirect_http_code", sa.BigInteger(), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_l7policy"),
        sa.ForeignKeyConstraint(["listener_id"], ["listener.id"], name="fk_l7policy_listener_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["redirect_pool_id"], ["pool.id"], name="fk_l7policy_redirect_pool_id", ondelete="SET NULL"
        ),
    )
    op.create_index("ix_l7policy_listener_id", "l7policy", ["listener_id"])
    op.create_index("ix_l7policy_redirect_pool_id", "l7policy", ["redirect_pool_id"])


def _l7rule() -> None:
    op.create_table(
        "l7rule",
        *_provisioned(),
        sa.Column("l7policy_id", sa.String(36), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("compare_type", sa.String(64), nullable=False),
        sa.Column("key", sa.String(255), nullable=True),
        sa.Column("value", sa.String(255), nullable=False),
        sa.Column("invert", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_l7rule"),
        sa.ForeignKeyConstraint(["l7policy_id"], ["l7policy.id"], name="fk_l7rule_l7policy_id", ondelete="CASCADE"),
    )
    op.create_index("ix_l7rule_l7policy_id", "l7rule", ["l7policy_id"])
