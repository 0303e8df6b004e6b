"""The packages of an image, read from dpkg's and Python's own files."""

from pathlib import Path

import msgspec
import pytest

from hydria.image import packages
from hydria.image.packages import DebianPackage, Packages, PythonPackage

STATUS = """Package: zlib1g
Status: install ok installed
Architecture: amd64
Source: zlib (1:1.2.13)
Version: 1:1.2.13.dfsg-1
Maintainer: Mark Brown <broonie@debian.org>
Description: compression library - runtime
 zlib is a library.
Homepage: http://zlib.net/

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: adduser
Status: hold ok installed
Section: admin
Architecture: all
Version: 3.134
Description: add and remove users and groups
"""
METADATA = """Metadata-Version: 2.4
Name: msgspec
Version: 0.22.0
Summary: Serialization
License-Expression: BSD-3-Clause
Author-email: Jim <jim@example.org>
Project-URL: Source, https://example.org/source
Project-URL: Homepage, https://msgspec.dev

# Text: that is no field
"""
COPYRIGHT = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Source: http://zlib.net/

Files: *
License: Zlib

Files: debian/*
License: GPL-2+
 Text that stands below it.

License: GPL-2+
"""


def tree(root: Path) -> Path:
    files = {
        "var/lib/dpkg/status": STATUS,
        "usr/share/doc/zlib1g/copyright": COPYRIGHT,
        "opt/hydria/lib/msgspec-0.22.0.dist-info/METADATA": METADATA,
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text(text)
    return root


def test_a_tree_tells_its_packages(tmp_path: Path):
    sha256 = {"adduser_3.134_all.deb": "a" * 64, "msgspec-0.22.0": "b" * 64}
    assert packages.of_tree(tree(tmp_path), sha256=sha256) == Packages(
        debian=(
            DebianPackage(
                name="adduser",
                version="3.134",
                architecture="all",
                section="admin",
                summary="add and remove users and groups",
                sha256="a" * 64,
            ),
            DebianPackage(
                name="zlib1g",
                version="1:1.2.13.dfsg-1",
                architecture="amd64",
                source="zlib",
                maintainer="Mark Brown <broonie@debian.org>",
                homepage="http://zlib.net/",
                summary="compression library - runtime",
                licenses=("GPL-2+", "Zlib"),
            ),
        ),
        python=(
            PythonPackage(
                name="msgspec",
                version="0.22.0",
                license="BSD-3-Clause",
                homepage="https://msgspec.dev",
                author="Jim <jim@example.org>",
                summary="Serialization",
                sha256="b" * 64,
            ),
        ),
    )


def test_a_link_out_of_the_tree_is_not_followed(tmp_path: Path):
    root = tree(tmp_path / "root")
    outside = tmp_path / "copyright"
    outside.write_text(COPYRIGHT.replace("Zlib", "Outside"))
    (root / "usr/share/doc/zlib1g/copyright").unlink()
    (root / "usr/share/doc/zlib1g/copyright").symlink_to(outside)
    (zlib,) = (package for package in packages.of_tree(root).debian if package.name == "zlib1g")
    assert zlib.licenses == ()


def test_the_document_is_read_as_it_was_written(tmp_path: Path):
    found = packages.of_tree(tree(tmp_path))
    assert packages.decode(packages.encode(found)) == found


def test_a_document_of_another_kind_is_refused():
    with pytest.raises(msgspec.ValidationError, match="debian"):
        packages.decode(b'{"debian": 1}')


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param(COPYRIGHT, ("GPL-2+", "Zlib"), id="machine-readable"),
        pytest.param("This package was debianized by ...\n\nLicense: GPL-2\n", (), id="prose"),
        pytest.param("", (), id="none"),
    ],
)
def test_licences_of_a_copyright_file(text: str, names: tuple[str, ...]):
    assert packages.licenses(text) == names
