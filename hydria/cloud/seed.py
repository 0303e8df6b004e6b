"""What the embedded cloud holds after its first start. A later start changes nothing."""

from hydria.base.config import Config
from hydria.cloud.identity.service import Identity
from hydria.cloud.image.service import Images
from hydria.cloud.network.service import Network

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
    if config.fabric.kind == "software" and not network.networks.documents(CLOUD, {})[0]:
        seed_networks(config, identity, network)


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
    """The guide's networks, which the fabric's test hosts are on too, and the management network."""
    owners = {name: project.id for name in PROJECTS if (project := identity.projects.find(name)) is not None}
    with network.database.begin():
        for name in config.fabric.physical_networks:
            _seed_network(network, name, owners["admin"], name, shared=True)
            for subnet_name, (cidr, start, end) in SUBNETS.get(name, {}).items():
                _seed_subnet(network, name, subnet_name, cidr, start, end)
        _seed_network(network, config.controller.management_network, owners["service"], MANAGEMENT, shared=False)
        prefix = ip_network(config.fabric.management_prefix)
        # The first address is this machine's.
        start, end = str(prefix.network_address + 2), str(prefix.broadcast_address - 1)
        management = config.controller.management_network
        _seed_subnet(network, management, f"{management.removesuffix('-net')}-subnet", str(prefix), start, end)
