"""How a load balancer's flavor has its virtual functions set, said in the port's own words. Knows no NIC."""

import msgspec

from hydria.drivers.cloud import Cloud, PortRequest
from hydria.model.flavor import FlavorData


def with_vf_settings(cloud: Cloud, request: PortRequest, flavor: FlavorData) -> PortRequest:
    """A QoS policy that the request has already is its user's, and wins over the flavor's rates."""
    if request.vnic_type != "direct":
        return request
    request = msgspec.structs.replace(request, trusted=bool(flavor.vf_trust))
    if not has_port_security(request.vnic_type, flavor):
        request = msgspec.structs.replace(request, port_security=False, allowed_addresses=(), security_groups=None)
    least, most = flavor.vf_min_tx_rate or 0, flavor.vf_max_tx_rate or 0
    if request.qos_policy_id is None and (least or most):
        policy = cloud.ensure_rate_policy(f"hydria-vf-{least}-{most}", min_mbps=least, max_mbps=most)
        request = msgspec.structs.replace(request, qos_policy_id=policy)
    return request


def has_port_security(vnic_type: str, flavor: FlavorData) -> bool:
    """Neutron's name for what is the spoof check on a VF. Without it there is nothing to allow addresses on."""
    return vnic_type != "direct" or flavor.vf_spoofchk is not False
