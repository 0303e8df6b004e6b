import doctest
from ipaddress import ip_address
from types import ModuleType

import pytest

from hydria.base import config
from hydria.base.errors import Conflict, Invalid, Terminal
from hydria.fabric import addresses, guard, management, software
from hydria.fabric.software import SoftwareFabric

ONE = config.Host(name="a", pfs={"pf-x": "public"})


@pytest.mark.parametrize("module", [management, software], ids=lambda module: module.__name__)
def test_examples(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("subnet", addresses.SUBNETS, ids=lambda subnet: subnet.name)
def test_every_test_subnet_is_guarded(subnet: addresses.TestSubnet) -> None:
    guarded = [prefix for prefix in guard.PREFIXES if prefix.version == subnet.network.version]
    assert any(subnet.network.subnet_of(prefix) for prefix in guarded)


@pytest.mark.parametrize("subnet", addresses.SUBNETS, ids=lambda subnet: subnet.name)
def test_pool_is_in_its_subnet_and_apart_from_hosts(subnet: addresses.TestSubnet) -> None:
    first, last = map(ip_address, subnet.pool)
    assert first in subnet.network
    assert first < last < subnet.host(200).ip


def test_pick_takes_from_the_top_in_both_families() -> None:
    first = addresses.pick("public", ())
    assert [str(interface) for interface in first] == ["203.0.113.254/24", "2001:db8:0:cb::254/64"]
    second = addresses.pick("public", [ip_address("2001:db8:0:cb::254")])
    assert [str(interface) for interface in second] == ["203.0.113.253/24", "2001:db8:0:cb::253/64"]
    assert str(addresses.pick("members", ())[0]) == "192.0.2.254/24"


def test_pick_ends() -> None:
    taken = [ip_address(f"192.0.2.{number}") for number in range(256)]
    with pytest.raises(Conflict, match="is taken"):
        addresses.pick("members", taken)
    with pytest.raises(Invalid, match="no test subnet"):
        addresses.pick("moon", ())


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("192.0.2.10", "192.0.2.10/24"),
        ("192.0.2.10/25", "192.0.2.10/25"),
        ("2001:db8:0:c0::a", "2001:db8:0:c0::a/64"),
        ("2001:DB8::1/32", "2001:db8::1/32"),
    ],
)
def test_parse(typed: str, meant: str) -> None:
    assert [str(interface) for interface in addresses.parse([typed])] == [meant]


@pytest.mark.parametrize("typed", ["", "x", "192.0.2.256", "192.0.2.1/33", "192.0.2.0/24/24", "::1/129"])
def test_parse_refuses(typed: str) -> None:
    with pytest.raises(Invalid, match="address"):
        addresses.parse([typed])


@pytest.mark.parametrize(
    ("options", "hosts", "reason"),
    [
        pytest.param({"physical_networks": ("a-longer-name",)}, (), "longer than the 15", id="bridge name"),
        pytest.param({"vfs": 100_000}, (), "pf-membersv99999 is longer", id="VF name"),
        pytest.param({"physical_networks": ("mgmt",)}, (), "cannot be called 'mgmt'", id="reserved name"),
        pytest.param(
            {}, (config.Host(name="a", pfs={"pf-x": "moon"}),), "physical network 'moon'", id="unknown network"
        ),
    ],
)
def test_fabric_that_cannot_be_is_refused(options: dict, hosts: tuple, reason: str) -> None:
    with pytest.raises(Terminal, match=reason):
        SoftwareFabric(config.Fabric(**options), hosts)


def test_hosts_have_pfs_of_their_own() -> None:
    hosts = [config.Host(name=f"host{n}", pfs=software.software_pfs(["public"], n)) for n in range(2)]
    assert SoftwareFabric(config.Fabric(), hosts).pfs == {"pf-public": "public", "pf-public-2": "public"}
