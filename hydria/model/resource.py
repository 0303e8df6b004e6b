"""What every resource of the Load Balancer API has."""

import datetime as dt
from typing import Annotated

from msgspec import Meta, Struct

from hydria.model.field import CREATE, INTERNAL, READ, Tags, Text
from hydria.model.status import OperatingStatus, ProvisioningStatus

ProjectId = Annotated[str, Meta(max_length=36)]


class Resource(Struct, kw_only=True, frozen=True):
    """One row. Instances are snapshots: changing one means writing a new one through the store."""

    id: Annotated[str, READ]
    name: Text = ""
    created_at: Annotated[dt.datetime | None, READ] = None
    updated_at: Annotated[dt.datetime | None, READ] = None


class Owned(Resource, kw_only=True, frozen=True):
    """Belongs to a project."""

    project_id: Annotated[ProjectId, CREATE] = ""


class Provisioned(Owned, kw_only=True, frozen=True):
    """A resource of a load balancer: it has statuses."""

    admin_state_up: bool = True
    tags: Tags = []
    provisioning_status: Annotated[ProvisioningStatus, READ] = ProvisioningStatus.PENDING_CREATE
    operating_status: Annotated[OperatingStatus, READ] = OperatingStatus.OFFLINE
    generation: Annotated[int, INTERNAL] = 0
    """Of the load balancer's generations, the one in which this row was last written by a request."""
