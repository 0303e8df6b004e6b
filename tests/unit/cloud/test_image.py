import contextlib
import hashlib
import threading
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from running_cloud import RunningCloud, make_config

from hydria.base.config import Config
from hydria.cloud.app import open_services
from hydria.cloud.context import CLOUD
from hydria.cloud.database import Database
from hydria.cloud.identity.service import Identity
from hydria.cloud.image.service import Images
from hydria.cloud.network.service import Network
from hydria.cloud.seed import seed

API = "/image/v2/images"
PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}


def make(client: httpx.Client, **values: Any):
    body = {"name": "an image", "disk_format": "raw", "container_format": "bare", **values}
    answer = client.post(API, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def refused(answer: httpx.Response, status: int) -> bool:
    return answer.status_code == status and answer.json()["code"].startswith(str(status))


@pytest.fixture
def image(admin: httpx.Client):
    made = make(admin, tags=["amphora"])
    yield made
    admin.delete(f"{API}/{made['id']}")


def test_discovery_needs_no_login(cloud: RunningCloud):
    answer = httpx.get(f"{cloud.url}/image")
    assert answer.status_code == 300
    assert answer.json()["versions"][0]["links"] == [{"rel": "self", "href": f"{cloud.url}/image/v2/"}]


def test_namespace_image_is_there_for_the_controller(cloud: RunningCloud):
    (image,) = cloud.client("hydria").get(API, params={"tag": "amphora", "status": "active"}).json()["images"]
    assert (image["name"], image["disk_format"], image["visibility"]) == ("amphora-namespace", "raw", "public")


def test_virtual_machines_need_an_image_that_somebody_brings(tmp_path: Path):
    config = make_config(tmp_path)
    config = msgspec.structs.replace(config, cloud=msgspec.structs.replace(config.cloud, hypervisor="qemu"))
    database = Database(config.cloud.database_url)
    with contextlib.closing(database):
        database.create_tables()
        images = Images(config.cloud, database)
        seed(config, Identity(config.cloud, database), Network(config, database), images)
        assert images.find({}) == []


def test_upload_and_download(admin: httpx.Client, image: dict[str, Any]):
    data = b"x" * 300_000
    assert image["status"] == "queued"
    assert admin.put(f"{API}/{image['id']}/file", content=data).status_code == 204
    shown = admin.get(f"{API}/{image['id']}").json()
    assert (shown["status"], shown["size"]) == ("active", len(data))
    assert (shown["os_hash_algo"], shown["os_hash_value"]) == ("sha512", hashlib.sha512(data).hexdigest())
    assert shown["checksum"] == hashlib.md5(data, usedforsecurity=False).hexdigest()
    assert admin.get(f"{API}/{image['id']}/file").content == data
    assert refused(admin.put(f"{API}/{image['id']}/file", content=b"again"), 409)


def test_broken_upload_can_be_done_again(cloud: RunningCloud, admin: httpx.Client, image: dict[str, Any]):
    images = cloud.services.image

    def break_off() -> None:
        with images.upload(CLOUD, image["id"]) as upload:
            upload.write(b"half")
            assert admin.get(f"{API}/{image['id']}").json()["status"] == "saving"
            raise ConnectionError

    with pytest.raises(ConnectionError):
        break_off()
    assert admin.get(f"{API}/{image['id']}").json()["status"] == "queued"
    assert admin.put(f"{API}/{image['id']}/file", content=b"whole").status_code == 204
    assert images.path(image["id"]).read_bytes() == b"whole"


def test_upload_that_a_kill_ended_is_queued_again_after_the_restart(config: Config):
    first = open_services(config)
    image = first.image.create(CLOUD, {"disk_format": "raw", "container_format": "bare"})
    upload = first.image.upload(CLOUD, image.id)
    upload.write(b"half")
    first.close()
    second = open_services(config)
    assert second.image.get(CLOUD, image.id).status == "queued"
    assert sorted(path.name for path in second.image.path(image.id).parent.iterdir()) == [
        one.id for one in second.image.find({"status": ["active"]})
    ]
    second.close()
    upload.close()


def test_of_two_uploads_at_once_one_is_refused(cloud: RunningCloud, admin: httpx.Client, image: dict[str, Any]):
    barrier, answers = threading.Barrier(2), []

    def upload() -> None:
        with httpx.Client(base_url=cloud.url, headers=admin.headers) as client:
            barrier.wait()
            answers.append(client.put(f"{API}/{image['id']}/file", content=b"x" * 1000).status_code)

    threads = [threading.Thread(target=upload) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [204, 409]


def test_properties_stand_beside_the_attributes(admin: httpx.Client):
    image = make(admin, hw_rng_model="virtio")
    assert image["hw_rng_model"] == "virtio"
    operations = [
        {"op": "replace", "path": "/name", "value": "renamed"},
        {"op": "add", "path": "/os_distro", "value": "debian"},
        {"op": "remove", "path": "/hw_rng_model"},
        {"op": "replace", "path": "/tags", "value": ["b", "a"]},
    ]
    patched = admin.patch(f"{API}/{image['id']}", json=operations, headers=PATCH).json()
    assert (patched["name"], patched["os_distro"], patched["tags"]) == ("renamed", "debian", ["a", "b"])
    assert "hw_rng_model" not in patched
    assert admin.get(f"{API}/{image['id']}").json() == patched
    assert admin.delete(f"{API}/{image['id']}").status_code == 204


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        pytest.param({"op": "replace", "path": "/status", "value": "active"}, 403, id="read-only"),
        pytest.param({"op": "remove", "path": "/name"}, 403, id="remove an attribute"),
        pytest.param({"op": "remove", "path": "/colour"}, 409, id="remove what is not there"),
        pytest.param({"op": "replace", "path": "/colour", "value": "red"}, 409, id="replace what is not there"),
        pytest.param({"op": "replace", "path": "/disk_format", "value": "floppy"}, 400, id="unknown format"),
        pytest.param({"op": "replace", "path": "/min_disk", "value": -1}, 400, id="negative"),
        pytest.param({"op": "add", "path": "/x", "value": {"a": 1}}, 400, id="property that is no text"),
        pytest.param({"op": "move", "path": "/name"}, 400, id="unknown operation"),
        pytest.param({"op": "add", "path": "/name"}, 400, id="no value"),
        pytest.param("x", 400, id="no operation"),
    ],
)
def test_bad_patch_changes_nothing(admin: httpx.Client, image: dict[str, Any], operation: Any, status: int):
    assert refused(admin.patch(f"{API}/{image['id']}", json=[operation], headers=PATCH), status)
    assert admin.get(f"{API}/{image['id']}").json() == image


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"disk_format": "floppy"}, 400, id="unknown format"),
        pytest.param({"id": "not-a-uuid"}, 400, id="bad id"),
        pytest.param({"status": "active"}, 400, id="read-only"),
        pytest.param({"self": "/x"}, 403, id="link"),
        pytest.param({"visibility": "secret"}, 400, id="unknown visibility"),
        pytest.param([], 400, id="no object"),
    ],
)
def test_bad_image_is_refused(admin: httpx.Client, body: Any, status: int):
    assert refused(admin.post(API, json=body), status)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param("name=one", ["one"], id="name"),
        pytest.param("tag=x", ["two", "one"], id="tag, the newest first"),
        pytest.param("tag=x&tag=y", ["two"], id="both tags"),
        pytest.param("tag=x&sort=name:asc", ["one", "two"], id="sort"),
        pytest.param("tag=x&sort_key=name&sort_dir=desc", ["two", "one"], id="sort key"),
        pytest.param("tag=x&limit=1", ["two"], id="limit"),
        pytest.param("name=in:one,two", ["two", "one"], id="in"),
        pytest.param("status=active&tag=x", [], id="status"),
        pytest.param("os_distro=debian", ["one"], id="property"),
    ],
)
def test_filters(admin: httpx.Client, query: str, found: list[str]):
    images = [make(admin, name="one", tags=["x"], os_distro="debian"), make(admin, name="two", tags=["x", "y"])]
    assert [image["name"] for image in admin.get(f"{API}?{query}").json()["images"]] == found
    by_id = admin.get(API, params={"id": f"in:{images[0]['id']}"}).json()["images"]
    assert [image["name"] for image in by_id] == ["one"]
    for image in images:
        admin.delete(f"{API}/{image['id']}").raise_for_status()


def test_pages_follow_each_other(admin: httpx.Client):
    images = [make(admin, name=name, tags=["paged"])["id"] for name in ("a", "b", "c")]
    first = admin.get(f"{API}?tag=paged&limit=2").json()
    rest = admin.get(f"/image{first['next']}").json()
    assert [image["id"] for image in first["images"] + rest["images"]] == images[::-1]
    assert "next" not in rest
    for image in images:
        admin.delete(f"{API}/{image}").raise_for_status()


def test_tags_and_protection(admin: httpx.Client, image: dict[str, Any]):
    path = f"{API}/{image['id']}"
    assert admin.put(f"{path}/tags/new").status_code == 204
    assert admin.get(path).json()["tags"] == ["amphora", "new"]
    assert admin.delete(f"{path}/tags/new").status_code == 204
    assert refused(admin.delete(f"{path}/tags/new"), 404)
    protect = [{"op": "replace", "path": "/protected", "value": True}]
    admin.patch(path, json=protect, headers=PATCH).raise_for_status()
    assert refused(admin.delete(path), 403)
    protect[0]["value"] = False
    admin.patch(path, json=protect, headers=PATCH).raise_for_status()


def test_projects_see_their_own_and_public_images(demo: httpx.Client, image: dict[str, Any]):
    mine = make(demo, name="mine")
    assert [one["name"] for one in demo.get(API).json()["images"]] == ["mine", "amphora-namespace"]
    assert refused(demo.get(f"{API}/{image['id']}"), 404)
    assert refused(demo.post(API, json={"visibility": "public"}), 403)
    (public,) = demo.get(API, params={"visibility": "public"}).json()["images"]
    assert refused(demo.delete(f"{API}/{public['id']}"), 403)
    assert demo.delete(f"{API}/{mine['id']}").status_code == 204
    assert refused(demo.get(f"{API}/{mine['id']}"), 404)


def test_reader_reads_only(cloud: RunningCloud, admin: httpx.Client):
    user = admin.post("/identity/v3/users", json={"user": {"name": "reader", "password": "pw"}}).json()["user"]["id"]
    project = admin.get("/identity/v3/projects?name=demo").json()["projects"][0]["id"]
    role = admin.get("/identity/v3/roles?name=reader").json()["roles"][0]["id"]
    admin.put(f"/identity/v3/projects/{project}/users/{user}/roles/{role}").raise_for_status()
    reader = cloud.client("reader", password="pw", project="demo")
    assert reader.get(API).status_code == 200
    assert refused(reader.post(API, json={"name": "x"}), 403)
    answer = reader.post("/networking/v2.0/security-groups", json={"security_group": {"name": "x"}})
    assert answer.json()["NeutronError"]["type"] == "PolicyNotAuthorized"
