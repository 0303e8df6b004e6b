"""One run of the lab's guest under QEMU, without KVM: which hardware it has, and what came of its command."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hydria.base import process
from hydria.base.errors import HydriaError

QEMU = "qemu-system-x86_64"
MEMORY_MIB = 2752
"""As much as q35 puts below 4 GiB: where there is memory above, QEMU's igb does not answer its VFs."""
POLL_SECONDS = 0.1

WIRES = ("public", "members")
"""A hub each: one igb PF is on it, and one plain NIC, the outside world's."""


class GuestDied(HydriaError):
    """It did not come to the end of its command: panic, hang, or QEMU itself; the text holds the console's tail."""


@dataclass(frozen=True)
class Profile:
    """What the hardware is like."""

    name: str
    append: str = ""
    devices: tuple[str, ...] = ()


PLAIN = Profile("plain")
IOMMU = Profile(
    "iommu",
    # Pass-through for all but vfio: translating what the other devices do would cost time.
    append="intel_iommu=on iommu=pt",
    devices=("-device", "intel-iommu,intremap=on"),
)


@dataclass(frozen=True)
class Image:
    vmlinux: Path
    initramfs: Path
    layers: tuple[Path, ...]
    """EROFS images, the uppermost first."""


@dataclass(frozen=True)
class Machine:
    image: Image
    profile: Profile
    directory: Path
    """Of this run; the guest sees it as /lab and may write there."""
    cpus: int = 1
    shell: bool = False
    """A shell on our terminal after the command."""

    def run(self, command: str, *, timeout: float, watch: Callable[[str], None]) -> int:
        """Boot, run the shell `command`, power off; gives its status. What it prints goes to `watch` as it comes.

        Raises GuestDied.
        """
        (self.directory / "output").mkdir(parents=True)
        if command:
            (self.directory / "command").write_text(f"{command}\n")
        if self.shell:
            (self.directory / "shell").touch()
        with contextlib.ExitStack() as stack:
            log = stack.enter_context((self.directory / "qemu.log").open("wb"))
            # QEMU's monitor and the guest's port to it are the two ends of one socket: a test pulls cables by it.
            ends = socket.socketpair()
            for end in ends:
                stack.callback(end.close)
            fds = [end.fileno() for end in ends]
            stdin, stdout = (0, 1) if self.shell else (process.DEVNULL, log.fileno())
            qemu = process.start(self._arguments(*fds), stdin=stdin, stdout=stdout, stderr=log.fileno(), pass_fds=fds)
            stack.callback(qemu.wait)
            stack.callback(qemu.kill)
            self._follow(qemu, timeout, watch)
        return self._status(timeout)

    def _follow(self, qemu: process.Process, timeout: float, watch: Callable[[str], None]) -> None:
        """Until the power is off or time is up."""
        deadline = time.monotonic() + timeout
        pause = threading.Event()
        said = 0
        while True:
            ended = qemu.poll() is not None
            with contextlib.suppress(FileNotFoundError), (self.directory / "out.log").open("rb") as out:
                out.seek(said)
                # Whole lines: a character must not be cut in two.
                text = out.read()
                text = text if ended else text[: text.rfind(b"\n") + 1]
                said += len(text)
                watch(text.decode(errors="replace"))
            if ended or (time.monotonic() > deadline and not self.shell):
                return
            pause.wait(POLL_SECONDS)

    def _status(self, timeout: float) -> int:
        with contextlib.suppress(FileNotFoundError):
            return int((self.directory / "status").read_text())
        tails = (self._tail(name) for name in ("qemu.log", "console.log"))
        raise GuestDied(
            f"The lab's guest ({self.profile.name}) died, or was not done after {timeout:g} s:\n{''.join(tails)}"
        )

    def _tail(self, name: str, lines: int = 30) -> str:
        with contextlib.suppress(FileNotFoundError):
            text = (self.directory / name).read_text(errors="replace").splitlines()[-lines:]
            return "\n".join([f"--- {self.directory / name}", *text, ""])
        return ""

    def _arguments(self, monitor: int, port: int) -> list[str]:
        return [
            *(QEMU, "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", str(self.cpus)),
            *("-m", str(MEMORY_MIB), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *(
                "-kernel",
                str(self.image.vmlinux),
                "-initrd",
                str(self.image.initramfs),
                "-append",
                self._command_line(),
            ),
            *("-serial", f"file:{self.directory / 'console.log'}"),
            *(("-chardev", "stdio,id=shell,signal=off", "-serial", "chardev:shell") if self.shell else ()),
            *("-device", "virtio-rng-pci", "-device", "virtio-serial-pci"),
            *("-chardev", f"socket,id=monitor,fd={monitor}", "-mon", "chardev=monitor,mode=control"),
            *("-chardev", f"socket,id=port,fd={port}", "-device", "virtserialport,chardev=port,name=lab.qmp"),
            *("-fsdev", f"local,id=lab,path={self.directory},security_model=none"),
            *("-device", "virtio-9p-pci,fsdev=lab,mount_tag=lab"),
            *self.profile.devices,
            *self._disks(),
            *_nics(),
        ]

    def _command_line(self) -> str:
        layers = ",".join(f"vd{chr(ord('a') + number)}" for number in range(len(self.image.layers)))
        # TCG has no use for mitigations, and its TSC is as good as the clock of the machine below.
        return (
            f"console=ttyS0 quiet panic=-1 lab.layers={layers} mitigations=off nokaslr random.trust_cpu=on "
            f"no_timer_check tsc=reliable {self.profile.append}"
        )

    def _disks(self) -> list[str]:
        arguments = []
        for number, layer in enumerate(self.image.layers):
            drive = f"file={layer},format=raw,if=none,id=layer{number},readonly=on,cache=unsafe"
            arguments += ["-drive", drive, "-device", f"virtio-blk-pci,drive=layer{number}"]
        return arguments


def _nics() -> list[str]:
    """PFs are 0000:01:00.0 and 0000:02:00.0: each alone behind a port of its own, the first ones of the machine."""
    arguments = []
    for hub, wire in enumerate(WIRES):
        slot = hub + 1
        arguments += [
            *("-netdev", f"hubport,id={wire}-pf,hubid={hub}", "-netdev", f"hubport,id={wire}-outside,hubid={hub}"),
            *("-device", f"pcie-root-port,id=slot{slot},chassis={slot},slot={slot}"),
            *("-device", f"igb,bus=slot{slot},netdev={wire}-pf,mac=52:54:00:aa:00:{slot:02x}"),
            *("-device", f"virtio-net-pci,netdev={wire}-outside,mac=52:54:00:bb:00:{slot:02x},romfile="),
        ]
    return arguments


def major_version(said: str) -> int:
    """Of what `qemu-system-x86_64 --version` prints.

    >>> major_version("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)")
    10
    """
    _, _, version = said.partition("version ")
    return int(version.partition(".")[0])
