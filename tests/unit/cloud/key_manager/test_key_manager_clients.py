"""openstacksdk and the official commands, each with its effect."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openstack
import pytest
from openstack.connection import Connection
from openstack.exceptions import NotFoundException
from running_cloud import PASSWORDS, RunningCloud
from vault import MICROVERSION, fault

# openstacksdk warns itself of what it calls itself.
pytestmark = pytest.mark.filterwarnings("ignore:.*:PendingDeprecationWarning")

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
BUNDLE = bytes(range(256))


@pytest.fixture(scope="module")
def sdk(cloud: RunningCloud) -> Iterator[Connection]:
    login = {
        "auth_url": f"{cloud.url}/identity/v3",
        "username": "demo",
        "password": PASSWORDS["demo"],
        "project_name": "demo",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Support for InfluxDB")
        connection = openstack.connect(load_yaml_config=False, load_envvars=False, region_name="RegionOne", **login)
    yield connection
    connection.close()


def test_sdk_secrets(sdk: Connection):
    proxy = sdk.key_manager
    made = proxy.create_secret(name="pem", payload=PEM, payload_content_type="text/plain", secret_type="certificate")
    assert proxy.get_secret(made.secret_id).payload == PEM
    # By name the SDK finds nothing, with Barbican neither: it does not look at the status of the first answer.
    assert proxy.find_secret(made.secret_id).name == "pem"
    bare = proxy.create_secret(name="later")
    proxy.put(f"/secrets/{bare.secret_id}", data=BUNDLE, headers={"Content-Type": "application/octet-stream"})
    assert proxy.get_secret(bare.secret_id).payload == BUNDLE
    assert [one.name for one in proxy.secrets(name="later")] == ["later"]
    for one in (made, bare):
        proxy.delete_secret(one.secret_id)
    with pytest.raises(NotFoundException):
        proxy.delete_secret(made.secret_id, ignore_missing=False)


def test_sdk_lists_more_than_a_page(sdk: Connection):
    proxy = sdk.key_manager
    made = {proxy.create_secret(name=f"many {number}").secret_id for number in range(12)}
    assert {one.secret_id for one in proxy.secrets()} >= made
    for id_ in made:
        proxy.delete_secret(id_)


def test_sdk_containers_acls_and_consumers(sdk: Connection):
    proxy = sdk.key_manager
    secret = proxy.create_secret(name="c", payload=PEM, payload_content_type="text/plain")
    refs = [{"name": "certificate", "secret_ref": secret.secret_ref}]
    made = proxy.create_container(name="tls", type="certificate", secret_refs=refs)
    assert proxy.get_container(made.container_id).secret_refs == refs
    assert proxy.find_container("tls").container_id == made.container_id
    assert made.container_id in {one.container_id for one in proxy.containers()}
    proxy.set_secret_acl(secret.secret_id, read={"users": ["octavia"], "project-access": True})
    assert proxy.get_secret_acl(secret.secret_id).read["users"] == ["octavia"]
    proxy.delete_secret_acl(secret.secret_id)
    consumer = {"service": "load-balancer", "resource_type": "listener", "resource_id": "4d4e"}
    proxy.create_secret_consumer(secret.secret_id, **consumer)
    assert [one.resource_id for one in proxy.secret_consumers(secret.secret_id)] == ["4d4e"]
    proxy.delete_secret_consumer(secret.secret_id, **consumer)
    assert list(proxy.secret_consumers(secret.secret_id)) == []
    proxy.delete_container(made.container_id)
    assert proxy.find_container("tls") is None
    proxy.delete_secret(secret.secret_id)


def run(cloud: RunningCloud, *words: str) -> Any:
    """What a command of the demo user prints, as JSON."""
    return json.loads(cloud.openstack(*words, "-f", "json", user="demo"))


@pytest.mark.client
def test_commands_for_secrets(cloud: RunningCloud, demo: httpx.Client, tmp_path: Path):
    (tmp_path / "server.crt").write_text(PEM)
    (tmp_path / "server.p12").write_bytes(BUNDLE)
    made = run(cloud, "secret", "store", "--name", "pem", "-s", "certificate", "--file", str(tmp_path / "server.crt"))
    reference = made["Secret href"]
    assert demo.get(f"{reference}/payload").text == PEM
    assert demo.get(reference).json()["secret_type"] == "certificate"
    assert run(cloud, "secret", "get", reference, "--payload")["Payload"] == PEM
    assert [one["Name"] for one in run(cloud, "secret", "list", "--name", "pem")] == ["pem"]

    bundle = run(cloud, "secret", "store", "--name", "p12", "--file", str(tmp_path / "server.p12"))["Secret href"]
    copy, octets = tmp_path / "copy.p12", ("--payload_content_type", "application/octet-stream")
    cloud.openstack("secret", "get", bundle, "--file", str(copy), *octets, user="demo")
    assert copy.read_bytes() == BUNDLE

    bare = run(cloud, "secret", "store", "--name", "later")["Secret href"]
    cloud.openstack("secret", "update", bare, "words", user="demo")
    assert demo.get(f"{bare}/payload").text == "words"

    consumer = ("--service-type-name", "load-balancer", "--resource-type", "listener", "--resource-id", "4d4e")
    cloud.openstack("secret", "consumer", "create", *consumer, bare, user="demo")
    assert [one["Resource id"] for one in run(cloud, "secret", "consumer", "list", bare)] == ["4d4e"]
    cloud.openstack("secret", "consumer", "delete", *consumer, bare, user="demo")
    assert demo.get(bare, headers=MICROVERSION).json()["consumers"] == []
    for one in (reference, bundle, bare):
        cloud.openstack("secret", "delete", one, user="demo")
        assert fault(demo.get(one)) == 404


@pytest.mark.client
def test_commands_for_containers_and_acls(cloud: RunningCloud, demo: httpx.Client):
    secret = run(cloud, "secret", "store", "--payload", "words", "--payload-content-type", "text/plain")["Secret href"]
    words = ("secret", "container", "create", "--name", "tls", "--type", "certificate")
    made = run(cloud, *words, "--secret", f"certificate={secret}")["Container href"]
    (reference,) = demo.get(made).json()["secret_refs"]
    assert reference == {"name": "certificate", "secret_ref": secret}
    # The client cannot print a container's times as JSON.
    name = ("-f", "value", "-c", "Name")
    assert cloud.openstack("secret", "container", "get", made, *name, user="demo") == "tls"
    assert cloud.openstack("secret", "container", "list", *name, user="demo") == "tls"

    cloud.openstack("acl", "user", "add", "--user", "octavia", made, user="demo")
    assert demo.get(f"{made}/acl").json()["read"]["users"] == ["octavia"]
    assert run(cloud, "acl", "get", made)[0]["Users"] == ["octavia"]
    cloud.openstack("acl", "user", "remove", "--user", "octavia", made, user="demo")
    assert demo.get(f"{made}/acl").json()["read"]["users"] == []
    cloud.openstack("acl", "submit", "--no-project-access", secret, user="demo")
    assert demo.get(f"{secret}/acl").json()["read"]["project-access"] is False
    cloud.openstack("acl", "delete", secret, user="demo")
    assert demo.get(f"{secret}/acl").json() == {"read": {"project-access": True}}
    cloud.openstack("secret", "container", "delete", made, user="demo")
    assert fault(demo.get(made)) == 404
