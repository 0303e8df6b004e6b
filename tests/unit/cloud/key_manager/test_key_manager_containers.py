from typing import Any
from uuid import uuid4

import httpx
import pytest
from running_cloud import RunningCloud
from vault import API, MICROVERSION, contain, fault, newcomer, store

OCTAVIA = {"name": "Octavia", "URL": "lbaas://RegionOne/loadbalancer/4d4e"}
LISTENER = {"service": "load-balancer", "resource_type": "listener", "resource_id": "4d4e"}


@pytest.fixture(scope="module")
def other(cloud: RunningCloud) -> httpx.Client:
    return newcomer(cloud, "neighbour", "next-door", "member")[0]


def test_certificate_container(cloud: RunningCloud, demo: httpx.Client):
    names = ("certificate", "private_key", "private_key_passphrase", "intermediates")
    references = {name: store(demo, name=name) for name in names}
    reference = contain(demo, **references)
    assert reference.startswith(f"{cloud.url}{API}/containers/")
    shown = demo.get(reference).json()
    assert {one["name"]: one["secret_ref"] for one in shown["secret_refs"]} == references
    expected = {"name": "c", "type": "certificate", "status": "ACTIVE", "container_ref": reference, "consumers": []}
    assert expected.items() <= shown.items()
    assert {"created", "updated", "creator_id", "secret_refs"} == shown.keys() - expected.keys()
    assert demo.delete(reference).status_code == 204
    assert fault(demo.get(reference)) == 404
    assert demo.get(references["certificate"]).status_code == 200


@pytest.mark.parametrize(
    ("type_", "names", "reason"),
    [
        pytest.param("certificate", ["private_key"], "certificate", id="certificate without one"),
        pytest.param("certificate", ["certificate", "chain"], "chain", id="unknown name"),
        pytest.param("rsa", ["private_key"], "public_key", id="rsa without public key"),
        pytest.param("rsa", ["public_key", "private_key", "certificate"], "certificate", id="not of rsa"),
        pytest.param("generic", ["a", "a"], "Duplicate reference names", id="name twice"),
        pytest.param("vault", [], "vault", id="unknown type"),
        pytest.param(None, [], "type", id="no type"),
    ],
)
def test_bad_container_is_refused(demo: httpx.Client, type_: str | None, names: list[str], reason: str):
    before = demo.get(f"{API}/containers").json()["total"]
    refs = [{"name": name, "secret_ref": store(demo)} for name in names]
    answer = demo.post(f"{API}/containers", json={"secret_refs": refs} | ({"type": type_} if type_ else {}))
    assert fault(answer) == 400
    assert reason in answer.json()["description"]
    assert demo.get(f"{API}/containers").json()["total"] == before


@pytest.mark.parametrize(
    ("refs", "status"),
    [
        pytest.param([{"name": "a", "secret_ref": "https://elsewhere.example/v1/secrets/1"}], 400, id="elsewhere"),
        pytest.param([{"name": "a"}], 400, id="no reference"),
        pytest.param("all of them", 400, id="no list"),
        pytest.param([7], 400, id="no objects"),
    ],
)
def test_bad_references_are_refused(demo: httpx.Client, refs: Any, status: int):
    assert fault(demo.post(f"{API}/containers", json={"type": "generic", "secret_refs": refs})) == status


def test_one_secret_under_two_names_is_refused(demo: httpx.Client):
    reference = store(demo)
    refs = [{"name": name, "secret_ref": reference} for name in "ab"]
    assert fault(demo.post(f"{API}/containers", json={"type": "generic", "secret_refs": refs})) == 400


def test_secret_of_nobody_or_of_another_project_is_refused(demo: httpx.Client, other: httpx.Client):
    foreign = store(other)
    for reference in (foreign, foreign[:-36] + str(uuid4())):
        refs = [{"name": "certificate", "secret_ref": reference}]
        answer = demo.post(f"{API}/containers", json={"type": "certificate", "secret_refs": refs})
        assert fault(answer) == 404
        assert "Secret provided for 'certificate' doesn't exist" in answer.json()["description"]


def test_list_is_the_project_s(other: httpx.Client, demo: httpx.Client):
    contain(demo, "generic")
    made = [contain(other, "generic", a=store(other)) for _ in range(3)]
    page = other.get(f"{API}/containers?limit=2").json()
    rest = other.get(page["next"]).json()
    assert [one["container_ref"] for one in page["containers"] + rest["containers"]] == made
    assert (page["total"], "next" in rest) == (3, False)
    assert other.get(f"{API}/containers?name=none").json() == {"containers": [], "total": 0}
    assert "/secrets/" in page["containers"][0]["secret_refs"][0]["secret_ref"]


@pytest.mark.parametrize(
    ("make", "consumer"),
    [pytest.param(contain, OCTAVIA, id="container"), pytest.param(store, LISTENER, id="secret")],
)
def test_consumers_come_and_go(demo: httpx.Client, make: Any, consumer: dict[str, str]):
    reference = make(demo, "generic") if make is contain else make(demo)
    second = {name: f"{value}2" for name, value in consumer.items()}
    for one in (consumer, second, consumer):
        answer = demo.post(f"{reference}/consumers", json=one, headers=MICROVERSION)
        assert answer.status_code == 200
        assert one in answer.json()["consumers"]
    listed = demo.get(f"{reference}/consumers").json()
    assert listed["total"] == 2
    assert all(one["status"] == "ACTIVE" and one["created"] for one in listed["consumers"])
    page = demo.get(f"{reference}/consumers?limit=1").json()
    assert demo.get(page["next"]).json()["consumers"] == listed["consumers"][1:]
    answer = demo.request("DELETE", f"{reference}/consumers", json=consumer, headers=MICROVERSION)
    assert (answer.status_code, answer.json()["consumers"]) == (200, [second])
    assert fault(demo.request("DELETE", f"{reference}/consumers", json=consumer)) == 404
    incomplete = dict(list(consumer.items())[1:])
    assert fault(demo.post(f"{reference}/consumers", json=incomplete)) == 400
    assert demo.get(reference, headers=MICROVERSION).json()["consumers"] == [second]


def test_reader_registers_and_withdraws_himself_alone(cloud: RunningCloud, demo: httpx.Client):
    """As a load balancer service does that has a read ACL."""
    service, user_id = newcomer(cloud, "consumer-service", "services", "member")
    reference = contain(demo, "generic")
    demo.put(f"{reference}/acl", json={"read": {"users": [user_id]}}).raise_for_status()
    demo.post(f"{reference}/consumers", json=OCTAVIA | {"name": "mine"}).raise_for_status()
    assert service.post(f"{reference}/consumers", json=OCTAVIA).status_code == 200
    answer = service.request("DELETE", f"{reference}/consumers", json=OCTAVIA | {"name": "mine"})
    assert fault(answer) == 403
    assert service.request("DELETE", f"{reference}/consumers", json=OCTAVIA).status_code == 200
    assert [one["name"] for one in demo.get(reference).json()["consumers"]] == ["mine"]


@pytest.mark.parametrize(
    ("minor", "query", "status"),
    [
        pytest.param(1, "", 204, id="before 1.2"),
        pytest.param(2, "", 409, id="since 1.2"),
        pytest.param(2, "?force=1", 204, id="forced"),
    ],
)
def test_secret_with_consumers(demo: httpx.Client, minor: int, query: str, status: int):
    reference = store(demo)
    demo.post(f"{reference}/consumers", json=LISTENER).raise_for_status()
    answer = demo.delete(f"{reference}{query}", headers={"OpenStack-API-Version": f"key-manager 1.{minor}"})
    assert answer.status_code == status
    if status == 409:
        assert answer.json()["description"] == "Secret cannot be deleted as it has consumers."
    assert demo.get(reference).status_code == (200 if status == 409 else 404)
