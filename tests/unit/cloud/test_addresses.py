from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydria.cloud.network.addresses import check_pools, default_pools, eui64, first_address, free_address, usable
from hydria.cloud.network.resources import AllocationPool, Subnet


def make_subnet(cidr: str, pools: list[AllocationPool]) -> Subnet:
    return Subnet(
        id="s", project_id="p", created_at="", updated_at="", network_id="n", cidr=cidr, allocation_pools=pools
    )


@pytest.mark.parametrize(
    ("cidr", "gateway", "pools"),
    [
        pytest.param("10.0.0.0/30", "10.0.0.1", [("10.0.0.2", "10.0.0.2")], id="one left"),
        pytest.param("10.0.0.0/31", None, [("10.0.0.0", "10.0.0.1")], id="point to point"),
        pytest.param("10.0.0.0/32", None, [("10.0.0.0", "10.0.0.0")], id="one address"),
        pytest.param("10.0.0.0/29", "10.0.0.6", [("10.0.0.1", "10.0.0.5")], id="gateway at the end"),
        pytest.param("2001:db8::/126", None, [("2001:db8::1", "2001:db8::3")], id="IPv6 has no broadcast address"),
        pytest.param("2001:db8::/64", "fe80::1", [("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff")], id="link-local"),
    ],
)
def test_default_pools(cidr: str, gateway: str | None, pools: list[tuple[str, str]]):
    assert [(pool.start, pool.end) for pool in default_pools(ip_network(cidr), gateway)] == pools


@given(st.integers(24, 32), st.integers(0, 255))
def test_default_pools_are_valid_and_leave_the_gateway_out(prefix: int, gateway: int):
    cidr = ip_network(f"10.0.0.0/{prefix}")
    address = str(ip_address("10.0.0.0") + gateway)
    pools = default_pools(cidr, address)
    inside = address if usable(cidr, address) else None
    assert check_pools(cidr, inside, pools) == pools
    given_out: set[str] = set()
    while (free := free_address(make_subnet(str(cidr), pools), given_out)) is not None:
        given_out.add(free)
    assert given_out == {str(host) for host in cidr if usable(cidr, str(host))} - {address}


def test_free_address_is_the_lowest_of_the_pools():
    pools = [AllocationPool("10.0.0.5", "10.0.0.6"), AllocationPool("10.0.0.8", "10.0.0.8")]
    subnet = make_subnet("10.0.0.0/24", pools)
    assert free_address(subnet, ()) == "10.0.0.5"
    assert free_address(subnet, {"10.0.0.5", "10.0.0.6"}) == "10.0.0.8"
    assert free_address(subnet, {"10.0.0.5", "10.0.0.6", "10.0.0.8"}) is None


def test_first_address_and_eui64():
    assert first_address(ip_network("203.0.113.0/24")) == "203.0.113.1"
    assert first_address(ip_network("10.0.0.9/32")) == "10.0.0.9"
    assert eui64("2001:db8::/64", "00:00:5e:00:53:01") == "2001:db8::200:5eff:fe00:5301"
