"""The tables, derived from the resources' structs: a field is a column without being written a second time."""

import datetime as dt
import enum
import functools
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, Literal, Union

import msgspec
import sqlalchemy as sa
from msgspec import Meta, Struct
from sqlalchemy.types import TypeEngine, UserDefinedType

from hydria.model.amphora import Amphora
from hydria.model.availability_zone import AvailabilityZone, AvailabilityZoneProfile
from hydria.model.certificate import InlineCertificate
from hydria.model.event import Event
from hydria.model.field import Field, fields, key
from hydria.model.flavor import Flavor, FlavorProfile
from hydria.model.heartbeat import ListenerStats
from hydria.model.l7 import L7Policy, L7Rule
from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import HealthMonitor, Member, Pool
from hydria.model.quota import Quota
from hydria.model.status import ProvisioningStatus


class Json(UserDefinedType[Any]):
    """Lists, dicts and structs as JSON text, decoded straight into their declared type."""

    cache_ok = True

    def __init__(self, hint: Any = Any) -> None:
        self.hint = hint

    def get_col_spec(self, **_: Any) -> str:
        return "TEXT"

    def bind_processor(self, dialect: sa.Dialect) -> Callable[[Any], Any]:  # noqa: ARG002 - SQLAlchemy's signature
        return lambda value: None if value is None else msgspec.json.encode(value).decode()

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], Any]:  # noqa: ARG002 - likewise
        decode = msgspec.json.Decoder(self.hint).decode
        return lambda text: None if text is None else decode(text)


class Choice(UserDefinedType[Any]):
    """An enumeration by its value: a new member of it needs no migration."""

    cache_ok = True

    def __init__(self, members: type[enum.StrEnum]) -> None:
        self.members = members

    def get_col_spec(self, **_: Any) -> str:
        return "VARCHAR(64)"

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], Any]:  # noqa: ARG002 - likewise
        known: dict[str | None, enum.StrEnum | None] = {member.value: member for member in self.members}
        known[None] = None
        return known.__getitem__


METADATA = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_NAMES: dict[type[Struct], str] = {
    FlavorProfile: "flavor_profile",
    Flavor: "flavor",
    AvailabilityZoneProfile: "availability_zone_profile",
    AvailabilityZone: "availability_zone",
    Quota: "quota",
    LoadBalancer: "load_balancer",
    Pool: "pool",
    Listener: "listener",
    L7Policy: "l7policy",
    L7Rule: "l7rule",
    Member: "member",
    HealthMonitor: "health_monitor",
    Amphora: "amphora",
    Event: "event",
    InlineCertificate: "certificate",
}

_REFERENCES: dict[tuple[type[Struct], str], tuple[str, Literal["CASCADE", "SET NULL", "RESTRICT"]]] = {
    (Flavor, "flavor_profile_id"): ("flavor_profile.id", "RESTRICT"),
    (AvailabilityZone, "availability_zone_profile_id"): ("availability_zone_profile.id", "RESTRICT"),
    (LoadBalancer, "flavor_id"): ("flavor.id", "RESTRICT"),
    (LoadBalancer, "availability_zone"): ("availability_zone.name", "RESTRICT"),
    (Pool, "loadbalancer_id"): ("load_balancer.id", "CASCADE"),
    (Listener, "loadbalancer_id"): ("load_balancer.id", "CASCADE"),
    (Listener, "default_pool_id"): ("pool.id", "SET NULL"),
    (L7Policy, "listener_id"): ("listener.id", "CASCADE"),
    (L7Policy, "redirect_pool_id"): ("pool.id", "SET NULL"),
    (L7Rule, "l7policy_id"): ("l7policy.id", "CASCADE"),
    (Member, "pool_id"): ("pool.id", "CASCADE"),
    (HealthMonitor, "pool_id"): ("pool.id", "CASCADE"),
    (Amphora, "loadbalancer_id"): ("load_balancer.id", "CASCADE"),
    (Event, "loadbalancer_id"): ("load_balancer.id", "CASCADE"),
}


def _column(resource: type[Struct], field: Field) -> sa.Column[Any]:
    reference = _REFERENCES.get((resource, field.name))
    constraints = [sa.ForeignKey(reference[0], ondelete=reference[1])] if reference else []
    # The store dates every row, so that a list has an order.
    nullable = field.nullable and field.name != "created_at"
    return sa.Column(
        field.name,
        _column_type(field.name, field.type),
        *constraints,
        primary_key=field.name == key(resource),
        nullable=nullable,
        index=reference is not None,
    )


def _column_type(name: str, hint: Any, max_length: int | None = None) -> TypeEngine[Any]:
    if typing.get_origin(hint) is Annotated:
        lengths = [mark.max_length for mark in hint.__metadata__ if isinstance(mark, Meta) and mark.max_length]
        return _column_type(name, hint.__origin__, lengths[0] if lengths else max_length)
    if typing.get_origin(hint) in (Union, types.UnionType):
        (inner,) = (part for part in typing.get_args(hint) if part is not type(None))
        return _column_type(name, inner, max_length)
    if typing.get_origin(hint) is Literal:
        numbers = all(isinstance(value, int) for value in typing.get_args(hint))
        return sa.BigInteger() if numbers else sa.String(64)
    if isinstance(hint, type) and issubclass(hint, enum.StrEnum):
        return Choice(hint)
    if hint is str:
        return _text_type(name, max_length)
    # BIGINT: byte counters and heartbeat sequences do not fit into 32 bits.
    plain: dict[Any, TypeEngine[Any]] = {
        bool: sa.Boolean(),
        int: sa.BigInteger(),
        float: sa.Float(),
        dt.datetime: sa.DateTime(),
    }
    return plain.get(hint) or Json(hint)


def _text_type(name: str, max_length: int | None) -> TypeEngine[Any]:
    if name == "id" or name.endswith("_id"):
        return sa.String(max_length or 36)
    return sa.String(max_length) if max_length and max_length <= 255 else sa.Text()


@functools.cache
def table(resource: type[Struct]) -> sa.Table:
    return METADATA.tables[_NAMES[resource]]


for _resource, _name in _NAMES.items():
    sa.Table(_name, METADATA, *(_column(_resource, field) for field in fields(_resource) if field.stored))

COUNTERS = tuple(name for name in ListenerStats.__struct_fields__ if name != "active_connections")
"""Totals that only grow; active_connections is what is open now."""

listener_statistics = sa.Table(
    "listener_statistics",
    METADATA,
    sa.Column("listener_id", sa.String(36), sa.ForeignKey("listener.id", ondelete="CASCADE"), primary_key=True),
    # No reference: what an amphora served still counts when it has been replaced.
    sa.Column("amphora_id", sa.String(36), primary_key=True),
    *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ListenerStats.__struct_fields__),
    *(sa.Column(f"last_{name}", sa.BigInteger(), nullable=False) for name in COUNTERS),
)

dirty = sa.Table(
    "dirty",
    METADATA,
    sa.Column(
        "load_balancer_id", sa.String(36), sa.ForeignKey("load_balancer.id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("due_at", sa.Float(53), index=True),
    sa.Column("attempts", sa.Integer(), nullable=False),
    sa.Column("lease_owner", sa.String(255)),
    sa.Column("lease_until", sa.Float(53), index=True),
)


quota_lock = sa.Table("quota_lock", METADATA, sa.Column("project_id", sa.String(36), primary_key=True))
"""A row of each project that was ever limited: who adds to what is limited locks it. The limits are in `quota`."""


def _unique(name: str, *keys: Any) -> None:
    """What is being deleted no longer counts, so that it can be made anew in the same round.

    MariaDB has neither partial nor functional indexes; there the load balancer's row, locked by every write
    (`load_balancers.touch`) before the API looks for duplicates, keeps them out.
    """
    stays = sa.text(f"provisioning_status != '{ProvisioningStatus.PENDING_DELETE}'")
    index = sa.Index(name, *keys, unique=True, sqlite_where=stays, postgresql_where=stays)
    index.ddl_if(callable_=lambda *_, dialect, **__: dialect.name in ("sqlite", "postgresql"))


_listener, _member, _monitor = table(Listener).c, table(Member).c, table(HealthMonitor).c
# Listeners of one L4 protocol cannot share a port: all but UDP and SCTP are TCP.
_l4_protocol = sa.text("(CASE WHEN protocol IN ('UDP', 'SCTP') THEN protocol ELSE 'TCP' END)")
_unique("uq_listener_protocol_port", _listener.loadbalancer_id, _listener.protocol_port, _l4_protocol)
_unique("uq_member_address", _member.pool_id, _member.address, _member.protocol_port)
_unique("uq_health_monitor_pool_id", _monitor.pool_id)
sa.Index("uq_flavor_name", table(Flavor).c.name, unique=True)
for _owned in (LoadBalancer, Pool, Listener, L7Policy, L7Rule, Member, HealthMonitor):  # listed and counted so
    _columns = table(_owned).c
    sa.Index(f"ix_{_NAMES[_owned]}_project_id", _columns.project_id, _columns.created_at)
sa.Index("ix_certificate_project_id", table(InlineCertificate).c.project_id, table(InlineCertificate).c.created_at)
sa.Index("ix_event_created_at", table(Event).c.loadbalancer_id, table(Event).c.created_at)


LB_ID = sa.bindparam("lb_id", type_=sa.String)
"""Of statements that are built once: building one costs more than SQLite takes to run it."""


@functools.cache
def below(resource: type[Struct]) -> sa.ColumnElement[bool]:
    """The rows of `resource` that belong to the load balancer LB_ID."""
    columns = table(resource).c
    if resource is LoadBalancer:
        return columns.id == LB_ID
    if "loadbalancer_id" in columns:
        return columns.loadbalancer_id == LB_ID
    if resource is L7Rule:
        policy = table(L7Policy).c
        return columns.l7policy_id.in_(sa.select(policy.id).where(below(L7Policy)))
    if resource is L7Policy:
        listener = table(Listener).c
        return columns.listener_id.in_(sa.select(listener.id).where(listener.loadbalancer_id == LB_ID))
    pool = table(Pool).c
    return columns.pool_id.in_(sa.select(pool.id).where(pool.loadbalancer_id == LB_ID))


def title(resource: type[Struct]) -> str:
    """As messages name it: "Load Balancer"."""
    return "".join(f" {letter}" if letter.isupper() else letter for letter in resource.__name__).strip()
