"""The command line of a QEMU server. Pure; nothing secret is in it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from hydria.cloud.hypervisor import qemu_nics, qemu_program
from hydria.cloud.hypervisor.guest import Machine
from hydria.cloud.hypervisor.qemu_files import Boot, Files
from hydria.cloud.hypervisor.qemu_program import Accelerator

TRANSLATIONS_MIB = 256
"""TCG's cache of translated code; its default is 1 GiB, and an amphora's code fits into much less."""
OVERHEAD_MIB = 512
"""What QEMU needs beside the guest's memory, TCG's cache and the devices included."""

MACHINE = f"{qemu_program.MACHINE},dump-guest-core=off,vmport=off,i8042=off,sata=off,smbus=off"
"""Without devices that nobody uses: looking for them is a tenth of a boot under TCG."""

SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
"""seccomp: a guest that broke out into QEMU can start no program and take no other user's rights."""


def arguments(files: Files, machine: Machine, boot: Boot, accelerator: Accelerator, *, qmp_fd: int) -> list[str]:
    """`qmp_fd`: a listening socket."""
    return [
        *(qemu_program.PROGRAM, "-name", f"guest={machine.id},debug-threads=on", "-uuid", machine.id),
        *("-machine", MACHINE, "-accel", _accelerator(accelerator)),
        *("-cpu", qemu_program.CPU, "-smp", str(machine.vcpus), "-m", f"{machine.ram}M"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-sandbox", SANDBOX),
        # Nothing runs before NICs are plugged in.
        "-S",
        *("-chardev", f"socket,id=qmp,fd={qmp_fd},server=on,wait=off", "-mon", "chardev=qmp,mode=control"),
        *("-chardev", f"file,id=console,path={_escaped(str(files.console))},append=on", "-serial", "chardev:console"),
        *("-device", "virtio-rng-pci"),
        *_disks(files, boot),
        *_pcie_ports(),
        *(_direct(files, boot) if boot.has_kernel else ()),
    ]


def _accelerator(accelerator: Accelerator) -> str:
    return f"tcg,tb-size={TRANSLATIONS_MIB}" if accelerator == "tcg" else accelerator


def _disks(files: Files, boot: Boot) -> Iterator[str]:
    image: dict[str, Any] = {"driver": boot.format, "read-only": True, "file": _file(files.image.as_posix())}
    if boot.format == "qcow2":
        # Whatever the image says of a file below it is not believed.
        image["backing"] = None
    disk = {"driver": "qcow2", "file": _file(files.disk.as_posix()), "backing": image, "discard": "unmap"}
    drive = {"driver": "raw", "read-only": True, "file": _file(files.config_drive.as_posix())}
    yield from _drive("disk", disk, boot_index=1)
    yield from _drive("config-drive", drive, boot_index=None)


def _drive(name: str, node: Mapping[str, Any], *, boot_index: int | None) -> Iterator[str]:
    yield from ("-blockdev", json.dumps({"node-name": f"{name}-node", **node}))
    first = {} if boot_index is None else {"bootindex": boot_index}
    yield from ("-device", json.dumps({"driver": "virtio-blk-pci", "id": name, "drive": f"{name}-node", **first}))


def _file(path: str) -> dict[str, Any]:
    return {"driver": "file", "filename": path}


def _pcie_ports() -> Iterator[str]:
    for number in range(qemu_nics.PCIE_PORTS):
        # Chassis and slot only have to differ; 0 stands for "none".
        place = number + 1
        yield from ("-device", f"pcie-root-port,id={qemu_nics.pcie_port(number)},chassis={place},slot={place}")


def _direct(files: Files, boot: Boot) -> Iterator[str]:
    yield from ("-kernel", str(files.kernel))
    if boot.has_ramdisk:
        yield from ("-initrd", str(files.ramdisk))
    yield from ("-append", boot.command_line)


def _escaped(value: str) -> str:
    """A comma ends a value in QEMU's command line, two are one."""
    return value.replace(",", ",,")
