"""What amphorae need of a new cloud and an operator would make by hand: the compute flavor of ordinary load balancers.

Only if it is missing, so an operator's own one stays. As the service's own user, whose private flavor it then is.
"""

from typing import Any

from keystoneauth1.adapter import Adapter
from keystoneauth1.exceptions import ClientException
from keystoneauth1.identity.v3 import Password
from keystoneauth1.session import Session

from hydria.base.config import Config
from hydria.base.errors import HydriaError

VCPUS, RAM_MIB, DISK_GIB = 1, 1024, 3


def ensure(config: Config) -> None:
    """May run twice, and after an interruption. Raises HydriaError with the cloud's own words."""
    identity = config.identity
    login = Password(
        auth_url=identity.auth_url,
        username=identity.username,
        password=identity.password,
        user_domain_name=identity.user_domain_name,
        project_name=identity.project_name,
        project_domain_name=identity.project_domain_name,
    )
    session = Session(auth=login, timeout=30, verify=identity.cafile or True)
    compute = Adapter(session, service_type="compute", interface=identity.interface, region_name=identity.region_name)
    try:
        _ensure_flavor(compute, config.controller.compute_flavor)
    except ClientException as error:
        raise HydriaError(f"Preparing the cloud at {identity.auth_url}: {error}") from error


def _ensure_flavor(compute: Any, flavor_id: str) -> None:
    if compute.get(f"/flavors/{flavor_id}", raise_exc=False).status_code != 404:
        return
    flavor = {"id": flavor_id, "name": flavor_id, "vcpus": VCPUS, "ram": RAM_MIB, "disk": DISK_GIB}
    compute.post("/flavors", json={"flavor": {**flavor, "os-flavor-access:is_public": False}})
