"""Bad input: the code, part of the text, and that nothing changed."""

from typing import Any

import pytest
from api_world import NOBODY, World, refuse


@pytest.fixture(scope="module")
def world(shared_world: World) -> World:
    """One for all: what is refused here changes nothing."""
    return shared_world


def case(id_: str, status: int, text: str, **values: Any):
    return pytest.param(values, status, text, id=id_)


@pytest.mark.parametrize(
    ("values", "status", "text"),
    [
        case("unknown field", 400, "Unknown attribute", colour="red"),
        case("read-only field", 400, "Unknown attribute", vip_vnic_type="direct"),
        case("internal field", 400, "Unknown attribute", generation=7),
        case("wrong type", 400, "Invalid input for field/attribute name. Value: '5'", name=5),
        case("too long", 400, "Invalid input for field/attribute description", description="x" * 256),
        case("admin_state_up is no boolean", 400, "admin_state_up", admin_state_up="perhaps"),
        case("no VIP", 400, "VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id", vip_subnet_id=None),
        case("no address", 400, "Value: 'x'", vip_address="x"),
        case("scope id", 400, "vip_address", vip_address="fe80::1%eth0"),
        case("no UUID", 400, "vip_subnet_id", vip_subnet_id="public-subnet"),
        case("missing subnet", 400, f"Subnet {NOBODY} not found.", vip_subnet_id=NOBODY),
        case("missing network", 400, f"Network {NOBODY} not found.", vip_subnet_id=None, vip_network_id=NOBODY),
        case("missing port", 400, f"Port {NOBODY} not found.", vip_subnet_id=None, vip_port_id=NOBODY),
        case("port in use", 400, "already used by", vip_subnet_id=None, vip_port_id="@port"),
        case("network of another subnet", 400, "vip_network_id", vip_subnet_id="@members", vip_network_id="@network"),
        case("address elsewhere", 400, "not in subnet", vip_address="192.0.2.5"),
        case("address of the other family", 400, "not in subnet", vip_address="2001:db8:1::5"),
        case("address in use", 409, "already", vip_address="@taken"),
        case("second VIP elsewhere", 400, "same network", additional_vips=[{"subnet_id": "@members"}]),
        case("second VIP in the first's subnet", 400, "only once", additional_vips=[{"subnet_id": "@public"}]),
        case("second VIP's missing subnet", 400, "not found", additional_vips=[{"subnet_id": NOBODY}]),
        case("second VIP's port", 400, "port_id", additional_vips=[{"subnet_id": "@public6", "port_id": NOBODY}]),
        case("missing QoS policy", 400, f"QoS policy {NOBODY} not found.", vip_qos_policy_id=NOBODY),
        case("missing security group", 400, f"Security group {NOBODY} not found.", vip_sg_ids=[NOBODY]),
        case("unknown provider", 400, "Provider 'f5' is not enabled.", provider="f5"),
        case("missing flavor", 400, f"Flavor {NOBODY} not found.", flavor_id=NOBODY),
        case("disabled flavor", 400, "not allowed in this deployment", flavor_id="@disabled"),
        case("provider is not the flavor's", 400, "octavia", flavor_id="@flavor", provider="octavia"),
        case("another's project", 403, "Policy", project_id="other"),
        case("two projects", 400, "tenant_id", project_id="demo", tenant_id="other"),
    ],
)
def test_load_balancer(world: World, there: Any, values: Any, status: int, text: str):
    body = {"vip_subnet_id": "@public", **values}
    refuse(world, there, "POST /loadbalancers", {"loadbalancer": body}, (status, text))


LISTENER = {"loadbalancer_id": "@lb", "protocol": "HTTP", "protocol_port": 8080}


@pytest.mark.parametrize(
    ("values", "status", "text"),
    [
        case("unknown field", 400, "Unknown attribute", colour="red"),
        case("no protocol", 400, "protocol", protocol=None),
        case("unknown protocol", 400, "protocol", protocol="GOPHER"),
        case("port 0", 400, "Value: '0'", protocol_port=0),
        case("port 65536", 400, "Value: '65536'", protocol_port=65536),
        case("port is no number", 400, "protocol_port", protocol_port="http"),
        case("missing load balancer", 404, f"Load Balancer {NOBODY} not found.", loadbalancer_id=NOBODY),
        case("port in use", 409, "already using", protocol_port=80),
        case("port in use by TCP too", 409, "already using", protocol="TCP", protocol_port=80),
        case("connection_limit", 400, "connection_limit", connection_limit=-2),
        case("connection_limit beyond integers", 400, "connection_limit", connection_limit=2**40),
        case("timeout", 400, "timeout_client_data", timeout_client_data=2_073_600_001),
        case("missing pool", 404, f"Pool {NOBODY} not found.", default_pool_id=NOBODY),
        case("pool of another load balancer", 404, "not found", default_pool_id="@other_pool"),
        case("pool of another protocol", 400, "not a valid option for protocol", default_pool_id="@tcp_pool"),
        case("both kinds of default pool", 400, "default_pool", default_pool_id="@pool", default_pool={"name": "x"}),
        case("name of no pool", 400, "No pool of this request", default_pool={"name": "pool1"}),
        case("L7 policies", 501, "does not support", l7policies=[{"action": "REJECT"}]),
        case("header on TCP", 400, "insert_headers", protocol="TCP", insert_headers={"X-Forwarded-For": "true"}),
        case("unknown header", 400, "X-Evil is not a valid option", insert_headers={"X-Evil": "true"}),
        case("header's value", 400, "maybe is not a valid option", insert_headers={"X-Forwarded-For": "maybe"}),
        case("no CIDR", 400, "allowed_cidrs", allowed_cidrs=["10.0.0.0/40"]),
        case("CIDR of another family", 400, "family", allowed_cidrs=["2001:db8::/32"]),
        case("UDP", 501, "Provider 'amphora' does not support", protocol="UDP"),
        case("SCTP", 501, "does not support", protocol="SCTP"),
        case("TERMINATED_HTTPS", 400, "needs a certificate", protocol="TERMINATED_HTTPS"),
        case("PROMETHEUS", 501, "does not support", protocol="PROMETHEUS"),
    ],
)
def test_listener(world: World, there: Any, values: Any, status: int, text: str):
    refuse(world, there, "POST /listeners", {"listener": {**LISTENER, **values}}, (status, text))


@pytest.mark.parametrize(
    ("values", "status", "text"),
    [
        case("unknown field", 400, "Unknown attribute", colour="red"),
        case("no parent", 400, "at least one of", loadbalancer_id=None),
        case("missing load balancer", 404, f"Load Balancer {NOBODY} not found.", loadbalancer_id=NOBODY),
        case("missing listener", 404, f"Listener {NOBODY} not found.", loadbalancer_id=None, listener_id=NOBODY),
        case("unknown protocol", 400, "protocol", protocol="GOPHER"),
        case("no algorithm", 400, "lb_algorithm", lb_algorithm=None),
        case("SOURCE_IP_PORT", 501, "does not support", lb_algorithm="SOURCE_IP_PORT"),
        case("UDP", 501, "does not support", protocol="UDP"),
        case("listener has a pool", 409, "already has a default pool", listener_id="@listener"),
        case("listener of another protocol", 400, "HTTP listener", listener_id="@listener", protocol="TCP"),
        case("persistence type", 400, "session_persistence.type", session_persistence={"type": "MEMORY"}),
        case("no cookie name", 400, "cookie_name", session_persistence={"type": "APP_COOKIE"}),
        case("needless name", 400, "cookie_name", session_persistence={"type": "SOURCE_IP", "cookie_name": "a"}),
        case(
            "cookie name of evil",
            400,
            "cookie_name",
            session_persistence={"type": "APP_COOKIE", "cookie_name": "a\n  acl x"},
        ),
        case(
            "timeout on HTTP",
            400,
            "persistence_timeout",
            session_persistence={"type": "SOURCE_IP", "persistence_timeout": 5},
        ),
        case(
            "nested member's bad weight",
            400,
            "weight",
            members=[{"address": "1.2.3.4", "protocol_port": 1, "weight": 900}],
        ),
        case(
            "nested member's pool_id",
            400,
            "pool_id",
            members=[{"address": "1.2.3.4", "protocol_port": 1, "pool_id": "@pool"}],
        ),
        case(
            "nested member wants a VF",
            400,
            "SR-IOV",
            members=[{"address": "1.2.3.4", "protocol_port": 1, "request_sriov": True}],
        ),
        case("nested member twice", 409, "already using ip", members=[{"address": "1.2.3.4", "protocol_port": 1}] * 2),
        case("nested monitor", 400, "max_retries", healthmonitor={"type": "TCP", "delay": 1, "timeout": 1}),
        case(
            "nested monitor's type",
            400,
            "not a valid option",
            healthmonitor={"type": "SCTP", "delay": 1, "timeout": 1, "max_retries": 1},
        ),
    ],
)
def test_pool(world: World, there: Any, values: Any, status: int, text: str):
    body = {"loadbalancer_id": "@lb", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", **values}
    refuse(world, there, "POST /pools", {"pool": body}, (status, text))


@pytest.mark.parametrize(
    ("values", "status", "text"),
    [
        case("unknown field", 400, "Unknown attribute", colour="red"),
        case("vnic_type is ours", 400, "Unknown attribute", vnic_type="direct"),
        case("no address", 400, "address. Value: 'None'", address=None),
        case("bad address", 400, "Value: '192.0.2.300'", address="192.0.2.300"),
        case("scope id", 400, "scope id", address="fe80::1%x\n"),
        case("reserved address", 400, "reserved", address="169.254.169.254"),
        case("same once more", 409, "already using ip 192.0.2.10 on protocol_port 80", address="192.0.2.10"),
        case("port", 400, "protocol_port", protocol_port=70000),
        case("weight", 400, "weight", weight=257),
        case("monitor_port", 400, "monitor_port", monitor_port=0),
        case("missing subnet", 400, f"Subnet {NOBODY} not found.", subnet_id=NOBODY),
        case("VF not allowed", 400, "The load balancer flavor does not allow SR-IOV member ports.", request_sriov=True),
    ],
)
def test_member(world: World, there: Any, values: Any, status: int, text: str):
    body = {"address": "192.0.2.11", "protocol_port": 80, **values}
    refuse(world, there, "POST /pools/@pool/members", {"member": body}, (status, text))


MONITOR = {"pool_id": "@tcp_pool", "type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2}


@pytest.mark.parametrize(
    ("values", "status", "text"),
    [
        case("unknown field", 400, "Unknown attribute", colour="red"),
        case("missing pool", 404, f"Pool {NOBODY} not found.", pool_id=NOBODY),
        case("second one", 409, "already has a health monitor", pool_id="@pool"),
        case("max_retries", 400, "max_retries", max_retries=11),
        case("delay", 400, "delay", delay=-1),
        case("delay beyond integers", 400, "delay", delay=2**70),
        case("url_path", 400, "url_path", url_path="no slash"),
        case("url_path of evil", 400, "url_path", url_path="/\nbackend x"),
        case("expected_codes", 400, "expected_codes", expected_codes="2xx"),
        case("http_version", 400, "http_version", http_version=2.0),
        case("domain_name", 400, "domain_name", domain_name="a b", http_version=1.1),
        case("domain_name without version", 400, "http_version of 1.1", domain_name="example.org"),
        case("HTTP field on TCP", 400, "url_path", type="TCP", url_path="/"),
        case("UDP-CONNECT on TCP pool", 400, "not a valid option", type="UDP-CONNECT"),
        case("PING", 501, "does not support", type="PING"),
        case("TLS-HELLO", 501, "does not support", type="TLS-HELLO"),
    ],
)
def test_health_monitor(world: World, there: Any, values: Any, status: int, text: str):
    refuse(world, there, "POST /healthmonitors", {"healthmonitor": {**MONITOR, **values}}, (status, text))
