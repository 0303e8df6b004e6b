"""OpenStack's JSON → the shapes of cloud.py, and requests → JSON. Pure; knows no HTTP."""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from hydria.drivers.cloud import (
    FixedIp,
    Network,
    Port,
    PortRequest,
    SecurityGroup,
    SecurityGroupRule,
    Server,
    ServerRequest,
    Subnet,
)
from hydria.model.spec import Route

Json = dict[str, Any]

_ANYWHERE = ("0.0.0.0/0", "::/0")
_PROTOCOLS = {
    ("IPv6", "icmp"): "ipv6-icmp",
    ("IPv6", "icmpv6"): "ipv6-icmp",
    ("IPv6", "58"): "ipv6-icmp",
    **{
        (ethertype, other): name
        for ethertype in ("IPv4", "IPv6")
        for other, name in (("6", "tcp"), ("17", "udp"), ("132", "sctp"), ("vrrp", "112"), ("any", None))
    },
}
"""Other names of a protocol → ours."""
FLAVOR = "compute_flavor"
"""Key of a server's metadata: the id of its flavor."""


def network(body: Json) -> Network:
    return Network(
        id=body["id"],
        name=body.get("name") or "",
        mtu=body.get("mtu") or 1500,
        port_security_enabled=body.get("port_security_enabled", True),
        subnets=tuple(body.get("subnets") or ()),
    )


def subnet(body: Json) -> Subnet:
    return Subnet(
        id=body["id"],
        network_id=body["network_id"],
        cidr=body["cidr"],
        ip_version=body["ip_version"],
        gateway_ip=body.get("gateway_ip"),
        host_routes=tuple(
            Route(destination=route["destination"], nexthop=route["nexthop"]) for route in body.get("host_routes") or ()
        ),
    )


def port(body: Json) -> Port:
    return Port(
        id=body["id"],
        network_id=body["network_id"],
        name=body.get("name") or "",
        mac_address=body.get("mac_address") or "",
        fixed_ips=tuple(FixedIp(subnet_id=ip["subnet_id"], ip_address=ip["ip_address"]) for ip in body["fixed_ips"]),
        vnic_type="direct" if body.get("binding:vnic_type") == "direct" else "normal",
        device_id=body.get("device_id") or "",
        device_owner=body.get("device_owner") or "",
        status=body.get("status") or "DOWN",
        project_id=body.get("project_id") or body.get("tenant_id") or "",
        qos_policy_id=body.get("qos_policy_id"),
        allowed_addresses=tuple(pair["ip_address"] for pair in body.get("allowed_address_pairs") or ()),
        trusted=str((body.get("binding:profile") or {}).get("trusted")).lower() == "true",
        port_security=body.get("port_security_enabled", True),
        security_groups=tuple(body.get("security_groups") or ()),
        created_at=body.get("created_at") or "",
    )


def port_body(request: PortRequest) -> Json:
    body: Json = {
        "network_id": request.network_id,
        "name": request.name,
        "admin_state_up": request.admin_state_up,
        "device_id": request.device_id,
        "device_owner": request.device_owner,
        "binding:vnic_type": request.vnic_type,
    }
    if request.fixed_ips:
        body["fixed_ips"] = [
            {key: value for key, value in (("subnet_id", ip.subnet_id), ("ip_address", ip.ip_address)) if value}
            for ip in request.fixed_ips
        ]
    if request.allowed_addresses:
        body["allowed_address_pairs"] = [{"ip_address": address} for address in request.allowed_addresses]
    if request.project_id is not None:
        body["project_id"] = request.project_id
    if request.qos_policy_id is not None:
        body["qos_policy_id"] = request.qos_policy_id
    if request.security_groups is not None:
        body["security_groups"] = list(request.security_groups)
    if request.trusted:
        body["binding:profile"] = {"trusted": "true"}
    if not request.port_security:
        body["port_security_enabled"] = False
    return body


def security_group(body: Json) -> SecurityGroup:
    rules = body.get("security_group_rules") or ()
    return SecurityGroup(id=body["id"], rules={rule["id"]: _rule(rule) for rule in rules})


def _rule(body: Json) -> SecurityGroupRule:
    """What means the same reads the same, whoever made the rule, and by which name of the protocol."""
    protocol = body.get("protocol")
    prefix = body.get("remote_ip_prefix")
    if protocol is not None:
        protocol = _PROTOCOLS.get((body["ethertype"], str(protocol).lower()), str(protocol).lower())
    return SecurityGroupRule(
        direction=body["direction"],
        ethertype=body["ethertype"],
        protocol=protocol,
        port_range_min=body.get("port_range_min"),
        port_range_max=body.get("port_range_max"),
        remote_ip_prefix=None if prefix in _ANYWHERE else prefix,
        remote_group_id=body.get("remote_group_id") or body.get("remote_address_group_id"),
    )


def rule_bodies(group_id: str, rules: Iterable[SecurityGroupRule]) -> list[Json]:
    return [
        {
            "security_group_id": group_id,
            **{name: value for name, value in msgspec.structs.asdict(rule).items() if value is not None},
        }
        for rule in rules
    ]


def server(body: Json) -> Server:
    """From microversion 2.47 on it holds the flavor, but not the flavor's id."""
    flavor, metadata = body.get("flavor") or {}, body.get("metadata") or {}
    return Server(
        id=body["id"],
        name=body["name"],
        status=body["status"],
        fault=(body.get("fault") or {}).get("message"),
        addresses={name: [item["addr"] for item in items] for name, items in (body.get("addresses") or {}).items()},
        flavor=flavor.get("id") or metadata.get(FLAVOR),
        vcpus=flavor.get("vcpus"),
        image_id=(body.get("image") or {}).get("id"),
        zone=body.get("OS-EXT-AZ:availability_zone"),
    )


def server_body(request: ServerRequest) -> Json:
    server: Json = {
        "name": request.name,
        "flavorRef": request.flavor,
        "imageRef": request.image_id,
        "config_drive": True,
        "metadata": {**request.metadata, FLAVOR: request.flavor},
        "networks": [*({"uuid": id_} for id_ in request.networks), *({"port": id_} for id_ in request.ports)],
    }
    if request.files:
        server["user_data"] = _user_data(request.files)
    if request.security_groups:
        # Nova takes ids as names, and applies them to the ports that it makes itself.
        server["security_groups"] = [{"name": id_} for id_ in request.security_groups]
    if request.availability_zone is not None:
        server["availability_zone"] = request.availability_zone
    body: Json = {"server": server}
    if request.server_group_id is not None:
        body["os:scheduler_hints"] = {"group": request.server_group_id}
    return body


def _user_data(files: Mapping[str, str]) -> str:
    """Cloud-config in its JSON form: YAML readers take it too, and nothing has to be escaped by hand."""
    entries = [{"path": path, "content": content, "permissions": "0600"} for path, content in files.items()]
    return base64.b64encode(("#cloud-config\n" + json.dumps({"write_files": entries})).encode()).decode()
