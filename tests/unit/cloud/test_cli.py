"""The official client, once per service: it costs more than a second each time."""

import json
from pathlib import Path

import httpx
import pytest
from running_cloud import RunningCloud

pytestmark = pytest.mark.client


def test_identity(cloud: RunningCloud):
    made = json.loads(cloud.openstack("user", "create", "--password", "x", "--project", "demo", "tester", "-f", "json"))
    assert made["name"] == "tester"
    cloud.openstack("role", "add", "--user", "tester", "--project", "demo", "member")
    shown = cloud.openstack("role", "assignment", "list", "--user", "tester", "--names", "-f", "value", "-c", "Role")
    assert shown == "member"


def test_network_as_the_guide_s_user_makes_one(cloud: RunningCloud, admin: httpx.Client):
    cloud.openstack(
        *("network", "create", "--provider-network-type", "vlan", "--provider-physical-network", "public", "tagged")
    )
    cloud.openstack("subnet", "create", "--network", "tagged", "--subnet-range", "10.1.0.0/24", "tagged-subnet")
    arguments = ("--fixed-ip", "subnet=tagged-subnet,ip-address=10.1.0.9", "--vnic-type", "direct", "--tag", "mine")
    cloud.openstack("port", "create", "--network", "tagged", *arguments, "a-port")
    (port,) = admin.get("/networking/v2.0/ports?name=a-port").json()["ports"]
    assert port["fixed_ips"][0]["ip_address"] == "10.1.0.9"
    assert (port["binding:vnic_type"], port["tags"]) == ("direct", ["mine"])
    assert "10.1.0.9" in cloud.openstack("port", "list")


def test_image(cloud: RunningCloud, admin: httpx.Client, tmp_path: Path):
    file = tmp_path / "x.qcow2"
    file.write_bytes(bytes(4096))
    arguments = ("--disk-format", "qcow2", "--tag", "amphora", "--property", "hw_rng_model=virtio")
    cloud.openstack("image", "create", "--file", str(file), *arguments, "amphora-x64-haproxy")
    cloud.openstack("image", "set", "--property", "os_distro=debian", "amphora-x64-haproxy")
    (image,) = admin.get("/image/v2/images?name=amphora-x64-haproxy").json()["images"]
    assert (image["status"], image["size"], image["tags"]) == ("active", 4096, ["amphora"])
    assert (image["hw_rng_model"], image["os_distro"]) == ("virtio", "debian")
