"""What compute keeps: flavors, aggregates, server groups, services, servers and their interfaces (with VF claims)."""

from typing import Any, Literal

from msgspec import Struct
from sqlalchemy import UniqueConstraint

from hydria.cloud.hypervisor.guest import Guest
from hydria.cloud.resource import table
from hydria.cloud.rows import Rows

VmState = Literal["building", "active", "stopped", "error"]
TaskState = Literal["scheduling", "spawning", "deleting", "powering-off", "powering-on", "rebooting", "rebooting_hard"]
NOSTATE, RUNNING, SHUTDOWN = 0, 1, 4
"""Nova's power states."""

DEFAULT_ZONE = "nova"


class Flavor(Struct, kw_only=True):
    id: str
    name: str
    ram: int
    disk: int
    vcpus: int
    ephemeral: int = 0
    swap: int = 0
    rxtx_factor: float = 1.0
    is_public: bool = True
    description: str | None = None
    extra_specs: dict[str, str] = {}
    access: list[str] = []
    """Projects that may use it while it is not public."""


class Aggregate(Struct, kw_only=True):
    id: str
    uuid: str
    name: str
    hosts: list[str] = []
    metadata: dict[str, str] = {}
    created_at: str
    updated_at: str | None = None


class ServerGroup(Struct, kw_only=True):
    id: str
    name: str
    policy: str
    rules: dict[str, int] = {}
    project_id: str
    user_id: str


class DisabledService(Struct, kw_only=True):
    """The compute service of a host that takes no new servers. A host without such a row is enabled."""

    id: str
    """The host's name."""
    reason: str | None = None
    updated_at: str


class Fault(Struct, kw_only=True):
    code: int
    message: str
    created: str


class Request(Struct, kw_only=True, frozen=True):
    """One entry of a create request's `networks`: a port, or a network to make one on."""

    port: str | None = None
    network: str | None = None
    fixed_ip: str | None = None


class Server(Struct, kw_only=True):
    id: str
    name: str
    project_id: str
    user_id: str
    description: str | None = None
    metadata: dict[str, str] = {}
    tags: list[str] = []
    flavor: Flavor
    """As it was when the server was created."""
    image_id: str | None = None
    zone: str | None = None
    forced_host: str | None = None
    group_id: str | None = None
    scheduler_hints: dict[str, Any] = {}
    config_drive: bool = False
    key_name: str | None = None
    requests: list[Request] = []
    host: str | None = None
    vm_state: VmState = "building"
    task_state: TaskState | None = "scheduling"
    power_state: int = NOSTATE
    fault: Fault | None = None
    pid: int | None = None
    started: int | None = None
    created_at: str
    updated_at: str
    launched_at: str | None = None

    @property
    def guest(self) -> Guest | None:
        return None if self.pid is None or self.started is None else Guest(self.pid, self.started)


class Interface(Struct, kw_only=True):
    """A NIC of a server. With `pf` and `vf` it is the claim of that VF: a claim can't outlive its NIC."""

    id: str
    """The port's."""
    server_id: str
    network_id: str
    position: int
    preserve: bool
    """The port was given by the user and stays when the server goes."""
    state: Literal["attaching", "attached", "detaching"]
    host: str
    pf: str | None = None
    vf: int | None = None


flavors = Rows(table("compute_flavors", Flavor, UniqueConstraint("name")), Flavor)
aggregates = Rows(table("compute_aggregates", Aggregate, UniqueConstraint("name")), Aggregate)
server_groups = Rows(table("compute_server_groups", ServerGroup), ServerGroup)
disabled_services = Rows(table("compute_disabled_services", DisabledService), DisabledService)
servers = Rows(table("compute_servers", Server, index=("project_id", "host", "group_id")), Server)
interfaces = Rows(
    table("compute_interfaces", Interface, UniqueConstraint("host", "pf", "vf"), index=("server_id",)), Interface
)
