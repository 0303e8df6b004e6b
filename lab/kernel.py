"""From a Debian kernel package: a vmlinux that QEMU starts directly, its modules, and a tiny initramfs."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from hydria.base import process
from hydria.image import kernel
from lab import layer

ROOT_MODULES = ("virtio_pci", "virtio_blk", "9pnet_virtio", "9p", "overlay", "erofs")
"""What it takes to reach the guest's root; all others are loaded from there."""

VMLINUX = "boot/vmlinux-{release}"
"""In the guest, for virtual machines of its own."""

# One overlay: the erofs layers below, memory above. So the guest may write anywhere, and nothing of it stays.
INIT = """#!/bin/busybox sh
B=/bin/busybox
$B mount -t proc proc /proc; $B mount -t sysfs sys /sys; $B mount -t devtmpfs dev /dev
while read module; do $B insmod /lib/$module; done < /modules
for word in $($B cat /proc/cmdline); do case $word in lab.layers=*) layers=${word#*=};; esac; done
lower=
for device in $(echo $layers | $B tr , " "); do
    tries=0; while [ ! -b /dev/$device ] && [ $tries -lt 250 ]; do $B usleep 20000; tries=$((tries + 1)); done
    $B mkdir -p /layer/$device; $B mount -t erofs -o ro /dev/$device /layer/$device
    lower=$lower${lower:+:}/layer/$device
done
$B mount -t tmpfs -o size=75% tmpfs /memory; $B mkdir /memory/upper /memory/work
$B mount -t overlay -o lowerdir=$lower,upperdir=/memory/upper,workdir=/memory/work overlay /root
$B mkdir -p /root/proc /root/sys /root/dev /root/run /root/tmp /root/lab
$B mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=none lab /root/lab
$B mount -t tmpfs tmpfs /root/run; $B mount -t tmpfs tmpfs /root/tmp
$B mount -o move /proc /root/proc; $B mount -o move /sys /root/sys; $B mount -o move /dev /root/dev
exec $B switch_root /root /bin/sh /opt/hydria/src/lab/guest_init
"""


def build(package: Path, busybox: Path) -> Path:
    """A directory with `vmlinux`, `initramfs` and `modules.erofs`."""
    made_from = f"{package.parent.name} {ROOT_MODULES} {INIT} {VMLINUX}"
    return layer.cached("kernel", made_from, lambda directory: _make(directory, package, busybox))


def _make(directory: Path, package: Path, busybox: Path) -> None:
    tree = directory / "tree"
    release = unpack(package, tree)
    (directory / "vmlinux").write_bytes(kernel.vmlinux((tree / "boot" / f"vmlinuz-{release}").read_bytes()))
    initramfs(directory / "initramfs", tree, release, busybox, modules=ROOT_MODULES, init=INIT)
    # Debian has merged /lib into /usr/lib.
    modules = directory / "modules" / "usr" / "lib" / "modules"
    modules.parent.mkdir(parents=True)
    (tree / "lib" / "modules").rename(modules)
    inside = directory / "modules" / VMLINUX.format(release=release)
    inside.parent.mkdir()
    shutil.copy(directory / "vmlinux", inside)
    layer.pack(directory / "modules", directory / "modules.erofs")
    for done in (tree, directory / "modules"):
        shutil.rmtree(done)


def unpack(package: Path, tree: Path) -> str:
    """Gives the kernel's release; its modules' dependencies are known then."""
    process.run(["dpkg-deb", "--extract", str(package), str(tree)], timeout=120)
    release = kernel.release(tree)
    process.run(["depmod", "--basedir", str(tree), release], timeout=120)
    return release


def initramfs(target: Path, tree: Path, release: str, busybox: Path, *, modules: Sequence[str], init: str) -> None:
    """Of busybox, the script `init`, and in /lib `modules` and those they need: /modules names them in order."""
    top = target.with_name(f"{target.name}-tree")
    for name in ("bin", "proc", "sys", "dev", "lib", "layer", "memory", "root"):
        (top / name).mkdir(parents=True)
    shutil.copy(busybox, top / "bin" / "busybox")
    files = kernel.load_order(tree, release, modules)
    for file in files:
        shutil.copy(file, top / "lib")
    (top / "modules").write_text("".join(f"{file.name}\n" for file in files))
    (top / "init").write_text(init)
    (top / "init").chmod(0o755)
    names = "\n".join([".", *(str(path.relative_to(top)) for path in sorted(top.rglob("*")))])
    # Not compressed: there is nobody to wait for a disk here, and unpacking costs time.
    archive = ["cpio", "--quiet", "--create", "--format=newc", f"--directory={top}", f"--file={target}"]
    process.run(archive, stdin=names)
    shutil.rmtree(top)
