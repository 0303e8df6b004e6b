"""What network_data.json means for the management NIC."""

import ipaddress
import json

import pytest

from hydria.agent.network_data import FIRST_NIC, BadNetworkData, Nic, Route, management_nic, networkd_file

MAC = "fa:16:3e:00:00:01"
LINK = {"id": "tap1", "type": "ovs", "vif_id": "1f", "ethernet_mac_address": MAC.upper(), "mtu": 1450}
VIP_LINK = {"id": "tap2", "type": "hw_veb", "vif_id": "2f", "ethernet_mac_address": "fa:16:3e:00:00:02", "mtu": None}
V4 = {
    "id": "network0",
    "type": "ipv4",
    "link": "tap1",
    "ip_address": "198.18.0.10",
    "netmask": "255.255.255.0",
    "network_id": "3f",
    "routes": [
        {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "198.18.0.1"},
        {"network": "10.0.0.0", "netmask": "255.0.0.0", "gateway": "198.18.0.2"},
    ],
}
V6 = {
    "id": "network1",
    "type": "ipv6",
    "link": "tap1",
    "ip_address": "2001:db8::10",
    "netmask": "ffff:ffff:ffff:ffff::",
    "routes": [{"network": "::", "netmask": "::", "gateway": "fe80::1"}],
}
VIP = {"id": "network2", "type": "ipv4", "link": "tap2", "ip_address": "203.0.113.5", "netmask": "255.255.255.0"}


def document(*networks: object, links: tuple[object, ...] = (LINK, VIP_LINK)) -> bytes:
    return json.dumps(
        {"links": links, "networks": networks, "services": [{"type": "dns", "address": "9.9.9.9"}]}
    ).encode()


def route(destination: str, gateway: str) -> Route:
    return Route(ipaddress.ip_network(destination), ipaddress.ip_address(gateway))


def address(text: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    return ipaddress.ip_interface(text)


V4_ROUTES = (route("0.0.0.0/0", "198.18.0.1"), route("10.0.0.0/8", "198.18.0.2"))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"{}", FIRST_NIC, id="nothing said: DHCP on the first NIC"),
        pytest.param(document(VIP, links=()), FIRST_NIC, id="no links"),
        pytest.param(document(V4), Nic(MAC, 1450, (address("198.18.0.10/24"),), V4_ROUTES), id="IPv4"),
        pytest.param(
            document(V6),
            Nic(MAC, 1450, (address("2001:db8::10/64"),), (route("::/0", "fe80::1"),)),
            id="IPv6, whose netmask Nova writes as an address",
        ),
        pytest.param(
            document({**V6, "ip_address": "2001:db8::10/56", "netmask": ""}, V4),
            Nic(
                MAC,
                1450,
                (address("2001:db8::10/56"), address("198.18.0.10/24")),
                (route("::/0", "fe80::1"), *V4_ROUTES),
            ),
            id="both families; prefix length in the address",
        ),
        pytest.param(document(VIP), Nic(MAC, 1450), id="an address of another link is not the management NIC's"),
        pytest.param(document(VIP, V4), Nic(MAC, 1450, (address("198.18.0.10/24"),), V4_ROUTES), id="in any order"),
        pytest.param(
            document({"id": "n", "type": "ipv4_dhcp", "link": "tap1"}), Nic(MAC, 1450, modes=("DHCP=ipv4",)), id="DHCP"
        ),
        pytest.param(
            document(V4, {"id": "n", "type": "ipv6_slaac", "link": "tap1"}),
            Nic(MAC, 1450, (address("198.18.0.10/24"),), V4_ROUTES, ("IPv6AcceptRA=yes",)),
            id="IPv4 fixed, IPv6 from the router",
        ),
        pytest.param(
            document(
                {"id": "n", "type": "ipv4", "link": "tap2", "ip_address": "192.0.2.1", "netmask": "255.255.255.0"},
                links=({**LINK, "mtu": None}, VIP_LINK),
            ),
            Nic(MAC),
            id="no MTU",
        ),
    ],
)
def test_management_nic(data: bytes, expected: Nic) -> None:
    assert management_nic(data) == expected


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        pytest.param(b"{", "network_data.json", id="no JSON"),
        pytest.param(document({**V4, "ip_address": "198.18.0"}), "ip_address", id="address"),
        pytest.param(document({**V4, "netmask": "255.0.255.0"}), "gap", id="netmask with a gap"),
        pytest.param(document({**V4, "netmask": ""}), "netmask", id="no netmask"),
        pytest.param(
            document({**V4, "routes": [{"network": "10.0.0.1", "netmask": "255.0.0.0", "gateway": "198.18.0.1"}]}),
            "routes",
            id="route with host bits",
        ),
        pytest.param(
            document({**V4, "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "x"}]}),
            "gateway",
            id="gateway",
        ),
        pytest.param(document({**V4, "type": "ipv9"}), "ipv9", id="type"),
        pytest.param(document(V4, links=({**LINK, "mtu": 12},)), "mtu", id="MTU"),
        pytest.param(document(V4, links=({"id": "tap1"},)), "ethernet_mac_address", id="link without MAC"),
    ],
)
def test_bad_network_data_names_the_field(data: bytes, wrong: str) -> None:
    with pytest.raises(BadNetworkData, match=wrong):
        management_nic(data)


def test_file_for_networkd_holds_all_that_the_nic_is_to_have() -> None:
    nic = Nic(MAC, 1450, (address("198.18.0.10/24"),), V4_ROUTES[:1], ("IPv6AcceptRA=yes",))
    assert networkd_file(nic).split("\n") == [
        *("[Match]", f"MACAddress={MAC}", "[Link]", "MTUBytes=1450"),
        *("[Network]", "IPv6AcceptRA=yes", "Address=198.18.0.10/24"),
        *("[Route]", "Destination=0.0.0.0/0", "Gateway=198.18.0.1", "GatewayOnLink=yes", ""),
    ]
