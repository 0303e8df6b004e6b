"""The root file system and privileges of a `namespace` server, as arguments of bubblewrap. Only looks at the host."""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import hydria
from hydria.base.cloud_config import DIRECTORY as CONFIGURATION

CAPABILITIES = (
    "CAP_NET_ADMIN",  # addresses, routes, nftables
    "CAP_NET_RAW",  # gratuitous ARP, PING monitors, VRRP
    "CAP_NET_BIND_SERVICE",  # listeners below 1024
    "CAP_SYS_ADMIN",  # the nested network namespace: unshare, setns, its bind mount
    "CAP_SYS_CHROOT",  # setns into a mount namespace, as `ip netns exec` does; HAProxy's chroot
    "CAP_SETUID",  # HAProxy and keepalived give up root
    "CAP_SETGID",
    "CAP_KILL",  # signals to processes that did
    "CAP_CHOWN",  # sockets and certificates that they may read
    "CAP_FOWNER",
    "CAP_DAC_OVERRIDE",
)
"""All others are dropped. No user namespace: bubblewrap maps one single uid, and then nothing could give up root."""

ETC = (
    *("alternatives", "gai.conf", "group", "host.conf", "iproute2", "ld.so.cache", "localtime", "nsswitch.conf"),
    *("passwd", "protocols", "services", "ssl/certs", "ssl/openssl.cnf", "haproxy/errors"),
)
"""What programs need of /etc and anybody may read. Not `shadow`, not `ssl/private`."""

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/run",
    "LANG": "C.UTF-8",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}

TMPFS_BYTES = 64 * 1024 * 1024

SUPERVISOR = r"""
echo ready >&0
IFS= read -r _ || exit 125
exec </dev/null
trap 'exit 0' TERM
delay=0
while :; do
    read -r began _ </proc/uptime
    "$@" & wait $!
    status=$?
    read -r ended _ </proc/uptime
    if [ $((${ended%.*} - ${began%.*})) -ge 30 ]; then delay=0; fi
    echo "$1 ended with status $status, starts again in $delay s"
    sleep $delay & wait $!
    delay=$((delay < 8 ? delay * 2 + 1 : 15))
done
"""
"""Process 1. Its standard input is a socket to whoever makes this server: it says that the sandbox stands, then a line
lets the program start; the socket's end without one means that they are gone, and so this goes too. As process 1 it
also reaps what is orphaned."""


@dataclass(frozen=True)
class Files:
    """Where a server's own files lie on the host."""

    root: Path

    @property
    def configuration(self) -> Path:
        return self.root / "etc"

    @property
    def var(self) -> Path:
        return self.root / "var"

    @property
    def hosts(self) -> Path:
        return self.root / "hosts"

    @property
    def console(self) -> Path:
        return self.root / "console.log"


def arguments(files: Files, hostname: str, program: Sequence[str], *, info_fd: int) -> list[str]:
    """The whole command line. Nothing secret is in it."""
    return [
        "bwrap",
        *("--unshare-net", "--unshare-pid", "--unshare-uts", "--unshare-ipc"),
        *("--new-session", "--as-pid-1", "--hostname", hostname, "--chdir", "/"),
        *("--cap-drop", "ALL", *(word for name in CAPABILITIES for word in ("--cap-add", name))),
        *("--clearenv", *(word for name, value in ENVIRONMENT.items() for word in ("--setenv", name, value))),
        *("--perms", "0755", "--tmpfs", "/", *_system(), *_etc()),
        *("--ro-bind", str(files.hosts), "/etc/hosts", "--bind", str(files.configuration), CONFIGURATION),
        *("--bind", str(files.var), "/var", "--dir", "/sys", "--proc", "/proc", "--dev", "/dev", *_sysctl()),
        *("--size", str(TMPFS_BYTES), "--tmpfs", "/run"),
        *("--size", str(TMPFS_BYTES), "--perms", "1777", "--tmpfs", "/tmp"),  # noqa: S108 - the guest's own
        *_python(),  # last: an installation below /tmp or /var must not be hidden by the guest's own
        *("--remount-ro", "/", "--info-fd", str(info_fd)),
        *("--", "/bin/sh", "-c", SUPERVISOR, "supervisor", *program),
    ]


def _system() -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr")
    for directory in ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"):
        path = Path(directory)
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), directory)
        elif path.exists():
            yield from ("--ro-bind", directory, directory)


def _etc() -> Iterator[str]:
    for name in ETC:
        yield from ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")


def _sysctl() -> Iterator[str]:
    """Of /proc/sys only the network's part is per namespace; the rest would be the host's own settings."""
    yield from ("--ro-bind", "/proc/sys", "/proc/sys", "--bind", "/proc/sys/net", "/proc/sys/net")


def _python() -> Iterator[str]:
    """The interpreter that we run with, at its own paths, and the package: an agent is this installation's."""
    package = str(Path(hydria.__file__).parent)
    bound = ["/usr"]
    for path in (sys.base_prefix, os.path.realpath(sys.base_prefix), sys.prefix, package):
        if not any(Path(path).is_relative_to(parent) for parent in bound):
            bound.append(path)
            yield from ("--ro-bind", path, path)
