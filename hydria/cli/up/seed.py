"""What amphorae need of a new cloud and an operator would make by hand: a compute flavor and an image.

Only what is missing is made, so an operator's own flavor or image of that name or tag stays. Through the official
APIs, as the service's own user, whose private flavor it then is.
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
    try:
        _ensure_flavor(_adapter(session, config, "compute"), config.controller.compute_flavor)
        _ensure_image(_adapter(session, config, "image"), config.controller.image_tag)
    except ClientException as error:
        raise HydriaError(f"Preparing the cloud at {identity.auth_url}: {error}") from error


def _adapter(session: Session, config: Config, service_type: str) -> Adapter:
    return Adapter(
        session,
        service_type=service_type,
        interface=config.identity.interface,
        region_name=config.identity.region_name,
    )


def _ensure_flavor(compute: Any, flavor_id: str) -> None:
    if compute.get(f"/flavors/{flavor_id}", raise_exc=False).status_code != 404:
        return
    flavor = {"id": flavor_id, "name": flavor_id, "vcpus": VCPUS, "ram": RAM_MIB, "disk": DISK_GIB}
    compute.post("/flavors", json={"flavor": {**flavor, "os-flavor-access:is_public": False}})


def _ensure_image(image: Any, tag: str) -> None:
    """A `namespace` server runs this installation's agent whatever the image holds; a `qemu` server boots it."""
    found = image.get("/v2/images", params={"tag": tag}).json()["images"]
    if any(one["status"] == "active" for one in found):
        return
    if found:
        made = found[0]
    else:
        wanted = {"name": f"{tag}-namespace", "disk_format": "raw", "container_format": "bare", "tags": [tag]}
        made = image.post("/v2/images", json=wanted).json()
    image.put(
        f"/v2/images/{made['id']}/file",
        data=b"An amphora of the namespace hypervisor runs the agent of this machine's installation.\n",
        headers={"Content-Type": "application/octet-stream"},
    )
