"""What a virtual machine of the tests boots: Debian's kernel and busybox. It tells by its console what it sees."""

import shutil
from pathlib import Path

from hydria.base import process
from hydria.cloud.hypervisor.guest import BootImage
from hydria.image.kernel import vmlinux
from lab import kernel, layer, userland

MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "isofs", "button", "evdev")
ON_DISK = "what the image holds"

# `then=` on the kernel's command line says what it does once it has told all: poweroff, or reboot at the first boot.
INIT = """#!/bin/busybox sh
B=/bin/busybox
$B mount -t proc proc /proc; $B mount -t sysfs sys /sys; $B mount -t devtmpfs dev /dev
while read module; do $B insmod /lib/$module; done < /modules
say() { echo "guest: $*"; }
say boot $($B cat /proc/sys/kernel/random/boot_id)
tries=0; while [ ! -b /dev/vdb ] && [ $tries -lt 250 ]; do $B usleep 20000; tries=$((tries + 1)); done
say disk $($B head -c 20 /dev/vda)
say sectors $($B cat /sys/block/vda/size)
say written $($B dd if=/dev/vda bs=512 skip=1 count=1 2>/dev/null | $B head -n 1)
echo kept | $B dd of=/dev/vda bs=512 seek=1 conv=sync,fsync 2>/dev/null
for drive in vda vdb; do
    $B mount -t iso9660 -o ro /dev/$drive /root 2>/dev/null || continue
    say label $($B dd if=/dev/$drive bs=1 skip=32808 count=8 2>/dev/null)
    for name in meta_data.json network_data.json user_data; do
        say $name $($B base64 -w 0 /root/openstack/latest/$name)
    done
    $B umount /root
done
say writable $($B cat /sys/block/vda/ro /sys/block/vdb/ro)
case $($B cat /proc/cmdline) in
*then=poweroff*) say off; $B poweroff -f;;
*then=reboot*) [ "$($B dd if=/dev/vda bs=512 skip=2 count=1 2>/dev/null | $B head -n 1)" = again ] || {
    echo again | $B dd of=/dev/vda bs=512 seek=2 conv=sync,fsync 2>/dev/null
    say again; $B reboot -f; };;
esac
for event in /sys/class/input/event*; do
    [ "$($B cat $event/device/name)" != "Power Button" ] || exec 3</dev/input/${event##*/}
done
($B head -c 24 <&3 >/dev/null; say power button; $B poweroff -f) &
say ready
seen=none
while :; do
    now=$($B cat /sys/class/net/e*/address 2>/dev/null | $B sort | $B tr '\\n' ' ')
    [ "$now" = "$seen" ] || say nics $now .
    seen=$now
    $B usleep 50000
done
"""


def built() -> Path:
    """A directory with `vmlinux`, `initramfs` and `disk.qcow2`."""
    debian = userland.build()
    return layer.cached("tiny-guest", f"{debian.name} {MODULES} {INIT} {ON_DISK}", lambda into: _make(into, debian))


def _make(into: Path, debian: Path) -> None:
    tree = into / "tree"
    release = kernel.unpack(debian / "kernel.deb", tree)
    (into / "vmlinux").write_bytes(vmlinux((tree / "boot" / f"vmlinuz-{release}").read_bytes()))
    kernel.initramfs(into / "initramfs", tree, release, debian / "busybox", modules=MODULES, init=INIT)
    shutil.rmtree(tree)
    disk = into / "disk"
    disk.write_bytes(ON_DISK.encode().ljust(1024 * 1024, b"\0"))
    process.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(disk), str(into / "disk.qcow2")])
    disk.unlink()


def boot_image(directory: Path, then: str = "") -> BootImage:
    """`directory`: what `built` gave."""
    return BootImage(
        disk=directory / "disk.qcow2",
        format="qcow2",
        kernel=directory / "vmlinux",
        ramdisk=directory / "initramfs",
        command_line=command_line(then),
    )


def command_line(then: str = "") -> str:
    quick = "quiet mitigations=off nokaslr random.trust_cpu=on no_timer_check tsc=reliable"
    return f"console=ttyS0 panic=-1 {quick} then={then}"
