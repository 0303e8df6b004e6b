"""One TOML file and HYDRIA_SECTION__KEY environment variables → one typed Config. An unknown key is an error.

Every option, its default and its meaning stand here and nowhere else. Secrets are read from files named here, or from
the TOML file itself, which must then not be readable by others.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from hydria.base.errors import HydriaError
from hydria.base.limit import Limit
from hydria.base.tls_options import AlpnProtocol, TlsVersion


class ConfigError(HydriaError):
    """The file or the environment does not make a valid configuration; the text says where."""


class Section(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    pass


class Drivers(Section, frozen=True):
    kind: Literal["openstack", "noop"] = "openstack"
    """noop: networks, servers and amphorae are pretended. Any id is taken, and no traffic flows."""


class Database(Section, frozen=True):
    url: str = "sqlite:///hydria.db"
    """SQLAlchemy URL of the load balancers' database."""


class Identity(Section, frozen=True):
    """How Hydria's own processes log in to the cloud."""

    auth_url: str = "http://127.0.0.1:9875/identity/v3"
    username: str = "hydria"
    password: str = ""
    project_name: str = "service"
    user_domain_name: str = "Default"
    project_domain_name: str = "Default"
    region_name: str = "RegionOne"
    interface: Literal["public", "internal", "admin"] = "public"
    cafile: str | None = None
    token_cache_seconds: int = 300
    """How long a checked token is believed without asking identity again; a revoked one lives on for that long."""


PolicyVariant = Literal[
    "default", "keystone_default_roles", "keystone_default_roles_scoped", "admin_or_owner", "octavia_advanced_rbac"
]

OWASP_SUITE_B = ":".join(
    (
        *("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"),
        *("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
        *("ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384"),
        *("ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"),
        *("DHE-RSA-AES128-GCM-SHA256", "DHE-RSA-AES256-GCM-SHA384", "DHE-RSA-CHACHA20-POLY1305"),
    )
)
"""OWASP's suite B ("broad compatibility"), those of TLS 1.3 among them."""


class Api(Section, frozen=True):
    bind_host: str = "127.0.0.1"
    bind_port: int = 9876
    processes: int = 1
    """Processes that answer on the port; a core serves one of them."""
    pagination_max_limit: int = 1000
    allow_pagination: bool = True
    """False: every list is whole; `limit`, `marker` and `page_reverse` are passed over."""
    allow_sorting: bool = True
    """False: lists are in the order of creation; `sort`, `sort_key` and `sort_dir` are passed over."""
    allow_filtering: bool = True
    """False: filters and tags of a query are passed over, but for `project_id`."""
    allow_field_selection: bool = True
    """False: `fields` is passed over."""
    strict_immutable: bool = False
    """True: a write to a load balancer that is not ACTIVE is refused with 409, as Octavia does."""
    healthcheck_enabled: bool = True
    """Answer `GET /healthcheck` without a token. It says no more than that the process serves."""
    enable_proxy_headers_parsing: bool = False
    """True: links carry the URL that `Forwarded` and `X-Forwarded-Proto`, `-Host`, `-Port` and `-Prefix` tell. Only
    behind a proxy that sets them itself: whoever connects is believed."""
    cors_allowed_origins: tuple[str, ...] = ()
    """Origins of web pages whose scripts may call the API, as https://console.example.org; * is any."""
    default_provider_driver: str = "amphora"
    policy_variant: PolicyVariant = "default"
    """Which of Octavia's sets of rules says who may do what: see docs/policy.md."""
    policy_file: str | None = None
    """oslo.policy overrides over the variant, with Octavia's rule names."""
    enforce_scope: bool = True
    """Tokens of a domain or of the whole system are refused, but for those of the system where the variant is
    keystone_default_roles_scoped. False: the rules alone decide."""
    allow_ping_health_monitors: bool = True
    reserved_ips: tuple[str, ...] = ("169.254.169.254",)
    """Addresses that no member may have."""
    allow_tls_terminated_listeners: bool = True
    allow_prometheus_listeners: bool = True
    default_listener_ciphers: str = OWASP_SUITE_B
    """OpenSSL cipher string of TLS listeners whose request names none; OWASP_SUITE_B is what most clients can."""
    default_pool_ciphers: str = OWASP_SUITE_B
    """The same of pools that speak TLS to their members."""
    tls_cipher_prohibit_list: str = ""
    """Ciphers, separated by colons, that nobody may ask for."""
    default_listener_tls_versions: tuple[TlsVersion, ...] = ("TLSv1.2", "TLSv1.3")
    default_pool_tls_versions: tuple[TlsVersion, ...] = ("TLSv1.2", "TLSv1.3")
    minimum_tls_version: TlsVersion | None = None
    """Listeners and pools that ask for an older one are refused."""
    default_listener_alpn_protocols: tuple[AlpnProtocol, ...] = ("h2", "http/1.1", "http/1.0")
    default_pool_alpn_protocols: tuple[AlpnProtocol, ...] = ("h2", "http/1.1", "http/1.0")

    def __post_init__(self) -> None:
        """What is given to those who ask for nothing must be what they may ask for."""
        prohibited, order = self.tls_cipher_prohibit_list.split(":"), get_args(TlsVersion)
        for kind in ("listener", "pool"):
            for cipher in getattr(self, f"default_{kind}_ciphers").split(":"):
                if cipher in prohibited:
                    raise ValueError(f"default_{kind}_ciphers has {cipher}, which tls_cipher_prohibit_list prohibits")
            for version in getattr(self, f"default_{kind}_tls_versions"):
                if self.minimum_tls_version and order.index(version) < order.index(self.minimum_tls_version):
                    raise ValueError(f"default_{kind}_tls_versions has {version}, which is below minimum_tls_version")


class Quotas(Section, frozen=True):
    """How many of each a project may have that has no quota of its own; -1: any number."""

    default_load_balancer_quota: Limit = -1
    default_listener_quota: Limit = -1
    default_pool_quota: Limit = -1
    default_member_quota: Limit = -1
    """In all pools together."""
    default_health_monitor_quota: Limit = -1
    default_l7policy_quota: Limit = -1
    default_l7rule_quota: Limit = -1


class Controller(Section, frozen=True):
    workers: int = 4
    """Load balancers reconciled at the same time by one process."""
    lease_seconds: float = 10.0
    """A claimed load balancer whose controller is silent for that long is taken over by another."""
    resync_seconds: float = 300.0
    """Every load balancer is looked at again at least that often."""
    management_network: str = "lb-mgmt-net"
    """Name or id of the network between controller and agents."""
    compute_flavor: str = "amphora"
    """Flavor of amphorae whose load balancer flavor names none."""
    amphora_security_groups: tuple[str, ...] = ()
    """Ids of security groups of the amphorae's management ports; empty: the default group of the service's project.
    They have to let in 9443/tcp from the controllers."""
    image_tag: str = "amphora"
    loadbalancer_topology: Literal["SINGLE", "ACTIVE_STANDBY"] = "SINGLE"
    boot_timeout: float = 60.0
    """Seconds within which the agent of a new amphora has to answer."""
    heartbeat_bind_host: str = "0.0.0.0"  # noqa: S104 - agents reach it over the management network
    heartbeat_bind_port: int = 5555
    heartbeat_address: str = "127.0.0.1:5555"
    """HOST:PORT that agents send heartbeats to."""
    heartbeat_interval: float = 2.0
    heartbeat_timeout: float = 10.0
    """An amphora silent for that long counts as lost."""
    link_timeout: float = 3.0
    """An amphora is replaced when its VIP's NIC has had no link for that long and another NIC can be had."""
    wake_socket: str | None = None
    """Unix datagram socket on which an API process of the same machine tells that there is work."""


class Certificates(Section, frozen=True):
    """The embedded CA between controller and agents. `hydria up` makes these files."""

    directory: str = "certificates"
    amphora_validity_days: int = 30


class Host(Section, frozen=True):
    """One compute host of the embedded cloud and the PFs that belong to it."""

    name: str
    pfs: Mapping[str, str]
    """PF name → physical network."""


class Cloud(Section, frozen=True):
    bind_host: str = "127.0.0.1"
    bind_port: int = 9875
    database_url: str = "sqlite:///cloud.db"
    state_dir: str = "cloud"
    """Servers' files and the image store."""
    hosts: tuple[Host, ...] = ()
    public_url: str = ""
    """What the catalogue says of the cloud's own services; empty: http://bind_host:bind_port."""
    token_seconds: int = 3600
    load_balancer_url: str = "http://127.0.0.1:9876"
    """What the catalogue says of the load balancer service."""
    region_name: str = "RegionOne"
    tenant_physical_network: str = ""
    """Networks that users make for themselves become VLANs of this physical network; empty: only administrators make
    networks and say where. `hydria up` with a software fabric takes the last of its networks."""
    passwords: Mapping[str, str] = {}
    """User → password, for the users made at the first start: admin, hydria, demo."""
    hypervisor: Literal["namespace", "qemu"] = "namespace"
    """namespace: servers are containers. qemu: virtual machines, booted from images."""
    namespace_agent: tuple[str, ...] = ()
    """Program of a `namespace` server; empty: this installation's agent."""


class Fabric(Section, frozen=True):
    kind: Literal["none", "software", "sriov"] = "none"
    """software: bridges and macvlans that stand in for NICs. sriov: the PFs of `cloud.hosts` are this machine's own."""
    name: str = "hydria"
    """Network namespace that holds the bridges and software PFs; of kind sriov, the management network alone."""
    bridge_mappings: Mapping[str, str] = {}
    """Of kind sriov: physical network → bridge of this machine that normal ports are plugged into. One without a
    bridge has VFs only."""
    vfs: int = 8
    """VFs per software PF."""
    physical_networks: tuple[str, ...] = ("public", "members")
    management_prefix: str = "198.18.0.0/20"
    """Addresses between this machine and the amphorae; the first one is this machine's."""


class Metrics(Section, frozen=True):
    """Where Prometheus finds `/metrics` of each process; port 0: nowhere."""

    bind_host: str = "127.0.0.1"
    cloud_port: int = 0
    controller_port: int = 0


class Log(Section, frozen=True):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class Config(Section, frozen=True):
    drivers: Drivers = Drivers()
    database: Database = Database()
    identity: Identity = Identity()
    api: Api = Api()
    quotas: Quotas = Quotas()
    controller: Controller = Controller()
    certificates: Certificates = Certificates()
    cloud: Cloud = Cloud()
    fabric: Fabric = Fabric()
    metrics: Metrics = Metrics()
    log: Log = Log()


def load(path: Path | None, environment: Mapping[str, str] = os.environ) -> Config:
    """Read `path` (none: defaults), then let the environment win. Raises ConfigError."""
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text())
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"Reading configuration {path}: {error}") from error
    for name, text in environment.items():
        if name.startswith("HYDRIA_") and "__" in name:
            section, _, key = name.removeprefix("HYDRIA_").lower().partition("__")
            values.setdefault(section, {})[key] = _literal(text)
    try:
        return msgspec.convert(values, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"Configuration {path or '(environment)'}: {error}") from error


def _literal(text: str) -> Any:
    """A TOML value where the text is one (5, true, [..]), else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def dump(config: Config) -> str:
    """The TOML text of `config`, every set option included. `load` of it gives `config` back."""
    return msgspec.toml.encode(_without_none(msgspec.to_builtins(config))).decode()


def _without_none(value: Any) -> Any:
    """TOML has no null: an option that is None is left out."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list | tuple) else value
