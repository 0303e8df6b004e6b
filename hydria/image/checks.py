"""What must hold in an amphora image: that it can do its work, and that nobody's secrets are in it.

Each check is a function of the image's files and of what it tells of itself; its answer is empty, or what is wrong.
Knows no format of images.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import Struct

from hydria.image.boot_line import ROOT_LABEL
from hydria.image.facts import Facts
from hydria.image.filesystem import Entry, FileSystem, Kind

AGENT = "/opt/hydria/lib/hydria/agent/__main__.py"
UNITS = ("hydria-agent.service",)
DRIVERS = ("iavf", "igbvf", "igb", "e1000e", "bnxt_en", "mlx5_core")
"""Of VFs and NICs that an amphora may be given. Debian's cloud kernel lacks all but the last."""
_NFT = "/usr/sbin/nft"
_SSHD = "/usr/sbin/sshd"
_MODULES = "/usr/lib/modules/"
_SYSTEMD = "/etc/systemd/system"

_SMALL = 65_536
"""Bytes: no key or password file is larger, and most of an image is."""
_OWN = ("/etc/", "/root/", "/home/", "/opt/", "/srv/", "/var/", "/usr/local/", "/tmp/")  # noqa: S108 - of the image
"""Where files of a build or of an operator are, and not only those of packages."""
_KEY_SUFFIXES = (".key", ".pem", ".p12", ".pfx")
_PRIVATE_KEY = re.compile(rb"^-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----", re.MULTILINE)
_HOST_KEY = re.compile(r"^/etc/ssh/ssh_host_.*_key(\.pub)?$")
_HISTORY = re.compile(r"^(/root|/home/[^/]+|/var/lib/[^/]+|)/\.(\w*_history|lesshst|viminfo|\w*_hist)$")
_APT = re.compile(r"^(/etc/apt/.*|/etc/pip\.conf|/root/\.netrc|/root/\.(config/)?pip/pip\.conf)$")
_APT_PASSWORDS = re.compile(r"^(/etc/apt/auth\.conf(\.d/.+)?|.*/\.netrc)$")
_USER_INFO = re.compile(rb"://[^\s/@\"]+:[^\s/@\"]+@")
_SEEDS = ("/var/lib/systemd/random-seed", "/var/lib/systemd/credential.secret", "/var/lib/urandom/random-seed")
_LOCKED = re.compile(r"[*!]+")
_IN_SHADOW = "x"
_MACHINE_IDS = ("/etc/machine-id", "/var/lib/dbus/machine-id")


class Check(Struct, kw_only=True, frozen=True):
    name: str
    wrong: tuple[str, ...] = ()
    """What was found, one finding each, without any secret itself."""

    @property
    def passed(self) -> bool:
        return not self.wrong


Finder = Callable[[FileSystem, Facts], Iterable[str]]


def check(files: FileSystem, facts: Facts, *, has_label: bool) -> tuple[Check, ...]:
    """All of them, in this order. `has_label`: it is a file system and not only a tar of its files."""
    finders: dict[str, Finder] = {"root file system": _label} if has_label else {}
    finders |= {
        "agent": _agent,
        "nftables": _nftables,
        "NIC drivers": _drivers,
        "sshd": _sshd,
        "SSH host keys": _host_keys,
        "authorized keys": _authorized_keys,
        "private keys": _private_keys,
        "passwords": _passwords,
        "machine-id": _machine_id,
        "random seeds": _seeds,
        "package source credentials": _credentials,
        "shell histories": _histories,
    }
    return tuple(Check(name=name, wrong=tuple(finder(files, facts))) for name, finder in finders.items())


def kernels(files: FileSystem) -> tuple[str, ...]:
    """Releases of those whose modules are there."""
    return tuple(
        path.removeprefix(_MODULES)
        for path, entry in files.entries.items()
        if path.startswith(_MODULES) and path.count("/") == _MODULES.count("/") and entry.kind is Kind.DIRECTORY
    )


def enabled_units(files: FileSystem) -> tuple[str, ...]:
    """That something of this system wants, and that are not masked."""
    wanted = {
        path.rpartition("/")[2]
        for path, entry in files.entries.items()
        if re.match(rf"{_SYSTEMD}/[^/]+\.(wants|requires)/[^/]+$", path) and entry.kind is Kind.LINK
    }
    masks = files.targets(f"{_SYSTEMD}/{unit}" for unit in wanted)
    return tuple(sorted(unit for unit in wanted if masks.get(f"{_SYSTEMD}/{unit}") != "/dev/null"))


def _label(files: FileSystem, _facts: Facts) -> Iterator[str]:
    if files.label != ROOT_LABEL:
        yield f"its label is {files.label or 'none'}, not {ROOT_LABEL}: the kernel does not find it"


def _agent(files: FileSystem, _facts: Facts) -> Iterator[str]:
    if AGENT not in files.entries:
        yield f"{AGENT} is missing"
    enabled = enabled_units(files)
    yield from (f"{unit} is not enabled" for unit in UNITS if unit not in enabled)


def _nftables(files: FileSystem, facts: Facts) -> Iterator[str]:
    if facts.nftables and _NFT not in files.entries:
        yield f"{_NFT} is missing, though the image says that it has it"
    if not facts.nftables and _NFT in files.entries:
        yield f"{_NFT} is there, though the image says that it has none"


def _drivers(files: FileSystem, facts: Facts) -> Iterator[str]:
    releases = kernels(files)
    if facts.kernel and facts.kernel not in releases:
        yield f"modules of kernel {facts.kernel} are missing"
    for release in releases:
        its = [path for path in files.entries if path.startswith(f"{_MODULES}{release}/") and ".ko" in path]
        there = {path.rpartition("/")[2].partition(".ko")[0].replace("-", "_") for path in its}
        if missing := [driver for driver in DRIVERS if driver not in there]:
            yield f"kernel {release} has no {', '.join(missing)}: VFs of such NICs cannot be used"
    if not releases:
        yield f"there is no kernel below {_MODULES}"


def _sshd(files: FileSystem, facts: Facts) -> Iterator[str]:
    if (_SSHD in files.entries) != facts.sshd:
        yield f"{_SSHD} is {'missing' if facts.sshd else 'there'}, though the image says otherwise"


def _host_keys(files: FileSystem, _facts: Facts) -> Iterator[str]:
    yield from (path for path in files.entries if _HOST_KEY.match(path))


def _authorized_keys(files: FileSystem, _facts: Facts) -> Iterator[str]:
    yield from (path for path, entry in files.entries.items() if path.endswith("/authorized_keys") and entry.size)


def _private_keys(files: FileSystem, _facts: Facts) -> Iterator[str]:
    small = [path for path, entry in files.entries.items() if _may_hold_a_key(entry)]
    yield from (path for path, content in files.read(small).items() if _PRIVATE_KEY.search(content))


def _may_hold_a_key(entry: Entry) -> bool:
    where = entry.path.startswith(_OWN) or entry.path.endswith(_KEY_SUFFIXES)
    return where and entry.kind is Kind.FILE and 0 < entry.size <= _SMALL


def _passwords(files: FileSystem, _facts: Facts) -> Iterator[str]:
    for path, content in files.read(["/etc/shadow", "/etc/shadow-", "/etc/passwd"]).items():
        for line in content.decode(errors="replace").splitlines():
            name, field, *_ = [*line.split(":"), "", ""]
            if path == "/etc/passwd" and field == _IN_SHADOW:
                continue
            if name and not _LOCKED.fullmatch(field):
                yield f"{name} in {path} has {'a' if field else 'an empty'} password"


def _machine_id(files: FileSystem, _facts: Facts) -> Iterator[str]:
    for path, content in files.read(_MACHINE_IDS).items():
        if content.strip() not in (b"", b"uninitialized"):
            yield f"{path} is not empty: all amphorae would be the same machine"


def _seeds(files: FileSystem, _facts: Facts) -> Iterator[str]:
    yield from (path for path in _SEEDS if path in files.entries)


def _credentials(files: FileSystem, _facts: Facts) -> Iterator[str]:
    paths: Sequence[str] = [path for path, entry in files.entries.items() if _APT.match(path) and entry.size <= _SMALL]
    for path, content in files.read(paths).items():
        if (_APT_PASSWORDS.match(path) and content.strip()) or _USER_INFO.search(content):
            yield path


def _histories(files: FileSystem, _facts: Facts) -> Iterator[str]:
    yield from (path for path, entry in files.entries.items() if _HISTORY.match(path) and entry.size)
