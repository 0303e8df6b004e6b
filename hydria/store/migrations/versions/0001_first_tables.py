"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_STAYS = sa.text("provisioning_status != 'PENDING_DELETE'")


def upgrade() -> None:
    _flavor_profile()
    _flavor()
    _load_balancer()
    _amphora()
    _dirty()
    _event()
    _pool()
    _health_monitor()
    _listener()
    _member()
    _listener_statistics()


def _flavor_profile() -> None:
    op.create_table(
        "flavor_profile",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=True),
        sa.Column("provider_name", sa.String(255), nullable=False),
        sa.Column("flavor_data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_flavor_profile"),
    )


def _flavor() -> None:
    op.create_table(
        "flavor",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=True),
        sa.Column("description", sa.String(255), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("flavor_profile_id", sa.String(36), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_flavor"),
        sa.ForeignKeyConstraint(
            ["flavor_profile_id"], ["flavor_profile.id"], name="fk_flavor_flavor_profile_id", ondelete="RESTRICT"
        ),
    )
    op.create_index("ix_flavor_flavor_profile_id", "flavor", ["flavor_profile_id"])
    op.create_index("uq_flavor_name", "flavor", ["name"], unique=True)


def _load_balancer() -> None:
    op.create_table(
        "load_balancer",
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
        sa.Column("description", sa.String(255), nullable=False),
        sa.Column("vip_address", sa.String(64), nullable=True),
        sa.Column("vip_subnet_id", sa.String(36), nullable=True),
        sa.Column("vip_network_id", sa.String(36), nullable=True),
        sa.Column("vip_port_id", sa.String(36), nullable=True),
        sa.Column("additional_vips", sa.Text(), nullable=False),
        sa.Column("vip_qos_policy_id", sa.String(36), nullable=True),
        sa.Column("vip_sg_ids", sa.Text(), nullable=False),
        sa.Column("vip_vnic_type", sa.String(64), nullable=False),
        sa.Column("provider", sa.String(64), nullable=True),
        sa.Column("flavor_id", sa.String(36), nullable=True),
        sa.Column("availability_zone", sa.String(255), nullable=True),
        sa.Column("topology", sa.String(64), nullable=False),
        sa.Column("vip_port_owned", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_load_balancer"),
        sa.ForeignKeyConstraint(["flavor_id"], ["flavor.id"], name="fk_load_balancer_flavor_id", ondelete="RESTRICT"),
    )
    op.create_index("ix_load_balancer_flavor_id", "load_balancer", ["flavor_id"])
    op.create_index("ix_load_balancer_project_id", "load_balancer", ["project_id", "created_at"])


def _amphora() -> None:
    op.create_table(
        "amphora",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("loadbalancer_id", sa.String(36), nullable=True),
        sa.Column("status", sa.String(64), nullable=False),
        sa.Column("role", sa.String(64), nullable=True),
        sa.Column("compute_id", sa.String(36), nullable=True),
        sa.Column("lb_network_ip", sa.Text(), nullable=True),
        sa.Column("vrrp_ip", sa.Text(), nullable=True),
        sa.Column("ha_ip", sa.Text(), nullable=True),
        sa.Column("vrrp_port_id", sa.String(36), nullable=True),
        sa.Column("ha_port_id", sa.String(36), nullable=True),
        sa.Column("vrrp_interface", sa.Text(), nullable=True),
        sa.Column("vrrp_id", sa.BigInteger(), nullable=True),
        sa.Column("vrrp_priority", sa.BigInteger(), nullable=True),
        sa.Column("cert_expiration", sa.DateTime(), nullable=True),
        sa.Column("cert_busy", sa.Boolean(), nullable=False),
        sa.Column("cached_zone", sa.Text(), nullable=True),
        sa.Column("image_id", sa.String(36), nullable=True),
        sa.Column("compute_flavor", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=True),
        sa.Column("last_heartbeat", sa.DateTime(), nullable=True),
        sa.Column("heartbeat_sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_amphora"),
        sa.ForeignKeyConstraint(
            ["loadbalancer_id"], ["load_balancer.id"], name="fk_amphora_loadbalancer_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_amphora_loadbalancer_id", "amphora", ["loadbalancer_id"])


def _dirty() -> None:
    op.create_table(
        "dirty",
        sa.Column("load_balancer_id", sa.String(36), nullable=False),
        sa.Column("due_at", sa.Float(53), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(255), nullable=True),
        sa.Column("lease_until", sa.Float(53), nullable=True),
        sa.PrimaryKeyConstraint("load_balancer_id", name="pk_dirty"),
        sa.ForeignKeyConstraint(
            ["load_balancer_id"], ["load_balancer.id"], name="fk_dirty_load_balancer_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_dirty_due_at", "dirty", ["due_at"])
    op.create_index("ix_dirty_lease_until", "dirty", ["lease_until"])


def _event() -> None:
    op.create_table(
        "event",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("loadbalancer_id", sa.String(36), nullable=False),
        sa.Column("resource_type", sa.String(64), nullable=False),
        sa.Column("resource_id", sa.String(36), nullable=False),
        sa.Column("level", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_event"),
        sa.ForeignKeyConstraint(
            ["loadbalancer_id"], ["load_balancer.id"], name="fk_event_loadbalancer_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_event_created_at", "event", ["loadbalancer_id", "created_at"])
    op.create_index("ix_event_loadbalancer_id", "event", ["loadbalancer_id"])


def _pool() -> None:
    op.create_table(
        "pool",
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
        sa.Column("description", sa.String(255), nullable=False),
        sa.Column("loadbalancer_id", sa.String(36), nullable=False),
        sa.Column("protocol", sa.String(64), nullable=False),
        sa.Column("lb_algorithm", sa.String(64), nullable=False),
        sa.Column("session_persistence", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_pool"),
        sa.ForeignKeyConstraint(
            ["loadbalancer_id"], ["load_balancer.id"], name="fk_pool_loadbalancer_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_pool_loadbalancer_id", "pool", ["loadbalancer_id"])


def _health_monitor() -> None:
    op.create_table(
        "health_monitor",
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
        sa.Column("pool_id", sa.String(36), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("delay", sa.BigInteger(), nullable=False),
        sa.Column("timeout", sa.BigInteger(), nullable=False),
        sa.Column("max_retries", sa.BigInteger(), nullable=False),
        sa.Column("max_retries_down", sa.BigInteger(), nullable=False),
        sa.Column("http_method", sa.String(64), nullable=True),
        sa.Column("url_path", sa.String(255), nullable=True),
        sa.Column("expected_codes", sa.String(64), nullable=True),
        sa.Column("http_version", sa.Float(), nullable=True),
        sa.Column("domain_name", sa.String(255), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_health_monitor"),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name="fk_health_monitor_pool_id", ondelete="CASCADE"),
    )
    op.create_index("ix_health_monitor_pool_id", "health_monitor", ["pool_id"])
    op.create_index(
        "uq_health_monitor_pool_id",
        "health_monitor",
        ["pool_id"],
        unique=True,
        sqlite_where=_STAYS,
        postgresql_where=_STAYS,
    )


def _listener() -> None:
    op.create_table(
        "listener",
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
        sa.Column("description", sa.String(255), nullable=False),
        sa.Column("loadbalancer_id", sa.String(36), nullable=False),
        sa.Column("protocol", sa.String(64), nullable=False),
        sa.Column("protocol_port", sa.BigInteger(), nullable=False),
        sa.Column("default_pool_id", sa.String(36), nullable=True),
        sa.Column("connection_limit", sa.BigInteger(), nullable=False),
        sa.Column("insert_headers", sa.Text(), nullable=False),
        sa.Column("timeout_client_data", sa.BigInteger(), nullable=False),
        sa.Column("timeout_member_connect", sa.BigInteger(), nullable=False),
        sa.Column("timeout_member_data", sa.BigInteger(), nullable=False),
        sa.Column("timeout_tcp_inspect", sa.BigInteger(), nullable=False),
        sa.Column("allowed_cidrs", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_listener"),
        sa.ForeignKeyConstraint(
            ["loadbalancer_id"], ["load_balancer.id"], name="fk_listener_loadbalancer_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["default_pool_id"], ["pool.id"], name="fk_listener_default_pool_id", ondelete="SET NULL"
        ),
    )
    op.create_index("ix_listener_default_pool_id", "listener", ["default_pool_id"])
    op.create_index("ix_listener_loadbalancer_id", "listener", ["loadbalancer_id"])
    op.create_index(
        "uq_listener_protocol_port",
        "listener",
        [
            "loadbalancer_id",
            "protocol_port",
            sa.text("(CASE WHEN protocol IN ('UDP', 'SCTP') THEN protocol ELSE 'TCP' END)"),
        ],
        unique=True,
        sqlite_where=_STAYS,
        postgresql_where=_STAYS,
    )


def _member() -> None:
    op.create_table(
        "member",
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
        sa.Column("pool_id", sa.String(36), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("protocol_port", sa.BigInteger(), nullable=False),
        sa.Column("subnet_id", sa.String(36), nullable=True),
        sa.Column("weight", sa.BigInteger(), nullable=False),
        sa.Column("backup", sa.Boolean(), nullable=False),
        sa.Column("monitor_address", sa.String(64), nullable=True),
        sa.Column("monitor_port", sa.BigInteger(), nullable=True),
        sa.Column("vnic_type", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_member"),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name="fk_member_pool_id", ondelete="CASCADE"),
    )
    op.create_index("ix_member_pool_id", "member", ["pool_id"])
    op.create_index(
        "uq_member_address",
        "member",
        ["pool_id", "address", "protocol_port"],
        unique=True,
        sqlite_where=_STAYS,
        postgresql_where=_STAYS,
    )


def _listener_statistics() -> None:
    op.create_table(
        "listener_statistics",
        sa.Column("listener_id", sa.String(36), nullable=False),
        sa.Column("amphora_id", sa.String(36), nullable=False),
        sa.Column("bytes_in", sa.BigInteger(), nullable=False),
        sa.Column("bytes_out", sa.BigInteger(), nullable=False),
        sa.Column("active_connections", sa.BigInteger(), nullable=False),
        sa.Column("total_connections", sa.BigInteger(), nullable=False),
        sa.Column("request_errors", sa.BigInteger(), nullable=False),
        sa.Column("last_bytes_in", sa.BigInteger(), nullable=False),
        sa.Column("last_bytes_out", sa.BigInteger(), nullable=False),
        sa.Column("last_total_connections", sa.BigInteger(), nullable=False),
        sa.Column("last_request_errors", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("listener_id", "amphora_id", name="pk_listener_statistics"),
        sa.ForeignKeyConstraint(
            ["listener_id"], ["listener.id"], name="fk_listener_statistics_listener_id", ondelete="CASCADE"
        ),
    )
