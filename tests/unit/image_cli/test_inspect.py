"""Images as the build packs them, sound and with one fault each, read by the real qemu-img and debugfs."""

import tarfile
import tempfile
from pathlib import Path

import msgspec
import pytest
import small_image
from small_image import FACTS, Files, write_image, write_raw, write_tree

from hydria.base import process
from hydria.base.errors import Invalid, Terminal
from hydria.image import checks, disk, facts
from hydria.image.filesystem import Kind
from hydria.image.inspect import inspect

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn\n"
WITHOUT_NFTABLES = msgspec.json.encode(msgspec.structs.replace(FACTS, nftables=False)).decode()
WITH_SSHD = msgspec.json.encode(msgspec.structs.replace(FACTS, sshd=True)).decode()
MODULES = f"/usr/lib/modules/{FACTS.kernel}/kernel/drivers/net"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where images are unpacked: it must be empty again."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


@pytest.mark.parametrize("format_", ["qcow2", "raw", "vpc"])
def test_a_sound_image(tmp_path: Path, temporary: Path, format_: str):
    image = write_image(tmp_path, format_=format_)
    before = image.read_bytes()
    found = inspect(image)
    assert [check for check in found.checks if not check.passed] == []
    assert found.passed
    assert (found.facts, found.label, found.kernels) == (FACTS, "amphora-root", (FACTS.kernel,))
    assert (found.disk.format, found.disk.file_size) == (format_, len(before))
    assert found.disk.virtual_size >= small_image.START + small_image.SIZE
    assert found.disk.partitions == (
        disk.Partition(start=small_image.START, size=small_image.SIZE, type=0x83, bootable=True),
    )
    assert (found.debian_packages, found.python_packages) == (2, 1)
    assert found.units == checks.UNITS
    files = {entry.path: entry for entry in found.files}
    assert files["/etc/shadow"].size == len(small_image.SHADOW)
    assert files["/etc"].kind is Kind.DIRECTORY
    assert files["/etc/systemd/system/multi-user.target.wants/hydria-agent.service"].kind is Kind.LINK
    assert image.read_bytes() == before
    assert list(temporary.iterdir()) == []


def test_a_tar_of_the_same_files(tmp_path: Path):
    root = write_tree(tmp_path / "root")
    with tarfile.open(tmp_path / "amphora.tar", "w") as tar:
        tar.add(root, arcname=".")
    found = inspect(tmp_path / "amphora.tar")
    assert [check for check in found.checks if not check.passed] == []
    assert (found.disk.format, found.disk.partitions, found.label) == ("tar", (), "")
    assert found.units == checks.UNITS


@pytest.mark.parametrize(
    ("changes", "name", "wrong"),
    [
        pytest.param({"/usr/sbin/nft": None}, "nftables", "/usr/sbin/nft is missing", id="nft missing"),
        pytest.param({facts.PATH: WITHOUT_NFTABLES}, "nftables", "/usr/sbin/nft is there", id="nft unannounced"),
        pytest.param({"/usr/sbin/sshd": "x"}, "sshd", "/usr/sbin/sshd is there", id="sshd unannounced"),
        pytest.param({facts.PATH: WITH_SSHD}, "sshd", "/usr/sbin/sshd is missing", id="sshd missing"),
        pytest.param({f"{MODULES}/iavf.ko": None}, "NIC drivers", "has no iavf", id="driver missing"),
        pytest.param(
            {facts.PATH: '{"version": "1", "kernel": "9.9"}'}, "NIC drivers", "modules of kernel 9.9", id="other kernel"
        ),
        pytest.param({"/opt/hydria/lib/hydria/agent/__main__.py": None}, "agent", "__main__.py is missing", id="agent"),
        pytest.param({"/etc/ssh/ssh_host_rsa_key": "x"}, "SSH host keys", "ssh_host_rsa_key", id="host key"),
        pytest.param({"/root/.ssh/authorized_keys": "x"}, "authorized keys", "/root/.ssh", id="authorized key"),
        pytest.param({"/root/.ssh/id_ed25519": KEY}, "private keys", "/root/.ssh/id_ed25519", id="private key"),
        pytest.param({"/usr/share/x.key": f"text\n{KEY}"}, "private keys", "/usr/share/x.key", id="key elsewhere"),
        pytest.param({"/etc/shadow": "root:$6$x$y:1::::::\n"}, "passwords", "root in /etc/shadow has a", id="password"),
        pytest.param({"/etc/shadow": "root:!$6$x$y:1::::::\n"}, "passwords", "has a password", id="locked password"),
        pytest.param({"/etc/shadow": "root::1::::::\n"}, "passwords", "an empty password", id="empty password"),
        pytest.param({"/etc/shadow-": "root:$6$x$y:1::::::\n"}, "passwords", "/etc/shadow-", id="old password"),
        pytest.param({"/etc/machine-id": "0123456789abcdef"}, "machine-id", "not empty", id="machine-id"),
        pytest.param({"/var/lib/systemd/random-seed": "x"}, "random seeds", "random-seed", id="seed"),
        pytest.param(
            {"/etc/apt/sources.list": "deb http://me:secret@host/debian x main\n"},
            "package source credentials", "/etc/apt/sources.list", id="password of a mirror",
        ),
        pytest.param(
            {"/etc/apt/auth.conf.d/x": "machine host login me password secret"},
            "package source credentials", "/etc/apt/auth.conf.d/x", id="auth.conf",
        ),
        pytest.param({"/root/.bash_history": "ls\n"}, "shell histories", "/root/.bash_history", id="history"),
    ],
)  # fmt: skip
def test_one_fault_fails_one_check(tmp_path: Path, changes: Files, name: str, wrong: str):
    found = inspect(write_image(tmp_path, changes, format_="raw"))
    (failed,) = (check for check in found.checks if not check.passed)
    assert failed.name == name
    assert wrong in failed.wrong[0]
    assert "secret" not in failed.wrong[0]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"/etc/machine-id": "uninitialized\n"}, id="uninitialized machine-id"),
        pytest.param({"/etc/machine-id": None}, id="no machine-id"),
        pytest.param({"/root/.bash_history": ""}, id="empty history"),
        pytest.param({"/opt/x.py": f'BEGIN = "{KEY}"'}, id="text of a program that speaks of keys"),
        pytest.param({"/usr/sbin/nft": None, facts.PATH: WITHOUT_NFTABLES}, id="without nftables, and says so"),
        pytest.param({"/etc/apt/sources.list": "deb http://host:3142/debian x main # a@b\n"}, id="port of a mirror"),
    ],
)
def test_what_is_no_fault(tmp_path: Path, changes: Files):
    assert inspect(write_image(tmp_path, changes, format_="raw")).passed


def test_a_masked_unit_is_not_enabled(tmp_path: Path):
    root = write_tree(tmp_path / "root")
    (root / "etc/systemd/system/hydria-agent.service").symlink_to("/dev/null")
    found = inspect(write_raw(root, tmp_path / "amphora.raw"))
    assert found.units == ()
    assert [check.name for check in found.checks if not check.passed] == ["agent"]


def test_a_label_that_the_kernel_does_not_look_for(tmp_path: Path):
    found = inspect(write_image(tmp_path, format_="raw", label="other"))
    assert [check.name for check in found.checks if not check.passed] == ["root file system"]


def _garbage(path: Path) -> None:
    path.write_bytes(b"no image at all\n" * 100)


def _empty(path: Path) -> None:
    path.touch()


def _cut(path: Path) -> None:
    write_image(path.parent, format_="qcow2").replace(path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 3)


def _cut_raw(path: Path) -> None:
    write_image(path.parent, format_="raw").replace(path)
    with path.open("r+b") as file:
        file.truncate(small_image.START + small_image.SIZE // 2)


def _no_file_system(path: Path) -> None:
    write_image(path.parent, format_="raw").replace(path)
    with path.open("r+b") as file:
        file.seek(small_image.START)
        file.write(bytes(64 * 1024))


def _not_an_amphora(path: Path) -> None:
    write_image(path.parent, {facts.PATH: None}, format_="raw").replace(path)


def _facts_of_another_kind(path: Path) -> None:
    write_image(path.parent, {facts.PATH: '{"version": 3}'}, format_="raw").replace(path)


def _with_backing_file(path: Path) -> None:
    base = write_image(path.parent, format_="raw")
    process.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", "raw", str(path)])


def _of_another_format(path: Path) -> None:
    process.run(["qemu-img", "create", "-q", "-f", "vmdk", str(path), "1M"])


def _cut_tar(path: Path) -> None:
    root = write_tree(path.parent / "tar")
    with tarfile.open(path, "w:gz") as tar:
        tar.add(root, arcname=".")
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        pytest.param(lambda _path: None, "there is no such file", id="no file"),
        pytest.param(Path.mkdir, "there is no such file", id="directory"),
        pytest.param(_empty, "0 Linux partitions", id="empty"),
        pytest.param(_garbage, "0 Linux partitions", id="garbage"),
        pytest.param(_cut, "finds it broken", id="cut qcow2"),
        pytest.param(_cut_raw, "cut off", id="cut raw"),
        pytest.param(_no_file_system, "no ext4 file system", id="no file system"),
        pytest.param(_not_an_amphora, "is no amphora image", id="another system"),
        pytest.param(_facts_of_another_kind, "cannot be understood", id="other facts"),
        pytest.param(_with_backing_file, "in other files", id="backing file"),
        pytest.param(_of_another_format, "format vmdk", id="another format"),
        pytest.param(_cut_tar, "no whole tar", id="cut tar"),
    ],
)
def test_what_is_no_image_is_refused_by_name(tmp_path: Path, temporary: Path, make: object, text: str):
    path = tmp_path / "given.img"
    assert callable(make)
    make(path)
    with pytest.raises(Invalid) as caught:
        inspect(path)
    assert text in caught.value.message
    assert str(path) in caught.value.message
    assert list(temporary.iterdir()) == []


def test_a_missing_program_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    image = write_image(tmp_path)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(Terminal, match=r"no qemu-img, debugfs.*e2fsprogs qemu-utils"):
        inspect(image)
