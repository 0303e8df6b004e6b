"""Whose token may do what: to one's own secrets, to a project's, to others'."""

from typing import Any

import httpx
import pytest
from running_cloud import RunningCloud
from vault import API, contain, fault, newcomer, store

PEOPLE = {
    "maker": ("owners", "member"),
    "colleague": ("owners", "member"),
    "reader": ("owners", "reader"),
    "chief": ("owners", "admin"),
    "foreigner": ("others", "member"),
    "foreign chief": ("others", "admin"),
    "friend": ("others",),
}
"""Who → his project and role there. The friend has an ACL and otherwise nothing but a role that says nothing here."""

PRIVATE = {"read": {"project-access": False}}


@pytest.fixture(scope="module")
def people(cloud: RunningCloud) -> dict[str, httpx.Client]:
    roles = {who: (project, *roles) for who, (project, *roles) in PEOPLE.items()}
    roles["friend"] = ("others", "load-balancer_observer")
    made = {who: newcomer(cloud, who, *rest) for who, rest in roles.items()}
    for client, user_id in made.values():
        client.headers["X-User"] = user_id
    return {who: client for who, (client, _) in made.items()}


def shared_with(people: dict[str, httpx.Client], who: str, *, private: bool = False) -> dict[str, Any]:
    return {"read": {"users": [people[who].headers["X-User"]], "project-access": not private}}


ALL = {"payload": 200, "show": 200, "acl": 200, "update": 409, "delete": 204}
NONE = dict.fromkeys(ALL, 403)
READ = {**NONE, "payload": 200, "show": 200}


@pytest.mark.parametrize("kind", ["secret", "container"])
@pytest.mark.parametrize(
    ("acl", "who", "allowed"),
    [
        pytest.param("none", "maker", ALL, id="own"),
        pytest.param("none", "colleague", ALL, id="of the project"),
        pytest.param("none", "chief", ALL, id="administrator of the project"),
        pytest.param("none", "reader", NONE, id="reader of the project"),
        pytest.param("none", "foreigner", NONE, id="of another project"),
        pytest.param("none", "foreign chief", NONE, id="administrator of another project"),
        pytest.param("none", "friend", NONE, id="nobody"),
        pytest.param("private", "maker", ALL, id="own, private"),
        pytest.param("private", "colleague", NONE, id="of the project, private"),
        pytest.param("private", "chief", ALL, id="administrator, private"),
        pytest.param("friend", "friend", READ, id="friend"),
        pytest.param("friend", "foreigner", NONE, id="not the friend"),
        pytest.param("friend", "colleague", ALL, id="of the project, with a friend"),
        pytest.param("private friend", "friend", READ, id="friend, private"),
        pytest.param("private friend", "colleague", NONE, id="of the project, private with a friend"),
    ],
)
def test_who_may_do_what(
    people: dict[str, httpx.Client], kind: str, acl: str, who: str, allowed: dict[str, int]
) -> None:
    maker, client = people["maker"], people[who]
    reference = store(maker) if kind == "secret" else contain(maker, "generic")
    if acl != "none":
        document = shared_with(people, "friend", private="private" in acl) if "friend" in acl else PRIVATE
        maker.put(f"{reference}/acl", json=document).raise_for_status()
    if kind == "secret":
        assert client.get(f"{reference}/payload").status_code == allowed["payload"]
        put = client.put(reference, content=b"x", headers={"Content-Type": "text/plain"})
        assert put.status_code == allowed["update"]
    assert client.get(reference).status_code == allowed["show"]
    assert client.get(f"{reference}/acl").status_code == allowed["acl"]
    answer = client.delete(reference)
    assert answer.status_code == allowed["delete"]
    assert answer.status_code == 204 or fault(answer) == 403
    assert maker.get(reference).status_code == (404 if answer.status_code == 204 else 200)


@pytest.mark.parametrize("who", ["reader", "friend"])
@pytest.mark.parametrize("path", ["secrets", "containers"])
def test_only_members_make_and_list(people: dict[str, httpx.Client], who: str, path: str):
    assert fault(people[who].post(f"{API}/{path}", json={"type": "generic"})) == 403
    assert fault(people[who].get(f"{API}/{path}")) == 403


def test_list_has_the_project_s_own_and_with_acl_only_what_others_share(people: dict[str, httpx.Client]):
    reference = store(people["maker"], name="shared with a foreigner")
    people["maker"].put(f"{reference}/acl", json=shared_with(people, "foreigner")).raise_for_status()
    own = people["foreigner"].get(f"{API}/secrets").json()
    assert reference not in {one["secret_ref"] for one in own["secrets"]}
    shared = people["foreigner"].get(f"{API}/secrets?acl_only=true").json()
    assert [one["secret_ref"] for one in shared["secrets"]] == [reference]


def test_acl_is_replaced_changed_and_deleted(people: dict[str, httpx.Client]):
    maker, reference = people["maker"], store(people["maker"])

    def acl() -> Any:
        return maker.get(f"{reference}/acl").json()["read"]

    assert acl() == {"project-access": True}
    answer = maker.put(f"{reference}/acl", json={"read": {"users": ["a", "b", "a"], "project-access": False}})
    assert answer.json() == {"acl_ref": f"{reference}/acl"}
    made = acl()
    assert (made["users"], made["project-access"]) == (["a", "b"], False)
    maker.patch(f"{reference}/acl", json={"read": {"users": ["c"]}}).raise_for_status()
    assert acl() | {"updated": ""} == made | {"users": ["c"], "updated": ""}
    maker.patch(f"{reference}/acl", json={}).raise_for_status()
    assert acl()["users"] == ["c"]
    maker.put(f"{reference}/acl", json={"read": {"users": ["d"]}}).raise_for_status()
    assert (acl()["users"], acl()["project-access"]) == (["d"], True)
    assert maker.delete(f"{reference}/acl").status_code == 200
    assert acl() == {"project-access": True}
    assert maker.delete(f"{reference}/acl").status_code == 200


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"write": {"users": []}}, id="other operation"),
        pytest.param({"read": {"groups": []}}, id="unknown"),
        pytest.param({"read": {"users": "a"}}, id="no list"),
        pytest.param({"read": {"project-access": "no"}}, id="no boolean"),
        pytest.param([], id="no object"),
    ],
)
def test_bad_acl_changes_nothing(people: dict[str, httpx.Client], document: Any):
    reference = store(people["maker"])
    for method in ("PUT", "PATCH"):
        assert fault(people["maker"].request(method, f"{reference}/acl", json=document)) == 400
    assert people["maker"].get(f"{reference}/acl").json() == {"read": {"project-access": True}}
