"""Holes of upstream in its API, each by the name it has in docs/holes.md."""

from api_world import World


def test_h14_a_missing_project_is_said_to_be_missing(world: World):
    """Upstream had written the text under a wrong name, and so nobody ever saw it."""
    before = world.rows()
    body = {"loadbalancer": {"vip_subnet_id": world.public}}
    answer = world.call("POST", "/loadbalancers", body, who="unscoped")
    world.refused(answer, 400, "Missing project ID in request where one is required.")
    assert world.rows() == before


def test_54c059d94_vfs_of_members_are_asked_for_in_every_way(world: World):
    """By itself, within a graph, in a batch: and refused in each where the flavor has none."""
    for data, kinds in (('{"allow_member_sriov": true}', ["direct", "direct"]), ("{}", None)):
        flavor = world.flavor(data)["id"]
        member = {"address": "192.0.2.10", "protocol_port": 80, "request_sriov": True}
        pool = {"name": "p", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
        graph = {"vip_subnet_id": world.public, "flavor_id": flavor, "pools": [{**pool, "members": [member]}]}
        answer = world.call("POST", "/loadbalancers", {"loadbalancer": graph})
        plain = world.load_balancer(flavor_id=flavor)
        made = world.post("/pools", {"pool": {**pool, "loadbalancer_id": plain["id"]}})
        path = f"/pools/{made['id']}/members"
        single = world.call("POST", path, {"member": member})
        batch = world.call("PUT", path, {"members": [{**member, "address": "192.0.2.11"}]}, params="additive_only=true")
        if kinds is None:
            for refused in (answer, single, batch):
                world.refused(refused, 400, "does not allow SR-IOV member ports")
            assert world.get(path) == []
        else:
            assert answer.json()["loadbalancer"]["pools"][0]["members"][0]["vnic_type"] == "direct"
            assert batch.status_code == 202
            assert [one["vnic_type"] for one in world.get(path)] == kinds
