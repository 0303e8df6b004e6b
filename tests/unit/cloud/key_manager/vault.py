"""What the tests of the key manager share."""

import base64
from typing import Any

import httpx
from running_cloud import RunningCloud

API = "/key-manager/v1"
MICROVERSION = {"OpenStack-API-Version": "key-manager 1.1"}
PASSWORD = "a password of tests"


def store(client: httpx.Client, payload: str | bytes | None = "s3cret", **values: Any) -> str:
    """The reference of a new secret."""
    answer = client.post(f"{API}/secrets", json=secret(payload, **values))
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == answer.json()["secret_ref"]
    return answer.json()["secret_ref"]


def secret(payload: str | bytes | None = "s3cret", **values: Any) -> dict[str, Any]:
    """The document of a new one; bytes go as base64."""
    match payload:
        case None:
            content = {}
        case str():
            content = {"payload": payload, "payload_content_type": "text/plain"}
        case bytes():
            content = {
                "payload": base64.b64encode(payload).decode(),
                "payload_content_type": "application/octet-stream",
                "payload_content_encoding": "base64",
            }
    return {"name": "a secret", **content, **values}


def contain(client: httpx.Client, type_: str = "certificate", **references: str) -> str:
    """The reference of a new container."""
    refs = [{"name": name, "secret_ref": reference} for name, reference in references.items()]
    answer = client.post(f"{API}/containers", json={"name": "c", "type": type_, "secret_refs": refs})
    assert answer.status_code == 201, answer.text
    return answer.json()["container_ref"]


def fault(answer: httpx.Response) -> int:
    """Its status, once its body is seen to be Barbican's."""
    body = answer.json()
    assert set(body) == {"code", "title", "description"}
    assert body["code"] == answer.status_code
    assert body["description"]
    return answer.status_code


def newcomer(cloud: RunningCloud, name: str, project: str, *roles: str) -> tuple[httpx.Client, str]:
    """A user's client and his id. The project is made where there is none."""
    identity = cloud.services.identity
    project_ = identity.projects.find(project) or identity.projects.create({"name": project})
    user = identity.create_user({"name": name}, PASSWORD)
    for role in roles:
        found = identity.roles.find(role)
        assert found is not None
        identity.assign(project_.id, user.id, found.id)
    return cloud.client(name, project=project, password=PASSWORD), user.id
