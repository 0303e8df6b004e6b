"""`hydria sriov` and `hydria doctor` on real NICs: what they do the kernel shows, what they recommend works."""

import contextlib
import io
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hardware import CARDS, NUMVFS, PCI, Cable, Card, bring_up, has_carrier, ip, outside_nic, peer, until

from hydria.base import process
from hydria.cli.doctor import books
from hydria.cli.main import main
from hydria.cloud.database import Database
from hydria.sriov.hardware import HardwareNics
from hydria.sriov.inventory import VfId, VfSettings

HYDRIA = (sys.executable, "-m", "hydria.cli.main")
SECONDS = 90.0
"""For a command in a process of its own: importing its libraries takes an emulated CPU seconds."""


def typed(line: str) -> process.Completed:
    """As `hydria` does it, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(sys, "argv", ["hydria", *line.split()]),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    return process.Completed(int(ended.value.code or 0), out.getvalue(), err.getvalue())


def hydria(line: str, *, status: int = 0) -> str:
    """What it prints; of a refusal, its words."""
    done = typed(line)
    assert done.status == status, f"hydria {line}: status {done.status}: {done.stdout}{done.stderr}"
    return done.stdout if status == 0 else done.stdout + done.stderr


def answer(line: str) -> Any:
    return json.loads(hydria(f"{line} --json"))


def numvfs(card: Card) -> int:
    return int((PCI / card.pci / "sriov_numvfs").read_text())


def is_up(name: str) -> bool:
    return bool(int(Path(f"/sys/class/net/{name}/flags").read_text(), 16) & 1)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Both PFs on their physical networks, and a cloud that has made its tables and has no server."""
    file = tmp_path / "hydria.toml"
    pfs = ", ".join(f'{card.pf} = "{wire}"' for wire, card in CARDS.items())
    file.write_text(
        f'[fabric]\nkind = "sriov"\nbridge_mappings = {{ public = "br-lab" }}\n'
        f'[cloud]\ndatabase_url = "sqlite:///{tmp_path}/cloud.db"\nstate_dir = "{tmp_path}/cloud"\n'
        f'[[cloud.hosts]]\nname = "lab"\npfs = {{ {pfs} }}\n'
    )
    file.chmod(0o600)
    database = Database(f"sqlite:///{tmp_path}/cloud.db")
    database.create_tables()
    database.close()
    assert books.read(f"sqlite:///{tmp_path}/cloud.db") == ((), frozenset())
    return file


@pytest.fixture
def as_before(members: Card) -> Iterator[Card]:
    """A PF whose number of VFs the test changes."""
    yield members
    bring_up()


@contextlib.contextmanager
def guest() -> Iterator[process.Process]:
    """A process with a network of its own, as a server is."""
    child = process.start(["unshare", "--net", "sh", "-c", "echo ready; exec sleep 600"], stdout=process.PIPE)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        yield child
    finally:
        child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()


def test_list_and_show_say_what_the_kernel_shows(config: Path) -> None:
    listed = answer(f"sriov list --config {config}")
    assert [(pf["pci_address"], pf["name"], pf["physical_network"]) for pf in listed] == [
        (card.pci, card.pf, wire) for wire, card in CARDS.items()
    ]
    for pf, card in zip(listed, CARDS.values(), strict=True):
        assert (pf["driver"], pf["numvfs"], pf["totalvfs"], pf["used"], pf["persisted"]) == ("igb", NUMVFS, 7, 0, None)
        assert pf["link_up"] is True
        assert [vf["pci_address"] for vf in pf["vfs"]] == card.vfs
    table = hydria(f"sriov list -v --config {config}")
    for card in CARDS.values():
        assert any(
            card.pf in line and card.pci in line and f"0/{NUMVFS}/7" in line and " up " in line
            for line in table.splitlines()
        ), table
        assert all(vf in table for vf in card.vfs)


def test_show_finds_a_vf_by_any_name(public: Card, config: Path) -> None:
    by_pf = answer(f"sriov show {public.pci} --config {config}")
    assert by_pf["name"] == public.pf
    for name in (f"{public.pf}/2", public.vfs[2], public.vf(2)):
        assert answer(f"sriov show {name}") == by_pf["vfs"][2]
    assert public.vfs[2] in hydria(f"sriov show {public.vf(2)}")


def test_what_cannot_be_is_refused_and_changes_nothing(public: Card) -> None:
    refused = {
        f"sriov enable {public.pf} --vfs 8": f"{public.pf} ({public.pci}) cannot have 8 VFs: at most 7",
        f"sriov enable {public.pf} --vfs -1": f"{public.pf} ({public.pci}) cannot have -1 VFs",
        f"sriov enable {public.vf(0)} --vfs 1": f"is a VF of {public.pf} ({public.pci})",
        f"sriov enable {outside_nic(public)} --vfs 1": "has no SR-IOV capability",
        "sriov enable eth77 --vfs 1": "There is no network device eth77",
        "sriov disable lo": "lo has no SR-IOV capability",
        "sriov show 0000:77:00.0": "There is no PCI device 0000:77:00.0",
    }
    for line, text in refused.items():
        assert text in hydria(line, status=1)
    assert numvfs(public) == NUMVFS


def test_as_many_as_there_are_is_nothing_to_do(public: Card) -> None:
    with peer("user", public.vf(0)):
        assert "has, as before, 7 VFs" in hydria(f"sriov enable {public.pf} --vfs 7")


def test_enable_and_disable(as_before: Card) -> None:
    card = as_before
    assert "now has no VFs" in hydria(f"sriov disable {card.pci}")
    assert (numvfs(card), card.vfs) == (0, [])
    assert "has, as before, no VFs" in hydria(f"sriov disable {card.pf}")
    ip(f"link set dev {card.pf} down")
    made = answer(f"sriov enable {card.pf} --vfs 3")
    assert [vf["pci_address"] for vf in made["vfs"]] == card.vfs
    assert all(vf["driver"] == "igbvf" for vf in made["vfs"])
    assert numvfs(card) == 3
    assert is_up(card.pf), "VFs carry nothing while their PF is down"
    assert "now has 5 VFs; after a reboot it has none" in hydria(f"sriov enable {card.pf} --vfs 5")
    assert numvfs(card) == 5


def test_vfs_in_use_stay_and_their_holders_are_named(members: Card) -> None:
    ip(f"addr add 192.0.2.77/24 dev {members.vf(3)}")
    ip(f"link set dev {members.vf(3)} up")
    try:
        with peer("user", members.vf(1)):
            for line in (f"sriov enable {members.pf} --vfs 2", f"sriov disable {members.pf}"):
                said = hydria(line, status=1)
                assert f"{members.pf} ({members.pci}) keeps its 7 VFs" in said
                assert members.vfs[1] in said
                assert "user" in said
                assert "up with 192.0.2.77" in said
                assert numvfs(members) == NUMVFS
    finally:
        ip(f"link set dev {members.vf(3)} down")
        ip(f"addr del 192.0.2.77/24 dev {members.vf(3)}")


@pytest.fixture
def udevd() -> Iterator[None]:
    Path("/run/udev").mkdir(exist_ok=True)
    process.run(["/lib/systemd/systemd-udevd", "--daemon"])
    try:
        yield
    finally:
        process.run(["udevadm", "control", "--exit"])


@pytest.mark.usefixtures("udevd")
def test_vfs_are_there_again_after_a_reboot(as_before: Card) -> None:
    """A reboot as the PF's driver knows it: it is loaded anew, and udevd hears of the PF."""
    card = as_before
    hydria(f"sriov disable {card.pf}")
    assert "now has 4 VFs, and after a reboot." in hydria(f"sriov enable {card.pf} --vfs 4 --persist")
    _load_anew()
    until("udev has made the VFs", lambda: numvfs(card) == 4, 60)
    until("udev has brought the PF up", lambda: bool(card.pf) and is_up(card.pf), 60)
    assert answer(f"sriov show {card.pci}")["persisted"] == 4
    assert "4 VFs (udev rule)" in hydria(f"sriov show {card.pf}")
    until("NetworkManager and networkd are told", lambda: all(_left_alone(card.vf(i)) for i in range(4)))
    assert not _left_alone(card.pf)
    assert "now has no VFs, and after a reboot." in hydria(f"sriov disable {card.pf} --persist")
    assert not list(Path("/etc/udev/rules.d").glob("*hydria*"))
    _load_anew()
    process.run(["udevadm", "settle"])
    assert numvfs(card) == 0


def _load_anew() -> None:
    process.run(["modprobe", "-r", "igb"])
    process.run(["modprobe", "igb"])
    for card in CARDS.values():
        until(f"{card.wire} has a PF", lambda card=card: bool(card.pf))
    process.run(["udevadm", "settle"], timeout=120)


def _left_alone(netdev: str) -> bool:
    said = process.run(["udevadm", "info", "--query=property", f"--path=/sys/class/net/{netdev}"]).stdout
    return "NM_UNMANAGED=1" in said and "ID_NET_MANAGED_BY=io.hydria" in said


def test_watch_tells_of_each_change(public: Card, cable: Callable[[Card], Cable]) -> None:
    nics, vf = HardwareNics({public.pf: "public"}), VfId(public.pf, 5)
    with _watching() as (child, following):
        assert [following()["event"] for _ in CARDS] == ["pf-new", "pf-new"]
        end = cable(public)
        end.pull()
        assert following()["event"] == "link-lost"
        end.plug()
        assert following()["event"] == "link-back"
        with guest() as server:
            nics.hand_over(vf, VfSettings(mac="02:00:00:00:77:05"), pid=server.pid, holder="port 77")
            change = following()
            assert (change["event"], change["vf"], change["holder"]) == ("vf-handed-over", str(vf), "port 77")
            nics.take_back(vf)
            assert following()["text"] == f"VF {vf} is given back by port 77"
        child.send_signal(signal.SIGINT)
        assert child.wait(60) == 0


@contextlib.contextmanager
def _watching() -> Iterator[tuple[process.Process, Callable[[], Any]]]:
    """The command, and what gives its next line."""
    child = process.start([*HYDRIA, "sriov", "watch", "--json"], stdout=process.PIPE)
    assert child.stdout is not None
    lines: queue.Queue[bytes] = queue.Queue()
    reader = threading.Thread(target=lambda stdout=child.stdout: [lines.put(line) for line in stdout])
    reader.start()
    try:
        yield child, lambda: json.loads(lines.get(timeout=SECONDS))
    finally:
        child.kill()
        child.wait()
        reader.join()
        child.stdout.close()


def test_a_vf_that_a_dead_server_left_is_found_and_taken_back(public: Card, config: Path) -> None:
    vf = VfId(public.pf, 6)
    before = public.settings()[6]
    with guest() as server:
        HardwareNics({public.pf: "public"}).hand_over(vf, VfSettings(vlan=77), pid=server.pid, holder="port 66")
        assert "port 66" in hydria(f"sriov take-back {vf}", status=1)
        assert "port 66" in hydria(f"sriov disable {public.pf}", status=1)
    (found,) = [one for one in examine(config) if one["id"] == "vf-stray" and one["severity"] != "ok"]
    assert (found["severity"], found["subject"]) == ("warning", f"VF {vf} of {public.pf}")
    assert found["mend"] == f"hydria sriov take-back {vf} --config {config}"
    assert "is taken back from port 66" in hydria(found["mend"].removeprefix("hydria "))
    assert "is here, as before" in hydria(found["mend"].removeprefix("hydria "))
    assert public.settings()[6] == before


def examine(config: Path) -> list[dict[str, Any]]:
    done = typed(f"doctor --json --config {config}")
    told = json.loads(done.stdout)
    assert done.status == {"ok": 0, "note": 0, "warning": 1, "error": 2}[told["status"]], done.stderr
    found: list[dict[str, Any]] = told["findings"]
    return found


SPOILED = {"pf-up", "spoof-check", "vf-trust", "vf-driver", "vf-autoprobe", "bridge", "vf-mac-unique", "state-dir"}


@pytest.fixture
def spoiled(public: Card, config: Path) -> Iterator[Path]:
    """All that the doctor's commands are to mend."""
    (PCI / public.pci / "sriov_drivers_autoprobe").write_text("0")
    ip(f"link set dev {public.pf} vf 0 spoofchk off")
    ip(f"link set dev {public.pf} vf 1 trust on")
    ip(f"link set dev {public.pf} vf 2 mac 02:00:00:00:77:01")
    ip(f"link set dev {public.pf} vf 3 mac 02:00:00:00:77:01")
    (PCI / public.vfs[4] / "driver/unbind").write_text(public.vfs[4])
    ip(f"link set dev {public.pf} down")
    config.chmod(0o644)
    config.parent.chmod(0o700)
    yield config
    ip(f"link set dev {public.pf} vf 2 mac 00:00:00:00:00:00")
    ip(f"link set dev {public.pf} vf 3 mac 00:00:00:00:00:00")
    ip("link del br-lab", check=False)


def test_the_doctors_commands_mend_what_it_finds(public: Card, spoiled: Path, tmp_path: Path) -> None:
    program = tmp_path / "bin/hydria"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {" ".join(HYDRIA)} "$@"\n')
    program.chmod(0o755)

    def look() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(typed(f"doctor --json --state-dir {spoiled.parent}").stdout)[
            "findings"
        ]
        return [one for one in found if one["severity"] in {"warning", "error"} and one["id"] in SPOILED]

    found = look()
    assert {one["id"] for one in found} == SPOILED
    for one in found:
        path = f"{program.parent}:{os.environ['PATH']}"
        process.run(["sh", "-ec", one["mend"]], timeout=SECONDS, environment={"PATH": path})
    until("the PF has its link", lambda: has_carrier(public.pf))
    assert look() == []


def test_the_doctor_says_that_vfs_are_missing(as_before: Card, config: Path) -> None:
    hydria(f"sriov disable {as_before.pf}")
    found = {(one["id"], one["subject"]): one for one in examine(config)}
    one = found["vfs-created", f"PF {as_before.pf} ({as_before.pci})"]
    assert (one["severity"], one["mend"]) == ("warning", f"hydria sriov enable {as_before.pf} --vfs 7 --persist")
    hydria(one["mend"].removeprefix("hydria ").removesuffix(" --persist"))
    assert numvfs(as_before) == 7
    # What a Debian kernel has, it has been seen to have.
    works = {one["id"] for one in found.values() if one["severity"] == "ok"}
    assert works >= {"kernel-version", "feature-veth", "feature-vlan", "feature-vlan-filtering", "feature-macvlan",
                     "feature-macvtap", "feature-tap",
                     "feature-nft-nat", "feature-conntrack", "feature-sctp", "feature-cgroup-v2", "nftables",
                     "haproxy", "bubblewrap", "keepalived"}  # fmt: skip
