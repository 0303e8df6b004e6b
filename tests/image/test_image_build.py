"""It must show 1: what diskimage-create.sh made is an amphora image, of bounded size and without anybody's secrets."""

import json
import sys
from typing import Any

import pytest

from hydria.base import process
from hydria.image.options import Options
from lab.amphora_image import Built

Json = dict[str, Any]
MEGABYTE = 1_000_000
LIMIT = 200 * MEGABYTE


def inspected(built: Built) -> Json:
    """Exit status 0: every check has passed."""
    argv = [sys.executable, "-m", "hydria.cli.main", "image", "inspect", "--json", "--files", str(built.disk)]
    return dict(json.loads(process.run(argv, timeout=300).stdout))


@pytest.fixture(scope="module")
def image(built: Built) -> Json:
    return inspected(built)


def test_size_and_time(built: Built, image: Json, record_property: pytest.RecordProperty) -> None:
    size = built.disk.stat().st_size
    record_property("seconds", built.seconds)
    record_property("bytes", size)
    print(f"built in {built.seconds:.0f} s, {size / MEGABYTE:.0f} MB")
    assert size < LIMIT
    assert image["disk"]["virtual_size"] == Options().size * 2**30


def test_what_is_beside_the_image(built: Built, image: Json) -> None:
    suffixes = {path.name.removeprefix(built.disk.stem) for path in built.directory.glob(f"{built.disk.stem}.*")}
    assert suffixes == {".qcow2", ".json", ".vmlinux", ".initrd", ".packages", ".spdx.json"}
    assert built.kernel.read_bytes().startswith(b"\x7fELF")
    told = json.loads(built.disk.with_suffix(".json").read_bytes())
    assert told == image["facts"]
    assert image["kernels"] == [told["kernel"]]
    assert told["nftables"] is True
    # Whoever runs the script may read the image, nobody else's build directory is left.
    assert not list(built.directory.glob(".*"))


def test_files_and_units(image: Json) -> None:
    files = {one["path"]: one for one in image["files"]}
    for path in (
        "/usr/sbin/nft",
        "/usr/sbin/haproxy",
        "/usr/sbin/keepalived",
        "/opt/hydria/lib/hydria/agent/__main__.py",
    ):
        assert path in files
    assert "/usr/sbin/sshd" not in files
    assert {"hydria-config-drive.service", "hydria-agent.service"} <= set(image["units"])
    # Nothing updates itself or asks the network before it serves.
    assert not {"apt-daily.timer", "apt-daily-upgrade.timer", "unattended-upgrades.service"} & set(image["units"])
    assert [one["name"] for one in image["checks"] if one["wrong"]] == []


def test_bill_of_materials(built: Built, image: Json) -> None:
    bill = json.loads(built.disk.with_suffix(".spdx.json").read_bytes())
    assert bill["spdxVersion"] == "SPDX-2.3"
    packages = {one["name"]: one for one in bill["packages"]}
    assert {"haproxy", "keepalived", "nftables", "hydria", "msgspec"} <= set(packages)
    assert packages["haproxy"]["versionInfo"].startswith(image["facts"]["haproxy"])
    ids = {one["SPDXID"] for one in bill["packages"]} | {bill["SPDXID"]}
    assert len(ids) == len(bill["packages"]) + 1
    assert {one["relatedSpdxElement"] for one in bill["relationships"]} <= ids


def test_without_nftables(built_without_nftables: Built) -> None:
    image = inspected(built_without_nftables)
    assert image["facts"]["nftables"] is False
    assert "/usr/sbin/nft" not in {one["path"] for one in image["files"]}
