"""The image that a server is to boot from: found, checked against the flavor, made into files. Starts nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import UUID

from hydria.base.errors import Invalid, NotFound
from hydria.cloud.compute.resources import Flavor
from hydria.cloud.context import Context
from hydria.cloud.hypervisor.guest import BootImage
from hydria.cloud.image import qcow2
from hydria.cloud.image.resources import Image
from hydria.cloud.image.service import Images

GIB = 1024**3
FIELD = "imageRef"


@dataclass(frozen=True)
class BootImages:
    images: Images
    is_needed: bool
    """Whether servers boot from images; without, one that is named only has to be there."""

    def find(self, context: Context, image_ref: str | None) -> Image | None:
        """What a create request names, by id or URL. Raises Invalid, in Nova's words."""
        if not image_ref:
            if self.is_needed:
                raise Invalid("Missing imageRef attribute", field=FIELD)
            return None
        id_ = image_ref.rpartition("/")[2]
        if not _is_uuid(id_):
            raise Invalid("Invalid imageRef provided.", field=FIELD)
        return self._get(context, id_, "Can not find requested image")

    def boot_image(self, context: Context, image: Image | None, flavor: Flavor) -> BootImage | None:
        """None where servers boot from none. Raises Invalid, in Nova's words."""
        if image is None or not self.is_needed:
            return None
        format_ = _format(image)
        disk = self._data(image)
        _fit(image, _virtual_size(image, format_, disk), flavor)
        return BootImage(
            disk=disk,
            format=format_,
            kernel=self._part(context, image, "kernel_id"),
            ramdisk=self._part(context, image, "ramdisk_id"),
            command_line=image.properties.get("os_command_line") or "",
        )

    def _part(self, context: Context, image: Image, name: str) -> Path | None:
        """The data of the image that a property names."""
        id_ = image.properties.get(name)
        if not id_:
            return None
        reason = f"{_unacceptable(image)} its {name} {id_} could not be found."
        return self._data(self._get(context, id_, reason))

    def _get(self, context: Context, id_: str, reason: str) -> Image:
        try:
            return self.images.get(context, id_)
        except NotFound as error:
            raise Invalid(reason, field=FIELD) from error

    def _data(self, image: Image) -> Path:
        if image.status != "active":
            raise Invalid(f"Image {image.id} is not active.", field=FIELD)
        return self.images.path(image.id)


def gone(image: Image | None) -> Invalid:
    """It was deleted while its server was made."""
    return Invalid(f"Image {image.id if image else ''} could not be found.", field=FIELD)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _unacceptable(image: Image) -> str:
    return f"Image {image.id} is unacceptable:"


def _format(image: Image) -> Literal["qcow2", "raw"]:
    match image.disk_format, image.container_format:
        case ("qcow2" | "raw") as format_, "bare":
            return format_
        case disk, container:
            reason = f"a server boots from qcow2 or raw in bare, not from {disk} in {container}."
            raise Invalid(f"{_unacceptable(image)} {reason}", field=FIELD)


def _virtual_size(image: Image, format_: str, path: Path) -> int:
    try:
        if format_ == "raw":
            return path.stat().st_size
        with path.open("rb") as file:
            header = qcow2.parse(file.read(qcow2.HEADER_BYTES))
    except FileNotFoundError as error:
        raise gone(image) from error
    except qcow2.NotQcow2 as error:
        raise Invalid(f"{_unacceptable(image)} {error.message}.", field=FIELD) from error
    if header.other_file:
        raise Invalid(f"{_unacceptable(image)} it has {header.other_file}.", field=FIELD)
    return header.virtual_size


def _fit(image: Image, virtual_size: int, flavor: Flavor) -> None:
    if flavor.ram < image.min_ram:
        raise Invalid("Flavor's memory is too small for requested image.", field="flavorRef")
    if not flavor.disk:
        return  # as large as the image
    size = flavor.disk * GIB
    if size < image.min_disk * GIB:
        raise Invalid(
            "Flavor's disk is smaller than the minimum size specified in image metadata. "
            f"Flavor disk is {size} bytes, minimum size is {image.min_disk * GIB} bytes.",
            field="flavorRef",
        )
    if size < virtual_size:
        raise Invalid(
            "Flavor's disk is too small for requested image. "
            f"Flavor disk is {size} bytes, image is {virtual_size} bytes.",
            field="flavorRef",
        )
