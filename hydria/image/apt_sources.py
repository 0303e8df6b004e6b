"""Whence a build takes Debian: from where this machine has it, or from DIB's own variables. No mirror is named here."""

from collections.abc import Mapping

from hydria.base import process
from hydria.base.errors import Terminal

FORMAT = "$(ORIGIN)\t$(CODENAME)\t$(RELEASE)\t$(REPO_URI)\t$(COMPONENT)"
"""Of apt-get indextargets."""
MIRROR = "DIB_DISTRIBUTION_MIRROR"
DEBIAN_MIRROR = "DIB_DEBIAN_DISTRIBUTION_MIRROR"
SECURITY_MIRROR = "DIB_DEBIAN_SECURITY_MIRROR"
COMPONENT = "main"


class NoMirror(Terminal):
    """Nobody says whence Debian is to be had."""


def read(release: str, environment: Mapping[str, str]) -> str:
    """In the form of sources.list. Raises NoMirror."""
    targets = process.run(["apt-get", "indextargets", "--format", FORMAT, "Created-By: Packages"], check=False)
    return choose(release, environment, targets.stdout)


def choose(release: str, environment: Mapping[str, str], targets: str) -> str:
    """`targets`: what apt-get indextargets prints in FORMAT."""
    if mirror := environment.get(DEBIAN_MIRROR) or environment.get(MIRROR):
        lines = [_line(mirror, release), _line(mirror, f"{release}-updates")]
        if security := environment.get(SECURITY_MIRROR):
            lines.append(_line(security, f"{release}-security"))
        return "".join(lines)
    return "".join(_lines_of_machine(release, targets))


def _lines_of_machine(release: str, targets: str) -> list[str]:
    suites = (release, f"{release}-updates", f"{release}-security")
    known: dict[str, str] = {}
    main = ""
    for line in targets.splitlines():
        origin, codename, suite, uri, component = line.split("\t")
        # Before the first `apt-get update` apt leaves what it doesn't know yet as it stands in the format.
        name = suite if codename.startswith("$") else codename
        if component != COMPONENT or origin not in ("Debian", "$(ORIGIN)"):
            continue
        if name in suites:
            known.setdefault(name, uri)
        elif "-" not in name and origin == "Debian":
            main = main or uri
    if release not in known and main:
        # A machine with another release of Debian: the archive is the same.
        known = {release: main, f"{release}-updates": main}
    if release not in known:
        raise NoMirror(
            f"Looking for a mirror of Debian {release}: this machine's apt has none; set {DEBIAN_MIRROR} and "
            f"{SECURITY_MIRROR} to the addresses of one."
        )
    return [_line(known[suite], suite) for suite in suites if suite in known]


def _line(uri: str, suite: str) -> str:
    return f"deb {uri} {suite} {COMPONENT}\n"
