"""What a config drive's documents ask for, and how its files come to be."""

import json
from pathlib import Path

import pytest

from hydria.agent import config_drive
from hydria.agent.config_drive import NETWORK_DATA, BadMetaData, Plan, ensure_files, plan
from hydria.agent.network_data import FIRST_NIC, BadNetworkData, Nic
from hydria.base.cloud_config import BadUserData, File

AGENT = File("agent.json", b"{}", 0o600)
SECRET = "MIIEvQIBADANBgkqhkiG9w0"
LINKS = b'{"links": [{"id": "a", "ethernet_mac_address": "fa:16:3e:00:00:01", "mtu": 1500}], "networks": []}'


def user_data(*files: File) -> bytes:
    entries = [
        {"path": f"/etc/hydria/{file.path}", "content": file.content.decode(), "permissions": f"{file.mode:04o}"}
        for file in files
    ]
    return f"#cloud-config\n{json.dumps({'write_files': entries})}".encode()


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        pytest.param({}, Plan(), id="an empty drive"),
        pytest.param({"user_data": user_data(AGENT)}, Plan(files=(AGENT,)), id="files"),
        pytest.param(
            {"meta_data.json": b'{"hostname": "amphora-1.novalocal"}'},
            Plan(hostname="amphora-1"),
            id="hostname without the cloud's domain",
        ),
        pytest.param({"meta_data.json": b'{"name": "amphora-2", "uuid": "1"}'}, Plan(hostname="amphora-2"), id="name"),
        pytest.param(
            {"user_data": user_data(AGENT), NETWORK_DATA: LINKS},
            Plan(files=(AGENT, File(NETWORK_DATA, LINKS, 0o600)), nic=Nic("fa:16:3e:00:00:01", 1500)),
            id="the network's document is kept for boots without the drive",
        ),
    ],
)
def test_plan(documents: dict[str, bytes], expected: Plan) -> None:
    assert plan(documents) == expected


def test_a_boot_without_the_drive_makes_the_same_network(tmp_path: Path) -> None:
    first = plan({NETWORK_DATA: LINKS})
    ensure_files(first.files, tmp_path)
    assert plan({NETWORK_DATA: (tmp_path / NETWORK_DATA).read_bytes()}).nic == first.nic != FIRST_NIC


@pytest.mark.parametrize(
    ("documents", "error"),
    [
        pytest.param({"user_data": b'#cloud-config\n{"write_files": 7}'}, BadUserData, id="user_data"),
        pytest.param({"user_data": user_data(File("../shadow", b"x", 0o600))}, BadUserData, id="outside /etc/hydria"),
        pytest.param({"meta_data.json": b"hostname: x"}, BadMetaData, id="meta_data is no JSON"),
        pytest.param({"meta_data.json": b'{"hostname": "a b"}'}, BadMetaData, id="hostname"),
        pytest.param({"user_data": user_data(AGENT), NETWORK_DATA: b"[]"}, BadNetworkData, id="network_data"),
    ],
)
def test_bad_documents(documents: dict[str, bytes], error: type[Exception]) -> None:
    with pytest.raises(error):
        plan(documents)


def test_bad_data_writes_nothing_and_says_so_without_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive, target, kmsg = tmp_path / "drive", tmp_path / "etc", tmp_path / "kmsg"
    (drive / "openstack/latest").mkdir(parents=True)
    bad = user_data(File("server.pem", SECRET.encode(), 0o600), File("x", b"y", 0o600)).replace(b"0600", b"rw--")
    (drive / "openstack/latest/user_data").write_bytes(bad)
    wanted = config_drive.read(drive / "openstack/latest")
    monkeypatch.setattr(config_drive, "KMSG", kmsg)
    monkeypatch.setattr(config_drive, "run", lambda: ensure_files(plan(wanted).files, target))
    assert config_drive.main() == 1
    assert not target.exists()
    assert "permissions of /etc/hydria/server.pem" in kmsg.read_text()
    assert SECRET not in kmsg.read_text()


def test_documents_that_are_not_there_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "user_data").write_bytes(b"x")
    assert config_drive.read(tmp_path) == {"user_data": b"x"}


def test_files_have_their_modes_and_are_left_when_they_are_so_already(tmp_path: Path) -> None:
    files = (AGENT, File("keys/server.pem", b"key", 0o640))
    assert ensure_files(files, tmp_path) == ["agent.json", "keys/server.pem"]
    before = {path: path.stat().st_ino for path in tmp_path.rglob("*")}
    assert ensure_files(files, tmp_path) == []
    assert {path: path.stat().st_ino for path in tmp_path.rglob("*")} == before
    assert {path.name: path.stat().st_mode & 0o777 for path in before if path.is_file()} == {
        "agent.json": 0o600,
        "server.pem": 0o640,
    }


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(File("agent.json", b"{ }", 0o600), id="content"),
        pytest.param(File("agent.json", b"{}", 0o400), id="mode"),
    ],
)
def test_a_changed_file_is_replaced(tmp_path: Path, changed: File) -> None:
    ensure_files([AGENT], tmp_path)
    assert ensure_files([changed], tmp_path) == ["agent.json"]
    path = tmp_path / "agent.json"
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (changed.content, changed.mode)


def test_when_one_file_cannot_be_written_none_is(tmp_path: Path) -> None:
    ensure_files([AGENT], tmp_path)
    (tmp_path / "keys").write_text("a file where a directory should be")
    with pytest.raises(OSError, match="keys"):
        ensure_files([File("agent.json", b"new", 0o600), File("keys/server.pem", b"key", 0o600)], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["agent.json", "keys"]
    assert (tmp_path / "agent.json").read_bytes() == b"{}"


def test_what_an_interrupted_boot_left_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".agent.json.new").write_text("half")
    assert ensure_files([AGENT], tmp_path) == ["agent.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["agent.json"]
