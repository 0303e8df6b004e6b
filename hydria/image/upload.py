"""Brings an amphora image, and the kernel to boot it directly, into an image service. Running it twice changes nothing.

Octavia, and Hydria's controller, boot new amphorae from the newest active image with the tag. Older images keep it:
an operator who takes the newest away has the one before again.
"""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from hydria.base.errors import Invalid
from hydria.image import facts as facts_of_images
from hydria.image import image_service
from hydria.image.build import INITRD, VMLINUX
from hydria.image.facts import Facts
from hydria.image.image_service import ImageService, Json
from hydria.image.inspect import Inspection

DISK_FORMATS = {"qcow2": "qcow2", "raw": "raw", "vpc": "vhd"}
"""qemu-img's name → the image service's."""
_GIB = 1024**3

_HARDWARE = {
    "architecture": "x86_64",
    "hw_disk_bus": "virtio",
    "hw_machine_type": "q35",  # PCIe ports, into which Nova plugs NICs while the amphora serves
    "hw_rng_model": "virtio",
    "hw_vif_model": "virtio",
    "os_type": "linux",
}
_BOOT = ("kernel_id", "ramdisk_id", "os_command_line")

Report = Callable[[str, int, int], None]
"""(file, bytes sent, bytes it has)."""


class Request(Struct, kw_only=True, frozen=True):
    inspection: Inspection
    name: str
    tag: str
    public: bool = False
    direct_boot: bool = True
    """Also the kernel and the initrd, where they lie beside the image."""


class Uploaded(Struct, kw_only=True, frozen=True):
    id: str
    new: bool
    """False: it was there already."""
    current: str
    """Id of the image that new amphorae boot from."""


def upload(service: ImageService, request: Request, report: Report) -> Uploaded:
    """Nothing is left in the service of an upload that fails. Raises HydriaError."""
    disk = request.inspection.disk
    if disk.format not in DISK_FORMATS:
        raise Invalid(f"Uploading {disk.path}: a server cannot boot from an image of type {disk.format}.", field="file")
    with contextlib.ExitStack() as undo:
        boot = _boot(service, request, undo, report)
        values = {
            "name": request.name,
            "disk_format": DISK_FORMATS[disk.format],
            "container_format": "bare",
            "visibility": _visibility(request),
            "min_disk": -(-disk.virtual_size // _GIB),
            "tags": [request.tag],
            **properties(request.inspection.facts),
            **boot,
        }
        image, new = _ensure(service, disk.path, values, undo, report)
        undo.pop_all()
    current = image_service.newest_active(service.find(tag=request.tag))
    return Uploaded(id=image["id"], new=new, current=current["id"] if current else image["id"])


def properties(facts: Facts) -> dict[str, str]:
    distribution, _, version = facts.distribution.partition("-")
    system = {"os_distro": distribution, "os_version": version}
    return {**_HARDWARE, **{name: text for name, text in system.items() if text}, **facts_of_images.properties(facts)}


def _boot(service: ImageService, request: Request, undo: contextlib.ExitStack, report: Report) -> dict[str, str]:
    """Nova boots a kernel directly where the image names one."""
    path = request.inspection.disk.path
    kernel, initrd = path.with_suffix(VMLINUX), path.with_suffix(INITRD)
    if not (request.direct_boot and kernel.is_file() and initrd.is_file()):
        return {}
    ids = []
    for file, format_, what in ((kernel, "aki", "kernel"), (initrd, "ari", "ramdisk")):
        values = {
            "name": f"{request.name}-{what}",
            "disk_format": format_,
            "container_format": format_,
            "visibility": _visibility(request),
        }
        ids.append(_ensure(service, file, values, undo, report)[0]["id"])
    return dict(zip(_BOOT, (*ids, request.inspection.facts.command_line), strict=True))


def _visibility(request: Request) -> str:
    return "public" if request.public else "private"


def _ensure(
    service: ImageService, path: Path, values: Mapping[str, Any], undo: contextlib.ExitStack, report: Report
) -> tuple[Json, bool]:
    """And whether it is new. One of the same content and format that the project has is made as it is asked for."""
    size = path.stat().st_size
    same_size = service.find(owner=service.project_id, status="active", size_min=str(size), size_max=str(size))
    for image in same_size:
        if image["disk_format"] == values["disk_format"] and image_service.same_content(image, path):
            return _change(service, image, values), False
    image = service.create(values)
    undo.callback(service.delete, image["id"])
    done = 0

    def sent(count: int) -> None:
        nonlocal done
        done += count
        report(path.name, done, size)

    report(path.name, 0, size)
    service.upload(image["id"], path, sent)
    return service.show(image["id"]), True


def _change(service: ImageService, image: Json, values: Mapping[str, Any]) -> Json:
    """Its name, and tags it has beside ours, stay."""
    wanted = {name: value for name, value in values.items() if name != "name"}
    if "tags" in wanted:
        wanted["tags"] = sorted({*image["tags"], *wanted["tags"]})
    operations: list[Json] = [
        {"op": "replace" if name in image else "add", "path": f"/{name}", "value": value}
        for name, value in wanted.items()
        if image.get(name) != value
    ]
    operations += [{"op": "remove", "path": f"/{name}"} for name in _BOOT if name in image and name not in values]
    return service.patch(image["id"], operations) if operations else image
