"""A virtual machine within the lab's guest: the guest's own kernel, a shell, and the NICs that are passed in."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hardware import until

from lab import kernel
from root.paused_machine import PausedMachine, paused_machine

BOOT_SECONDS = 600
"""An emulated CPU emulates one: about two minutes on a quiet machine."""

_MODULES = ("igbvf",)
_INIT = """#!/bin/busybox sh
B=/bin/busybox
$B mount -t proc proc /proc; $B mount -t sysfs sys /sys; $B mount -t devtmpfs dev /dev
while read module; do $B insmod /lib/$module; done < /modules
until [ -e /sys/class/net/eth0 ]; do $B usleep 20000; done
$B ip addr add ADDRESS dev eth0
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
    console, initramfs, release = directory / "console.log", directory / "initramfs", os.uname().release
    init = _INIT.replace("ADDRESS", address)
    kernel.initramfs(initramfs, Path("/"), release, Path("/bin/busybox"), modules=_MODULES, init=init)
    with paused_machine(
        directory,
        *("-kernel", f"/{kernel.VMLINUX}".format(release=release), "-initrd", str(initramfs)),
        *("-append", "console=ttyS0 quiet panic=-1 mitigations=off nokaslr tsc=reliable no_timer_check"),
        *("-serial", f"file:{console}"),
        patience=60.0,
    ) as machine:
        yield Nested(machine, console)
