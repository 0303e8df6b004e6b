from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from running_cloud import RunningCloud

from hydria.base.config import Config
from hydria.cloud.app import open_services

TOKENS = "/identity/v3/auth/tokens"


def error(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()["error"]
    assert body["code"] == answer.status_code
    return answer.status_code, body["title"]


def make_user(admin: httpx.Client, name: str, role: str = "member", project: str = "demo"):
    """Id of a new user, with `role` on `project` and the password `pw`."""
    user = admin.post("/identity/v3/users", json={"user": {"name": name, "password": "pw"}}).json()["user"]["id"]
    project = admin.get("/identity/v3/projects", params={"name": project}).json()["projects"][0]["id"]
    role = admin.get("/identity/v3/roles", params={"name": role}).json()["roles"][0]["id"]
    grant = f"/identity/v3/projects/{project}/users/{user}/roles/{role}"
    assert admin.put(grant).status_code == 204
    return user, grant


def check(admin: httpx.Client, token: str):
    return admin.get(TOKENS, headers={"X-Subject-Token": token}).status_code


def test_discovery_needs_no_login(cloud: RunningCloud):
    answer = httpx.get(f"{cloud.url}/identity")
    assert answer.status_code == 300
    (version,) = answer.json()["versions"]["values"]
    assert version["links"] == [{"rel": "self", "href": f"{cloud.url}/identity/v3/"}]
    assert httpx.get(f"{cloud.url}/identity/v3/").json() == {"version": version}


def test_token_says_who_where_and_what(cloud: RunningCloud):
    answer = cloud.login("admin", "a-secret", "admin")
    token = answer.json()["token"]
    assert answer.status_code == 201
    assert token["user"]["name"] == "admin"
    assert token["project"]["name"] == "admin"
    assert {role["name"] for role in token["roles"]} == {"admin", "manager", "member", "reader"}
    assert {service["type"] for service in token["catalog"]} == {
        "identity",
        "compute",
        "network",
        "image",
        "load-balancer",
        "key-manager",
        "placement",
    }
    (public,) = [
        endpoint["url"]
        for service in token["catalog"]
        if service["type"] == "network"
        for endpoint in service["endpoints"]
        if endpoint["interface"] == "public"
    ]
    assert public == f"{cloud.url}/networking"


def test_login_without_scope_takes_the_default_project(cloud: RunningCloud):
    assert cloud.login("hydria", "h-secret").json()["token"]["project"]["name"] == "service"


@pytest.mark.parametrize(
    ("user", "password", "project"),
    [
        pytest.param("admin", "wrong", "admin", id="wrong password"),
        pytest.param("nobody", "a-secret", "admin", id="unknown user"),
        pytest.param("admin", "a-secret", "nowhere", id="unknown project"),
        pytest.param("demo", "d-secret", "service", id="no role on the project"),
    ],
)
def test_bad_login_is_401_and_tells_nothing(cloud: RunningCloud, user: str, password: str, project: str):
    answer = cloud.login(user, password, project)
    assert error(answer) == (401, "Unauthorized")
    assert answer.json()["error"]["message"] == "The request you have made requires authentication."


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{", id="no JSON"),
        pytest.param(b"{}", id="no auth"),
        pytest.param(b'{"auth": {"identity": {"methods": []}}}', id="no method"),
        pytest.param(b'{"auth": {"identity": {"methods": ["password"]}}}', id="method without its data"),
        pytest.param(b'{"auth": {"identity": {"methods": ["totp"]}}}', id="unknown method"),
    ],
)
def test_malformed_login_is_400(cloud: RunningCloud, body: Any):
    assert error(httpx.post(f"{cloud.url}{TOKENS}", content=body)) == (400, "Bad Request")


@pytest.mark.parametrize("path", ["/identity/v3/projects", "/networking/v2.0/ports", "/image/v2/images"])
def test_every_service_wants_a_token(cloud: RunningCloud, path: str):
    for headers in ({}, {"X-Auth-Token": "gAAAAABfake"}):
        answer = httpx.get(f"{cloud.url}{path}", headers=headers)
        assert error(answer) == (401, "Unauthorized")
        assert answer.headers["WWW-Authenticate"].startswith("Keystone uri=")


def test_services_may_check_any_token_and_users_only_their_own(
    cloud: RunningCloud, admin: httpx.Client, demo: httpx.Client
):
    service, other = cloud.client("hydria"), admin.headers["X-Auth-Token"]
    answer = service.get(TOKENS, headers={"X-Subject-Token": demo.headers["X-Auth-Token"]})
    assert answer.json()["token"]["user"]["name"] == "demo"
    assert demo.get(TOKENS, headers={"X-Subject-Token": demo.headers["X-Auth-Token"]}).status_code == 200
    assert error(demo.get(TOKENS, headers={"X-Subject-Token": other})) == (403, "Forbidden")
    assert error(service.get(TOKENS, headers={"X-Subject-Token": "nonsense"})) == (404, "Not Found")
    assert service.head(TOKENS, headers={"X-Subject-Token": other}).status_code == 200


def test_revoked_token_is_refused(cloud: RunningCloud, admin: httpx.Client):
    token = cloud.client("demo").headers["X-Auth-Token"]
    assert check(admin, token) == 200
    assert admin.delete(TOKENS, headers={"X-Subject-Token": token}).status_code == 204
    assert check(admin, token) == 404


def disable(admin: httpx.Client, user: str, _grant: str):
    admin.patch(f"/identity/v3/users/{user}", json={"user": {"enabled": False}}).raise_for_status()


def delete(admin: httpx.Client, user: str, _grant: str):
    admin.delete(f"/identity/v3/users/{user}").raise_for_status()


def change_password(admin: httpx.Client, user: str, _grant: str):
    body = {"user": {"original_password": "pw", "password": "other"}}
    admin.post(f"/identity/v3/users/{user}/password", json=body).raise_for_status()


def withdraw_role(admin: httpx.Client, _user: str, grant: str):
    admin.delete(grant).raise_for_status()


@pytest.mark.parametrize("end", [disable, delete, change_password, withdraw_role])
def test_token_ends_with_what_it_stands_for(
    cloud: RunningCloud, admin: httpx.Client, end: Callable[[httpx.Client, str, str], None]
):
    user, grant = make_user(admin, f"ends-by-{end.__name__}")
    token = cloud.client(f"ends-by-{end.__name__}", password="pw", project="demo").headers["X-Auth-Token"]
    assert check(admin, token) == 200
    end(admin, user, grant)
    assert check(admin, token) == 404


def test_disabled_project_refuses_its_tokens(cloud: RunningCloud, admin: httpx.Client):
    project = admin.post("/identity/v3/projects", json={"project": {"name": "short-lived"}}).json()["project"]
    make_user(admin, "visitor", project="short-lived")
    token = cloud.client("visitor", password="pw", project="short-lived").headers["X-Auth-Token"]
    admin.patch(f"/identity/v3/projects/{project['id']}", json={"project": {"enabled": False}}).raise_for_status()
    assert check(admin, token) == 404


@pytest.mark.parametrize(
    ("kind", "more"),
    [("project", {"description": "d", "domain_id": "default"}), ("user", {"domain_id": "default"}), ("role", {})],
)
def test_create_show_list_update_delete(admin: httpx.Client, kind: str, more: dict[str, Any]):
    path = f"/identity/v3/{kind}s"
    answer = admin.post(path, json={kind: {"name": f"a-{kind}", **more}})
    assert answer.status_code == 201
    made = answer.json()[kind]
    assert made["links"]["self"].endswith(f"{path}/{made['id']}")
    assert error(admin.post(path, json={kind: {"name": f"a-{kind}", **more}})) == (409, "Conflict")
    assert admin.get(path, params={"name": f"a-{kind}"}).json()[f"{kind}s"] == [made]
    assert admin.get(path, params={"name": "none"}).json()[f"{kind}s"] == []
    assert made in admin.get(path).json()[f"{kind}s"]
    changed = admin.patch(f"{path}/{made['id']}", json={kind: {"name": "other"}})
    assert changed.json()[kind] == {**made, "name": "other"}
    assert admin.delete(f"{path}/{made['id']}").status_code == 204
    assert error(admin.get(f"{path}/{made['id']}")) == (404, "Not Found")
    assert error(admin.delete(f"{path}/{made['id']}")) == (404, "Not Found")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"user": {"name": "x", "colour": "red"}}, 400, id="unknown attribute"),
        pytest.param({"user": {"name": 5, "enabled": "maybe"}}, 400, id="wrong type"),
        pytest.param({"user": {}}, 400, id="no name"),
        pytest.param({"project": {"name": "x"}}, 400, id="wrong envelope"),
        pytest.param({"user": {"name": "x", "domain_id": "other"}}, 404, id="unknown domain"),
        pytest.param({"user": {"name": "x", "password": 5}}, 400, id="password not a string"),
    ],
)
def test_bad_user_is_refused_and_not_made(admin: httpx.Client, body: Any, status: int):
    before = admin.get("/identity/v3/users").json()["users"]
    assert admin.post("/identity/v3/users", json=body).status_code == status
    assert admin.get("/identity/v3/users").json()["users"] == before


def test_users_who_are_not_admin_read_only_themselves(demo: httpx.Client):
    user = demo.get(TOKENS, headers={"X-Subject-Token": demo.headers["X-Auth-Token"]}).json()["token"]["user"]["id"]
    assert error(demo.get("/identity/v3/users")) == (403, "Forbidden")
    assert error(demo.post("/identity/v3/projects", json={"project": {"name": "mine"}})) == (403, "Forbidden")
    assert demo.get(f"/identity/v3/users/{user}").json()["user"]["name"] == "demo"
    projects = demo.get(f"/identity/v3/users/{user}/projects").json()["projects"]
    assert [project["name"] for project in projects] == ["demo"]
    assert [project["name"] for project in demo.get("/identity/v3/auth/projects").json()["projects"]] == ["demo"]


def test_role_assignments(admin: httpx.Client):
    user, grant = make_user(admin, "assigned", role="reader")
    assert admin.put(grant).status_code == 204  # twice is fine
    assert admin.head(grant).status_code == 204
    project, role = grant.split("/")[4], grant.split("/")[8]
    found = admin.get("/identity/v3/role_assignments", params={"user.id": user, "scope.project.id": project}).json()
    assert [
        (one["scope"]["project"]["id"], one["user"]["id"], one["role"]["id"]) for one in found["role_assignments"]
    ] == [(project, user, role)]
    roles = admin.get(f"/identity/v3/projects/{project}/users/{user}/roles").json()["roles"]
    assert [one["name"] for one in roles] == ["reader"]
    assert admin.delete(grant).status_code == 204
    assert error(admin.delete(grant)) == (404, "Not Found")
    assert error(admin.put(f"/identity/v3/projects/{project}/users/{user}/roles/none")) == (404, "Not Found")


def test_application_credential_logs_in_with_its_roles_only(cloud: RunningCloud, demo: httpx.Client):
    me = demo.get(TOKENS, headers={"X-Subject-Token": demo.headers["X-Auth-Token"]}).json()["token"]["user"]["id"]
    path = f"/identity/v3/users/{me}/application_credentials"
    made = demo.post(path, json={"application_credential": {"name": "ci", "roles": [{"name": "reader"}]}})
    assert made.status_code == 201
    credential = made.json()["application_credential"]
    method = {"id": credential["id"], "secret": credential["secret"]}

    def login(secret: str) -> httpx.Response:
        identity = {"methods": ["application_credential"], "application_credential": {**method, "secret": secret}}
        return httpx.post(f"{cloud.url}{TOKENS}", json={"auth": {"identity": identity}})

    token = login(credential["secret"])
    assert [role["name"] for role in token.json()["token"]["roles"]] == ["reader"]
    assert error(login("wrong")) == (401, "Unauthorized")
    held = {"X-Auth-Token": token.headers["X-Subject-Token"]}
    another = httpx.post(f"{cloud.url}{path}", json={"application_credential": {"name": "more"}}, headers=held)
    assert error(another) == (403, "Forbidden")
    assert "secret" not in demo.get(f"{path}/{credential['id']}").json()["application_credential"]
    removed = httpx.delete(f"{cloud.url}{path}/{credential['id']}", headers=held)
    assert error(removed) == (403, "Forbidden")
    refused = demo.post(path, json={"application_credential": {"name": "x", "roles": [{"name": "admin"}]}})
    assert error(refused) == (400, "Bad Request")
    assert demo.delete(f"{path}/{credential['id']}").status_code == 204
    assert error(login(credential["secret"])) == (401, "Unauthorized")


def test_application_credential_ends_when_it_says(cloud: RunningCloud, demo: httpx.Client):
    me = demo.get(TOKENS, headers={"X-Subject-Token": demo.headers["X-Auth-Token"]}).json()["token"]["user"]["id"]
    path = f"/identity/v3/users/{me}/application_credentials"

    def login(expires_at: str) -> httpx.Response:
        body = {"application_credential": {"name": expires_at, "expires_at": expires_at}}
        made = demo.post(path, json=body).json()["application_credential"]
        method = {"id": made["id"], "secret": made["secret"]}
        identity = {"methods": ["application_credential"], "application_credential": method}
        return httpx.post(f"{cloud.url}{TOKENS}", json={"auth": {"identity": identity}})

    assert error(login("2001-01-01T00:00:00")) == (401, "Unauthorized")
    soon = datetime.now(UTC) + timedelta(seconds=60)
    token = login(soon.isoformat()).json()["token"]
    assert datetime.fromisoformat(token["expires_at"]) == soon
    bad = demo.post(path, json={"application_credential": {"name": "x", "expires_at": "soon"}})
    assert error(bad) == (400, "Bad Request")


def test_catalogue_resources_can_be_read(admin: httpx.Client):
    assert [domain["id"] for domain in admin.get("/identity/v3/domains?name=Default").json()["domains"]] == ["default"]
    assert admin.get("/identity/v3/domains?name=Other").json()["domains"] == []
    assert [region["id"] for region in admin.get("/identity/v3/regions").json()["regions"]] == ["RegionOne"]
    (service,) = admin.get("/identity/v3/services?type=compute").json()["services"]
    endpoints = admin.get("/identity/v3/endpoints", params={"service_id": service["id"]}).json()["endpoints"]
    assert sorted(endpoint["interface"] for endpoint in endpoints) == ["admin", "internal", "public"]


def test_restart_finds_users_and_tokens_as_they_were(config: Config):
    first = open_services(config)
    users = first.identity.users.list({})
    first.close()
    second = open_services(config)
    assert second.identity.users.list({}) == users
    assert len(second.identity.assignments()) == 7
    second.close()


def test_secrets_of_the_state_directory_are_not_readable_by_others(config: Config, tmp_path: Path):
    open_services(config).close()
    assert (tmp_path / "fernet.key").stat().st_mode & 0o077 == 0
