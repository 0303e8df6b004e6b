"""What of a tree is taken out, and what an image is told about."""

import os
from pathlib import Path

import pytest

from hydria.base import process
from hydria.image import initramfs, kernel, tree
from hydria.image.kernel import NotBootable

EPOCH = 1_700_000_000


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """As diskimage-builder leaves it, as far as it is to be cleaned."""
    top = tmp_path / "tree"
    files = {
        "etc/apt/sources.list": "deb http://mirror.example/debian bookworm main\n",
        "etc/apt/apt.conf.d/99mmdebstrap": "",
        "etc/dib-manifests/dib_environment": "DIB_IMAGE_CACHE=/home/somebody",
        "etc/hostname": "buildmachine\n",
        "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
        "etc/resolv.conf": "nameserver 192.0.2.1\n",
        "etc/ssh/ssh_host_ed25519_key": "secret",
        "etc/ssh/sshd_config": "",
        "usr/local/bin/package-installs-v2": "",
        "usr/local/sbin/haproxy": "",
        "var/lib/apt/lists/mirror.example_Packages": "",
        "var/log/apt/term.log": "",
        "boot/System.map-6.1.0-1-amd64": "",
        "boot/vmlinuz-6.1.0-1-amd64": "",
    }
    for name, content in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(content)
    (top / "vmlinuz").symlink_to("boot/vmlinuz-6.1.0-1-amd64")
    (top / "tmp").mkdir()
    (top / "tmp" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").touch()
    return top


def files_of(top: Path) -> dict[str, str]:
    return {str(path.relative_to(top)): path.read_text() for path in top.rglob("*") if path.is_file()}


def test_nothing_of_the_build_machine_is_left(made: Path, tmp_path: Path) -> None:
    tree.clean(made)
    once = files_of(made)
    assert once == {
        "etc/apt/apt.conf.d/99mmdebstrap": "",
        "etc/hostname": "amphora\n",
        "etc/machine-id": "",
        "etc/ssh/sshd_config": "",
        "usr/local/sbin/haproxy": "",
        "boot/vmlinuz-6.1.0-1-amd64": "",
    }
    assert (made / "var" / "lib" / "apt" / "lists").is_dir()
    assert (tmp_path / "elsewhere" / "kept").exists()
    tree.clean(made)
    assert files_of(made) == once


def test_no_file_is_younger_than_the_source(made: Path) -> None:
    old = made / "etc" / "ssh" / "sshd_config"
    os.utime(old, (EPOCH - 5, EPOCH - 5))
    tree.set_times(made, EPOCH)
    assert old.stat().st_mtime == EPOCH - 5
    others = {path.lstat().st_mtime for path in made.rglob("*") if path != old}
    assert others == {EPOCH}


@pytest.mark.parametrize("releases", [(), ("6.1.0-1-amd64", "6.1.0-2-amd64")], ids=["none", "two"])
def test_one_kernel_is_expected(tmp_path: Path, releases: tuple[str, ...]) -> None:
    (tmp_path / "lib" / "modules").mkdir(parents=True)
    for release in releases:
        (tmp_path / "lib" / "modules" / release).mkdir()
    with pytest.raises(NotBootable, match="one was expected"):
        kernel.release(tmp_path)


@pytest.mark.parametrize(
    ("payload", "words"),
    [(b"\x28\xb5\x2f\xfd rest", "not compressed by XZ"), (b"", "not compressed by XZ")],
    ids=["zstd", "nothing"],
)
def test_a_kernel_that_cannot_be_unpacked(payload: bytes, words: str) -> None:
    header = bytearray(1024)
    header[0x1F1] = 1
    header[0x24C:0x250] = len(payload).to_bytes(4, "little")
    with pytest.raises(NotBootable, match=words):
        kernel.vmlinux(bytes(header) + payload)


def test_the_initramfs_looks_for_the_root_that_the_packer_makes() -> None:
    assert "LABEL=amphora-root" in initramfs.INIT
    assert not set(initramfs.FIRST_MODULES) & set(initramfs.OTHER_MODULES)


def test_init_is_sound_shell(tmp_path: Path) -> None:
    script = tmp_path / "init"
    script.write_text(initramfs.INIT)
    process.run(["busybox", "sh", "-n", str(script)])
