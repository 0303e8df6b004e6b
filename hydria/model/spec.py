"""What one amphora must be, whole: the only thing the controller tells an agent, and the agent's answers.

`PUT /v1/spec` carries a Spec and is answered with an Observed; `GET /v1/observed` gives the latter at any time,
`GET /v1/info` an Info. Names are the API's. Nothing is a delta: what a Spec does not hold is taken away. What other
versions of a Spec look like stands in spec_versions.py; Observed and Info have none: they only gain optional fields.
"""

from typing import Literal

from msgspec import Struct, field

from hydria.model.listener import ListenerProtocol
from hydria.model.pool import Algorithm, HttpMethod, MonitorType, PoolProtocol, SessionPersistence

VERSION = 2
VERSIONS: tuple[int, ...] = (1, 2)
"""That we understand, as agent and as controller."""
PORT = 9443
"""TCP port of the agent on the management network."""
NAMESPACE = "amphora-haproxy"
VIP_INTERFACE = "eth1"
PEERS_PORT = 1025
"""TCP port on which the HAProxys of two amphorae tell each other their stick tables."""


class Route(Struct, kw_only=True, frozen=True):
    destination: str
    """CIDR; 0.0.0.0/0 or ::/0 is the default route."""
    nexthop: str | None = None


class Interface(Struct, kw_only=True, frozen=True):
    mac_address: str
    """Finds the NIC, wherever the hypervisor plugged it."""
    name: str
    """In the namespace: eth1 carries the VIP, eth2 and so on the member networks."""
    port_id: str
    network_id: str
    vnic_type: Literal["normal", "direct"] = "normal"
    mtu: int = 1500
    addresses: tuple[str, ...] = ()
    """The port's own fixed IPs with their prefix lengths, as 203.0.113.105/24."""
    vips: tuple[str, ...] = ()
    """VIP addresses without prefix: /32 and /128 on this interface."""
    routes: tuple[Route, ...] = ()


class ListenerSpec(Struct, kw_only=True, frozen=True):
    id: str
    protocol: ListenerProtocol
    protocol_port: int
    connection_limit: int = -1
    default_pool_id: str | None = None
    insert_headers: dict[str, str] = field(default_factory=dict)
    timeout_client_data: int = 50_000
    timeout_member_connect: int = 5_000
    timeout_member_data: int = 50_000
    timeout_tcp_inspect: int = 0
    allowed_cidrs: tuple[str, ...] | None = None
    """None or empty: anybody."""


class MemberSpec(Struct, kw_only=True, frozen=True):
    id: str
    address: str
    protocol_port: int
    weight: int = 1
    backup: bool = False
    admin_state_up: bool = True
    monitor_address: str | None = None
    monitor_port: int | None = None


class HealthMonitorSpec(Struct, kw_only=True, frozen=True):
    id: str
    type: MonitorType
    delay: int
    timeout: int
    max_retries: int
    max_retries_down: int = 3
    http_method: HttpMethod | None = None
    url_path: str | None = None
    expected_codes: str | None = None
    http_version: float | None = None
    domain_name: str | None = None


class PoolSpec(Struct, kw_only=True, frozen=True):
    id: str
    protocol: PoolProtocol
    lb_algorithm: Algorithm
    session_persistence: SessionPersistence | None = None
    members: tuple[MemberSpec, ...] = ()
    health_monitor: HealthMonitorSpec | None = None


class Heartbeats(Struct, kw_only=True, frozen=True):
    controllers: tuple[str, ...] = ()
    """HOST:PORT of each; a heartbeat goes to all of them."""
    interval: float = 2.0


class Spec(Struct, kw_only=True, frozen=True):
    version: int = VERSION
    amphora_id: str
    load_balancer_id: str
    generation: int
    """The load balancer's generation this was made from: an older one than the last applied is refused (409)."""
    admin_state_up: bool = True
    """False: nothing is served, yet interfaces and heartbeats stay."""
    interfaces: tuple[Interface, ...] = ()
    listeners: tuple[ListenerSpec, ...] = ()
    """Only enabled ones: a disabled listener is neither bound nor open in the firewall (H-22)."""
    pools: tuple[PoolSpec, ...] = ()
    peers: tuple[str, ...] = ()
    """Addresses of the load balancer's other amphora in the VIP's network: only they may speak VRRP to this one."""
    heartbeats: Heartbeats = Heartbeats()
    threads: int | None = None
    """Of HAProxy: the vCPUs of the server, on whose host it may see many more. None: HAProxy's own choice."""


class Fault(Struct, kw_only=True, frozen=True):
    """One thing of the spec that could not be made so."""

    resource_type: str
    """loadbalancer, listener, pool, member, interface; a newer agent may know more."""
    resource_id: str
    """For an interface its port_id."""
    reason: str


class ObservedInterface(Struct, kw_only=True, frozen=True):
    mac_address: str
    name: str
    addresses: tuple[str, ...] = ()
    up: bool = False
    carrier: bool = True
    """False: it has no link."""


class Observed(Struct, kw_only=True, frozen=True):
    """What the amphora is now."""

    version: int = VERSION
    amphora_id: str
    generation: int | None = None
    """Of the last spec that was applied; None: there was none yet."""
    interfaces: tuple[ObservedInterface, ...] = ()
    faults: tuple[Fault, ...] = ()
    reloads: int = 0
    """Of HAProxy, since the agent's first start in this amphora."""


class Info(Struct, kw_only=True, frozen=True):
    agent_version: str
    spec_versions: tuple[int, ...] = VERSIONS
    haproxy_version: str | None = None
    nftables: bool = True
    """False: an SR-IOV port on this amphora would be without a firewall, so it is refused."""


class AgentConfig(Struct, kw_only=True, frozen=True):
    """/etc/hydria/agent.json, from the config drive."""

    amphora_id: str
    heartbeat_key: str
    certificate: str = "/etc/hydria/server.pem"
    """Certificate and private key of this amphora."""
    ca_certificate: str = "/etc/hydria/ca.pem"
    """Who may call: certificates signed by this CA with the common name "hydria-controller"."""
    bind_port: int = PORT
    state_dir: str = "/var/lib/hydria"
    run_dir: str = "/run/hydria"
