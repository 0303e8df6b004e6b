"""The APIs of an installation, as whoever rolls out images needs them: amphorae, load balancers, images, failover."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
import openstack
from keystoneauth1.exceptions import ClientException
from openstack.exceptions import ConfigException, HttpException, SDKException

from hydria.base.errors import Conflict, Forbidden, HydriaError, NotFound, Retryable, Unauthorized
from hydria.cli.amphora.outdated import Amphora, Image, Judged, judge
from hydria.image.facts import PREFIX

_LOGIN = (
    "Name a cloud of clouds.yaml with --os-cloud or OS_CLOUD (OS_CLIENT_CONFIG_FILE says where hydria up wrote it)."
)
_BY_STATUS: Mapping[int, type[HydriaError]] = {401: Unauthorized, 403: Forbidden, 404: NotFound, 409: Conflict}


class Site:
    """One login. Every call raises HydriaError; Retryable when nobody answered."""

    def __init__(self, cloud: str | None) -> None:
        with _explained("Logging in", _LOGIN):
            self._cloud: Any = openstack.connect(cloud=cloud, app_name="hydria")

    def close(self) -> None:
        self._cloud.close()

    def judged(self, tag: str) -> tuple[Judged, ...]:
        """All amphorae, the oldest first. `tag`: of the image where a load balancer's flavor says nothing else."""
        amphorae = self.amphorae()
        named = self._tags(tag)
        tags = {one.loadbalancer_id: named.get(one.loadbalancer_id, tag) for one in amphorae}
        newest = {each: self._newest(each) for each in {*tags.values()}}
        images = self._images({one.image_id for one in amphorae if one.image_id is not None})
        return judge(amphorae, tags, newest, images)

    def amphorae(self, **filters: str) -> tuple[Amphora, ...]:
        with _explained("Listing amphorae"):
            found = [_amphora(one) for one in self._cloud.load_balancer.amphorae(**filters)]
        return tuple(one for one in found if one is not None)

    def status(self, load_balancer_id: str) -> str | None:
        """Its provisioning status; None: there is no such load balancer."""
        with contextlib.suppress(NotFound), _explained(f"Looking at load balancer {load_balancer_id}"):
            status: str = self._cloud.load_balancer.get_load_balancer(load_balancer_id).provisioning_status
            return status
        return None

    def is_there(self, amphora_id: str) -> bool:
        with contextlib.suppress(NotFound), _explained(f"Looking at amphora {amphora_id}"):
            status: str = self._cloud.load_balancer.get_amphora(amphora_id).status
            return status not in ("PENDING_DELETE", "DELETED")
        return False

    def fail_over(self, amphora_id: str) -> None:
        """Returns when that is accepted. Raises NotFound, and Conflict while something else is under way."""
        with _explained(f"Failover of amphora {amphora_id}"):
            self._cloud.load_balancer.failover_amphora(amphora_id)

    def why(self, load_balancer_id: str) -> str:
        """The reason of its newest error, where the service has events."""
        path = f"/lbaas/loadbalancers/{load_balancer_id}/events"
        with contextlib.suppress(HydriaError), _explained("Asking for events"):
            answer = self._cloud.load_balancer.get(path)
            events = answer.json()["events"] if answer.ok else []
            return next((event["reason"] for event in events if event["level"] != "INFO"), "its events do not say why.")
        return "its events cannot be read."

    # Images.

    def _tags(self, default: str) -> dict[str, str]:
        """Load balancer → tag. What a flavor's profile says can be read by operators alone."""
        with _explained("Listing load balancers and their flavors"):
            service = self._cloud.load_balancer
            flavors = {one.id: one.flavor_id for one in service.load_balancers() if one.flavor_id is not None}
            profiles = {one.id: one.flavor_profile_id for one in service.flavors()} if flavors else {}
        data: dict[str, Any] = {}
        with contextlib.suppress(Forbidden), _explained("Listing flavor profiles"):
            if profiles:
                data = {one.id: msgspec.json.decode(one.flavor_data) for one in service.flavor_profiles()}
        tags = {flavor: data.get(profile, {}).get("amp_image_tag") for flavor, profile in profiles.items()}
        return {id_: tags.get(flavor) or default for id_, flavor in flavors.items()}

    def _newest(self, tag: str) -> Image | None:
        """As the controller chooses it."""
        with _explained(f"Looking for the image with the tag {tag}"):
            found = self._cloud.image.images(tag=tag, status="active", sort="created_at:desc", limit=1, paginated=False)
            return next((_image(one) for one in found), None)

    def _images(self, ids: Iterable[str]) -> dict[str, Image]:
        """Those that are still there."""
        found = {}
        for id_ in sorted(ids):
            with contextlib.suppress(NotFound), _explained(f"Looking at image {id_}"):
                found[id_] = _image(self._cloud.image.get_image(id_))
        return found


def _amphora(found: Any) -> Amphora | None:
    """None: it serves nobody."""
    if found.loadbalancer_id is None or found.status == "DELETED":
        return None
    return Amphora(
        id=found.id,
        loadbalancer_id=found.loadbalancer_id,
        status=found.status,
        role=found.role,
        image_id=found.image_id,
    )


def _image(found: Any) -> Image:
    version = (found.properties or {}).get(f"{PREFIX}version", "")
    return Image(id=found.id, name=found.name or "", version=version)


@contextlib.contextmanager
def _explained(attempt: str, advice: str = "") -> Iterator[None]:
    try:
        yield
    except HttpException as error:
        status = error.status_code or 0
        kind = Retryable if status >= 500 or status == 0 else _BY_STATUS.get(status, HydriaError)
        raise kind(f"{attempt}: {status} {error.details or error.message}") from error
    except ConfigException as error:
        raise HydriaError(f"{attempt}: {error} {advice}".rstrip()) from error
    except ClientException as error:
        status = getattr(error, "http_status", 0)
        kind = _BY_STATUS.get(status, Retryable)
        raise kind(f"{attempt}: {error} {advice}".rstrip()) from error
    except SDKException as error:
        raise HydriaError(f"{attempt}: {error} {advice}".rstrip()) from error
