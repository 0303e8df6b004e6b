"""What a write below a load balancer reads first: the load balancer, its flavor, its listeners and pools."""

from hydria.api.call import Call
from hydria.api.draft import Draft
from hydria.base.errors import Conflict, not_found
from hydria.model import rules
from hydria.model.flavor import Flavor, FlavorData, FlavorProfile, parse_flavor_data
from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import Pool
from hydria.model.resource import Provisioned
from hydria.model.status import ProvisioningStatus
from hydria.store import load_balancers, resources
from hydria.store.database import Transaction
from hydria.store.tables import title


def load_balancer(tx: Transaction, id_: str) -> LoadBalancer:
    """Raises NotFound."""
    found = resources.get(tx, LoadBalancer, id_)
    if found is None:
        raise not_found("Load Balancer", id_)
    return found


def listener(tx: Transaction, id_: str) -> Listener:
    """Raises NotFound."""
    found = resources.get(tx, Listener, id_)
    if found is None:
        raise not_found("Listener", id_)
    return found


def pool(tx: Transaction, id_: str) -> Pool:
    """Raises NotFound."""
    found = resources.get(tx, Pool, id_)
    if found is None:
        raise not_found("Pool", id_)
    return found


def flavor_data(tx: Transaction, flavor_id: str | None) -> FlavorData:
    flavor = resources.get(tx, Flavor, flavor_id) if flavor_id else None
    profile = resources.get(tx, FlavorProfile, flavor.flavor_profile_id) if flavor else None
    return parse_flavor_data(profile.flavor_data) if profile else FlavorData()


def draft(tx: Transaction, call: Call, parent: LoadBalancer) -> Draft:
    """Of a write, with what is there: other writes wait, so that it stays as it was read."""
    load_balancers.hold(tx, parent.id)
    staying = {"loadbalancer_id": parent.id}
    return Draft(
        api=call.services.config.api,
        served=call.services.served,
        quotas=call.services.config.quotas,
        load_balancer=parent,
        flavor=flavor_data(tx, parent.flavor_id),
        families=rules.vip_families(parent),
        there=[row for row in resources.find(tx, Listener, **staying) if stays(row)],
        pools={row.id: row for row in resources.find(tx, Pool, **staying) if stays(row)},
    )


def stays(row: Provisioned) -> bool:
    return row.provisioning_status is not ProvisioningStatus.PENDING_DELETE


def touch(tx: Transaction, call: Call, parent: LoadBalancer, part: Provisioned | None = None) -> int:
    """Accept a write, to this part of the load balancer or to what is in it. Raises Conflict."""
    if part is not None and not stays(part):
        raise Conflict(f"{title(type(part))} {part.id} is immutable and cannot be updated.")
    return load_balancers.touch(tx, parent.id, strict=call.services.config.api.strict_immutable)
