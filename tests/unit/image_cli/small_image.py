"""A sound amphora image with a few small files, packed as the build packs: ext4 in one partition at 1 MiB."""

import struct
from collections.abc import Mapping
from pathlib import Path

import msgspec

from hydria.base import process
from hydria.image import checks, facts
from hydria.image.boot_line import ROOT_LABEL
from hydria.image.facts import Facts

FACTS = Facts(
    version="0.1.0", kernel="6.1.0-41-amd64", distribution="debian-12", command_line=f"root=LABEL={ROOT_LABEL}"
)
MIB = 1024 * 1024
START = 1 * MIB
SIZE = 8 * MIB

STATUS = """Package: haproxy
Status: install ok installed
Architecture: amd64
Version: 2.6.12-1+deb12u2

Package: nftables
Status: install ok installed
Architecture: amd64
Version: 1.0.6-2+deb12u2
"""
SHADOW = "root:*:20000:0:99999:7:::\ndaemon:*:20000:0:99999:7:::\nsystemd-network:!*:20000::::::\n"
LINKS = {f"/etc/systemd/system/multi-user.target.wants/{unit}": f"../{unit}" for unit in checks.UNITS}

Files = Mapping[str, str | None]
"""Path → content; None: it is left out."""


def sound() -> dict[str, str]:
    drivers = f"/usr/lib/modules/{FACTS.kernel}/kernel/drivers/net"
    return {
        facts.PATH: msgspec.json.encode(FACTS).decode(),
        checks.AGENT: "",
        "/opt/hydria/lib/msgspec-0.22.0.dist-info/METADATA": "Name: msgspec\nVersion: 0.22.0\n",
        "/var/lib/dpkg/status": STATUS,
        "/etc/machine-id": "",
        "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
        "/etc/shadow": SHADOW,
        "/usr/sbin/nft": "x",
        **{f"{drivers}/{driver}.ko": "x" for driver in checks.DRIVERS},
    }


def write_tree(root: Path, changes: Files | None = None) -> Path:
    for path, content in {**sound(), **(changes or {})}.items():
        if content is None:
            continue
        file = root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    for path, target in LINKS.items():
        link = root / path.lstrip("/")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
    return root


def write_raw(root: Path, image: Path, *, label: str = ROOT_LABEL) -> Path:
    """A raw disk of START + SIZE bytes."""
    mbr = bytearray(START)
    struct.pack_into("<B3xB3xII", mbr, 446, 0x80, 0x83, START // 512, SIZE // 512)
    mbr[510:512] = b"\x55\xaa"
    image.write_bytes(mbr)
    with image.open("r+b") as file:
        file.truncate(START + SIZE)
    options = ["-q", "-t", "ext4", "-L", label, "-d", str(root), "-E", f"offset={START},root_owner=0:0"]
    process.run(["mke2fs", *options, str(image), f"{SIZE // 1024}k"])
    return image


def write_image(
    directory: Path, changes: Files | None = None, *, format_: str = "qcow2", label: str = ROOT_LABEL
) -> Path:
    """`format_` is qemu-img's."""
    directory.mkdir(exist_ok=True)
    raw = write_raw(write_tree(directory / "root", changes), directory / "amphora.raw", label=label)
    if format_ == "raw":
        return raw
    image = directory / f"amphora.{format_}"
    process.run(["qemu-img", "convert", "-f", "raw", "-O", format_, str(raw), str(image)])
    raw.unlink()
    return image
