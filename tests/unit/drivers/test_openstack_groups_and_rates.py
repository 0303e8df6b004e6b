"""Security groups and rates in Neutron's words, against a real HTTP server that answers as it does."""

import msgspec
import pytest
from openstack_server import GROUPS, PORT, PORT_BODY, RULES, WEB, OpenStack, neutron

from hydria.base.errors import Retryable, Terminal
from hydria.drivers import openstack_shapes
from hydria.drivers.cloud import SecurityGroupRule
from hydria.drivers.openstack import OpenStackCloud

POLICIES = "/networking/v2.0/qos/policies"
LIMIT = {"id": "r1", "type": "bandwidth_limit", "max_kbps": 1_000_000, "direction": "egress"}
GUARANTEE = {"id": "r2", "type": "minimum_bandwidth", "min_kbps": 100_000, "direction": "egress"}


def rate_policy(openstack: OpenStack, *rules: object, **values: object) -> None:
    policy = {"id": "q", "project_id": "p", "rules": list(rules), "created_at": "2026-01-02", **values}
    openstack.says(f"GET {POLICIES}", (200, {"policies": [{**policy, "id": "z", "created_at": "2026-01-03"}, policy]}))
    for kind, status in (("bandwidth_limit", 201), ("minimum_bandwidth", 409)):
        openstack.says(f"POST {POLICIES}/q/{kind}_rules", (status, neutron("QoSRuleParameterConflict")))
        openstack.says(f"PUT {POLICIES}/q/{kind}_rules/r1", (200, {}))


@pytest.mark.parametrize(
    ("rules", "changes"),
    [
        ([LIMIT, GUARANTEE], []),
        ([], ["POST bandwidth_limit_rules", "POST minimum_bandwidth_rules"]),
        ([{**LIMIT, "direction": "ingress"}, GUARANTEE], ["POST bandwidth_limit_rules"]),
        ([{**LIMIT, "max_kbps": 5}, GUARANTEE], ["PUT bandwidth_limit_rules/r1"]),
    ],
    ids=["there", "empty", "of the other direction", "changed by somebody"],
)
def test_a_rate_policy_is_made_complete(
    openstack: OpenStack, cloud: OpenStackCloud, rules: list[object], changes: list[str]
) -> None:
    rate_policy(openstack, *rules)
    assert cloud.ensure_rate_policy("hydria-vf-100-1000", min_mbps=100, max_mbps=1000) == "q"
    assert openstack.requests[0][1] == {"name": ["hydria-vf-100-1000"]}
    assert [request.replace(f"{POLICIES}/q/", "") for request, _, _ in openstack.requests[1:]] == changes


def test_a_rate_policy_of_another_project_is_not_ours(openstack: OpenStack, cloud: OpenStackCloud) -> None:
    rate_policy(openstack, LIMIT, project_id="somebody")
    openstack.says(f"POST {POLICIES}", (201, {"policy": {"id": "q", "rules": []}}))
    assert cloud.ensure_rate_policy("hydria-vf-0-1000", min_mbps=0, max_mbps=1000) == "q"
    request, _, body = openstack.last()
    assert request == f"POST {POLICIES}/q/bandwidth_limit_rules"
    assert body == {"bandwidth_limit_rule": {"max_kbps": 1_000_000, "direction": "egress"}}
    openstack.says(f"POST {POLICIES}", (403, neutron("PolicyNotAuthorized")))
    with pytest.raises(Terminal, match="what Neutron said"):
        cloud.ensure_rate_policy("hydria-vf-0-1000", min_mbps=0, max_mbps=1000)


OUT = {"id": "out", "direction": "egress", "ethertype": "IPv4", "protocol": None, "remote_ip_prefix": None}


def test_our_security_groups_the_eldest_first(openstack: OpenStack, cloud: OpenStackCloud) -> None:
    rule = {
        "id": "web",
        "direction": "ingress",
        "ethertype": "IPv4",
        "protocol": "tcp",
        "port_range_min": 80,
        "port_range_max": 80,
        "remote_ip_prefix": "192.0.2.0/24",
        "remote_group_id": None,
        "remote_address_group_id": None,
    }
    elder = {"id": "e", "created_at": "2026-01-01", "security_group_rules": [OUT, rule]}
    younger = {"id": "a", "created_at": "2026-01-02", "security_group_rules": []}
    openstack.says(f"GET {GROUPS}", (200, {"security_groups": [younger, elder]}))
    groups = cloud.find_security_groups("lb-1")
    assert openstack.last()[1] == {"name": ["lb-1"], "project_id": ["p"]}
    assert [group.id for group in groups] == ["e", "a"]
    assert groups[0].rules == {"out": SecurityGroupRule(direction="egress", ethertype="IPv4"), "web": WEB}


@pytest.mark.parametrize(
    ("changes", "read"),
    [
        ({"protocol": "6"}, {}),
        ({"protocol": "TCP"}, {}),
        ({"protocol": "vrrp"}, {"protocol": "112"}),
        ({"protocol": "icmp"}, {"protocol": "icmp"}),
        ({"protocol": "icmp", "ethertype": "IPv6"}, {"protocol": "ipv6-icmp", "ethertype": "IPv6"}),
        ({"protocol": "icmpv6", "ethertype": "IPv6"}, {"protocol": "ipv6-icmp", "ethertype": "IPv6"}),
        ({"protocol": "any"}, {"protocol": None}),
        ({"remote_ip_prefix": "0.0.0.0/0"}, {"remote_ip_prefix": None}),
        ({"remote_address_group_id": "x"}, {"remote_group_id": "x"}),
    ],
    ids=str,
)
def test_what_means_the_same_reads_the_same(changes: dict[str, str], read: dict[str, str | None]) -> None:
    body = {"id": "r", **msgspec.structs.asdict(WEB), **changes}
    group = openstack_shapes.security_group({"id": "g", "security_group_rules": [body]})
    assert group.rules["r"] == msgspec.structs.replace(WEB, **read)


def test_a_security_group_is_made_filled_and_removed(openstack: OpenStack, cloud: OpenStackCloud) -> None:
    openstack.says(f"POST {GROUPS}", (201, {"security_group": {"id": "g", "security_group_rules": [OUT]}}))
    openstack.says(f"POST {RULES}", (201, {"security_group_rules": []}))
    openstack.says(f"DELETE {GROUPS}/g", (409, neutron("SecurityGroupInUse")), (204, None))
    openstack.says(f"PUT /networking/v2.0/ports/{PORT}", (200, {"port": PORT_BODY}))
    group = cloud.create_security_group("lb-1")
    assert group.rules == {"out": SecurityGroupRule(direction="egress", ethertype="IPv4")}
    cloud.add_security_group_rules("g", [WEB, SecurityGroupRule(ethertype="IPv6", protocol="112", remote_group_id="g")])
    assert openstack.last()[2] == {
        "security_group_rules": [
            {
                "security_group_id": "g",
                "direction": "ingress",
                "ethertype": "IPv4",
                "protocol": "tcp",
                "port_range_min": 80,
                "port_range_max": 80,
                "remote_ip_prefix": "192.0.2.0/24",
            },
            {
                "security_group_id": "g",
                "direction": "ingress",
                "ethertype": "IPv6",
                "protocol": "112",
                "remote_group_id": "g",
            },
        ]
    }
    cloud.set_security_groups(PORT, ["g"])
    assert openstack.last()[2] == {"port": {"security_groups": ["g"]}}
    cloud.remove_security_group_rule("gone")
    with pytest.raises(Retryable, match="what Neutron said"):
        cloud.delete_security_group("g")
    cloud.delete_security_group("g")
    cloud.delete_security_group("gone")
