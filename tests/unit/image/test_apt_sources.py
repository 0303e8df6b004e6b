"""Whence a build takes Debian."""

import pytest

from hydria.image.apt_sources import NoMirror, choose

DEBIAN = "http://mirror.example/debian/"
SECURITY = "http://mirror.example/debian-security/"


def row(codename: str, uri: str = DEBIAN, *, origin: str = "Debian", suite: str = "", component: str = "main") -> str:
    return "\t".join((origin, codename, suite or codename, uri, component))


BOOKWORM = [row("bookworm"), row("bookworm-updates"), row("bookworm-security", SECURITY)]
OTHERS = [
    row("bookworm-backports", "http://backports.example/debian/"),
    row("bookworm", component="contrib"),
    row("nodistro", "https://other.example/", origin="Other"),
    row("$(CODENAME)", "https://unknown.example/", origin="$(ORIGIN)", suite="cloud"),
]
WANTED = f"deb {DEBIAN} bookworm main\ndeb {DEBIAN} bookworm-updates main\ndeb {SECURITY} bookworm-security main\n"


@pytest.mark.parametrize(
    ("targets", "wanted"),
    [
        pytest.param(BOOKWORM, WANTED, id="bookworm"),
        pytest.param([*OTHERS, *BOOKWORM[::-1]], WANTED, id="bookworm among others, in another order"),
        pytest.param(
            [row("$(CODENAME)", origin="$(ORIGIN)", suite="bookworm")],
            f"deb {DEBIAN} bookworm main\n",
            id="before apt-get update",
        ),
        pytest.param(
            [row("trixie"), row("trixie-security", SECURITY)],
            f"deb {DEBIAN} bookworm main\ndeb {DEBIAN} bookworm-updates main\n",
            id="on the next release the archive is the same",
        ),
    ],
)
def test_sources_of_the_machine(targets: list[str], wanted: str) -> None:
    assert choose("bookworm", {}, "\n".join(targets)) == wanted


def test_dib_variables_come_first() -> None:
    environment = {"DIB_DISTRIBUTION_MIRROR": "http://own.example/debian", "DIB_DEBIAN_SECURITY_MIRROR": SECURITY}
    assert choose("bookworm", environment, "\n".join(BOOKWORM)) == (
        "deb http://own.example/debian bookworm main\n"
        "deb http://own.example/debian bookworm-updates main\n"
        f"deb {SECURITY} bookworm-security main\n"
    )


@pytest.mark.parametrize("targets", ["", "\n".join(OTHERS)], ids=["no apt", "another distribution"])
def test_no_mirror_is_said_with_the_way_out(targets: str) -> None:
    with pytest.raises(NoMirror, match="DIB_DEBIAN_DISTRIBUTION_MIRROR"):
        choose("bookworm", {}, targets)
