"""Real QEMU with a tiny guest: the hypervisor by itself."""

import base64
import contextlib
import fcntl
import json
import os
import signal
import struct
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiny_guest
from test_namespace_hypervisor import until

from hydria.base import process
from hydria.base.cloud_config import BadUserData
from hydria.base.errors import Terminal
from hydria.cloud.hypervisor import guest, qemu_nics, qemu_program, qmp
from hydria.cloud.hypervisor.guest import BootImage, Guest, Machine, NicFacts
from hydria.cloud.hypervisor.qemu import BootFailed, Qemu
from hydria.sriov.nics import Tap

pytestmark = pytest.mark.root

PATIENCE = 60.0
"""Seconds; the guest boots in 3 on a quiet machine without KVM."""

USER_DATA = b'#cloud-config\n{"write_files": [{"path": "/etc/hydria/agent.json", "content": "secret"}]}'
NICS = (
    NicFacts("port-1", "fa:16:3e:00:00:01", 1450, ("198.51.0.5/24", "fd00::5/64")),
    NicFacts("port-2", "fa:16:3e:00:00:02", 1500),
)
TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454CA, 0x2, 0x1000, 0x4000


class Lab:
    """A hypervisor and one server of it."""

    def __init__(self, directory: Path, tiny: Path, then: str = "") -> None:
        self.directory = directory
        self.qemu = Qemu(directory)
        self.id = str(uuid.uuid4())
        self.qemu.prepare(self.id, USER_DATA, tiny_guest.boot_image(tiny, then))
        self.machine = Machine(self.id, "amphora-1", 1, 128, disk=1, nics=NICS, zone="nova", metadata={"a": "b"})
        self.guest: Guest | None = None

    def boot(self, inside: Callable[[Guest], object] = lambda _: None) -> Guest:
        with self.qemu.booting(self.machine) as child:
            self.guest = child
            inside(child)
        return child

    def monitor(self) -> contextlib.AbstractContextManager[qmp.Monitor]:
        return qmp.connected(self.directory / self.id / "qmp", f"Server {self.id}")

    def said(self, word: str) -> list[str]:
        """What the guest said that begins with the word, without it."""
        lines = (line.removeprefix("guest: ") for line in self.qemu.console(self.id).splitlines())
        return [line.removeprefix(word).strip() for line in lines if line.startswith(word)]

    def ready(self, times: int = 1) -> None:
        until(lambda: len(self.said("ready")) >= times or not self.lives(), PATIENCE)
        assert self.lives(), self.qemu.console(self.id)

    def lives(self) -> bool:
        return self.guest is not None and guest.alive(self.guest)

    def nics(self) -> set[str]:
        """MACs, as the guest saw them last."""
        return set(self.said("nics")[-1].split()) - {"."} if self.said("nics") else set()

    def attach(self, nic_id: str, mac: str) -> str:
        """With a tap of its own, whose name this gives."""
        with tap() as (name, device):
            assert self.guest is not None
            self.qemu.attach(self.guest, self.id, nic_id, mac, device)
        return name

    def restart(self) -> None:
        """The program; the guest lives on."""
        self.qemu = Qemu(self.directory)

    def end(self) -> None:
        if self.guest is not None:
            self.qemu.kill(self.guest)
        self.qemu.remove(self.id)


@contextlib.contextmanager
def tap() -> Iterator[tuple[str, Tap]]:
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    try:
        flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR
        made = fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", b"t-qemu%d", flags))
        yield made[:16].rstrip(b"\0").decode(), Tap(descriptor)
    finally:
        os.close(descriptor)


def link_exists(name: str) -> bool:
    return Path(f"/sys/class/net/{name}").exists()


def mac_of(number: int) -> str:
    return f"fa:16:3e:00:01:{number:02x}"


@pytest.fixture
def make(tmp_path: Path, tiny: Path) -> Iterator[Callable[..., Lab]]:
    with contextlib.ExitStack() as stack:

        def made(then: str = "", directory: Path = tmp_path / "servers") -> Lab:
            lab = Lab(directory, tiny, then)
            stack.callback(lab.end)
            return lab

        yield made


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Iterator[Lab]:
    """One that was booted with a NIC and is only looked at, or left as it was."""
    lab = Lab(tmp_path_factory.mktemp("qemu") / "servers", tiny)
    try:
        lab.boot(lambda _: lab.attach("before", mac_of(0)))
        lab.ready()
        yield lab
    finally:
        lab.end()


# -- what a guest gets


def test_config_drive(running: Lab) -> None:
    told = {name: base64.b64decode(running.said(name)[0]) for name in ("meta_data.json", "network_data.json")}
    assert running.said("label") == ["config-2"]
    assert base64.b64decode(running.said("user_data")[0]) == USER_DATA
    meta = json.loads(told["meta_data.json"])
    assert {name: meta[name] for name in ("uuid", "hostname", "availability_zone", "meta")} == {
        "uuid": running.id,
        "hostname": "amphora-1",
        "availability_zone": "nova",
        "meta": {"a": "b"},
    }
    network = json.loads(told["network_data.json"])
    assert [(link["ethernet_mac_address"], link["mtu"]) for link in network["links"]] == [
        (nic.mac, nic.mtu) for nic in NICS
    ]
    assert [(one["type"], one["ip_address"], one["link"]) for one in network["networks"]] == [
        ("ipv4", "198.51.0.5", "port-1"),
        ("ipv6", "fd00::5", "port-1"),
    ]


def test_disk_is_the_image_grown_to_the_flavor(running: Lab, tiny: Path) -> None:
    assert running.said("disk") == [tiny_guest.ON_DISK]
    assert running.said("sectors") == [str(1024**3 // 512)]
    assert running.said("writable") == ["0 1"], "the disk, the config drive"
    assert tiny_guest.ON_DISK.encode() in (tiny / "disk.qcow2").read_bytes(), "the image is as it was"


def test_nothing_is_for_others_to_read(running: Lab) -> None:
    assert running.guest is not None
    assert running.directory.stat().st_mode & 0o777 == 0o700
    own = running.directory / running.id
    assert own.stat().st_mode & 0o777 == 0o700
    for name in ("user_data", "config-drive.iso", "disk.qcow2", "console.log"):
        assert (own / name).stat().st_mode & 0o777 == 0o600, name
    assert b"secret" not in Path(f"/proc/{running.guest.pid}/cmdline").read_bytes()


def test_qemu_is_in_its_seccomp_sandbox(running: Lab) -> None:
    assert running.guest is not None
    status = Path(f"/proc/{running.guest.pid}/status").read_text().splitlines()
    assert "Seccomp:\t2" in status


def test_last_lines_of_the_console(running: Lab) -> None:
    everything = running.qemu.console(running.id).splitlines()
    assert running.qemu.console(running.id, 2).splitlines() == everything[-2:]
    assert running.qemu.console(running.id, 0) == ""
    assert running.qemu.console("nobody") == ""


# -- NICs


def test_nics_come_and_go_and_the_next_run_of_the_program_knows_them(running: Lab) -> None:
    # Attached while the machine stood still.
    until(lambda: running.nics() == {mac_of(0)}, PATIENCE)
    running.restart()
    assert running.qemu.has(running.id, "before")
    assert not running.qemu.has(running.id, "after")
    name = running.attach("after", mac_of(1))
    until(lambda: running.nics() == {mac_of(0), mac_of(1)}, PATIENCE)
    assert link_exists(name), "QEMU has it open"
    other = running.attach("after", mac_of(1))
    assert not link_exists(other), "the machine had one of that id"
    running.restart()
    for _ in range(2):
        running.qemu.detach(running.id, "after")
        assert not running.qemu.has(running.id, "after")
        assert not link_exists(name)
    until(lambda: running.nics() == {mac_of(0)}, PATIENCE)


def test_as_many_nics_as_there_are_pcie_ports(running: Lab) -> None:
    numbers = range(1, qemu_nics.PCIE_PORTS)
    for number in numbers:
        running.attach(f"many-{number}", mac_of(number))
    with tap() as (name, device), pytest.raises(qemu_nics.NoFreePciePort, match="all 16 PCIe ports"):
        running.qemu.attach(running.guest, running.id, "one-more", mac_of(99), device)  # type: ignore[arg-type]
    assert not link_exists(name)
    until(lambda: len(running.nics()) == qemu_nics.PCIE_PORTS, PATIENCE)
    running.qemu.detach(running.id, "many-1")
    running.attach("one-more", mac_of(99))
    for nic in ("one-more", *(f"many-{number}" for number in numbers)):
        running.qemu.detach(running.id, nic)
    until(lambda: running.nics() == {mac_of(0)}, PATIENCE)


def test_nic_that_the_guest_keeps_is_told_of_and_goes_when_it_can(running: Lab) -> None:
    name = running.attach("kept", mac_of(1))
    until(lambda: mac_of(1) in running.nics(), PATIENCE)
    with running.monitor() as monitor:
        monitor.execute("stop")
        for _ in range(2):
            with pytest.raises(qemu_nics.StillPlugged, match=r"kept.*within 0\.2 s"):
                qemu_nics.detach(monitor, "kept", 0.2)
            assert link_exists(name)
        monitor.execute("cont")
    running.qemu.detach(running.id, "kept")
    assert not link_exists(name)


def test_attach_that_fails_leaves_nothing(running: Lab) -> None:
    with tap() as (name, device):
        for _ in range(2):
            with pytest.raises(qmp.Refused, match=r"device_add.*Property.*mac"):
                running.qemu.attach(running.guest, running.id, "bad", "no MAC", device)  # type: ignore[arg-type]
    assert not link_exists(name)
    assert not running.qemu.has(running.id, "bad")


def test_half_a_nic_of_an_interrupted_attach_is_used_anew(running: Lab) -> None:
    with tap() as (half, device), running.monitor() as monitor:
        qemu_nics._add_netdev(monitor, "half", device)
    assert link_exists(half)
    name = running.attach("half", mac_of(1))
    assert not link_exists(half)
    running.qemu.detach(running.id, "half")
    assert not link_exists(name)


# -- QMP


def test_what_qemu_refuses_is_told_in_its_words(running: Lab) -> None:
    with running.monitor() as monitor:
        with pytest.raises(qmp.Refused, match=f"Server {running.id}: QEMU refuses nonsense: .*has not been found"):
            monitor.execute("nonsense")
        with pytest.raises(qmp.Refused) as refused:
            monitor.execute("device_del", id="nobody")
        assert refused.value.not_found
        assert monitor.execute("query-status")["running"] is True


def test_qemu_that_hangs_is_not_taken_for_one_that_is_gone(running: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    assert running.guest is not None
    monkeypatch.setattr(qmp, "TIMEOUT", 0.3)
    os.kill(running.guest.pid, signal.SIGSTOP)
    try:
        with pytest.raises(qmp.Unreachable, match=r"within 0\.3 s") as hangs:
            running.qemu.has(running.id, "before")
        assert not isinstance(hangs.value, qmp.Gone)
    finally:
        os.kill(running.guest.pid, signal.SIGCONT)
    monkeypatch.undo()
    assert running.qemu.has(running.id, "before")


# -- the life of a guest


def test_nothing_runs_before_the_block_ends_in_a_directory_deep_down(tmp_path: Path, make: Callable[..., Lab]) -> None:
    """The kernel takes 107 bytes of a socket's path."""
    lab = make(directory=tmp_path / ("d" * 120) / "servers")

    def inside(child: Guest) -> None:
        assert guest.alive(child)
        with lab.monitor() as monitor:
            assert monitor.execute("query-status")["status"] == "prelaunch"

    child = lab.boot(inside)
    with lab.monitor() as monitor:
        assert monitor.execute("query-status")["status"] == "running"
    lab.qemu.kill(child)
    assert not guest.alive(child)
    assert not Path(f"/proc/{child.pid}").exists(), "no zombie"
    lab.qemu.kill(child)
    lab.qemu.detach(lab.id, "anything")
    assert not lab.qemu.has(lab.id, "anything")
    with tap() as (_, device), pytest.raises(qmp.Gone, match="does not run"):
        lab.qemu.attach(child, lab.id, "late", mac_of(1), device)


def test_power_button_then_the_next_boot_has_the_disk_as_it_was_left(make: Callable[..., Lab], tiny: Path) -> None:
    lab = make()
    first = lab.boot()
    lab.ready()
    assert lab.said("written") == [""]
    lab.qemu.shut_down(first, lab.id)
    assert not guest.alive(first)
    assert lab.said("power button")
    lab.qemu.kill(first)
    (lab.directory / lab.id / "image").unlink()
    (lab.directory / lab.id / "image").hardlink_to(tiny / "disk.qcow2")
    lab.boot()
    lab.ready(times=2)
    assert lab.said("written") == ["", "kept"]
    assert len(set(lab.said("boot"))) == 2


def test_guest_reboots_itself_with_the_nics_that_it_has(make: Callable[..., Lab]) -> None:
    lab = make("reboot")
    child = lab.boot(lambda _: lab.attach("nic", mac_of(1)))
    lab.ready()
    assert len(set(lab.said("boot"))) == 2
    until(lambda: lab.nics() == {mac_of(1)}, PATIENCE)
    assert guest.alive(child)


def test_guest_that_powers_itself_off_is_gone(make: Callable[..., Lab]) -> None:
    lab = make("poweroff")
    child = lab.boot()
    until(lambda: not guest.alive(child), PATIENCE)
    assert lab.said("off")
    lab.qemu.shut_down(child, lab.id)


def test_threads_are_kept_on_the_cpus_of_a_node(tmp_path: Path, make: Callable[..., Lab]) -> None:
    *_, cpu = sorted(os.sched_getaffinity(0))
    (tmp_path / "sys/node1").mkdir(parents=True)
    (tmp_path / "sys/node1/cpulist").write_text(f"{cpu}\n")
    lab = make()
    lab.qemu = Qemu(lab.directory, tmp_path / "sys")
    child = lab.boot(lambda child: lab.qemu.pin(child, 1))
    threads = [int(path.name) for path in Path(f"/proc/{child.pid}/task").iterdir()]
    assert len(threads) > 1
    assert {tuple(os.sched_getaffinity(thread)) for thread in threads} == {(cpu,)}


# -- trouble


def test_exception_in_the_block_ends_the_guest(make: Callable[..., Lab]) -> None:
    lab = make()

    def fail(_: Guest) -> None:
        raise Terminal("no NIC")

    with pytest.raises(Terminal, match="no NIC"):
        lab.boot(fail)
    assert not lab.lives()
    assert lab.qemu.console(lab.id) == ""


def test_qemu_that_does_not_start_is_told_in_its_words(make: Callable[..., Lab]) -> None:
    lab = make()
    (lab.directory / lab.id / "kernel").unlink()
    with pytest.raises(BootFailed, match=f"Starting server {lab.id}: .*could not open kernel file.*kernel"):
        lab.boot()
    assert processes(lab.directory) == []


def test_image_that_is_not_what_it_says_is_told_of(make: Callable[..., Lab], tmp_path: Path) -> None:
    lab = make()
    (tmp_path / "image").write_bytes(b"no image" * 100)
    lab.qemu.prepare(lab.id, USER_DATA, BootImage(tmp_path / "image", "qcow2"))
    with pytest.raises(Terminal, match="Image is not in qcow2 format"):
        lab.boot()
    assert processes(lab.directory) == []


def test_prepare_refuses_and_leaves_nothing(make: Callable[..., Lab], tmp_path: Path) -> None:
    lab = make()
    with pytest.raises(BadUserData):
        lab.qemu.prepare("other", b"#cloud-config\n[1]", BootImage(tmp_path / "image", "qcow2"))
    with pytest.raises(Terminal, match="needs an image"):
        lab.qemu.prepare("other", b"")
    assert lab.qemu.servers() == {lab.id}


MAKER = """
import os, signal, sys
from pathlib import Path
from hydria.cloud.hypervisor import children, qemu
from hydria.cloud.hypervisor.guest import Machine
hypervisor = qemu.Qemu(Path(sys.argv[1]))
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[3] == "started": children.adopt = die
if sys.argv[3] == "monitor": qemu.Qemu._await_monitor = die
with hypervisor.booting(Machine(sys.argv[2], "x", 1, 128)):
    die()
"""


@pytest.mark.parametrize("point", ["started", "monitor", "block"])
@pytest.mark.parametrize("then", ["remove", "boot"])
def test_program_is_killed_while_it_boots_a_guest(make: Callable[..., Lab], point: str, then: str) -> None:
    lab = make()
    maker = process.start([sys.executable, "-c", MAKER, str(lab.directory), lab.id, point])
    assert maker.wait(timeout=PATIENCE) == -signal.SIGKILL
    assert lab.qemu.servers() == {lab.id}
    (left,) = processes(lab.directory)
    if then == "boot":
        child = lab.boot()
        assert processes(lab.directory) == [child.pid]
        assert child.pid != left
        lab.qemu.kill(child)
    lab.qemu.remove(lab.id)
    lab.qemu.remove(lab.id)
    assert processes(lab.directory) == []
    assert lab.qemu.servers() == frozenset()


def processes(directory: Path) -> list[int]:
    """QEMUs whose command line names the directory."""
    found = []
    for path in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if path.name.isdecimal() and str(directory).encode() in (path / "cmdline").read_bytes():
                found.append(int(path.name))
    return [pid for pid in found if Path(f"/proc/{pid}/comm").read_text().startswith("qemu-system")]


# -- what this machine's QEMU is


def test_trial_tells_whether_an_accelerator_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert qemu_program.trial("tcg") == ""
    assert "nonsense" in qemu_program.trial("nonsense")  # type: ignore[arg-type]
    monkeypatch.setattr(qemu_program, "KVM", tmp_path / "kvm")
    assert qemu_program.accelerator() == "tcg"


def test_version_is_novas_number(tmp_path: Path) -> None:
    major, minor, micro = qemu_program.version()
    assert major >= 7
    assert Qemu(tmp_path).version == major * 1_000_000 + minor * 1000 + micro


def test_no_qemu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(qemu_program, "PROGRAM", "qemu-system-none")
    with pytest.raises(qemu_program.NoQemu, match=r"qemu-system-none \(apt-get install qemu-system-x86 qemu-utils\)"):
        Qemu(tmp_path)
