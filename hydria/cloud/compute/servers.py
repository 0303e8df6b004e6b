"""Servers as the API sees them: create, find, ask for a step of their life. The steps themselves are `lifecycle`'s."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from hydria.base.cloud_config import BadUserData
from hydria.base.errors import Conflict, Invalid, NotFound, invalid_field
from hydria.cloud.compute import boot_images
from hydria.cloud.compute.boot_images import BootImages
from hydria.cloud.compute.flavors import Flavors
from hydria.cloud.compute.form import Form, Metadata, Name
from hydria.cloud.compute.hosts import Hosts
from hydria.cloud.compute.lifecycle import Lifecycle
from hydria.cloud.compute.placement import PortInUse
from hydria.cloud.compute.resources import Interface, Request, Server, TaskState, VmState, servers
from hydria.cloud.compute.server_groups import ServerGroups
from hydria.cloud.context import Context
from hydria.cloud.database import Database
from hydria.cloud.network.errors import NetworkNotFound, PortNotFound
from hydria.cloud.network.service import Network
from hydria.cloud.resource import new_id, now
from hydria.sriov.claims import NoFreeVf

USER_DATA_MAX = 65535
"""Nova's limit, of the encoded text."""

Tag = Annotated[str, Meta(min_length=1, max_length=60, pattern=r"^[^,/]*$")]


class ServerNetwork(Form):
    uuid: str | None = None
    port: str | None = None
    fixed_ip: str | None = None
    tag: str | None = None


class CreateServer(Form):
    name: Name
    flavorRef: str | int  # noqa: N815 - the API's own name
    imageRef: str | None = None  # noqa: N815
    networks: list[ServerNetwork] | str = field(default_factory=list)
    user_data: str | None = None
    config_drive: bool | str | None = None
    metadata: Metadata = field(default_factory=dict)
    tags: Annotated[list[Tag], Meta(max_length=50)] = field(default_factory=list)
    availability_zone: str | None = None
    description: Annotated[str, Meta(max_length=255)] | None = None
    key_name: str | None = None
    host: str | None = None
    hostname: str | None = None
    min_count: int = 1
    max_count: int = 1
    # Taken for the sake of clients that send them; a server has no volumes, password or security groups here.
    adminPass: str | None = None  # noqa: N815
    security_groups: list[dict[str, Any]] = field(default_factory=list)
    block_device_mapping_v2: list[dict[str, Any]] = field(default_factory=list)
    disk_config: str | None = field(name="OS-DCF:diskConfig", default=None)


class UpdateServer(Form):
    name: Name | UnsetType = UNSET
    description: Annotated[str, Meta(max_length=255)] | UnsetType | None = UNSET


class Hints(msgspec.Struct, kw_only=True):
    """Hints that mean nothing to this scheduler are kept and shown, as Nova does."""

    group: str | None = None


class FixedIp(Form):
    ip_address: str


class AttachInterface(Form):
    port_id: str | None = None
    net_id: str | None = None
    fixed_ips: Annotated[list[FixedIp], Meta(max_length=1)] = field(default_factory=list)
    tag: str | None = None


@dataclass(frozen=True)
class Servers:
    database: Database
    network: Network
    hosts: Hosts
    flavors: Flavors
    groups: ServerGroups
    boot_images: BootImages
    lifecycle: Lifecycle

    def get(self, context: Context, server_id: str) -> Server:
        with self.database.read() as connection:
            server = servers.get(connection, server_id)
        return _seen(context, server, server_id)

    def all(self, context: Context, filters: Mapping[str, str]) -> list[Server]:
        """Newest first. Raises Invalid where a filter can't be understood."""
        with self.database.read() as connection:
            found = servers.select(connection)[::-1]
        named = _pattern(filters.get("name", ""))
        everybody = filters.get("all_tenants", filters.get("all_projects", "0")).lower() in {"", "1", "true"}
        if everybody:
            context.require_admin("os_compute_api:servers:index:get_all_tenants")
        project = filters.get("project_id") or filters.get("tenant_id")
        return [
            server
            for server in found
            if (everybody or server.project_id == context.project_id)
            and (not everybody or project is None or server.project_id == project)
            and named.search(server.name)
            and _matches(server, filters)
        ]

    def create(self, context: Context, form: CreateServer, hints: dict[str, Any]) -> Server:
        """Returns a server in BUILD; whether it gets further is found out afterwards."""
        image = self.boot_images.find(context, form.imageRef)
        server = self._server(context, form, hints)
        server.image_id = image.id if image else None
        boot_image = self.boot_images.boot_image(context, image, server.flavor)
        try:
            self.lifecycle.hypervisor.prepare(server.id, _user_data(form.user_data), boot_image)
        except BadUserData as error:
            self.lifecycle.hypervisor.remove(server.id)
            raise Invalid(error.message, field="user_data") from error
        except FileNotFoundError as error:
            self.lifecycle.hypervisor.remove(server.id)
            raise boot_images.gone(image) from error
        with self.database.begin() as connection:
            servers.insert(connection, server)
        self.lifecycle.submit(self.lifecycle.build, server.id)
        return server

    def _server(self, context: Context, form: CreateServer, hints: dict[str, Any]) -> Server:
        if form.max_count != 1 or form.min_count != 1:
            raise invalid_field("max_count", form.max_count, "Servers are created one at a time here.")
        zone, forced_host = self._zone(context, form)
        group = msgspec.convert(hints, Hints).group
        created_at = now()
        return Server(
            id=new_id(),
            name=form.name,
            project_id=context.project_id or "",
            user_id=context.user_id,
            description=form.description,
            metadata=form.metadata,
            tags=form.tags,
            flavor=self.flavors.usable(context, str(form.flavorRef).rpartition("/")[2]),
            zone=zone,
            forced_host=forced_host,
            group_id=self._group(context, group) if group else None,
            scheduler_hints=hints,
            config_drive=str(form.config_drive).lower() == "true",
            key_name=form.key_name,
            requests=self._requests(context, form.networks),
            created_at=created_at,
            updated_at=created_at,
        )

    def _zone(self, context: Context, form: CreateServer) -> tuple[str | None, str | None]:
        zone, _, host = (form.availability_zone or "").partition(":")
        host = host or form.host or ""
        if host:
            context.require_admin("os_compute_api:servers:create:forced_host")
            if host not in self.hosts.names:
                raise Invalid(f"Compute host {host} could not be found.", field="host")
        if zone and zone not in self.hosts.zones().values():
            raise Invalid("The requested availability zone is not available", field="availability_zone")
        return zone or None, host or None

    def _group(self, context: Context, group_id: str) -> str:
        try:
            return self.groups.get(context, group_id).id
        except NotFound as error:
            raise Invalid(error.message, field="group") from error

    def _requests(self, context: Context, networks: list[ServerNetwork] | str) -> list[Request]:
        if isinstance(networks, str):
            if networks == "none":
                return []
            raise Conflict("Multiple possible networks found, use a Network ID to be more specific.")
        try:
            return [self._request(context, network) for network in networks]
        except (PortNotFound, NetworkNotFound) as error:
            raise Invalid(error.message, field="networks") from error

    def _request(self, context: Context, wanted: ServerNetwork) -> Request:
        if wanted.port is not None:
            port = self.network.port(wanted.port)
            if not context.sees(port.project_id):
                raise PortNotFound(f"Port {wanted.port} could not be found.")
            if port.device_id:
                raise PortInUse(f"Port {port.id} is still in use.")
            return Request(port=port.id)
        if wanted.uuid is None:
            raise invalid_field("networks", wanted, "A network needs 'uuid' or 'port'.")
        network = self.network.network(wanted.uuid)
        if not (network.shared or network.router_external or context.sees(network.project_id)):
            raise NetworkNotFound(f"Network {wanted.uuid} could not be found.")
        return Request(network=network.id, fixed_ip=wanted.fixed_ip)

    def update(self, context: Context, server_id: str, form: UpdateServer) -> Server:
        with self.database.begin() as connection:
            server = self.get(context, server_id)
            server.name = server.name if form.name is UNSET else form.name
            server.description = server.description if form.description is UNSET else form.description
            servers.replace(connection, server)
        return server

    def delete(self, context: Context, server_id: str) -> None:
        self._task(context, server_id, "deleting")
        self.lifecycle.submit(self.lifecycle.delete, server_id)

    def stop(self, context: Context, server_id: str) -> None:
        self._task(context, server_id, "powering-off", ("active", "error"), action="stop")
        self.lifecycle.submit(self.lifecycle.power_off, server_id)

    def start(self, context: Context, server_id: str) -> None:
        self._task(context, server_id, "powering-on", ("stopped",), action="start")
        self.lifecycle.submit(self.lifecycle.power_on, server_id)

    def reboot(self, context: Context, server_id: str, *, hard: bool) -> None:
        states: tuple[VmState, ...] = ("active", "stopped", "error") if hard else ("active",)
        self._task(context, server_id, "rebooting_hard" if hard else "rebooting", states, action="reboot")
        self.lifecycle.submit(self.lifecycle.power_on, server_id)

    def reset_state(self, context: Context, server_id: str, state: VmState) -> None:
        context.require_admin("os_compute_api:os-admin-actions:reset_state")
        with self.database.begin() as connection:
            server = self.get(context, server_id)
            server.vm_state, server.task_state = state, None
            servers.replace(connection, server)

    def _task(
        self, context: Context, server_id: str, task: TaskState, states: tuple[VmState, ...] = (), action: str = ""
    ) -> None:
        """That write alone asks for the step: a restart of the program resumes it. `delete` is always possible."""
        with self.database.begin() as connection:
            server = self.get(context, server_id)
            if states:
                _require_state(server, states, action)
            server.task_state = task
            servers.replace(connection, server)

    def console(self, context: Context, server_id: str, length: int | None) -> str:
        return self.lifecycle.hypervisor.console(self.get(context, server_id).id, length)

    # -- interfaces

    def attach(self, context: Context, server_id: str, form: AttachInterface) -> Interface:
        if (form.port_id is None) == (form.net_id is None):
            raise Invalid("Either a network or a port has to be named: net_id or port_id.", field="net_id")
        wanted = ServerNetwork(
            uuid=form.net_id, port=form.port_id, fixed_ip=form.fixed_ips[0].ip_address if form.fixed_ips else None
        )
        with self.lifecycle.exclusively(server_id) as found:
            server = _seen(context, found, server_id)
            _require_state(server, ("active", "stopped"), "attach_interface")
            try:
                return self.lifecycle.attach(server, self._request(context, wanted))
            except NoFreeVf as error:
                # The words that Nova's InterfaceAttachPciClaimFailed begins with, then why.
                raise Invalid(
                    f"Failed to claim PCI device for interface attach to instance {server_id}: {error.message}",
                    field="port_id",
                ) from error

    def detach(self, context: Context, server_id: str, port_id: str) -> None:
        with self.lifecycle.exclusively(server_id) as found:
            server = _seen(context, found, server_id)
            _require_state(server, ("active", "stopped"), "detach_interface")
            self.lifecycle.detach(self.interface(context, server_id, port_id))

    def interface(self, context: Context, server_id: str, port_id: str) -> Interface:
        for interface in self.interfaces(context, server_id):
            if interface.id == port_id:
                return interface
        raise NotFound(f"Port {port_id} could not be found: it is not attached to instance {server_id}.")

    def interfaces(self, context: Context, server_id: str) -> list[Interface]:
        return self.lifecycle.placement.interfaces(self.get(context, server_id).id)


def _seen(context: Context, server: Server | None, server_id: str) -> Server:
    if server is None or not context.sees(server.project_id):
        raise NotFound(f"Instance {server_id} could not be found.")
    return server


def _require_state(server: Server, states: tuple[VmState, ...], action: str) -> None:
    """Raises Conflict, in Nova's words."""
    attribute = "task_state" if server.task_state is not None else "vm_state"
    if server.task_state is not None or server.vm_state not in states:
        value = server.task_state or server.vm_state
        raise Conflict(f"Cannot '{action}' instance {server.id} while it is in {attribute} {value}")


def status(server: Server) -> str:
    if server.task_state in {"rebooting", "rebooting_hard"}:
        return "REBOOT" if server.task_state == "rebooting" else "HARD_REBOOT"
    return {"building": "BUILD", "active": "ACTIVE", "stopped": "SHUTOFF", "error": "ERROR"}[server.vm_state]


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise invalid_field("name", text, f"It is no regular expression: {error}.") from error


def _matches(server: Server, filters: Mapping[str, str]) -> bool:
    """Nova's filters; what it does not know it ignores."""
    equal = {
        "status": status(server),
        "host": server.host,
        "uuid": server.id,
        "flavor": server.flavor.id,
        "image": server.image_id,
        "user_id": server.user_id,
        "vm_state": server.vm_state,
        "availability_zone": server.zone,
    }
    deleted = filters.get("deleted", "false").lower() in {"1", "true"}
    return not deleted and all(filters[key] == value for key, value in equal.items() if key in filters)


def _user_data(text: str | None) -> bytes:
    if text is None:
        return b""
    if len(text) > USER_DATA_MAX:
        raise Invalid(f"User data is longer than {USER_DATA_MAX} characters.", field="user_data")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise Invalid("Userdata content cannot be decoded: it is not base64.", field="user_data") from error
