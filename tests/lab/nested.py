"""A virtual machine within the lab's guest: the guest's own kernel, a shell, and the NICs that are passed in."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hardware import until

from hydria.base import process
from root.paused_machine import PausedMachine, paused_machine

BOOT_SECONDS = 600
"""An emulated CPU emulates one: about two minutes on a quiet machine."""

_MODULES = ("igbvf",)
_INIT = """#!/bin/busybox sh
B=/bin/busybox
$B mount -t proc proc /proc; $B mount -t sysfs sys /sys; $B mount -t devtmpfs dev /dev
for module in /lib/*.ko; do $B insmod $module; done
until [ -e /sys/class/net/eth0 ]; do $B usleep 20000; done
$B ip addr add {address} dev eth0
$B ip link set eth0 up
until [ "$($B cat /sys/class/net/eth0/carrier)" = 1 ]; do $B usleep 20000; done
echo "eth0 has a link and MAC $($B cat /sys/class/net/eth0/address)"
while :; do $B sleep 1000; done
"""


@dataclass(frozen=True)
class Nested:
    machine: PausedMachine
    console: Path

    def start(self) -> None:
        self.machine.execute("cont")

    def await_line(self, words: str) -> None:
        until(f"the virtual machine says: {words}", lambda: words in self.said(), BOOT_SECONDS, 0.5)

    def said(self) -> str:
        return self.console.read_text(errors="replace") if self.console.exists() else ""


@contextmanager
def nested(directory: Path, address: str) -> Iterator[Nested]:
    """Paused, so that it can be given its NIC; that gets `address`."""
    console = directory / "console.log"
    release = os.uname().release
    with paused_machine(
        directory,
        *("-kernel", f"/boot/vmlinux-{release}", "-initrd", str(_initramfs(directory, address, release))),
        *("-append", "console=ttyS0 quiet panic=-1 mitigations=off nokaslr tsc=reliable no_timer_check"),
        *("-serial", f"file:{console}"),
    ) as machine:
        yield Nested(machine, console)


def _initramfs(directory: Path, address: str, release: str) -> Path:
    top, archive = directory / "initramfs-tree", directory / "initramfs"
    for name in ("bin", "dev", "lib", "proc", "sys"):
        (top / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", top / "bin")
    for module in _MODULES:
        (found,) = Path(f"/lib/modules/{release}/kernel").rglob(f"{module}.ko")
        shutil.copy(found, top / "lib")
    (top / "init").write_text(_INIT.format(address=address))
    (top / "init").chmod(0o755)
    process.run(["sh", "-c", f"cd {top} && find . | busybox cpio -o -H newc > {archive}"], timeout=60)
    return archive
