"""Checks of PFs and VFs: each by itself, then all together. Pure."""

import hashlib
from collections.abc import Iterator

from hydria.cli.doctor.facts import Host, Nic
from hydria.cli.doctor.finding import Finding, Severity
from hydria.cli.sriov.changes import is_used
from hydria.sriov.inventory import Pf, Vf

_PCI = "/sys/bus/pci/devices"
_NO_MAC = "00:00:00:00:00:00"


def check(host: Host) -> Iterator[Finding]:
    if not host.nics:
        yield _no_nics(host)
        return
    names = ", ".join(str(nic.device) for nic in host.nics)
    yield Finding("sriov-nic", "ok", "NICs with SR-IOV", names)
    for nic in host.nics:
        yield from _device(nic, is_mapped=_is_mapped(host, nic))
        if nic.pf is not None:
            yield from _link(nic)
            yield from _vfs(nic, nic.pf)
    yield from _macs(host)
    yield _iommu(host)
    yield _vfio(host)


def _is_mapped(host: Host, nic: Nic) -> bool:
    """Without a configuration nobody has said yet that it is not for load balancers."""
    return host.configuration is None or any(pf.pf == nic.name for pf in host.configuration.pfs)


def _no_nics(host: Host) -> Finding:
    mend = "hydria up --state-dir /var/lib/hydria --fabric software"
    if host.configuration is not None and host.configuration.fabric == "sriov":
        text = "there are none, yet the configuration says that the fabric is sriov"
        return Finding("sriov-nic", "error", "NICs with SR-IOV", text, "lspci -v | grep -B20 'Single Root I/O'")
    text = "there are none: VFs of software PFs stand in for them"
    return Finding("sriov-nic", "note", "NICs with SR-IOV", text, mend)


def _device(nic: Nic, *, is_mapped: bool) -> Iterator[Finding]:
    device, subject = nic.device, f"PF {nic.device}"
    serious: Severity = "warning" if is_mapped else "note"
    if device.driver is None:
        mend = f"modprobe $(cat {_PCI}/{device.pci_address}/modalias)"
        yield Finding("pf-driver", serious, subject, "has no driver", mend)
        return
    yield Finding("pf-driver", "ok", subject, f"has driver {device.driver}")
    if device.totalvfs == 0:
        text = "can have no VFs: SR-IOV is switched off in its firmware or in the BIOS"
        yield Finding("vfs-created", serious, subject, text, "systemctl reboot --firmware-setup")
        return
    enable = f"hydria sriov enable {nic.name} --vfs {device.numvfs or device.totalvfs} --persist"
    if device.numvfs == 0:
        yield Finding("vfs-created", serious, subject, f"has no VFs, it can have {device.totalvfs}", enable)
    else:
        yield Finding("vfs-created", "ok", subject, f"has {device.numvfs} of {device.totalvfs} VFs")
        yield _persisted(nic, subject, enable)
    if device.autoprobe:
        yield Finding("vf-autoprobe", "ok", subject, "its new VFs get a driver")
    else:
        mend = f"echo 1 > {_PCI}/{device.pci_address}/sriov_drivers_autoprobe"
        yield Finding("vf-autoprobe", serious, subject, "new VFs get no driver, so no link", mend)


def _persisted(nic: Nic, subject: str, enable: str) -> Finding:
    if nic.persisted == nic.device.numvfs:
        return Finding("vfs-persisted", "ok", subject, "has its VFs after a reboot too")
    if nic.persisted is None:
        text = "no udev rule of ours makes its VFs at boot: they are gone then, unless something else makes them"
    else:
        text = f"has {nic.persisted} VFs after a reboot, now it has {nic.device.numvfs}"
    return Finding("vfs-persisted", "note", subject, text, enable)


def _link(nic: Nic) -> Iterator[Finding]:
    subject, has_vfs = f"PF {nic.device}", nic.device.numvfs > 0
    if not nic.device.is_up:
        text = "is down: its VFs carry nothing" if has_vfs else "is down"
        yield Finding("pf-up", "error" if has_vfs else "note", subject, text, f"ip link set dev {nic.name} up")
        return
    yield Finding("pf-up", "ok", subject, "is up")
    if nic.pf is not None and nic.pf.link_up:
        yield Finding("pf-link", "ok", subject, "has a link")
    else:
        text = "has no link: look at cable, transceiver and switch port; no VF of it is chosen"
        yield Finding("pf-link", "warning" if has_vfs else "note", subject, text, f"ethtool {nic.name}")


def _vfs(nic: Nic, pf: Pf) -> Iterator[Finding]:
    if pf.eswitch_mode == "switchdev":
        text = "is in switchdev mode, in which VFs cannot be set through their PF; Hydria needs legacy"
        mend = f"devlink dev eswitch set pci/{nic.device.pci_address} mode legacy"
        yield Finding("switchdev", "error", f"PF {nic.device}", text, mend)
    for vf in pf.vfs:
        yield from _settings(nic, vf)
        yield from _driver(nic, vf)
        if vf.foreign:
            text = f"is held by {vf.holder or 'somebody unknown'}: it is not ours to give"
            yield Finding("vf-foreign", "note", _vf(vf), text, f"hydria sriov show {vf.id}")
    for netdev, program in sorted(nic.managed.items()):
        yield _managed(nic, netdev, program)


def _settings(nic: Nic, vf: Vf) -> Iterator[Finding]:
    """A load balancer's flavor may ask for other settings of the VF that it has; a free one has the safe ones."""
    serious: Severity = "note" if is_used(vf) else "warning"
    command = f"ip link set dev {nic.name} vf {vf.id.index}"
    if not vf.settings.spoofchk:
        text = "may send from any MAC address: its spoof check is off"
        yield Finding("spoof-check", serious, _vf(vf), text, f"{command} spoofchk on")
    if vf.settings.trust:
        text = "is trusted: its guest may listen to all traffic and take other MAC addresses"
        yield Finding("vf-trust", serious, _vf(vf), text, f"{command} trust off")


def _driver(nic: Nic, vf: Vf) -> Iterator[Finding]:
    if vf.driver is None and vf.pci_address and not is_used(vf):
        path = f"{_PCI}/{vf.pci_address}"
        mend = f"modprobe $(cat {path}/modalias); echo {vf.pci_address} > /sys/bus/pci/drivers_probe"
        if not nic.device.autoprobe:
            mend = f"echo 1 > {_PCI}/{nic.device.pci_address}/sriov_drivers_autoprobe; {mend}"
        yield Finding("vf-driver", "warning", _vf(vf), "has no driver, so no link to hand over", mend)


def _managed(nic: Nic, netdev: str, program: str) -> Finding:
    # NetworkManager reads NM_UNMANAGED when the link changes, systemd-networkd (243) matches by any udev property.
    mend = f"hydria sriov enable {nic.name} --vfs {nic.device.numvfs} --persist; "
    if program == "systemd-networkd":
        match = r"[Match]\nProperty=NM_UNMANAGED=1\n[Link]\nUnmanaged=yes\n"
        mend += f"printf '{match}' > /etc/systemd/network/05-hydria-vfs.network; "
    mend += "udevadm trigger --action=change --subsystem-match=net"
    if program == "systemd-networkd":
        mend += "; udevadm settle; networkctl reload"
    text = f"is configured by {program}, which brings it up and gives it addresses: it counts as held by somebody"
    return Finding("vf-managed", "warning", f"VF {netdev} of {nic.name}", text, mend)


def _macs(host: Host) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for nic in host.nics:
        if nic.pf is not None and nic.pf.mac:
            seen.setdefault(nic.pf.mac.lower(), f"PF {nic.name}")
    doubles = 0
    for nic, vf in [(one, vf) for one in host.nics if one.pf for vf in one.pf.vfs]:
        mac = (vf.settings.mac or _NO_MAC).lower()
        if mac == _NO_MAC:
            continue
        if (other := seen.setdefault(mac, _vf(vf))) != _vf(vf):
            doubles += 1
            text = f"has MAC address {mac}, as {other} has: frames for one go to the other"
            mend = f"ip link set dev {nic.name} vf {vf.id.index} mac {_own_mac(vf)}"
            yield Finding("vf-mac-unique", "error", _vf(vf), text, mend)
    if not doubles:
        yield Finding("vf-mac-unique", "ok", "MAC addresses of PFs and VFs", "each is there once")


def _own_mac(vf: Vf) -> str:
    """One that nobody else makes up, locally administered, the same whenever the doctor is asked."""
    octets = hashlib.sha256(f"{vf.pci_address}/{vf.id}".encode()).digest()[:5]
    return ":".join(f"{octet:02x}" for octet in (0x02, *octets))


def _iommu(host: Host) -> Finding:
    if host.iommu_groups:
        return Finding("iommu", "ok", "IOMMU", f"is on, {host.iommu_groups} groups")
    words = "iommu=pt" if host.cpu_vendor == "AuthenticAMD" else "intel_iommu=on iommu=pt"
    text = f"is off: no VF for virtual machines (containers need none). Kernel command line: {words}; firmware: VT-d"
    text += " or AMD-Vi on"
    mend = f"""sed -i 's/^GRUB_CMDLINE_LINUX="/&{words} /' /etc/default/grub && update-grub && reboot"""
    return Finding("iommu", "note", "IOMMU", text, mend)


def _vfio(host: Host) -> Finding:
    if host.vfio_pci == "loaded":
        return Finding("vfio-pci", "ok", "vfio-pci", "is loaded")
    if host.vfio_pci == "available":
        text = "is not loaded: needed for VFs in virtual machines only (containers need none)"
        return Finding("vfio-pci", "note", "vfio-pci", text, "modprobe vfio-pci")
    text = "this kernel has no such module: no VFs in virtual machines (containers need none)"
    mend = "apt-get install linux-image-$(dpkg --print-architecture) && reboot"
    return Finding("vfio-pci", "note", "vfio-pci", text, mend)


def _vf(vf: Vf) -> str:
    return f"VF {vf.id}" + (f" ({vf.pci_address})" if vf.pci_address else "")
