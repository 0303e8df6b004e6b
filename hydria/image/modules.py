"""Which kernel modules an amphora keeps: disks and NICs of servers and virtual machines, and what handles packets."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from hydria.base import process
from hydria.base.errors import Terminal

KEPT = (
    "arch/",
    "block/",
    "crypto/",
    "lib/",
    "mm/",
    "drivers/acpi/",
    "drivers/ata/",
    "drivers/block/loop.ko",
    "drivers/block/virtio_blk.ko",
    "drivers/block/xen-blkfront.ko",
    "drivers/cdrom/",
    "drivers/char/hw_random/",
    "drivers/char/virtio_console.ko",
    "drivers/dca/",
    "drivers/hv/",
    "drivers/message/fusion/",
    "drivers/input/evdev.ko",
    "drivers/net/bonding/",
    "drivers/net/dummy.ko",
    "drivers/net/ethernet/",
    "drivers/net/hyperv/",
    "drivers/net/ifb.ko",
    "drivers/net/ipvlan/",
    "drivers/net/macvlan.ko",
    "drivers/net/net_failover.ko",
    "drivers/net/tun.ko",
    "drivers/net/veth.ko",
    "drivers/net/virtio_net.ko",
    "drivers/net/vmxnet3/",
    "drivers/net/vrf.ko",
    "drivers/net/xen-netfront.ko",
    "drivers/nvme/host/",
    "drivers/pci/",
    "drivers/pps/",
    "drivers/ptp/",
    "drivers/scsi/hv_storvsc.ko",
    "drivers/scsi/scsi_mod.ko",
    "drivers/scsi/sd_mod.ko",
    "drivers/scsi/sg.ko",
    "drivers/scsi/sr_mod.ko",
    "drivers/scsi/virtio_scsi.ko",
    "drivers/scsi/vmw_pvscsi.ko",
    "drivers/vdpa/",
    "drivers/virtio/",
    "drivers/watchdog/i6300esb.ko",
    "drivers/xen/",
    "fs/autofs/",
    "fs/configfs/",
    "fs/ext4/",
    "fs/fat/",
    "fs/isofs/",
    "fs/jbd2/",
    "fs/mbcache.ko",
    "fs/nls/",
    "fs/overlayfs/",
    "net/8021q/",
    "net/802/",
    "net/bridge/",
    "net/core/",
    "net/ipv4/",
    "net/ipv6/",
    "net/key/",
    "net/llc/",
    "net/mptcp/",
    "net/netfilter/",
    "net/netlink/",
    "net/packet/",
    "net/sched/",
    "net/sctp/",
    "net/tls/",
    "net/unix/",
    "net/vmw_vsock/",
    "net/xfrm/",
)
"""Directories and files below kernel/. What one of them needs is kept too."""

DROPPED = (
    # NICs without virtual functions that no hypervisor emulates.
    "drivers/net/ethernet/3com/",
    "drivers/net/ethernet/adaptec/",
    "drivers/net/ethernet/atheros/",
    "drivers/net/ethernet/dec/",
    "drivers/net/ethernet/dlink/",
    "drivers/net/ethernet/nvidia/",
    "drivers/net/ethernet/packetengines/",
    "drivers/net/ethernet/qualcomm/",
    "drivers/net/ethernet/rdc/",
    "drivers/net/ethernet/sis/",
    "drivers/net/ethernet/smsc/",
    "drivers/net/ethernet/stmicro/",
    "drivers/net/ethernet/sun/",
    "drivers/net/ethernet/tehuti/",
    "drivers/net/ethernet/ti/",
    "drivers/net/ethernet/via/",
    "drivers/net/ethernet/wiznet/",
    "drivers/ata/pata_",
    "drivers/xen/xen-pciback/",
    "drivers/watchdog/",
)
"""Out of KEPT's directories, unless a kept one needs it."""

NICS = (
    "igb",
    "igbvf",
    "ixgbe",
    "ixgbevf",
    "i40e",
    "iavf",
    "ice",
    "e1000",
    "e1000e",
    "bnxt_en",
    "bnx2x",
    "tg3",
    "mlx4_en",
    "mlx5_core",
    "qede",
    "sfc",
    "ena",
    "gve",
    "mana",
    "be2net",
    "enic",
    "cxgb4",
    "cxgb4vf",
    "virtio_net",
    "vmxnet3",
    "hv_netvsc",
    "xen-netfront",
)
"""Drivers without which an image is not finished."""


class MissingDriver(Terminal):
    """The kernel is not Debian's full one, or a driver has got another name."""


def name_of(path: str) -> str:
    """`drivers/net/xen-netfront.ko.xz` is xen-netfront."""
    return path.rpartition("/")[2].partition(".ko")[0]


def chosen(dependencies: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """Of all modules, paths below kernel/ with those each needs (modules.dep gives them all), those to keep."""
    wanted = {path for path in dependencies if path.startswith(KEPT) and not path.startswith(DROPPED)}
    wanted |= {path for path in dependencies if path.startswith(tuple(kept for kept in KEPT if kept.endswith(".ko")))}
    needed = {needed for path in wanted for needed in dependencies[path]}
    return frozenset(wanted | needed)


def parse(modules_dep: str) -> dict[str, tuple[str, ...]]:
    """Of depmod's modules.dep: paths below kernel/. Those elsewhere (updates/) come from no package of Debian's."""
    found = {}
    for line in modules_dep.splitlines():
        path, _, needed = line.partition(":")
        if path.startswith("kernel/"):
            found[path.removeprefix("kernel/")] = tuple(other.removeprefix("kernel/") for other in needed.split())
    return found


def trim(directory: Path, *, tree: Path) -> None:
    """Of `directory`, lib/modules/RELEASE in `tree`, leave the chosen ones, and their index anew."""
    dependencies = parse((directory / "modules.dep").read_text())
    keep = chosen(dependencies)
    if missing := sorted(set(NICS) - {name_of(path) for path in keep}):
        raise MissingDriver(f"Building an image: kernel {directory.name} has no {', '.join(missing)}.")
    for path in dependencies:
        if path not in keep:
            (directory / "kernel" / path).unlink()
    _remove_empty(directory / "kernel")
    process.run(["depmod", f"--basedir={tree}", directory.name], timeout=120)


def _remove_empty(directory: Path) -> None:
    for path in sorted(directory.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
