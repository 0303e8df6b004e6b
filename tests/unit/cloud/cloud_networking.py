"""What the tests of the network service share."""

from typing import Any

import httpx

API = "/networking/v2.0"
Vlan = tuple[dict[str, Any], dict[str, Any]]
"""A network and its subnet."""


def fault(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()["NeutronError"]
    assert set(body) == {"type", "message", "detail"}
    return answer.status_code, body["type"]


def make_port(client: httpx.Client, network_id: str, **values: Any):
    return client.post(f"{API}/ports", json={"port": {"network_id": network_id, **values}})


def addresses(port: dict[str, Any]):
    return [one["ip_address"] for one in port["fixed_ips"]]
