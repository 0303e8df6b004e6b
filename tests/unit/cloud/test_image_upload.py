"""`hydria image upload` and `list` with the real image service, as the load balancer service's own project."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from running_cloud import PASSWORDS, RunningCloud

from hydria.base import process
from hydria.base.errors import Forbidden, Invalid
from hydria.cli.image.cloud import Cloud
from hydria.image import facts
from hydria.image.build import INITRD, VMLINUX
from hydria.image.image_service import ImageService
from hydria.image.inspect import inspect
from hydria.image.upload import Request, Uploaded, upload
from unit.image_cli.small_image import FACTS, Files, write_image

API = "/image/v2/images"
TAG = "tried"
"""Not the controller's, which the namespace image has."""


def login(cloud: RunningCloud, user: str, project: str) -> dict[str, str]:
    return {
        "OS_AUTH_URL": f"{cloud.url}/identity/v3",
        "OS_USERNAME": user,
        "OS_PASSWORD": PASSWORDS[user],
        "OS_PROJECT_NAME": project,
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
    }


@pytest.fixture
def service(cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch) -> ImageService:
    for name, value in login(cloud, "hydria", "service").items():
        monkeypatch.setenv(name, value)
    return Cloud(None).image_service


@pytest.fixture(autouse=True)
def _nothing_stays(admin: httpx.Client) -> Iterator[None]:
    before = every_image(admin)
    yield
    for id_ in every_image(admin).keys() - before.keys():
        admin.delete(f"{API}/{id_}").raise_for_status()


def every_image(admin: httpx.Client) -> dict[str, Any]:
    return {image["id"]: image for image in admin.get(API).json()["images"]}


def make(directory: Path, changes: Files | None = None, *, boot: bool = True, format_: str = "qcow2") -> Path:
    directory.mkdir(exist_ok=True)
    image = write_image(directory, changes, format_=format_)
    if boot:
        image.with_suffix(VMLINUX).write_bytes(b"\x7fELF kernel")
        image.with_suffix(INITRD).write_bytes(b"initrd")
    return image


def bring(service: ImageService, image: Path, **more: Any) -> Uploaded:
    request = Request(inspection=inspect(image), name="amphora-test", tag=TAG, **more)
    return upload(service, request, lambda _file, _sent, _size: None)


def test_image_kernel_and_ramdisk(service: ImageService, admin: httpx.Client, tmp_path: Path):
    image = make(tmp_path)
    done = bring(service, image)
    assert done == Uploaded(id=done.id, new=True, current=done.id)
    images = every_image(admin)
    its = images[done.id]
    assert admin.get(f"{API}/{done.id}/file").content == image.read_bytes()
    assert (its["status"], its["disk_format"], its["container_format"]) == ("active", "qcow2", "bare")
    assert (its["visibility"], its["tags"], its["min_disk"]) == ("private", [TAG], 1)
    assert facts.from_properties(its) == FACTS
    assert (its["hw_machine_type"], its["hw_rng_model"], its["hw_vif_model"]) == ("q35", "virtio", "virtio")
    assert (its["os_distro"], its["os_version"]) == ("debian", "12")
    assert its["os_command_line"] == FACTS.command_line
    for id_, format_, suffix in ((its["kernel_id"], "aki", VMLINUX), (its["ramdisk_id"], "ari", INITRD)):
        assert (images[id_]["disk_format"], images[id_]["status"], images[id_]["tags"]) == (format_, "active", [])
        assert admin.get(f"{API}/{id_}/file").content == image.with_suffix(suffix).read_bytes()


def test_twice_is_once(service: ImageService, admin: httpx.Client, tmp_path: Path):
    image = make(tmp_path)
    first = bring(service, image)
    before = every_image(admin)
    again = bring(service, image)
    assert again == Uploaded(id=first.id, new=False, current=first.id)
    assert every_image(admin) == before


def test_what_was_changed_is_made_as_asked_and_what_others_added_stays(
    service: ImageService, admin: httpx.Client, tmp_path: Path
):
    image = make(tmp_path)
    id_ = bring(service, image).id
    operations = [
        {"op": "replace", "path": "/tags", "value": ["mine"]},
        {"op": "replace", "path": "/hw_rng_model", "value": "other"},
        {"op": "add", "path": "/my_property", "value": "stays"},
    ]
    service.patch(id_, operations)
    assert bring(service, image, direct_boot=False).new is False
    its = every_image(admin)[id_]
    assert (its["tags"], its["hw_rng_model"], its["my_property"]) == (["mine", TAG], "virtio", "stays")
    assert not {"kernel_id", "ramdisk_id", "os_command_line"} & its.keys()


def test_without_a_kernel_beside_it_the_disk_boots(service: ImageService, admin: httpx.Client, tmp_path: Path):
    id_ = bring(service, make(tmp_path, boot=False)).id
    assert "kernel_id" not in every_image(admin)[id_]


def test_vhd_is_called_so(service: ImageService, admin: httpx.Client, tmp_path: Path):
    id_ = bring(service, make(tmp_path, boot=False, format_="vpc")).id
    assert every_image(admin)[id_]["disk_format"] == "vhd"


def test_the_newest_is_used_and_the_older_one_keeps_the_tag(service: ImageService, admin: httpx.Client, tmp_path: Path):
    old_file, new_file = make(tmp_path / "old"), make(tmp_path / "new", {"/etc/other": "x"})
    old, new = bring(service, old_file), bring(service, new_file)
    assert (new.current, every_image(admin)[old.id]["tags"]) == (new.id, [TAG])
    assert bring(service, old_file) == Uploaded(id=old.id, new=False, current=new.id)
    service.delete(new.id)
    assert bring(service, old_file).current == old.id


@pytest.mark.parametrize("file", ["amphora.vmlinux", "amphora.initrd", "amphora.qcow2"])
def test_an_interrupted_upload_leaves_nothing(service: ImageService, admin: httpx.Client, tmp_path: Path, file: str):
    before = every_image(admin)
    request = Request(inspection=inspect(make(tmp_path)), name="amphora-test", tag=TAG)

    def interrupt(name: str, sent: int, _size: int) -> None:
        if name == file and sent:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upload(service, request, interrupt)
    assert every_image(admin) == before


def test_what_the_cloud_refuses_leaves_nothing(
    cloud: RunningCloud, admin: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name, value in login(cloud, "demo", "demo").items():
        monkeypatch.setenv(name, value)
    before = every_image(admin)
    with pytest.raises(Forbidden, match="publicize_image"):
        bring(Cloud(None).image_service, make(tmp_path), public=True)
    assert every_image(admin) == before


def test_a_tar_is_refused(service: ImageService, admin: httpx.Client, tmp_path: Path):
    found = inspect(make(tmp_path))
    as_tar = msgspec.structs.replace(found, disk=msgspec.structs.replace(found.disk, format="tar"))
    before = every_image(admin)
    with pytest.raises(Invalid, match="cannot boot from an image of type tar"):
        upload(service, Request(inspection=as_tar, name="x", tag=TAG), lambda _file, _sent, _size: None)
    assert every_image(admin) == before


def test_many_images_are_all_found(service: ImageService, admin: httpx.Client):
    made = [admin.post(API, json={"name": f"{number}", "tags": ["many"]}).json()["id"] for number in range(5)]
    assert [image["id"] for image in service.find(tag="many", limit="2")] == made[::-1]


class Command:
    """`hydria image` as a user of that cloud types it."""

    def __init__(self, cloud: RunningCloud) -> None:
        self._environment = login(cloud, "hydria", "service")

    def run(self, *arguments: str, **environment: str) -> process.Completed:
        program = str(Path(sys.executable).with_name("hydria"))
        return process.run(
            [program, "image", *arguments], check=False, environment={**self._environment, **environment}
        )


@pytest.fixture
def command(cloud: RunningCloud) -> Command:
    return Command(cloud)


def test_the_commands(command: Command, tmp_path: Path):
    nothing = command.run("list", "--tag", TAG)
    assert (nothing.status, nothing.stdout) == (
        0,
        f"There is no image with the tag {TAG}: hydria image build, hydria image upload.\n",
    )
    image = make(tmp_path)
    first = command.run("upload", str(image), "--tag", TAG, "--json")
    assert first.status == 0, first.stderr
    id_ = json.loads(first.stdout)["id"]
    said = command.run("upload", str(image), "--tag", TAG)
    assert said.stdout == f"Image {id_} was there already, with the tag {TAG}.\nNew amphorae boot from it.\n"
    (row,) = json.loads(command.run("list", "--tag", TAG, "--json").stdout)
    assert (row["id"], row["name"], row["current"], row["version"], row["nftables"]) == (
        id_,
        "amphora",
        True,
        FACTS.version,
        True,
    )
    assert row["amphorae"] is None, "the load balancer API does not run here"
    shown = command.run("list", "--tag", TAG)
    assert (id_ in shown.stdout, "boot from this" in shown.stdout) == (True, True)
    assert "no load balancer API" in shown.stderr


def test_an_unsound_image_is_uploaded_only_where_that_is_asked_for(
    command: Command, admin: httpx.Client, tmp_path: Path
):
    image = make(tmp_path, {"/root/.bash_history": "ls\n"}, boot=False)
    before = every_image(admin)
    refused = command.run("upload", str(image), "--tag", TAG)
    assert (refused.status, every_image(admin)) == (1, before)
    assert "shell histories" in refused.stderr
    assert command.run("upload", str(image), "--tag", TAG, "--unchecked").status == 0


@pytest.mark.parametrize(
    ("environment", "arguments", "text"),
    [
        pytest.param({"OS_AUTH_URL": "http://127.0.0.1:9/v3"}, [], "the cloud does not answer", id="no answer"),
        pytest.param({"OS_PASSWORD": "wrong"}, [], "does not accept the login", id="wrong password"),
        pytest.param({"OS_AUTH_URL": ""}, [], "No cloud to log in to", id="no cloud"),
        pytest.param({}, ["--os-cloud", "nowhere"], "Name one of clouds.yaml", id="unknown cloud"),
    ],
)
def test_without_a_cloud_one_line_says_why(
    command: Command, tmp_path: Path, environment: dict[str, str], arguments: list[str], text: str
):
    file = make(tmp_path, boot=False)
    for done in (
        command.run("upload", str(file), *arguments, **environment),
        command.run("list", *arguments, **environment),
    ):
        assert (done.status, done.stderr.count("\n")) == (1, 1), done.stderr
        assert text in done.stderr
        assert PASSWORDS["hydria"] not in done.stderr


def test_a_file_that_is_no_amphora_image_is_refused(command: Command, admin: httpx.Client, tmp_path: Path):
    (tmp_path / "x.qcow2").write_bytes(os.urandom(4096))
    before = every_image(admin)
    done = command.run("upload", str(tmp_path / "x.qcow2"))
    assert (done.status, done.stderr.count("\n"), every_image(admin)) == (1, 1, before)
    assert "It is none." in done.stderr
