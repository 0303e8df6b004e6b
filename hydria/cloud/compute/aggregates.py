"""Host aggregates: named sets of hosts with properties that flavors can ask for."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import Connection

from hydria.base.errors import Conflict, Invalid, NotFound
from hydria.cloud.compute.form import Form, Name
from hydria.cloud.compute.resources import Aggregate, aggregates
from hydria.cloud.context import Context
from hydria.cloud.database import Database
from hydria.cloud.resource import new_id, now

ZONE = "availability_zone"
"""An aggregate's zone is a property of it."""


class CreateAggregate(Form):
    name: Name
    availability_zone: Name | None = None


class UpdateAggregate(Form):
    name: Name | UnsetType = UNSET
    availability_zone: Name | UnsetType | None = UNSET


class HostAction(Form):
    host: Name


class SetMetadata(Form):
    metadata: dict[Annotated[str, Meta(min_length=1, max_length=255)], Annotated[str, Meta(max_length=255)] | None]
    """A null value removes the property."""


class Aggregates:
    def __init__(self, database: Database, hosts: frozenset[str]) -> None:
        self._database = database
        self._hosts = hosts

    def all(self, context: Context) -> list[Aggregate]:
        context.require_admin("os_compute_api:os-aggregates:index")
        with self._database.read() as connection:
            return aggregates.select(connection)

    def get(self, context: Context, aggregate_id: str) -> Aggregate:
        context.require_admin("os_compute_api:os-aggregates:show")
        with self._database.read() as connection:
            return _get(connection, aggregate_id)

    def create(self, context: Context, form: CreateAggregate) -> Aggregate:
        context.require_admin("os_compute_api:os-aggregates:create")
        with self._database.begin() as connection:
            _require_free(connection, form.name)
            ids = [int(aggregate.id) for aggregate in aggregates.select(connection)]
            aggregate = Aggregate(
                id=str(max(ids, default=0) + 1),
                uuid=new_id(),
                name=form.name,
                metadata={ZONE: form.availability_zone} if form.availability_zone else {},
                created_at=now(),
            )
            aggregates.insert(connection, aggregate)
        return aggregate

    def update(self, context: Context, aggregate_id: str, form: UpdateAggregate) -> Aggregate:
        context.require_admin("os_compute_api:os-aggregates:update")
        with self._database.begin() as connection:
            aggregate = _get(connection, aggregate_id)
            if form.name is not UNSET and form.name != aggregate.name:
                _require_free(connection, form.name)
                aggregate.name = form.name
            if form.availability_zone is not UNSET:
                aggregate.metadata = _merged(aggregate.metadata, {ZONE: form.availability_zone})
            return _store(connection, aggregate)

    def delete(self, context: Context, aggregate_id: str) -> None:
        context.require_admin("os_compute_api:os-aggregates:delete")
        with self._database.begin() as connection:
            if _get(connection, aggregate_id).hosts:
                raise Invalid(f"Cannot delete aggregate {aggregate_id}. Reason: Host aggregate is not empty.")
            aggregates.delete(connection, aggregate_id)

    def add_host(self, context: Context, aggregate_id: str, host: str) -> Aggregate:
        context.require_admin("os_compute_api:os-aggregates:add_host")
        with self._database.begin() as connection:
            aggregate = _get(connection, aggregate_id)
            if host not in self._hosts:
                raise NotFound(f"Compute host {host} could not be found.")
            if host in aggregate.hosts:
                raise Conflict(f"Aggregate {aggregate_id} already has host {host}.")
            _require_one_zone(connection, aggregate, host)
            aggregate.hosts = [*aggregate.hosts, host]
            return _store(connection, aggregate)

    def remove_host(self, context: Context, aggregate_id: str, host: str) -> Aggregate:
        context.require_admin("os_compute_api:os-aggregates:remove_host")
        with self._database.begin() as connection:
            aggregate = _get(connection, aggregate_id)
            if host not in aggregate.hosts:
                raise NotFound(f"Aggregate {aggregate_id} has no host {host}.")
            aggregate.hosts = [name for name in aggregate.hosts if name != host]
            return _store(connection, aggregate)

    def set_metadata(self, context: Context, aggregate_id: str, form: SetMetadata) -> Aggregate:
        context.require_admin("os_compute_api:os-aggregates:set_metadata")
        with self._database.begin() as connection:
            aggregate = _get(connection, aggregate_id)
            aggregate.metadata = _merged(aggregate.metadata, form.metadata)
            return _store(connection, aggregate)


def _get(connection: Connection, aggregate_id: str) -> Aggregate:
    aggregate = aggregates.get(connection, aggregate_id)
    if aggregate is None:
        raise NotFound(f"Aggregate {aggregate_id} could not be found.")
    return aggregate


def _store(connection: Connection, aggregate: Aggregate) -> Aggregate:
    aggregate.updated_at = now()
    aggregates.replace(connection, aggregate)
    return aggregate


def _require_free(connection: Connection, name: str) -> None:
    if aggregates.select(connection, {"name": [name]}):
        raise Conflict(f"Aggregate {name} already exists.")


def _require_one_zone(connection: Connection, aggregate: Aggregate, host: str) -> None:
    """A host is in one availability zone at most."""
    zone = aggregate.metadata.get(ZONE)
    for other in aggregates.select(connection):
        if zone and host in other.hosts and other.metadata.get(ZONE, zone) != zone:
            raise Conflict(
                f"Cannot add host to aggregate {aggregate.id}. Reason: Host {host} already in availability zone "
                f"{other.metadata[ZONE]}."
            )


def _merged(metadata: dict[str, str], changes: dict[str, str | None]) -> dict[str, str]:
    merged = {**metadata, **changes}
    return {key: value for key, value in merged.items() if value is not None}
