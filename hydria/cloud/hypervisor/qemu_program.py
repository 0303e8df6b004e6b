"""The QEMU of this machine: which version it is, and by what it can run guests here. Knows no servers."""

import re
import tempfile
from pathlib import Path
from typing import Literal

from hydria.base import log, process
from hydria.base.errors import Terminal

logger = log.Logger(__name__)

PROGRAM = "qemu-system-x86_64"
IMAGE_PROGRAM = "qemu-img"
PACKAGES = "qemu-system-x86 qemu-utils"
"""Debian's, for both."""
MACHINE = "q35"
CPU = "max"
"""All that the accelerator can do: under KVM what the host's CPUs have, under TCG all that QEMU knows."""

KVM = Path("/dev/kvm")
TRIAL_TIMEOUT = 5.0
_TRIAL_PORT = 0xF4
_TRIAL_VALUE = 0x10

Accelerator = Literal["kvm", "tcg"]


class NoQemu(Terminal):
    """It is not installed."""


def version() -> tuple[int, int, int]:
    """Raises NoQemu, also when one of its programs is missing."""
    said = {name: _version(name) for name in (IMAGE_PROGRAM, PROGRAM)}
    return parse_version(said[PROGRAM])


def _version(program: str) -> str:
    try:
        return process.run([program, "--version"]).stdout
    except process.ProcessFailed as error:
        raise NoQemu(f"The qemu hypervisor needs {program} (apt-get install {PACKAGES}): {error.message}") from error


def parse_version(said: str) -> tuple[int, int, int]:
    """Of what `--version` prints.

    >>> parse_version("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)")
    (10, 0, 2)
    """
    match = re.search(r"version (\d+)\.(\d+)\.(\d+)", said)
    if match is None:
        raise NoQemu(f"{PROGRAM} does not say which version it is: {said[:80]!r}")
    major, minor, micro = match.groups()
    return int(major), int(minor), int(micro)


def accelerator() -> Accelerator:
    """KVM where a guest really runs by it: a device file alone proves nothing, for instance inside some sandboxes."""
    if reason := kvm_hindrance():
        logger.warning("virtual machines are emulated, which is slow", reason=reason)
    return "tcg" if reason else "kvm"


def kvm_hindrance() -> str:
    """Nothing where guests can run by it."""
    if not KVM.exists():
        return f"there is no {KVM}"
    refusal = trial("kvm")
    return f"{KVM} is there, but a guest does not run by it: {refusal}" if refusal else ""


def trial(accelerator: Accelerator) -> str:
    """Run five instructions with the CPU that guests get; gives why it did not work, nothing where it did."""
    with tempfile.NamedTemporaryFile(prefix="hydria-trial-", suffix=".bin") as file:
        file.write(firmware())
        file.flush()
        argv = [
            *(PROGRAM, "-machine", MACHINE, "-accel", accelerator, "-cpu", CPU, "-m", "16", "-nodefaults"),
            *("-no-user-config", "-display", "none", "-bios", file.name),
            *("-device", f"isa-debug-exit,iobase={_TRIAL_PORT:#x},iosize=1"),
        ]
        try:
            done = process.run(argv, timeout=TRIAL_TIMEOUT, check=False)
        except process.ProcessFailed as error:
            return f"no instruction was run within {TRIAL_TIMEOUT:g} s {error.output.strip()}".strip()
    # isa-debug-exit ends QEMU with what was written to the port, doubled, plus one.
    if done.status == _TRIAL_VALUE * 2 + 1:
        return ""
    return done.stderr.strip().splitlines()[0] if done.stderr.strip() else f"QEMU ended with status {done.status}"


def firmware() -> bytes:
    """64 KiB that end at the reset vector: mov al, value; out port, al; hlt."""
    program = bytes([0xB0, _TRIAL_VALUE, 0xE6, _TRIAL_PORT, 0xF4])
    return program.rjust(64 * 1024 - 16 + len(program), b"\x90").ljust(64 * 1024, b"\x90")
