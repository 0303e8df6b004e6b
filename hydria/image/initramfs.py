"""The initramfs of an amphora: BusyBox, the modules that the root disk needs, and an /init of a few lines."""

import gzip
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from hydria.base import process
from hydria.image import kernel
from hydria.image.boot_line import ROOT_LABEL

FIRST_MODULES = ("virtio_pci", "virtio_blk", "ext4", "virtio_net", "isofs")
"""Loaded always: the disk, the management NIC and the config drive's file system of nearly every cloud. The agent needs
them before udev runs, and modprobe would take four times as long. What the others would cost there is spared.
"""

OTHER_MODULES = (
    "virtio_scsi",
    "sd_mod",
    "ahci",
    "ata_piix",
    "nvme",
    "xen-blkfront",
    "hv_storvsc",
    "vmw_pvscsi",
    "mptspi",
    "mptsas",
)
"""Loaded where no root was found with the first."""

INIT = f"""#!/bin/busybox sh
B=/bin/busybox
$B mount -t proc proc /proc; $B mount -t sysfs sys /sys; $B mount -t devtmpfs dev /dev
load() {{ while read module; do $B insmod /lib/$module 2>/dev/null; done < $1; }}
find_root() {{
    tries=0
    while [ $tries -lt $1 ]; do
        root=$($B findfs LABEL={ROOT_LABEL} 2>/dev/null) && return 0
        $B usleep 20000; tries=$((tries + 1))
    done
    return 1
}}
load /modules.first
find_root 25 || {{ load /modules.others; find_root 500; }} || {{
    # No shell: whoever reads the console need not be root. A disk that comes late is found next time.
    echo "no disk with a file system labelled {ROOT_LABEL}: trying again in 10 seconds"; $B sleep 10; $B reboot -f
}}
init=/sbin/init
for word in $($B cat /proc/cmdline); do case $word in init=*) init=${{word#*=}};; esac; done
$B mount -t ext4 -o rw,noatime $root /root
for name in proc sys dev; do $B mount -o move /$name /root/$name; done
exec $B switch_root /root $init
"""


def build(tree: Path, destination: Path, *, epoch: int, work: Path) -> None:
    """From `tree`, which holds a kernel with depmod run and BusyBox, into the file `destination`.

    The same tree and epoch (seconds since 1970, of every file in it) give the same bytes.
    """
    release = kernel.release(tree)
    first = kernel.load_order(tree, release, FIRST_MODULES)
    others = [path for path in kernel.load_order(tree, release, OTHER_MODULES) if path not in first]
    top = work / "initramfs"
    for name in ("bin", "proc", "sys", "dev", "lib", "root"):
        (top / name).mkdir(parents=True)
    shutil.copyfile(tree / "usr" / "bin" / "busybox", top / "bin" / "busybox")
    (top / "bin" / "busybox").chmod(0o755)
    _add_modules(top, "modules.first", first)
    _add_modules(top, "modules.others", others)
    (top / "init").write_text(INIT)
    (top / "init").chmod(0o755)
    destination.write_bytes(gzip.compress(_archive(top, epoch, work / "initramfs.cpio"), mtime=0))
    shutil.rmtree(top)


def _add_modules(top: Path, listing: str, modules: Iterable[Path]) -> None:
    names = []
    for module in modules:
        shutil.copyfile(module, top / "lib" / module.name)
        names.append(module.name)
    (top / listing).write_text("".join(f"{name}\n" for name in names))


def _archive(top: Path, epoch: int, scratch: Path) -> bytes:
    paths = [top, *sorted(top.rglob("*"))]
    for path in reversed(paths):
        os.utime(path, (epoch, epoch))
    names = "\n".join(str(path.relative_to(top)) for path in paths)
    argv = ["cpio", "--quiet", "--create", "--format=newc", "--reproducible", f"--directory={top}", f"--file={scratch}"]
    process.run(argv, stdin=names)
    content = scratch.read_bytes()
    scratch.unlink()
    return content
