"""Images as the Image API v2 shows them, with their table."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from hydria.cloud.resource import Given, GivenOnce, table

DISK_FORMATS = ("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop")
CONTAINER_FORMATS = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")
HASH_ALGORITHM = "sha512"

Tag = Annotated[str, Meta(min_length=1, max_length=255)]
Natural = Annotated[int, Meta(ge=0)]


class Image(Struct, kw_only=True):
    id: GivenOnce[Annotated[str, Meta(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]]
    name: Given[Annotated[str, Meta(max_length=255)] | None] = None
    status: str = "queued"
    visibility: Given[Literal["private", "public", "shared", "community"]] = "shared"
    protected: Given[bool] = False
    owner: Given[str]
    disk_format: Given[str | None] = None
    container_format: Given[str | None] = None
    size: int | None = None
    virtual_size: int | None = None
    checksum: str | None = None
    os_hash_algo: str | None = None
    os_hash_value: str | None = None
    os_hidden: Given[bool] = False
    min_disk: Given[Natural] = 0
    min_ram: Given[Natural] = 0
    tags: Given[list[Tag]] = []
    properties: Given[dict[str, str | None]] = {}
    """Whatever else the owner says of the image; shown beside the attributes above."""
    created_at: str
    updated_at: str


images = table("images", Image, index=("owner",))
