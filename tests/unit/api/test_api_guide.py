"""The guide's sequence, as the official client sends it."""

import json

from api_world import World


def test_the_guide_as_the_client_sends_it(world: World):
    data = {"compute_flavor": "amphora-sriov-flavor", "sriov_vip": True, "allow_member_sriov": True}
    profile = {"name": "amphora-sriov-profile", "provider_name": "amphora", "flavor_data": json.dumps(data)}
    made = world.post("/flavorprofiles", {"flavorprofile": profile}, who="admin")
    assert made == {**profile, "id": made["id"]}
    (found,) = world.get("/flavorprofiles?name=amphora-sriov-profile", who="admin")
    flavor = {"name": "SRIOV", "flavor_profile_id": found["id"], "description": "VFs", "enabled": True}
    world.post("/flavors", {"flavor": flavor}, who="admin")

    (flavor,) = world.get("/flavors?name=SRIOV")
    body = {"name": "lb1", "vip_subnet_id": world.public, "admin_state_up": True, "flavor_id": flavor["id"]}
    lb = world.post("/loadbalancers", {"loadbalancer": body})
    port = world.cloud.ports[lb["vip_port_id"]]
    assert (lb["provisioning_status"], lb["operating_status"]) == ("PENDING_CREATE", "OFFLINE")
    assert lb["vip_vnic_type"] == "direct"
    assert lb["vip_address"] == port.fixed_ips[0].ip_address
    assert lb["vip_subnet_id"] == world.public
    assert lb["vip_network_id"] == port.network_id
    assert lb["project_id"] == lb["tenant_id"] == "demo"
    assert (lb["listeners"], lb["pools"], lb["additional_vips"], lb["tags"]) == ([], [], [], [])
    assert (port.name, port.device_id, port.device_owner) == (f"octavia-lb-{lb['id']}", f"lb-{lb['id']}", "Octavia")
    assert (port.vnic_type, port.project_id) == ("normal", "demo")

    (lb1,) = world.get("/loadbalancers?name=lb1")
    body = {"loadbalancer_id": lb1["id"], "name": "listener1", "protocol": "HTTP", "protocol_port": 80}
    listener = world.post("/listeners", {"listener": {**body, "admin_state_up": True}})
    assert listener["loadbalancers"] == [{"id": lb["id"]}]
    (listener1,) = world.get("/listeners?name=listener1")
    body = {"name": "pool1", "protocol": "HTTP", "listener_id": listener1["id"], "lb_algorithm": "ROUND_ROBIN"}
    pool = world.post("/pools", {"pool": {**body, "admin_state_up": True}})
    assert pool["listeners"] == [{"id": listener["id"]}]
    assert pool["loadbalancers"] == [{"id": lb["id"]}]
    assert world.get(f"/listeners/{listener['id']}")["default_pool_id"] == pool["id"]

    body = {"address": "192.0.2.10", "subnet_id": world.members, "protocol_port": 80, "request_sriov": True}
    member = world.post(f"/pools/{pool['id']}/members", {"member": body})
    assert (member["vnic_type"], member["operating_status"]) == ("direct", "NO_MONITOR")
    assert "request_sriov" not in member
    assert "pool_id" not in member
    assert world.get(f"/pools/{pool['id']}")["members"] == [{"id": member["id"]}]
    assert world.get(f"/loadbalancers/{lb['id']}")["listeners"] == [{"id": listener["id"]}]

    tree = world.get(f"/loadbalancers/{lb['id']}/status")["loadbalancer"]
    (leaf,) = tree["listeners"][0]["pools"][0]["members"]
    assert leaf == {
        "id": member["id"],
        "name": "",
        "operating_status": "NO_MONITOR",
        "provisioning_status": "PENDING_CREATE",
        "address": "192.0.2.10",
        "protocol_port": 80,
    }
