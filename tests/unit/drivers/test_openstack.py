"""Against a real HTTP server that answers as Keystone, Nova, Neutron and Glance do."""

import base64
import json
from collections.abc import Callable

import pytest
from openstack_server import GROUPS, NETWORK, PORT, PORT_BODY, RULES, SERVER, WEB, Answer, OpenStack, neutron, nova

from hydria.base.config import Identity
from hydria.base.errors import Conflict, Forbidden, HydriaError, Invalid, NotFound, Retryable, Terminal, Unauthorized
from hydria.drivers.cloud import FixedIp, Network, PortRequest, Server, ServerRequest
from hydria.drivers.openstack import OpenStackCloud
from hydria.model.spec import Route


def test_one_login_serves_all_services(openstack: OpenStack, cloud: OpenStackCloud) -> None:
    openstack.says("GET /networking/v2.0/ports", (200, {"ports": []}))
    openstack.says("GET /image/v2/images", (200, {"images": [{"id": "image-1"}]}))
    openstack.says("GET /compute/v2.1/servers/detail", (200, {"servers": []}))
    assert cloud.find_ports(name=["a", "b"], device_owner="Octavia") == ()
    assert openstack.last()[1] == {"name": ["a", "b"], "device_owner": ["Octavia"]}
    assert cloud.image_by_tag("amphora") == "image-1"
    query = openstack.last()[1]
    assert (query["tag"], query["sort"], query["status"]) == (["amphora"], ["created_at:desc"], ["active"])
    assert cloud.find_servers("amphora-1") == ()
    assert openstack.last()[1] == {"name": ["^amphora-1$"]}
    assert openstack.logins == 1


@pytest.mark.parametrize(("asked", "query"), [("public", "name"), (NETWORK, "id")])
def test_a_network_by_name_or_id(openstack: OpenStack, cloud: OpenStackCloud, asked: str, query: str) -> None:
    body = {"id": NETWORK, "name": "public", "mtu": 9000, "subnets": ["s"], "port_security_enabled": False}
    openstack.says("GET /networking/v2.0/networks", (200, {"networks": [body]}))
    assert cloud.network(asked) == Network(
        id=NETWORK, name="public", mtu=9000, subnets=("s",), port_security_enabled=False
    )
    assert openstack.last()[1] == {query: [asked]}


def test_a_subnet(openstack: OpenStack, cloud: OpenStackCloud) -> None:
    body = {
        "id": "s",
        "network_id": NETWORK,
        "cidr": "203.0.113.0/24",
        "ip_version": 4,
        "gateway_ip": None,
        "host_routes": [{"destination": "10.0.0.0/8", "nexthop": "203.0.113.8"}],
    }
    openstack.says("GET /networking/v2.0/subnets", (200, {"subnets": [body]}))
    subnet = cloud.subnet("s")
    assert subnet is not None
    assert (subnet.gateway_ip, subnet.host_routes) == (
        None,
        (Route(destination="10.0.0.0/8", nexthop="203.0.113.8"),),
    )


def test_free_addresses(openstack: OpenStack, cloud: OpenStackCloud) -> None:
    body = {"subnet_ip_availability": [{"subnet_id": "s", "total_ips": 253, "used_ips": 3}]}
    openstack.says(
        f"GET /networking/v2.0/network-ip-availabilities/{NETWORK}", (200, {"network_ip_availability": body})
    )
    assert cloud.free_addresses(NETWORK) == {"s": 250}


def test_a_port_is_asked_for_in_neutrons_words(openstack: OpenStack, cloud: OpenStackCloud) -> None:
    openstack.says("POST /networking/v2.0/ports", (201, {"port": PORT_BODY}))
    port = cloud.create_port(
        PortRequest(
            network_id=NETWORK,
            name="octavia-lb-vrrp-1",
            fixed_ips=(FixedIp(subnet_id="s"),),
            vnic_type="direct",
            allowed_addresses=("203.0.113.9",),
            project_id="demo",
            security_groups=(),
        )
    )
    assert (port.id, port.vnic_type, port.allowed_addresses) == (PORT, "direct", ("203.0.113.9",))
    assert openstack.last()[2] == {
        "port": {
            "network_id": NETWORK,
            "name": "octavia-lb-vrrp-1",
            "admin_state_up": True,
            "device_id": "",
            "device_owner": "Octavia",
            "binding:vnic_type": "direct",
            "fixed_ips": [{"subnet_id": "s"}],
            "allowed_address_pairs": [{"ip_address": "203.0.113.9"}],
            "project_id": "demo",
            "security_groups": [],
        }
    }


def test_a_trusted_vf_that_may_send_from_any_address(openstack: OpenStack, cloud: OpenStackCloud) -> None:
    body = {**PORT_BODY, "binding:profile": {"trusted": "true"}, "port_security_enabled": False}
    openstack.says("POST /networking/v2.0/ports", (201, {"port": body}))
    request = PortRequest(network_id=NETWORK, name="p", vnic_type="direct", trusted=True, port_security=False)
    port = cloud.create_port(request)
    assert (port.trusted, port.port_security) == (True, False)
    sent = openstack.last()[2]
    assert isinstance(sent, dict)
    assert sent["port"]["binding:profile"] == {"trusted": "true"}
    assert sent["port"]["port_security_enabled"] is False
    assert not {"allowed_address_pairs", "security_groups"} & sent["port"].keys()


def test_the_management_ports_groups_are_asked_of_nova(openstack: OpenStack, cloud: OpenStackCloud) -> None:
    openstack.says("POST /compute/v2.1/servers", (202, {"server": {"id": SERVER}}))
    for groups in ((), ("g", "h")):
        cloud.create_server(ServerRequest(name="a", flavor="f", image_id="i", security_groups=groups))
    sent = [body["server"].get("security_groups") for _, _, body in openstack.requests if isinstance(body, dict)]
    assert sent == [None, [{"name": "g"}, {"name": "h"}]]


def test_a_guaranteed_rate_needs_a_newer_nova(openstack: OpenStack, cloud: OpenStackCloud) -> None:
    openstack.says("POST /compute/v2.1/servers", (202, {"server": {"id": SERVER}}))
    for guaranteed in (True, False):
        cloud.create_server(ServerRequest(name="a", flavor="f", image_id="i", guaranteed_rate=guaranteed))
    assert openstack.microversions[-2:] == ["compute 2.72", None]


def test_a_server_is_asked_for_in_novas_words(openstack: OpenStack, cloud: OpenStackCloud) -> None:
    openstack.says("POST /compute/v2.1/servers", (202, {"server": {"id": SERVER}}))
    files = {"/etc/hydria/agent.json": '{"a": "b"}'}
    request = ServerRequest(
        name="amphora-1", flavor="amphora", image_id="i", networks=(NETWORK,), ports=(PORT,), files=files
    )
    server = cloud.create_server(request)
    assert (server.id, server.status) == (SERVER, "BUILD")
    body = openstack.last()[2]
    assert isinstance(body, dict)
    user_data = base64.b64decode(body["server"].pop("user_data")).decode()
    assert body == {
        "server": {
            "name": "amphora-1",
            "flavorRef": "amphora",
            "imageRef": "i",
            "config_drive": True,
            "metadata": {"compute_flavor": "amphora"},
            "networks": [{"uuid": NETWORK}, {"port": PORT}],
        }
    }
    assert user_data.startswith("#cloud-config\n")
    (entry,) = json.loads(user_data.removeprefix("#cloud-config\n"))["write_files"]
    assert entry == {"path": "/etc/hydria/agent.json", "content": '{"a": "b"}', "permissions": "0600"}


def test_a_server_and_why_it_failed(openstack: OpenStack, cloud: OpenStackCloud) -> None:
    body = {
        "id": SERVER,
        "name": "amphora-1",
        "status": "ERROR",
        "fault": {"code": 500, "message": "No valid host was found. host1: no VF"},
        "addresses": {"lb-mgmt-net": [{"addr": "198.18.0.5", "version": 4}]},
        "flavor": {"original_name": "small", "vcpus": 2, "ram": 1024},
        "metadata": {"compute_flavor": "amphora"},
        "image": "",
        "OS-EXT-AZ:availability_zone": "nova",
    }
    openstack.says(f"GET /compute/v2.1/servers/{SERVER}", (200, {"server": body}))
    assert cloud.server(SERVER) == Server(
        id=SERVER,
        name="amphora-1",
        status="ERROR",
        fault="No valid host was found. host1: no VF",
        addresses={"lb-mgmt-net": ["198.18.0.5"]},
        flavor="amphora",
        vcpus=2,
        zone="nova",
    )
    assert cloud.server("other") is None
    assert openstack.microversions == ["compute 2.47"] * 2


def test_a_server_of_which_less_is_told(openstack: OpenStack, cloud: OpenStackCloud) -> None:
    body = {"id": SERVER, "name": "amphora-1", "status": "ACTIVE", "flavor": {"id": "amphora"}}
    openstack.says("GET /compute/v2.1/servers/detail", (200, {"servers": [body]}))
    (server,) = cloud.find_servers("amphora-1")
    assert (server.flavor, server.vcpus) == ("amphora", None)
    assert openstack.microversions == ["compute 2.47"]


PORTS, SERVERS = "POST /networking/v2.0/ports", "POST /compute/v2.1/servers"
ATTACH = f"POST /compute/v2.1/servers/{SERVER}/os-interface"
Call = Callable[[OpenStackCloud], object]


def create_port(cloud: OpenStackCloud) -> object:
    return cloud.create_port(PortRequest(network_id=NETWORK, name="p"))


def create_server(cloud: OpenStackCloud) -> object:
    return cloud.create_server(ServerRequest(name="s", flavor="f", image_id="i", files={"/etc/hydria/k": "SECRET"}))


def create_group(cloud: OpenStackCloud) -> object:
    return cloud.create_security_group("lb-1")


def add_rules(cloud: OpenStackCloud) -> object:
    cloud.add_security_group_rules("g", [WEB])
    return None


def set_groups(cloud: OpenStackCloud) -> object:
    cloud.set_security_groups(PORT, ["g"])
    return None


def attach(cloud: OpenStackCloud) -> object:
    cloud.attach_port(SERVER, PORT)
    return None


ERRORS: dict[str, tuple[Call, str, Answer, type[HydriaError]]] = {
    "address in use": (create_port, PORTS, (409, neutron("IpAddressInUse")), Conflict),
    "no addresses left": (create_port, PORTS, (409, neutron("IpAddressGenerationFailure")), Terminal),
    "port quota": (create_port, PORTS, (409, neutron("OverQuota")), Terminal),
    "address outside": (create_port, PORTS, (400, neutron("InvalidIpForSubnet")), Invalid),
    "no such network": (create_port, PORTS, (404, neutron("NetworkNotFound")), NotFound),
    "forbidden": (create_port, PORTS, (403, neutron("PolicyNotAuthorized")), Terminal),
    "neutron is down": (create_port, PORTS, (503, None), Retryable),
    "too many requests": (create_port, PORTS, (429, neutron("Slow down")), Retryable),
    "group quota": (create_group, f"POST {GROUPS}", (409, neutron("OverQuota")), Terminal),
    "rule quota": (add_rules, f"POST {RULES}", (409, neutron("OverQuota")), Terminal),
    "rule is there": (add_rules, f"POST {RULES}", (409, neutron("SecurityGroupRuleExists")), Retryable),
    "group of the rule is gone": (add_rules, f"POST {RULES}", (404, neutron("SecurityGroupNotFound")), Retryable),
    "group of the port is gone": (
        set_groups,
        f"PUT /networking/v2.0/ports/{PORT}",
        (404, neutron("SecurityGroupNotFound")),
        NotFound,
    ),
    "no such flavor": (create_server, SERVERS, (400, nova("badRequest")), Terminal),
    "server quota": (create_server, SERVERS, (403, nova("forbidden")), Terminal),
    "nova is broken": (create_server, SERVERS, (500, nova("computeFault")), Retryable),
    "no VF": (attach, ATTACH, (400, nova("badRequest")), Terminal),
    "binding failed": (attach, ATTACH, (500, {"computeFault": {"message": "PortBindingFailed"}}), Terminal),
    "server is busy": (attach, ATTACH, (409, nova("conflictingRequest")), Retryable),
    "server is gone": (attach, ATTACH, (404, nova("itemNotFound")), Retryable),
}


@pytest.mark.parametrize("case", ERRORS)
def test_what_the_cloud_refuses(openstack: OpenStack, cloud: OpenStackCloud, case: str) -> None:
    call, request, answer, error = ERRORS[case]
    openstack.says("GET /networking/v2.0/ports", (200, {"ports": []}))
    openstack.says(request, answer)
    with pytest.raises(HydriaError) as caught:
        call(cloud)
    assert type(caught.value) is error
    assert str(answer[0]) in caught.value.message
    said = next(iter(answer[1].values()))["message"] if isinstance(answer[1], dict) else ""
    assert said in caught.value.message
    assert "SECRET" not in caught.value.message


def test_attaching_twice_is_fine(openstack: OpenStack, cloud: OpenStackCloud) -> None:
    openstack.says(ATTACH, (400, nova("badRequest")))
    openstack.says("GET /networking/v2.0/ports", (200, {"ports": [{**PORT_BODY, "device_id": SERVER}]}))
    cloud.attach_port(SERVER, PORT)


def test_detaching_waits_until_the_port_is_free(openstack: OpenStack, cloud: OpenStackCloud) -> None:
    openstack.says(f"DELETE /compute/v2.1/servers/{SERVER}/os-interface/{PORT}", (202, None))
    attached, free = {**PORT_BODY, "device_id": SERVER}, PORT_BODY
    openstack.says("GET /networking/v2.0/ports", (200, {"ports": [attached]}), (200, {"ports": [free]}))
    cloud.detach_port(SERVER, PORT)
    assert len(openstack.requests) == 3


def test_deleting_what_is_gone_is_fine_and_what_is_busy_is_tried_again(
    openstack: OpenStack, cloud: OpenStackCloud
) -> None:
    cloud.delete_port(PORT)
    cloud.delete_server(SERVER)
    openstack.says("GET /networking/v2.0/ports", (200, {"ports": []}))
    cloud.detach_port(SERVER, "gone")
    openstack.says(f"DELETE /networking/v2.0/ports/{PORT}", (409, neutron("PortInUse")))
    with pytest.raises(Retryable, match="what Neutron said"):
        cloud.delete_port(PORT)


@pytest.mark.parametrize(("there", "status"), [(True, 200), (False, 404)])
def test_what_exists(openstack: OpenStack, cloud: OpenStackCloud, there: bool, status: int) -> None:
    for path in ("/networking/v2.0/qos/policies/x", "/networking/v2.0/security-groups/x", "/compute/v2.1/flavors/x"):
        openstack.says(f"GET {path}", (status, {}))
    assert cloud.exists("qos-policies", "x") is there
    assert cloud.exists("security-groups", "x") is there
    assert cloud.flavor_exists("x") is there


def test_which_compute_zones_there_are(openstack: OpenStack, cloud: OpenStackCloud) -> None:
    zones = [{"zoneName": "nova", "zoneState": {"available": True}}, {"zoneName": "b", "zoneState": {}}]
    openstack.says("GET /compute/v2.1/os-availability-zone", (200, {"availabilityZoneInfo": zones}))
    assert [cloud.zone_exists(name) for name in ("nova", "b", "Nova", "c")] == [True, True, False, False]


def test_zones_that_may_not_be_listed(openstack: OpenStack, cloud: OpenStackCloud) -> None:
    openstack.says("GET /compute/v2.1/os-availability-zone", (403, nova("forbidden")))
    with pytest.raises(Terminal, match="os-availability-zone"):
        cloud.zone_exists("nova")


LOOKUPS: dict[str, tuple[Call, str]] = {
    "network": (lambda cloud: cloud.network("n"), "/networks"),
    "subnet": (lambda cloud: cloud.subnet("s"), "/subnets"),
    "port": (lambda cloud: cloud.port(PORT), "/ports"),
    "QoS policy": (lambda cloud: cloud.exists("qos-policies", "x"), "/qos/policies/x"),
    "security group": (lambda cloud: cloud.exists("security-groups", "x"), "/security-groups/x"),
}


@pytest.mark.parametrize("case", LOOKUPS)
def test_a_view_looks_up_with_its_own_token(
    openstack: OpenStack, cloud: OpenStackCloud, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    call, path = LOOKUPS[case]
    openstack.says(f"GET /networking/v2.0{path}", (200, {path[1:]: []}))
    caplog.set_level("DEBUG")
    view = cloud.seen_by("CALLERS")
    call(view)
    call(cloud)
    assert openstack.tokens == ["CALLERS", "token-1"]
    assert openstack.requests[0] == openstack.requests[1]
    for status, error in ((401, Unauthorized), (403, Forbidden), (503, Retryable)):
        openstack.says(f"GET /networking/v2.0{path}", (status, neutron("x")))
        with pytest.raises(error) as caught:
            call(view)
        assert "CALLERS" not in caught.value.message
    assert openstack.logins == 1, "a caller's bad token is not ours"
    assert "CALLERS" not in caplog.text + repr(view)


def test_all_else_a_view_does_as_the_service(openstack: OpenStack, cloud: OpenStackCloud) -> None:
    view = cloud.seen_by("CALLERS")
    body: dict[str, object] = {"network_ip_availability": {"subnet_ip_availability": []}}
    openstack.says(f"GET /networking/v2.0/network-ip-availabilities/{NETWORK}", (200, body))
    openstack.says("POST /networking/v2.0/ports", (201, {"port": PORT_BODY}))
    view.free_addresses(NETWORK)
    view.create_port(PortRequest(network_id=NETWORK, name="p"))
    view.flavor_exists("x")
    assert openstack.tokens == ["token-1"] * 3


def test_no_cloud_at_all_is_retryable() -> None:
    cloud = OpenStackCloud(Identity(auth_url="http://127.0.0.1:9/identity/v3", password="secret"))
    with pytest.raises(Retryable) as caught:
        cloud.port(PORT)
    assert "secret" not in caught.value.message
    cloud.close()
