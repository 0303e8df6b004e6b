"""Names of what the controller makes in the cloud, derived from ids, so that a repeated step finds it again.

They are Octavia's, so that operators find them where they are used to look.
"""

from collections.abc import Sequence


def vip_port(load_balancer_id: str) -> str:
    return f"octavia-lb-{load_balancer_id}"


def vip_device(load_balancer_id: str) -> str:
    return f"lb-{load_balancer_id}"


def security_group(load_balancer_id: str) -> str:
    """Of the ports that carry its VIPs, where they are ordinary ones."""
    return f"lb-{load_balancer_id}"


def base_port(amphora_id: str) -> str:
    """Of the port that carries the VIPs on the amphora."""
    return f"octavia-lb-vrrp-{amphora_id}"


def is_base_port(name: str) -> bool:
    return name.startswith(base_port(""))


def member_port(amphora_id: str) -> str:
    """The same for each of an amphora's member networks: the network tells them apart."""
    return f"octavia-lb-member-{amphora_id}"


def amphora_ports(amphora_id: str) -> Sequence[str]:
    return (base_port(amphora_id), member_port(amphora_id))


def server(amphora_id: str) -> str:
    return f"amphora-{amphora_id}"
