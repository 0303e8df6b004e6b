"""Checks of what virtual machines need: QEMU and KVM. Pure. Without the `qemu` hypervisor nothing of it is needed."""

from collections.abc import Iterator

from hydria.cli.doctor.facts import Host
from hydria.cli.doctor.finding import Finding, Severity
from hydria.cloud.hypervisor.qemu_program import IMAGE_PROGRAM, PACKAGES, PROGRAM

_LOAD_KVM = "modprobe kvm_intel || modprobe kvm_amd"


def check(host: Host) -> Iterator[Finding]:
    wanted = host.configuration is not None and host.configuration.hypervisor == "qemu"
    missing = [name for name in (PROGRAM, IMAGE_PROGRAM) if host.programs.get(name) is None]
    if missing:
        severity: Severity = "error" if wanted else "note"
        text = f"{' and '.join(missing)} not installed: no virtual machines (hydria up --hypervisor qemu)"
        yield Finding("qemu", severity, "QEMU", text, f"apt-get install {PACKAGES}")
        return
    yield Finding("qemu", "ok", "QEMU", str(host.programs[PROGRAM]))
    if host.kvm.works:
        yield Finding("kvm", "ok", "KVM", "runs a guest")
        return
    slow: Severity = "warning" if wanted else "note"
    text = f"does not run a guest: virtual machines are emulated (TCG), many times slower: {host.kvm.reason}"
    yield Finding("kvm", slow, "KVM", text, _LOAD_KVM)
