"""A running virtual machine on the software fabric: each of its NICs, known by MAC, gets the address given for it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import tiny_guest
from paused_machine import PausedMachine, paused_machine

from hydria.base import process

_INIT = """#!/bin/busybox sh
B=/bin/busybox
$B mount -t proc proc /proc; $B mount -t sysfs sys /sys; $B mount -t devtmpfs dev /dev
while read module; do $B insmod /lib/$module; done < /modules
while :; do
    for nic in /sys/class/net/e*; do
        [ -e $nic/address ] || continue
        name=${nic##*/} address=
        case $($B cat $nic/address) in
CASES
        esac
        [ -n "$address" ] && ! $B ip -o addr show $name | $B grep -q $address || continue
        $B ip addr add $address dev $name; $B ip link set $name up
    done
    $B usleep 50000
done
"""


@contextmanager
def talking_machine(directory: Path, tiny: Path, addresses: Mapping[str, str]) -> Iterator[PausedMachine]:
    """`tiny`: what tiny_guest.built gave. `addresses`: by MAC, with prefix lengths.

    It stands paused until it is told to `cont`.
    """
    cases = "\n".join(f"            {mac}) address={address};;" for mac, address in addresses.items())
    (directory / "init").write_text(_INIT.replace("CASES", cases))
    (directory / "init").chmod(0o755)
    archive = directory / "init.cpio"
    argv = ["cpio", "--quiet", "--create", "--format=newc", f"--directory={directory}", f"--file={archive}"]
    process.run(argv, stdin="init\n")
    # Of two archives in a row the kernel unpacks the second over the first.
    initramfs = directory / "initramfs"
    initramfs.write_bytes((tiny / "initramfs").read_bytes() + archive.read_bytes())
    with paused_machine(
        directory,
        *("-kernel", str(tiny / "vmlinux"), "-initrd", str(initramfs)),
        *("-append", tiny_guest.command_line(), "-serial", f"file:{directory / 'console.log'}"),
        patience=10.0,
    ) as machine:
        yield machine
