"""The clouds of clouds.yaml, found as the official clients find them; and what of them `hydria image` asks."""

import logging
import warnings
from collections import Counter
from collections.abc import Mapping
from typing import Any

from keystoneauth1 import exceptions
from keystoneauth1.adapter import Adapter
from openstack.config import OpenStackConfig
from openstack.exceptions import SDKException
from rich.console import Console

from hydria.base.errors import Terminal
from hydria.cli.image.progress import transfers
from hydria.image import upload
from hydria.image.image_service import ImageService, Json, as_errors, newest_active
from hydria.image.inspect import Inspection
from hydria.image.upload import Request, Uploaded


class Cloud:
    """Logged in. Raises HydriaError, saying how to name a cloud where none was."""

    def __init__(self, name: str | None) -> None:
        # What it warns of it raises too, if it matters.
        logging.getLogger("keystoneauth").setLevel(logging.ERROR)
        try:
            with warnings.catch_warnings():
                # Given by openstacksdk 4 to everybody, with InfluxDB or without.
                warnings.filterwarnings("ignore", message="Support for InfluxDB")
                self._region: Any = OpenStackConfig().get_one(cloud=name)
            self._session = self._region.get_session()
            with as_errors(f"Logging in to {_named(name)}"):
                self._project_id: str = self._session.get_project_id() or ""
        except (exceptions.MissingRequiredOptions, SDKException) as error:
            raise Terminal(_no_login(str(error))) from error

    @property
    def image_service(self) -> ImageService:
        return ImageService(self._adapter("image"), self._project_id)

    def upload(self, found: Inspection, progress: Console, **asked: Any) -> Uploaded:
        """`asked`: the other fields of upload.Request."""
        with transfers(progress) as report:
            return upload.upload(self.image_service, Request(inspection=found, **asked), report)

    def images(self, tag: str) -> list[tuple[Json, bool]]:
        """The newest first, each with whether new amphorae boot from it."""
        found = self.image_service.find(tag=tag)
        current = newest_active(found)
        return [(image, image is current) for image in found]

    def count_amphorae(self) -> Mapping[str, int] | None:
        """Image id → how many amphorae boot from it. None: no load balancer API, or it is not for this user."""
        try:
            answer = self._adapter("load-balancer").get("/octavia/amphorae", raise_exc=False)
        except exceptions.ClientException:
            return None
        if answer.status_code != 200:
            return None
        return Counter(one["image_id"] for one in answer.json()["amphorae"] if one.get("image_id"))

    def _adapter(self, service: str) -> Adapter:
        return Adapter(
            self._session,
            service_type=service,
            interface=self._region.get_interface(service),
            region_name=self._region.get_region_name(service),
            endpoint_override=self._region.get_endpoint(service),
            min_version="2",
            max_version="2.latest",
        )


def _named(name: str | None) -> str:
    return f"cloud {name}" if name else "the cloud of OS_CLOUD or OS_AUTH_URL"


def _no_login(why: str) -> str:
    return f"No cloud to log in to ({why}). Name one of clouds.yaml with --os-cloud or OS_CLOUD."
