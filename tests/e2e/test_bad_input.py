"""It must show 8: what cannot be done is refused with the code and wording that clients know, and nothing changed."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.scene import Scene, member
from hydria.cli.demo.client import CallFailed

Json = dict[str, Any]
Request = tuple[str, str, Json | None]
"""Method, path below /v2/lbaas, body."""
NOBODY = str(uuid.UUID(int=7))


@pytest.fixture(scope="module")
def target(scene: Scene) -> Iterator[Json]:
    with scene.balancer("target", [member("192.0.2.10", scene.subnet("members-subnet"))]) as balancer:
        yield balancer


LISTENER = {"loadbalancer_id": "LB", "protocol": "HTTP"}
ROWS = [
    pytest.param(("POST", "/loadbalancers", {"loadbalancer": {"vip_subnet_id": "PUBLIC", "colour": "red"}}),
                 400, "colour", id="unknown field"),
    pytest.param(("POST", "/loadbalancers", {"loadbalancer": {"vip_subnet_id": "PUBLIC", "admin_state_up": "maybe"}}),
                 400, "admin_state_up", id="wrong type"),
    pytest.param(("POST", "/loadbalancers", {"loadbalancer": {"name": "no-vip"}}),
                 400, "VIP must contain one of", id="no VIP source"),
    pytest.param(("POST", "/loadbalancers", {"loadbalancer": {"vip_subnet_id": NOBODY}}),
                 400, f"Subnet {NOBODY} not found.", id="missing VIP subnet"),
    pytest.param(("POST", "/loadbalancers", {"loadbalancer": {"vip_subnet_id": "PUBLIC", "flavor_id": NOBODY}}),
                 400, "lavor", id="missing flavor"),
    pytest.param(("POST", "/loadbalancers", {"loadbalancer": {"vip_subnet_id": "PUBLIC", "provider": "f5"}}),
                 400, "f5", id="provider that is not enabled"),
    pytest.param(("POST", "/loadbalancers", {"loadbalancer": {"vip_subnet_id": "PUBLIC", "vip_address": "10.1.1.1"}}),
                 400, "10.1.1.1", id="address outside its subnet"),
    pytest.param(("PUT", "/loadbalancers/LB", {"loadbalancer": {"vip_subnet_id": "PUBLIC"}}),
                 400, "vip_subnet_id", id="field that cannot be changed"),
    pytest.param(("DELETE", "/loadbalancers/LB", None),
                 400, "has children", id="delete with children"),
    pytest.param(("GET", f"/loadbalancers/{NOBODY}", None),
                 404, f"{NOBODY} not found.", id="missing load balancer"),
    pytest.param(("POST", "/listeners", {"listener": {**LISTENER, "protocol_port": 80}}),
                 409, "80", id="duplicate port"),
    pytest.param(("POST", "/listeners", {"listener": {**LISTENER, "protocol_port": 0}}),
                 400, "protocol_port", id="port out of range"),
    pytest.param(("POST", "/listeners", {"listener": {**LISTENER, "protocol": "QUIC", "protocol_port": 81}}),
                 400, "protocol", id="unknown protocol"),
    pytest.param(("POST", "/listeners", {"listener": {"loadbalancer_id": "LB", "protocol": "TCP", "protocol_port": 81,
                                                     "allowed_cidrs": ["2001:db8::/32"]}}),
                 400, "2001:db8::/32", id="CIDR of another family"),
    pytest.param(("POST", "/pools/POOL/members", {"member": {"address": "192.0.2.10", "protocol_port": 80}}),
                 409, "192.0.2.10", id="overlapping member"),
    pytest.param(("POST", "/pools/POOL/members", {"member": {"address": "192.0.2.11", "protocol_port": 80,
                                                            "subnet_id": NOBODY}}),
                 400, f"Subnet {NOBODY} not found.", id="missing member subnet"),
    pytest.param(("POST", "/pools/POOL/members", {"member": {"address": "192.0.2.999", "protocol_port": 80}}),
                 400, "address", id="no address"),
    pytest.param(("POST", "/pools/POOL/members", {"member": {"address": "169.254.169.254", "protocol_port": 80}}),
                 400, "169.254.169.254", id="reserved address"),
    pytest.param(("POST", "/pools/POOL/members", {"member": {"address": "192.0.2.11", "protocol_port": 80,
                                                            "weight": 257}}),
                 400, "weight", id="weight out of range"),
    pytest.param(("POST", "/healthmonitors", {"healthmonitor": {"pool_id": "POOL", "type": "HTTP", "delay": 1,
                                                               "timeout": 1, "max_retries": 1,
                                                               "url_path": "/\r\nbind :22"}}),
                 400, "url_path", id="injection into the configuration"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "status", "text"), ROWS)
def test_refused_and_nothing_changed(scene: Scene, target: Json, request_: Request, status: int, text: str) -> None:
    method, path, body = request_
    names = {"LB": target["id"], "POOL": scene.pool_of(target), "PUBLIC": scene.subnet("public-subnet")}
    refuse(scene, target, (method, filled(path, names), filled(body, names)), status, text)


FLAVOR_DATA = [
    pytest.param('{"colour": "red"}', 501, "colour", id="unknown key"),
    pytest.param('{"sriov_vip": "true"}', 501, "sriov_vip", id="string for a boolean"),
    pytest.param('{"sriov_vip": ', 400, "flavor_data", id="no JSON"),
    pytest.param('{"compute_flavor": "nobody-has-it"}', 400, "nobody-has-it", id="missing compute flavor"),
]


@pytest.mark.parametrize(("data", "status", "text"), FLAVOR_DATA)
def test_flavor_data_is_refused(scene: Scene, target: Json, data: str, status: int, text: str) -> None:
    profile = {"name": "refused", "provider_name": "amphora", "flavor_data": data}
    before = scene.admin.get("/flavorprofiles")
    refuse(scene, target, ("POST", "/flavorprofiles", {"flavorprofile": profile}), status, text, admin=True)
    assert scene.admin.get("/flavorprofiles") == before


def test_security_groups_are_refused_on_a_vf_vip(scene: Scene, target: Json) -> None:
    body = {"vip_subnet_id": scene.subnet("public-subnet"), "flavor_id": scene.flavor_id, "vip_sg_ids": [NOBODY]}
    refuse(scene, target, ("POST", "/loadbalancers", {"loadbalancer": body}), 400, "")


def refuse(scene: Scene, target: Json, request: Request, status: int, text: str, *, admin: bool = False) -> None:
    method, path, body = request
    before = world(scene, target)
    with pytest.raises(CallFailed) as refused:
        (scene.admin if admin else scene.demo).call(method, f"/v2/lbaas{path}", body)
    fault = refused.value.body
    assert (refused.value.status, set(fault)) == (status, {"faultcode", "faultstring", "debuginfo"})
    assert fault["faultcode"] == ("Server" if status >= 500 else "Client")
    assert text in fault["faultstring"]
    assert world(scene, target) == before


def world(scene: Scene, target: Json) -> list[Any]:
    """All that a request could have changed."""
    listed = [scene.demo.get(f"/{kind}") for kind in ("loadbalancers", "listeners", "pools", "healthmonitors")]
    return [*map(without_heartbeats, [*listed, list(scene.members(target).values())]), len(scene.octavia_ports())]


def without_heartbeats(rows: list[Json]) -> list[Json]:
    return [{key: value for key, value in row.items() if key != "operating_status"} for row in rows]


def filled(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: filled(item, names) for key, item in value.items()}
    if isinstance(value, str):
        return "/".join(names.get(part, part) for part in value.split("/")) if "\r" not in value else value
    return value
