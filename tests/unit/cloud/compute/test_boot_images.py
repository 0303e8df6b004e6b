"""What a server may boot from, in Nova's words where it may not."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from compute_world import ADMIN, PROJECT

from hydria.base import config
from hydria.base.errors import Invalid
from hydria.cloud.compute.boot_images import BootImages
from hydria.cloud.compute.resources import Flavor
from hydria.cloud.context import Context
from hydria.cloud.database import Database
from hydria.cloud.hypervisor.guest import BootImage
from hydria.cloud.image.service import Images

GIB = 1024**3
NOBODY = "00000000-0000-4000-8000-000000000000"
STRANGER = Context(user_id="u2", project_id="2" * 32, roles=frozenset({"member"}))


def qcow2(virtual_size: int = GIB, *, version: int = 3, backing_file: int = 0, features: int = 0) -> bytes:
    start = b"QFI\xfb" + struct.pack(">IQIIQ", version, backing_file, 0, 16, virtual_size)
    return start.ljust(72, b"\0") + struct.pack(">Q", features) + bytes(100)


def flavor(disk: int = 0, ram: int = 256) -> Flavor:
    return Flavor(id="f", name="f", ram=ram, disk=disk, vcpus=1)


@pytest.fixture
def images(tmp_path: Path) -> Iterator[Images]:
    cloud = config.Cloud(database_url=f"sqlite:///{tmp_path}/cloud.db", state_dir=str(tmp_path))
    database = Database(cloud.database_url)
    database.create_tables()
    made = Images(cloud, database)
    made.recover()
    yield made
    database.close()


def image(images: Images, data: bytes | None = None, **values: Any) -> str:
    form = {"name": "i", "disk_format": "qcow2", "container_format": "bare", **values}
    made = images.create(ADMIN, form)
    if data is not None:
        with images.upload(ADMIN, made.id) as upload:
            upload.write(data)
    return made.id


def boot(images: Images, image_ref: str | None, of: Flavor | None = None, context: Context = ADMIN) -> BootImage | None:
    found = BootImages(images, is_needed=True)
    return found.boot_image(context, found.find(context, image_ref), of or flavor())


def test_kernel_and_ramdisk_are_images_too(images: Images):
    kernel = image(images, b"kernel", disk_format="aki", container_format="aki")
    ramdisk = image(images, b"ramdisk", disk_format="ari", container_format="ari")
    disk = image(images, qcow2(), kernel_id=kernel, ramdisk_id=ramdisk, os_command_line="root=LABEL=a")
    assert boot(images, f"http://cloud/images/{disk}") == BootImage(
        images.path(disk), "qcow2", images.path(kernel), images.path(ramdisk), "root=LABEL=a"
    )


def test_raw_without_anything(images: Images):
    disk = image(images, b"raw", disk_format="raw")
    assert boot(images, disk) == BootImage(images.path(disk), "raw")


@pytest.mark.parametrize(
    ("image_ref", "text"),
    [
        pytest.param(None, "Missing imageRef attribute", id="none"),
        pytest.param("", "Missing imageRef attribute", id="empty"),
        pytest.param("amphora", "Invalid imageRef provided.", id="name"),
        pytest.param(NOBODY, "Can not find requested image", id="unknown"),
    ],
)
def test_reference_to_no_image(images: Images, image_ref: str | None, text: str):
    with pytest.raises(Invalid, match=text) as refused:
        boot(images, image_ref)
    assert refused.value.field == "imageRef"


def test_somebody_elses_image(images: Images):
    disk = image(images, qcow2(), visibility="private", owner=PROJECT)
    with pytest.raises(Invalid, match="Can not find requested image"):
        boot(images, disk, context=STRANGER)


@pytest.mark.parametrize(
    ("data", "values", "text"),
    [
        pytest.param(None, {}, "Image .* is not active.", id="not uploaded"),
        pytest.param(b"x", {"disk_format": "vmdk"}, "qcow2 or raw in bare, not from vmdk in bare", id="vmdk"),
        pytest.param(b"x", {"container_format": "ovf"}, "not from qcow2 in ovf", id="container"),
        pytest.param(b"no image at all", {}, "is unacceptable: it begins with b'no i'", id="not what it says"),
        pytest.param(qcow2()[:20], {}, "its header ends after 20 bytes", id="cut off"),
        pytest.param(qcow2(version=4), {}, "it is of version 4", id="version"),
        pytest.param(qcow2(backing_file=512), {}, "it has a backing file", id="backing file"),
        pytest.param(qcow2(version=2, backing_file=512), {}, "it has a backing file", id="backing file of version 2"),
        pytest.param(qcow2(features=4), {}, "it has an external data file", id="data file"),
        pytest.param(qcow2(), {"kernel_id": NOBODY}, f"its kernel_id {NOBODY} could not be found", id="kernel"),
        pytest.param(qcow2(), {"ramdisk_id": NOBODY}, f"its ramdisk_id {NOBODY} could not be found", id="ramdisk"),
        pytest.param(qcow2(), {"min_ram": 512}, "Flavor's memory is too small for requested image.", id="min_ram"),
    ],
)
def test_image_that_nothing_boots_from(images: Images, data: bytes | None, values: dict[str, Any], text: str):
    disk = image(images, data, **values)
    with pytest.raises(Invalid, match=text):
        boot(images, disk)


def test_kernel_that_is_not_uploaded(images: Images):
    kernel = image(images, disk_format="aki", container_format="aki")
    with pytest.raises(Invalid, match=f"Image {kernel} is not active"):
        boot(images, image(images, qcow2(), kernel_id=kernel))


@pytest.mark.parametrize(
    ("disk", "min_disk", "text"),
    [
        pytest.param(0, 0, "", id="as large as the image"),
        pytest.param(0, 5, "", id="as large as the image, whatever it says"),
        pytest.param(2, 2, "", id="fits"),
        pytest.param(1, 0, "too small for requested image. Flavor disk is 1073741824 bytes, image is 2147", id="small"),
        pytest.param(3, 4, "minimum size is 4294967296 bytes", id="min_disk"),
    ],
)
def test_disk_of_the_flavor(images: Images, disk: int, min_disk: int, text: str):
    made = image(images, qcow2(2 * GIB), min_disk=min_disk)
    if not text:
        assert boot(images, made, flavor(disk)) is not None
        return
    with pytest.raises(Invalid, match=text) as refused:
        boot(images, made, flavor(disk))
    assert refused.value.field == "flavorRef"


def test_where_servers_boot_from_no_image_one_that_is_named_must_be_there(images: Images):
    found = BootImages(images, is_needed=False)
    assert found.find(ADMIN, None) is None
    disk = image(images, b"of any kind", disk_format="iso")
    assert found.boot_image(ADMIN, found.find(ADMIN, disk), flavor()) is None
    with pytest.raises(Invalid, match="Can not find requested image"):
        found.find(ADMIN, NOBODY)


@pytest.mark.parametrize(
    ("data", "disk_format", "virtual_size"),
    [
        pytest.param(qcow2(7 * GIB), "qcow2", 7 * GIB, id="qcow2"),
        pytest.param(b"12345", "raw", 5, id="raw"),
        pytest.param(b"12345", "qcow2", None, id="not what it says"),
        pytest.param(b"12345", "iso", None, id="of a format that does not tell us"),
    ],
)
def test_virtual_size(images: Images, data: bytes, disk_format: str, virtual_size: int | None):
    assert images.get(ADMIN, image(images, data, disk_format=disk_format)).virtual_size == virtual_size
