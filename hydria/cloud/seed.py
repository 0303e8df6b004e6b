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
