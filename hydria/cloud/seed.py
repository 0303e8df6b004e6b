"""What the embedded cloud holds after its first start. A later start changes nothing."""

from ipaddress import ip_network

from hydria.base.config import Config
from hydria.cloud.context import CLOUD
from hydria.cloud.identity.service import Identity
from hydria.cloud.image.service import Images
from hydria.cloud.network.addresses import Cidr
from hydria.cloud.network.service import MANAGEMENT, Network, physical_networks
from hydria.fabric import addresses

NAMESPACE_IMAGE = "amphora-namespace"

PROJECTS = ("admin", "service", "demo")
ROLES = (
    "admin",
    "manager",
    "member",
    "reader",
    "service",
    "load-balancer_observer",
    "load-balancer_global_observer",
    "load-balancer_member",
    "load-balancer_quota_admin",
    "load-balancer_admin",
)
ASSIGNMENTS = {
    "admin": (("admin", "admin"), ("service", "admin"), ("demo", "admin")),
    "hydria": (("service", "admin"), ("service", "service")),
    "demo": (("demo", "member"), ("demo", "reader")),
}
"""User → (project, role); the first project is the user's default."""


def seed(config: Config, identity: Identity, network: Network, images: Images) -> None:
    """Each part is made in one transaction, so an interrupted first start is completed by the next."""
    if identity.projects.find("admin") is None:
        seed_identity(config, identity)
    if (config.fabric.kind != "none" or config.drivers.kind == "noop") and not network.networks.documents(CLOUD, {})[0]:
        seed_networks(config, identity, network)
    if config.cloud.hypervisor == "namespace" and not images.find({"name": [NAMESPACE_IMAGE]}):
        seed_image(config, identity, images)


def seed_identity(config: Config, identity: Identity) -> None:
    with identity.changing():
        projects = {name: identity.projects.create({"name": name}) for name in PROJECTS}
        roles = {name: identity.roles.create({"name": name}) for name in ROLES}
        for name, assignments in ASSIGNMENTS.items():
            default = projects[assignments[0][0]].id
            # Without a password in the configuration the user exists and cannot log in.
            user = identity.create_user({"name": name, "default_project_id": default}, config.cloud.passwords.get(name))
            for project, role in assignments:
                identity.assign(projects[project].id, user.id, roles[role].id)


def seed_networks(config: Config, identity: Identity, network: Network) -> None:
    """The guide's networks, one for each physical network, and the management network."""
    owners = {project.name: project.id for project in identity.projects.list({})}
    with network.database.begin():
        for name in sorted(physical_networks(config) - {MANAGEMENT}):
            network_id = _seed_network(network, name, name, owners["admin"], shared=True)
            for subnet in addresses.subnets(name):
                _seed_subnet(network, network_id, subnet.name, subnet.network, subnet.pool)
        name = config.controller.management_network
        network_id = _seed_network(network, name, MANAGEMENT, owners["service"], shared=False)
        prefix = ip_network(config.fabric.management_prefix)
        # The first address is this machine's own.
        pool = str(prefix.network_address + 2), str(prefix.broadcast_address - 1)
        _seed_subnet(network, network_id, f"{name.removesuffix('-net')}-subnet", prefix, pool)


def _seed_network(network: Network, name: str, physical_network: str, project_id: str, *, shared: bool) -> str:
    values = {
        "name": name,
        "project_id": project_id,
        "shared": shared,
        "provider:network_type": "flat",
        "provider:physical_network": physical_network,
    }
    return network.networks.create(CLOUD, values).id


def _seed_subnet(network: Network, network_id: str, name: str, cidr: Cidr, pool: tuple[str, str]) -> None:
    values = {
        "name": name,
        "network_id": network_id,
        "ip_version": cidr.version,
        "cidr": str(cidr),
        # The fabric has no routers.
        "gateway_ip": None,
        "enable_dhcp": False,
        "allocation_pools": [{"start": pool[0], "end": pool[1]}],
    }
    network.subnets.create(CLOUD, values)


def seed_image(config: Config, identity: Identity, images: Images) -> None:
    """What the controller boots amphorae from where the hypervisor is `namespace`: the name of an image is enough."""
    project = identity.projects.find("service")
    if project is not None:
        values = {
            "name": NAMESPACE_IMAGE,
            "tags": [config.controller.image_tag],
            "disk_format": "raw",
            "container_format": "bare",
            "visibility": "public",
            "owner": project.id,
        }
        image = images.create(CLOUD, values)
        with images.upload(CLOUD, image.id) as upload:
            upload.write(b"The namespace hypervisor runs the agent of its own installation.\n")
