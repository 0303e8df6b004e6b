"""What a config drive says, and that it is one."""

import io
import json
from pathlib import Path

import pycdlib
import pytest

from hydria.cloud.hypervisor import config_drive
from hydria.cloud.hypervisor.guest import Machine, NicFacts

MACHINE = Machine(
    "5f2d4b0e-0000-4000-8000-000000000001",
    "amphora-1",
    1,
    64,
    nics=(
        NicFacts("p1", "fa:16:3e:00:00:01", 1450, ("198.18.0.5/20", "fd00::5/64")),
        NicFacts("p2", "fa:16:3e:00:00:02", 9000),
    ),
    zone="nova",
    project_id="1" * 32,
    metadata={"role": "amphora"},
)
LINKS = [
    {"id": "p1", "vif_id": "p1", "type": "phy", "mtu": 1450, "ethernet_mac_address": "fa:16:3e:00:00:01"},
    {"id": "p2", "vif_id": "p2", "type": "phy", "mtu": 9000, "ethernet_mac_address": "fa:16:3e:00:00:02"},
]


def test_network_data_has_all_links_and_the_addresses_of_those_that_have_some():
    assert config_drive.network_data(MACHINE.nics) == {
        "links": LINKS,
        "networks": [
            {
                "id": "network0",
                "type": "ipv4",
                "link": "p1",
                "ip_address": "198.18.0.5",
                "netmask": "255.255.240.0",
                "routes": [],
            },
            {
                "id": "network1",
                "type": "ipv6",
                "link": "p1",
                "ip_address": "fd00::5",
                "netmask": "ffff:ffff:ffff:ffff::",
                "routes": [],
            },
        ],
        "services": [],
    }


def test_meta_data():
    assert config_drive.meta_data(MACHINE) == {
        "uuid": MACHINE.id,
        "name": "amphora-1",
        "hostname": "amphora-1",
        "availability_zone": "nova",
        "project_id": "1" * 32,
        "launch_index": 0,
        "meta": {"role": "amphora"},
    }


def read(path: Path) -> tuple[str, dict[str, bytes]]:
    """The label, and name → content, by the names that Linux shows."""
    image = pycdlib.PyCdlib()
    image.open(str(path))
    try:
        files = {}
        for child in image.list_children(rr_path=f"/{config_drive.DIRECTORY}"):
            if child.is_file():
                content, name = io.BytesIO(), child.rock_ridge.name().decode()
                image.get_file_from_iso_fp(content, rr_path=f"/{config_drive.DIRECTORY}/{name}")
                files[name] = content.getvalue()
        return image.pvd.volume_identifier.decode().strip(), files
    finally:
        image.close()


@pytest.mark.parametrize(
    "user_data",
    [
        pytest.param(b'#cloud-config\n{"write_files": []}', id="cloud-config"),
        pytest.param(bytes(range(256)) * 200, id="bytes, verbatim"),
        pytest.param(b"", id="none"),
    ],
)
def test_drive_reads_back_and_is_written_anew_at_each_boot(tmp_path: Path, user_data: bytes):
    path = tmp_path / "drive"
    path.write_bytes(b"an older one")
    for _ in range(2):
        config_drive.write(path, MACHINE, user_data)
    label, files = read(path)
    assert label == "config-2"
    assert json.loads(files["meta_data.json"]) == config_drive.meta_data(MACHINE)
    assert json.loads(files["network_data.json"]) == config_drive.network_data(MACHINE.nics)
    assert files.get("user_data", b"") == user_data
    assert ("user_data" in files) is bool(user_data)
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
