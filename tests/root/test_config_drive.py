"""The management NIC as the config drive's reader makes it, in a network namespace of the test's own."""

import ipaddress
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import ip

from hydria.agent.config_drive import SYSCTL, ensure_nic
from hydria.agent.netlink import Netlink
from hydria.agent.network_data import FIRST_NIC, Nic, Route
from hydria.base.errors import Retryable

pytestmark = pytest.mark.root

MAC, VIP_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
NIC = Nic(
    MAC,
    1400,
    (ipaddress.ip_interface("198.18.0.10/24"), ipaddress.ip_interface("2001:db8::10/64")),
    (
        Route(ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_address("198.18.0.1")),
        Route(ipaddress.ip_network("::/0"), ipaddress.ip_address("fe80::1")),
    ),
)


@pytest.fixture
def nics(machine: None) -> Iterator[Netlink]:  # noqa: ARG001 - they are made in it
    """Of a server that was created with a management port and the port of a VIP; neither is up yet."""
    ip("link delete eth0")
    ip(f"link add vip0 address {VIP_MAC} type veth peer name wire1")
    ip(f"link add mgmt0 address {MAC} type veth peer name wire0")
    ip("link set wire0 up")
    ip("link set wire1 up")
    with Netlink() as netlink:
        yield netlink


def test_addresses_routes_and_mtu_and_nothing_else(nics: Netlink) -> None:
    ensure_nic(nics, NIC)
    assert ip("-o -4 addr show dev mgmt0").split()[3] == "198.18.0.10/24"
    assert "2001:db8::10/64" in ip("-o -6 addr show dev mgmt0 scope global -tentative")
    assert ip("route show default").startswith("default via 198.18.0.1 dev mgmt0")
    assert ip("-6 route show default").startswith("default via fe80::1 dev mgmt0")
    assert "mtu 1400" in ip("link show mgmt0")
    assert SYSCTL.joinpath("mgmt0/accept_ra").read_text() == "0\n"
    assert "state DOWN" in ip("link show vip0")
    assert ip("addr show dev vip0").count("inet") == 0


def test_twice_is_once(nics: Netlink) -> None:
    # Link-local ones are the kernel's, and come when they like.
    looks = (
        "addr show dev mgmt0 scope global",
        "route show dev mgmt0",
        "-6 route show dev mgmt0 proto 72",
        "link show",
    )
    ensure_nic(nics, NIC)
    before = [ip(f"-o {look}") for look in looks]
    ensure_nic(nics, NIC)
    assert [ip(f"-o {look}") for look in looks] == before


def test_nic_that_is_not_there(nics: Netlink) -> None:
    with pytest.raises(Retryable, match="02:00:00:00:00:99"):
        ensure_nic(nics, Nic("02:00:00:00:00:99"))


@pytest.mark.parametrize(
    ("nic", "line"),
    [
        pytest.param(Nic(MAC, modes=("DHCP=ipv4",)), "DHCP=ipv4", id="said by the cloud"),
        pytest.param(FIRST_NIC, "DHCP=yes", id="said by nobody: the first NIC"),
    ],
)
def test_dynamic_addresses_are_left_to_networkd(nics: Netlink, tmp_path: Path, nic: Nic, line: str) -> None:
    before = ip("-o link show")
    for _ in range(2):
        link = ensure_nic(nics, nic, tmp_path / "network")
    (file,) = (tmp_path / "network").iterdir()
    assert file.read_text().split("\n")[:2] == ["[Match]", f"MACAddress={link.mac}"]
    assert line in file.read_text().split("\n")
    # systemd-networkd is not root.
    assert file.stat().st_mode & 0o777 == 0o644
    first = min((other for other in nics.links() if not other.is_loopback), key=lambda other: other.index)
    assert link.mac == (nic.mac or first.mac)
    assert ip("-o link show") == before
