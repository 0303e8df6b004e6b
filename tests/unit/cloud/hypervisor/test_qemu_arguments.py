"""QEMU's command line, and the doctests of what reads its answers."""

import doctest
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hydria.cloud.hypervisor import qemu_nics, qemu_program
from hydria.cloud.hypervisor.guest import Machine
from hydria.cloud.hypervisor.qemu_arguments import arguments
from hydria.cloud.hypervisor.qemu_files import Boot, Files
from hydria.cloud.hypervisor.qemu_program import Accelerator

MACHINE = Machine("5f2d4b0e-0000-4000-8000-000000000001", "amphora-1", 2, 1024)


def made(
    boot: Boot = Boot("qcow2"),  # noqa: B008 - it is frozen
    accelerator: Accelerator = "tcg",
    root: str = "/srv/servers/s1",
) -> list[str]:
    return arguments(Files(Path(root)), MACHINE, boot, accelerator, qmp_fd=7)


def values(words: Sequence[str], option: str) -> list[str]:
    return [value for name, value in itertools.pairwise(words) if name == option]


def nodes(words: Sequence[str]) -> dict[str, dict[str, Any]]:
    return {node["node-name"]: node for node in map(json.loads, values(words, "-blockdev"))}


def test_size_is_the_flavors_and_nothing_runs_yet():
    words = made()
    assert (values(words, "-smp"), values(words, "-m")) == (["2"], ["1024M"])
    assert "-S" in words
    assert values(words, "-uuid") == [MACHINE.id]


def test_strict_sandbox():
    (sandbox,) = values(made(), "-sandbox")
    assert set(sandbox.split(",")) == {
        "on",
        *(f"{name}=deny" for name in ("obsolete", "elevateprivileges", "spawn", "resourcecontrol")),
    }


@pytest.mark.parametrize(
    ("accelerator", "option"),
    [pytest.param("kvm", "kvm", id="kvm"), pytest.param("tcg", "tcg,tb-size=256", id="tcg")],
)
def test_accelerator(accelerator: Accelerator, option: str):
    words = made(accelerator=accelerator)
    assert values(words, "-accel") == [option]
    assert values(words, "-cpu") == ["max"]


@pytest.mark.parametrize(
    ("format_", "image"),
    [
        pytest.param("raw", {"driver": "raw", "read-only": True}, id="raw"),
        pytest.param("qcow2", {"driver": "qcow2", "read-only": True, "backing": None}, id="qcow2 without a chain"),
    ],
)
def test_disks(format_: Any, image: dict[str, Any]):
    disk, drive = nodes(made(Boot(format_))).values()
    image_file = {"driver": "file", "filename": "/srv/servers/s1/image"}
    assert disk["backing"] == {**image, "file": image_file}
    assert (disk["driver"], disk["file"]["filename"]) == ("qcow2", "/srv/servers/s1/disk.qcow2")
    assert (drive["driver"], drive["read-only"]) == ("raw", True)


def test_spare_ports_have_names_and_places_of_their_own():
    ports = [device for device in values(made(), "-device") if device.startswith("pcie-root-port")]
    assert len(ports) == qemu_nics.PCIE_PORTS
    for key in ("id", "chassis", "slot"):
        assert len({dict(pair.split("=") for pair in port.split(",")[1:])[key] for port in ports}) == len(ports)


@pytest.mark.parametrize(
    ("boot", "expected"),
    [
        pytest.param(Boot("raw"), ([], [], []), id="boot loader of the image"),
        pytest.param(
            Boot("raw", has_kernel=True, has_ramdisk=True, command_line="a=b quiet"),
            (["/srv/servers/s1/kernel"], ["/srv/servers/s1/ramdisk"], ["a=b quiet"]),
            id="kernel and ramdisk",
        ),
        pytest.param(Boot("raw", has_kernel=True), (["/srv/servers/s1/kernel"], [], [""]), id="kernel"),
    ],
)
def test_direct_boot(boot: Boot, expected: tuple[list[str], ...]):
    words = made(boot)
    assert tuple(values(words, option) for option in ("-kernel", "-initrd", "-append")) == expected


def test_comma_in_a_path():
    words = made(root="/srv/a,b")
    assert "file,id=console,path=/srv/a,,b/console.log,append=on" in words
    assert nodes(words)["disk-node"]["file"]["filename"] == "/srv/a,b/disk.qcow2"


def test_doctests():
    assert doctest.testmod(qemu_program).failed == 0


def test_unknown_version():
    with pytest.raises(qemu_program.NoQemu, match="does not say which version"):
        qemu_program.parse_version("something else")


def test_trial_firmware_begins_at_the_reset_vector():
    assert len(qemu_program.firmware()) == 65536
    assert qemu_program.firmware()[-16:][:5] == b"\xb0\x10\xe6\xf4\xf4"
