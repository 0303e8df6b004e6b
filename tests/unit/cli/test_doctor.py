"""Every finding of the doctor, from facts alone."""

import doctest
import json
import os
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from hydria.cli.doctor import command, kernel, machines, nics, service
from hydria.cli.doctor.facts import Configuration, ConfiguredPf, Entry, Host, NetworkMtu, Nic, Port, Trial
from hydria.cli.doctor.finding import Finding, exit_status, worst
from hydria.sriov.inventory import Pf, Vf, VfId, VfSettings
from hydria.sriov.preparation import Device

PCI = "0000:01:00.0"
FREE = Vf(VfId("eth0", 0), VfSettings(mac="02:00:00:00:00:10"), pci_address="0000:01:10.0", driver="igbvf", netdev="v0")
SAYS = {
    "haproxy": "HAProxy version 2.6.12-1+deb12u4 2026/10/17",
    "nft": "nftables v1.0.6",
    "bwrap": "bubblewrap 0.8.0",
    "keepalived": "Keepalived v2.2.7",
    "qemu-system-x86_64": "QEMU emulator version 10.0.2",
    "qemu-img": "qemu-img version 10.0.2",
}


def nic(
    vf: Vf | None = FREE, *, pf: dict[str, Any] | None = None, device: dict[str, Any] | None = None, **values: Any
) -> Nic:
    """A PF in good order, but for what is said."""
    vfs = () if vf is None else (vf,)
    sane = {
        "pci_address": PCI, "netdev": "eth0", "driver": "igb", "totalvfs": 7, "numvfs": len(vfs), "autoprobe": True,
        "is_up": True,
    }  # fmt: skip
    found = {
        "name": "eth0", "physical_network": "public", "driver": "igb", "pci_address": PCI, "link_up": True,
        "mac": "02:00:00:00:00:01", "mtu": 1500, "vfs": vfs,
    }  # fmt: skip
    made = Nic(device=Device(**{**sane, **(device or {})}), pf=Pf(**{**found, **(pf or {})}), persisted=len(vfs))
    return msgspec.structs.replace(made, **values)


def conf(**values: Any) -> Configuration:
    sane = {"path": "/etc/hydria.toml", "fabric": "sriov", "pfs": (ConfiguredPf("here", "eth0", "public"),)}
    return Configuration(**{**sane, **values})


def host(**values: Any) -> Host:
    sane = {
        "kernel": "6.1.0-56-amd64", "features": dict.fromkeys(kernel.FEATURES, Trial(works=True)), "programs": SAYS,
        "iommu_groups": 9, "vfio_pci": "loaded", "links": {"eth0": True, "br0": True}, "nics": (nic(),),
        "configuration": conf(),
    }  # fmt: skip
    return Host(**{**sane, **values})


def examine(seen: Host) -> list[Finding]:
    return [*kernel.check(seen), *machines.check(seen), *nics.check(seen), *service.check(seen)]


def but(vf: Vf, **values: Any) -> Vf:
    settings = {name: values.pop(name) for name in ("mac", "spoofchk", "trust") if name in values}
    return msgspec.structs.replace(vf, settings=msgspec.structs.replace(vf.settings, **settings), **values)


def test_a_host_in_good_order_has_nothing_but_ok():
    findings = examine(host())
    assert {finding.severity for finding in findings} == {"ok"}
    assert not any(finding.mend for finding in findings)
    assert exit_status(findings) == 0


def without(program: str) -> dict[str, Any]:
    return {"programs": {**SAYS, program: None}}


def port(**values: Any) -> dict[str, Any]:
    made = Port(
        **{"service": "api", "address": "127.0.0.1", "number": 9876, "protocol": "tcp", "free": False, **values}
    )
    return {"configuration": conf(ports=(made,))}


MODPROBE_PF = f"modprobe $(cat /sys/bus/pci/devices/{PCI}/modalias)"
AUTOPROBE = f"echo 1 > /sys/bus/pci/devices/{PCI}/sriov_drivers_autoprobe"
MODPROBE_VF = (
    "modprobe $(cat /sys/bus/pci/devices/0000:01:10.0/modalias); echo 0000:01:10.0 > /sys/bus/pci/drivers_probe"
)
KERNEL = "apt-get install linux-image-$(dpkg --print-architecture) && reboot"
USED = but(FREE, at_home=False, holder="port 9a1f")
EDIT = "${EDITOR:-vi} /etc/hydria.toml"
ENABLE = "hydria sriov enable eth0 --vfs 1 --persist"
GRUB = """sed -i 's/^GRUB_CMDLINE_LINUX="/&{} /' /etc/default/grub && update-grub && reboot"""
QEMU = "apt-get install qemu-system-x86 qemu-utils"
NO_KVM, MODPROBE_KVM = Trial(works=False, reason="there is no /dev/kvm"), "modprobe kvm_intel || modprobe kvm_amd"
JUMBO = (NetworkMtu("wide", "public", 9000), NetworkMtu("narrow", "public", 1500), NetworkMtu("far", "members", 9100))

NETWORKD = (
    f"{ENABLE}; printf '[Match]\\nProperty=NM_UNMANAGED=1\\n[Link]\\nUnmanaged=yes\\n'"
    " > /etc/systemd/network/05-hydria-vfs.network; udevadm trigger --action=change --subsystem-match=net;"
    " udevadm settle; networkctl reload"
)

# Facts that differ from a host in good order → the one finding that is not ok: id, severity, subject, mend.
TABLE: list[tuple[str, dict[str, Any], str, str, str, str]] = [
    ("old kernel", {"kernel": "5.4.0"}, "kernel-version", "error", "kernel", KERNEL),
    ("kernel too old for VFs", {"kernel": "5.10.0-9"}, "kernel-version", "error", "kernel", KERNEL),
    ("no nft", without("nft"), "nftables", "error", "nftables", "apt-get install nftables"),
    ("nft refused", {"nftables": Trial(works=False, reason="no")}, "nftables", "error", "nftables", KERNEL),
    ("no HAProxy", without("haproxy"), "haproxy", "error", "HAProxy", "apt-get install haproxy"),
    (
        "old HAProxy", {"programs": {**SAYS, "haproxy": "HA-Proxy version 2.2.9-2 2021/11/14"}},
        "haproxy", "error", "HAProxy", "apt-get update && apt-get install haproxy",
    ),
    ("no bubblewrap", without("bwrap"), "bubblewrap", "error", "bubblewrap", "apt-get install bubblewrap"),
    (
        "bubblewrap refused", {"bubblewrap": Trial(works=False, reason="no")},
        "bubblewrap", "error", "bubblewrap", "sysctl -w user.max_net_namespaces=10000",
    ),
    ("no keepalived", without("keepalived"), "keepalived", "note", "keepalived", "apt-get install keepalived"),
    ("no QEMU", without("qemu-system-x86_64"), "qemu", "note", "QEMU", QEMU),
    (
        "no qemu-img, and wanted", {**without("qemu-img"), "configuration": conf(hypervisor="qemu")},
        "qemu", "error", "QEMU", QEMU,
    ),
    ("no KVM", {"kvm": NO_KVM}, "kvm", "note", "KVM", MODPROBE_KVM),
    (
        "no KVM, and wanted", {"kvm": NO_KVM, "configuration": conf(hypervisor="qemu")},
        "kvm", "warning", "KVM", MODPROBE_KVM,
    ),
    ("clock", {"clock_synchronised": False}, "clock", "warning", "clock", "timedatectl set-ntp true"),
    ("IOMMU off", {"iommu_groups": 0}, "iommu", "note", "IOMMU", GRUB.format("intel_iommu=on iommu=pt")),
    (
        "IOMMU off, AMD", {"iommu_groups": 0, "cpu_vendor": "AuthenticAMD"},
        "iommu", "note", "IOMMU", GRUB.format("iommu=pt"),
    ),
    ("vfio-pci not loaded", {"vfio_pci": "available"}, "vfio-pci", "note", "vfio-pci", "modprobe vfio-pci"),
    ("no vfio-pci", {"vfio_pci": "missing"}, "vfio-pci", "note", "vfio-pci", KERNEL),
    (
        "PF without driver", {"nics": (nic(device={"driver": None, "numvfs": 0}, vf=None),)},
        "pf-driver", "warning", f"PF eth0 ({PCI})", MODPROBE_PF,
    ),
    (
        "firmware off", {"nics": (nic(device={"totalvfs": 0}, vf=None),)},
        "vfs-created", "warning", f"PF eth0 ({PCI})", "systemctl reboot --firmware-setup",
    ),
    (
        "no VFs", {"nics": (nic(vf=None),)},
        "vfs-created", "warning", f"PF eth0 ({PCI})", "hydria sriov enable eth0 --vfs 7 --persist",
    ),
    (
        "no VFs, no configuration", {"nics": (nic(vf=None),), "configuration": None},
        "vfs-created", "warning", f"PF eth0 ({PCI})", "hydria sriov enable eth0 --vfs 7 --persist",
    ),
    ("not persistent", {"nics": (nic(persisted=None),)}, "vfs-persisted", "note", f"PF eth0 ({PCI})", ENABLE),
    ("others at boot", {"nics": (nic(persisted=4),)}, "vfs-persisted", "note", f"PF eth0 ({PCI})", ENABLE),
    ("autoprobe off", {"nics": (nic(device={"autoprobe": False}),)},
     "vf-autoprobe", "warning", f"PF eth0 ({PCI})", AUTOPROBE),
    (
        "VF without driver", {"nics": (nic(but(FREE, driver=None)),)},
        "vf-driver", "warning", "VF eth0/0 (0000:01:10.0)", MODPROBE_VF,
    ),
    ("PF down", {"nics": (nic(device={"is_up": False}),)},
     "pf-up", "error", f"PF eth0 ({PCI})", "ip link set dev eth0 up"),
    ("no link", {"nics": (nic(pf={"link_up": False}),)}, "pf-link", "warning", f"PF eth0 ({PCI})", "ethtool eth0"),
    (
        "switchdev", {"nics": (nic(pf={"eswitch_mode": "switchdev"}),)},
        "switchdev", "error", f"PF eth0 ({PCI})", f"devlink dev eswitch set pci/{PCI} mode legacy",
    ),
    (
        "spoof check off, free", {"nics": (nic(but(FREE, spoofchk=False)),)},
        "spoof-check", "warning", "VF eth0/0 (0000:01:10.0)", "ip link set dev eth0 vf 0 spoofchk on",
    ),
    (
        "spoof check off, used", {"nics": (nic(but(USED, spoofchk=False)),)},
        "spoof-check", "note", "VF eth0/0 (0000:01:10.0)", "ip link set dev eth0 vf 0 spoofchk on",
    ),
    (
        "trusted, free", {"nics": (nic(but(FREE, trust=True)),)},
        "vf-trust", "warning", "VF eth0/0 (0000:01:10.0)", "ip link set dev eth0 vf 0 trust off",
    ),
    (
        "trusted, used", {"nics": (nic(but(USED, trust=True)),)},
        "vf-trust", "note", "VF eth0/0 (0000:01:10.0)", "ip link set dev eth0 vf 0 trust off",
    ),
    (
        "foreign", {"nics": (nic(but(FREE, foreign=True, holder="up with 10.0.0.1")),)},
        "vf-foreign", "note", "VF eth0/0 (0000:01:10.0)", "hydria sriov show eth0/0",
    ),
    (
        "NetworkManager", {"nics": (nic(managed={"v0": "NetworkManager"}),)},
        "vf-managed", "warning", "VF v0 of eth0",
        f"{ENABLE}; udevadm trigger --action=change --subsystem-match=net",
    ),
    (
        "systemd-networkd", {"nics": (nic(managed={"v0": "systemd-networkd"}),)},
        "vf-managed", "warning", "VF v0 of eth0",
        NETWORKD,
    ),
    (
        "no NIC", {"nics": (), "configuration": None},
        "sriov-nic", "note", "NICs with SR-IOV", "hydria up --state-dir /var/lib/hydria --fabric software",
    ),
    (
        "no NIC, software fabric", {"nics": (), "configuration": conf(fabric="software")},
        "sriov-nic", "note", "NICs with SR-IOV", "hydria up --state-dir /var/lib/hydria --fabric software",
    ),
    (
        "no such link", {"configuration": conf(pfs=(*conf().pfs, ConfiguredPf("here", "eth9", "members")))},
        "pf-exists", "error", "PF eth9 of host here", "hydria sriov list",
    ),
    (
        "no PF", {"configuration": conf(pfs=(*conf().pfs, ConfiguredPf("here", "br0", "members")))},
        "pf-exists", "error", "PF br0 of host here", "hydria sriov list",
    ),
    (
        "not mapped", {"configuration": conf(pfs=(), fabric="none")},
        "physical-network", "warning", f"PF eth0 ({PCI})", EDIT,
    ),
    (
        "nothing mapped", {"configuration": conf(pfs=()), "nics": (nic(vf=None, persisted=0),)},
        "physical-network", "error", "physical networks", EDIT,
    ),
    (
        "no bridge", {"configuration": conf(bridges={"public": "br-ex"})},
        "bridge", "error", "bridge br-ex of physical network public",
        "ip link add name br-ex type bridge && ip link set dev br-ex up",
    ),
    (
        "bridge down", {"configuration": conf(bridges={"public": "br0"}), "links": {"eth0": True, "br0": False}},
        "bridge", "error", "bridge br0 of physical network public", "ip link set dev br0 up",
    ),
    (
        "narrow PF", {"configuration": conf(networks=JUMBO)},
        "mtu", "error", f"MTU of PF eth0 ({PCI})", "ip link set dev eth0 mtu 9000",
    ),
    (
        "stray", {"nics": (nic(USED),), "configuration": conf(claimed=frozenset())},
        "vf-stray", "warning", "VF eth0/0 of eth0", "hydria sriov take-back eth0/0 --config /etc/hydria.toml",
    ),
    (
        "port taken", port(holder="nginx (process 7)"),
        "port", "error", "tcp port 9876 at 127.0.0.1 of api", "ss -Hlnp --tcp 'sport = :9876'",
    ),
    (
        "port of another machine", port(reason="Cannot assign requested address"),
        "port", "error", "tcp port 9876 at 127.0.0.1 of api", "ss -Hlnp --tcp 'sport = :9876'",
    ),
    ("state open", {"state": (Entry("/s", 0o755, 0),)}, "state-dir", "error", "/s", "chmod go-rwx /s"),
    ("state of a user", {"state": (Entry("/s", 0o700, 7),)}, "state-dir", "error", "/s", "chown -R root:root /s"),
    *(
        (f"no {feature.subject}", {"features": {**host().features, name: Trial(works=False, reason="Unknown type")}},
         f"feature-{name}", feature.severity, feature.subject, feature.mend)
        for name, feature in kernel.FEATURES.items()
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "id_", "severity", "subject", "mend"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_what_is_not_well(facts: dict[str, Any], id_: str, severity: str, subject: str, mend: str):
    found = [finding for finding in examine(host(**facts)) if finding.severity != "ok"]
    # A PF without VFs has other things to say than one with them; the first is what the row is about.
    assert [(one.id, one.severity, one.subject, one.mend) for one in found if one.id == id_] == [
        (id_, severity, subject, mend)
    ]
    others = {one.id for one in found} - {id_}
    assert others <= SIDE_EFFECTS.get(id_, set())


SIDE_EFFECTS = {"pf-exists": {"physical-network"}, "physical-network": {"vfs-created"}}


@pytest.mark.parametrize(
    ("facts", "id_", "text"),
    [
        pytest.param({"nics": (), "configuration": conf()}, "sriov-nic", "the configuration says", id="fabric sriov"),
        pytest.param(port(ours=True, holder="python (process 7)"), "port", "served by python (process 7)", id="ours"),
        pytest.param(port(free=True), "port", "is free", id="free"),
        pytest.param(
            {"nics": (nic(USED),), "configuration": conf(claimed=frozenset({USED.id}))},
            "vf-stray", "1 are, each has its server", id="claimed",
        ),
        pytest.param(
            {"configuration": conf(networks=JUMBO[1:])}, "mtu", "is 1500, enough for network narrow", id="wide enough"
        ),
        pytest.param({"state": (Entry("/s", 0o700, 0),)}, "state-dir", "its owner's alone", id="state"),
        pytest.param({"configuration": conf(bridges={"public": "br0"})}, "bridge", "there and up", id="bridge"),
        pytest.param({"nftables": Trial(works=False, reason="no sets")}, "nftables", "no sets", id="nft's own words"),
    ],
)  # fmt: skip
def test_what_is_said(facts: dict[str, Any], id_: str, text: str):
    assert any(text in finding.text for finding in examine(host(**facts)) if finding.id == id_)


def test_two_vfs_of_one_mac():
    twin = but(FREE, id=VfId("eth0", 1), pci_address="0000:01:10.2")
    # The emulated igb reports zeros for VFs that nobody gave a MAC: they are no doubles.
    blank = [but(FREE, id=VfId("eth0", index), mac="00:00:00:00:00:00") for index in (2, 3)]
    seen = host(nics=(nic(pf={"vfs": (FREE, twin, *blank)}, device={"numvfs": 4}, persisted=4),))
    (found,) = [finding for finding in examine(seen) if finding.severity != "ok"]
    assert (found.id, found.severity, found.subject) == ("vf-mac-unique", "error", "VF eth0/1 (0000:01:10.2)")
    assert "02:00:00:00:00:10, as VF eth0/0" in found.text
    assert found.mend.startswith("ip link set dev eth0 vf 1 mac 02:")


def test_a_pf_that_is_for_something_else_is_left_alone():
    """Mapped to nothing and without VFs: notes at most, so that monitoring is quiet."""
    other = nic(vf=None, device={"pci_address": "0000:02:00.0", "netdev": "eth7", "is_up": False}, pf={"mac": None})
    findings = examine(host(nics=(nic(), other)))
    assert worst(findings) == "note"
    assert {finding.id for finding in findings if finding.severity == "note"} == {"vfs-created", "pf-up"}


@pytest.mark.parametrize(
    ("severities", "status"),
    [((), 0), (("ok",), 0), (("ok", "note"), 0), (("warning", "ok"), 1), (("note", "error", "warning"), 2)],
)
def test_exit_status_is_the_worst(severities: tuple[Any, ...], status: int):
    assert exit_status([Finding("x", severity, "", "") for severity in severities]) == status


def test_without_root_there_is_one_finding(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    done = CliRunner().invoke(command.app, ["--json"])
    told = json.loads(done.stdout)
    assert done.exit_code == 2
    assert [(one["id"], one["mend"]) for one in told["findings"]] == [("root", "sudo hydria doctor")]


def test_examples():
    result = doctest.testmod(kernel)
    assert result.attempted > 0
    assert result.failed == 0
