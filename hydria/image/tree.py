"""Finishes the tree that diskimage-builder made: takes out what no amphora needs, and what tells of the build machine.

Gives it what is each image's own: initramfs, password, facts.
"""

import os
import shutil
from pathlib import Path

import msgspec

from hydria.base import process
from hydria.base.errors import Terminal
from hydria.image import facts, initramfs, kernel, modules
from hydria.image.boot_line import command_line
from hydria.image.facts import Facts
from hydria.image.options import Options
from hydria.image.packages import Packages

EMPTIED = ("boot/grub", "dev", "run", "tmp", "var/cache/apt", "var/lib/apt/lists", "var/log", "var/tmp")
"""Directories that stay, with nothing in them."""
REMOVED = (
    ".extra_settings",
    "etc/apt/sources.list",
    "etc/apt/sources.list.d",
    "etc/dib-manifests",
    "etc/machine-id",
    "etc/passwd-",
    "etc/group-",
    "etc/shadow-",
    "etc/gshadow-",
    "etc/resolv.conf",
    "etc/resolv.conf.ORIG",
    "initrd.img",
    "initrd.img.old",
    "root/.cache",
    "usr/lib/diskimage-builder",
    "usr/share/pkg-map",
    "var/cache/debconf/config.dat-old",
    "var/cache/debconf/templates.dat-old",
    "var/cache/ldconfig/aux-cache",
    "var/lib/dbus/machine-id",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/statoverride-old",
    "var/lib/systemd/catalog/database",
    "var/lib/systemd/random-seed",
    "vmlinuz",
    "vmlinuz.old",
)
"""mirrors, mail to the build machine, what must be each amphora's own, and what is made anew."""
MOUNTED = ("dev", "proc", "sys")
_PATTERNS = ("boot/System.map-*", "boot/config-*", "etc/ssh/ssh_host_*", "usr/local/bin/*")
"""usr/local/bin: tools of diskimage-builder, which it puts there for its own use."""


def finish(tree: Path, options: Options, *, work: Path, epoch: int) -> None:
    """Everything but the facts, which need the list of packages; see `tell`."""
    release = kernel.release(tree)
    modules.trim(tree / "usr" / "lib" / "modules" / release, tree=tree)
    clean(tree)
    if options.root_password is not None:
        _set_password(tree, options.root_password)
    vmlinuz = tree / "boot" / f"vmlinuz-{release}"
    if not vmlinuz.exists():
        raise kernel.NotBootable(
            f"Building an image: its modules are of kernel {release}, and there is no {vmlinuz.name}."
        )
    initramfs.build(tree, tree / "boot" / f"initrd.img-{release}", epoch=epoch, work=work)
    for name in ("vmlinuz", "initrd.img"):
        (tree / "boot" / name).symlink_to(f"{name}-{release}")


def clean(tree: Path) -> None:
    """May run twice."""
    for name in REMOVED:
        _remove(tree / name)
    for pattern in _PATTERNS:
        for path in tree.glob(pattern):
            _remove(path)
    for name in EMPTIED:
        directory = tree / name
        if directory.is_dir():
            for path in directory.iterdir():
                _remove(path)
    (tree / "etc" / "machine-id").touch(mode=0o444)
    hostname = tree / "etc" / "hostname"
    hostname.write_text("amphora\n")
    hostname.chmod(0o644)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _set_password(tree: Path, password: str) -> None:
    hashed = process.run(["openssl", "passwd", "-6", "-stdin"], stdin=password).stdout.strip()
    shadow = tree / "etc" / "shadow"
    lines = shadow.read_text().splitlines()
    changed = [":".join(["root", hashed, *line.split(":")[2:]]) if line.startswith("root:") else line for line in lines]
    # Written in place: its owner and mode (root:shadow, 0640) stay.
    shadow.write_text("".join(f"{line}\n" for line in changed))


def tell(tree: Path, options: Options, *, version: str, created: str, packages: Packages) -> Facts:
    """What the image is, found in it and written into it."""
    release = kernel.release(tree)
    versions = {package.name: package.version for package in packages.debian}
    told = Facts(
        version=version,
        spec_versions=_spec_versions(tree),
        nftables=options.nftables,
        pinning=options.pinning,
        sshd=options.sshd,
        distribution=_distribution(tree),
        architecture=options.architecture,
        kernel=release,
        haproxy=versions.get("haproxy", ""),
        created=created,
        command_line=command_line(pinning=options.pinning),
    )
    path = tree / facts.PATH.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(told))
    return told


def encode(told: Facts) -> bytes:
    return msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n"


def _spec_versions(tree: Path) -> tuple[int, ...]:
    """Of the agent in the tree, which need not be of our own version."""
    script = "from hydria.model.spec import VERSIONS; print(*VERSIONS)"
    said = process.run(["chroot", str(tree), "/usr/bin/python3", "-I", "-B", "-c", script]).stdout
    return tuple(int(word) for word in said.split())


def _distribution(tree: Path) -> str:
    lines = (tree / "etc" / "os-release").read_text().splitlines()
    values = {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}
    try:
        return f"{values['ID']}-{values['VERSION_ID']}"
    except KeyError as error:
        raise Terminal(f"Building an image: its os-release has no {error}.") from error


def set_times(tree: Path, epoch: int) -> None:
    """No file is younger than `epoch`. Those of packages keep their own times."""
    for path in [*tree.rglob("*"), tree]:
        # Places of mounts have the time of what was mounted there during the build.
        if path.lstat().st_mtime > epoch or path.relative_to(tree).as_posix() in MOUNTED:
            os.utime(path, (epoch, epoch), follow_symlinks=False)
