"""The udev rules by which a PF has its VFs again after a reboot. They need nothing of Hydria to do so."""

import contextlib
import os
import re
import shutil
from pathlib import Path

from hydria.base import process
from hydria.base.errors import Terminal
from hydria.sriov.preparation import Device

ROOT = Path("/")

_VFS = re.compile(r'^ACTION=="add".*ATTR\{device/sriov_numvfs\}="(\d+)"', re.MULTILINE)


def path_of(pci_address: str, root: Path = ROOT) -> Path:
    # After 80-net-setup-link.rules: $name is only then what the link will be called.
    return root / "etc/udev/rules.d" / f"85-hydria-sriov-{pci_address}.rules"


def rules(pci_address: str, numvfs: int, *, ip: str = "/sbin/ip") -> str:
    """By PCI address, for links get their names in the order in which drivers start."""
    vfs = f'SUBSYSTEM=="net", ATTR{{device/physfn/uevent}}=="*PCI_SLOT_NAME={pci_address}*"'
    return f"""\
# Written by `hydria sriov enable {pci_address} --vfs {numvfs} --persist`.
# `hydria sriov disable {pci_address} --persist` removes it.

# VFs carry nothing while their PF is down. They are no children of the PF in sysfs: this does not meet them.
ACTION=="add", SUBSYSTEM=="net", KERNELS=="{pci_address}", ATTR{{device/sriov_numvfs}}="{numvfs}", \
RUN+="{ip} link set dev $name up"
# Neither NetworkManager nor systemd-networkd configures a VF that a guest is to get.
ACTION!="remove", {vfs}, ENV{{NM_UNMANAGED}}="1", ENV{{ID_NET_MANAGED_BY}}="io.hydria"
"""


def persisted(pci_address: str, root: Path = ROOT) -> int | None:
    """How many VFs the PF gets at boot; None: we have no rule for it."""
    try:
        found = _VFS.search(path_of(pci_address, root).read_text())
    except OSError:
        return None
    return int(found[1]) if found else None


def persist(device: Device, numvfs: int, root: Path = ROOT) -> Path:
    """May run twice. Raises Terminal."""
    path = path_of(device.pci_address, root)
    text = rules(device.pci_address, numvfs, ip=shutil.which("ip") or "/sbin/ip")
    # udev reads files that end in .rules: a half-written one is none of them.
    new = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new.open("w") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise Terminal(f"Writing the udev rules of {device} to {path}: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            new.unlink()
    _reload(root)
    return path


def forget(device: Device, root: Path = ROOT) -> bool:
    """Whether there was something to forget. May run twice. Raises Terminal."""
    path = path_of(device.pci_address, root)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise Terminal(f"Removing the udev rules of {device}, {path}: {error.strerror}") from error
    _reload(root)
    return True


def _reload(root: Path) -> None:
    # Without a running udevd (containers, rescue systems) there is nobody to tell: it reads them when it starts.
    if (root / "run/udev/control").exists():
        process.run(["udevadm", "control", "--reload"])
