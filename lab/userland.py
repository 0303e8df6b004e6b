"""The guest's Debian: its packages without an init system, and the kernel package that goes with them."""

import shutil
from pathlib import Path

from hydria.base import process
from lab import layer

SUITE = "bookworm"
PACKAGES = (
    *("python3", "ca-certificates", "openssl", "procps", "util-linux", "mount"),
    *("busybox-static", "udev", "kmod", "cpio"),
    # What Hydria runs.
    *("bubblewrap", "haproxy", "keepalived", "nftables", "iproute2", "ethtool", "pciutils", "qemu-system-x86"),
    # What tests and people look and knock with.
    *("iputils-ping", "iputils-arping", "curl", "socat", "netcat-openbsd", "apache2-utils", "conntrack", "tcpdump"),
)
KERNEL = "linux-image-amd64"
UNREAD = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")

# Inside the new system, as its apt knows its own mirror and suite whatever the machine's own are. Not installed: that
# would bring an initramfs generator and a boot loader's hooks.
FETCH_KERNEL = (
    'chroot "$1" sh -ec \'mkdir /kernel; cd /kernel; '
    f"apt-get -qq -o APT::Sandbox::User=root download $(apt-cache depends {KERNEL} | "
    'sed -n "s/^ *Depends: \\(linux-image-.*\\)/\\1/p" | head -1)\''
)


def build() -> Path:
    """A directory with `userland.erofs`, `kernel.deb` and `busybox`."""
    return layer.cached("userland", f"{SUITE} {PACKAGES} {KERNEL} {UNREAD} {FETCH_KERNEL}", _make)


def _make(directory: Path) -> None:
    root = directory / "root"
    process.run(
        [
            *("mmdebstrap", "--quiet", "--mode=root", "--variant=apt", "--aptopt=Acquire::Languages none"),
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in UNREAD),
            f"--include={','.join(PACKAGES)}",
            f"--customize-hook={FETCH_KERNEL}",
            *(SUITE, str(root)),
        ],
        timeout=600,
    )
    (package,) = (root / "kernel").iterdir()
    package.rename(directory / "kernel.deb")
    (root / "kernel").rmdir()
    shutil.copy(root / "bin" / "busybox", directory / "busybox")
    layer.pack(root, directory / "userland.erofs")
    process.run(["rm", "-rf", "--one-file-system", str(root)])
