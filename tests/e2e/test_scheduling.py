"""It must show 3: why a load balancer finds no host, within 5 s, for each host; and VFs that come back."""

from collections.abc import Iterator
from typing import Any

import pytest

from e2e.conftest import SECOND_HOST
from e2e.scene import Scene, member
from hydria.cli.demo import guide
from hydria.cli.demo.client import graph

Json = dict[str, Any]


@pytest.fixture
def flavor_of(scarce: Scene) -> Iterator[Any]:
    """Makes a load balancer flavor from a compute flavor's properties; takes all of it away afterwards."""
    made: list[tuple[str, str]] = []

    def make(name: str, user: str = "service", **properties: str) -> str:
        client = getattr(scarce, user)
        flavor = {"name": name, "vcpus": 1, "ram": 512, "disk": 1, "os-flavor-access:is_public": False}
        compute = client.call("POST", "/flavors", {"flavor": flavor}, service="compute")["flavor"]["id"]
        made.append(("compute", compute))
        if properties:
            body = {"extra_specs": {key.replace("_", "-"): value for key, value in properties.items()}}
            client.call("POST", f"/flavors/{compute}/os-extra_specs", body, service="compute")
        data = f'{{"compute_flavor": "{compute}", "sriov_vip": true, "allow_member_sriov": true}}'
        profile = scarce.admin.create("flavorprofiles", name=name, provider_name="amphora", flavor_data=data)
        made.append(("flavorprofiles", profile["id"]))
        balancer_flavor = scarce.admin.create("flavors", name=name, flavor_profile_id=profile["id"])
        made.append(("flavors", balancer_flavor["id"]))
        return str(balancer_flavor["id"])

    yield make
    for kind, id_ in reversed(made):
        if kind == "compute":
            scarce.admin.call("DELETE", f"/flavors/{id_}", service="compute")
        else:
            scarce.admin.delete(kind, id_)


def failed(scarce: Scene, name: str, flavor_id: str) -> tuple[Json, str]:
    """Create, and what became of it: the load balancer and its reasons."""
    body = graph(name, scarce.subnet("public-subnet"), [], flavor_id=flavor_id)
    made = scarce.demo.create("loadbalancers", **body)
    settled = scarce.demo.await_settled(made["id"], seconds=10)
    return settled, " ".join(scarce.demo.reasons(made["id"]))


def test_no_aggregate_has_the_flavors_property(scarce: Scene, flavor_of: Any) -> None:
    balancer, why = failed(scarce, "no-aggregate", flavor_of("elsewhere", storage_sriov="true"))
    try:
        assert balancer["provisioning_status"] == "ERROR"
        for host in (guide.HOST, SECOND_HOST):
            assert host in why
        assert "storage-sriov" in why
    finally:
        scarce.remove(balancer["id"])


def test_a_private_flavor_of_another_project(scarce: Scene, flavor_of: Any) -> None:
    private = flavor_of("private-of-admin", user="admin")
    balancer, why = failed(scarce, "no-access", private)
    try:
        assert balancer["provisioning_status"] == "ERROR"
        assert "flavor" in why.lower()
    finally:
        scarce.remove(balancer["id"])


def test_no_free_vf_until_another_load_balancer_goes(scarce: Scene) -> None:
    with scarce.balancer("first", flavor_id=scarce.flavor_id):
        balancer, why = failed(scarce, "second", scarce.flavor_id)
        assert balancer["provisioning_status"] == "ERROR"
        for host in (guide.HOST, SECOND_HOST):
            assert host in why
        assert "VF" in why
        scarce.remove(balancer["id"])
    with scarce.balancer("third", flavor_id=scarce.flavor_id) as third:
        assert scarce.kinds(third["vip_address"]) == {"eth1": "vf"}
    assert not any(scarce.vfs_in_use().values())


def test_what_cannot_fit_is_told_and_healed_once_it_can(scarce: Scene) -> None:
    with scarce.balancer("has-it", flavor_id=scarce.flavor_id):
        servers = scarce.servers()
        body = graph("waits", scarce.subnet("public-subnet"), [], flavor_id=scarce.flavor_id)
        waits = scarce.demo.create("loadbalancers", **body)["id"]
        balancer = scarce.demo.await_settled(waits)
        assert balancer["provisioning_status"] == "ERROR"
        assert "0 of 1 VFs free on physical network public" in scarce.demo.reasons(waits)[0]
        assert scarce.servers() == servers
    try:
        scarce.demo.update("loadbalancers", waits, description="there is room now")
        scarce.demo.await_active(waits)
    finally:
        scarce.remove(waits)
    assert not any(scarce.vfs_in_use().values())


def test_a_member_for_which_there_is_no_vf(scarce: Scene) -> None:
    subnet = scarce.subnet("members-subnet")
    holder = scarce.balancer("holder", [member("192.0.2.10", subnet, sriov=True)], flavor_id=scarce.flavor_id)
    plain_vip = flavor_with(
        scarce, "member-vfs-only", '{"compute_flavor": "amphora-sriov-flavor", "allow_member_sriov": true}'
    )
    try:
        with holder, scarce.balancer("wants", flavor_id=plain_vip) as balancer:
            made = scarce.add_member(balancer, "192.0.2.11", sriov=True)
            assert made["provisioning_status"] == "ERROR"
            assert "VF" in " ".join(scarce.demo.reasons(balancer["id"]))
            others = scarce.add_member(balancer, "203.0.113.254", subnet="public-subnet")
            assert others["provisioning_status"] == "ACTIVE"
            assert scarce.demo.get(f"/loadbalancers/{balancer['id']}")["provisioning_status"] == "ACTIVE"
    finally:
        scarce.admin.delete("flavors", plain_vip)
        scarce.admin.delete("flavorprofiles", scarce.admin.named("flavorprofiles", "member-vfs-only")["id"])


def flavor_with(scarce: Scene, name: str, data: str) -> str:
    profile = scarce.admin.create("flavorprofiles", name=name, provider_name="amphora", flavor_data=data)
    return str(scarce.admin.create("flavors", name=name, flavor_profile_id=profile["id"])["id"])
