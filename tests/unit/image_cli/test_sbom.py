"""The SPDX document, read and validated by SPDX's own library."""

import json
from pathlib import Path

import msgspec
import pytest
from spdx_tools.spdx.model import Document, RelationshipType
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from hydria.image import licenses, packages, sbom
from hydria.image.facts import Facts
from hydria.image.packages import DebianPackage, Packages, PythonPackage

FACTS = Facts(version="0.1.0", distribution="debian-12", kernel="6.1.0-41-amd64", created="2026-11-23T15:00:00Z")
FOUND = Packages(
    debian=(
        DebianPackage(
            name="libstdc++6",
            version="1:12.2.0-14+deb12u1",
            architecture="amd64",
            source="gcc-12",
            homepage="http://gcc.gnu.org/",
            licenses=("GPL-2+", "GPL-3"),
            sha256="a" * 64,
        ),
        DebianPackage(name="hydria-initramfs", version="1", architecture="all", homepage="no address"),
        DebianPackage(name="odd", version="1~rc1", architecture="all", licenses=("GPL-2+", "my-own-licence")),
    ),
    python=(
        PythonPackage(name="Msg_Spec", version="0.22.0", license="BSD-3-Clause", sha256="b" * 64),
        PythonPackage(name="hydria", version="0.1.0", license="Apache-2.0"),
    ),
)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    source, path = tmp_path / "amphora.packages", tmp_path / "amphora.spdx.json"
    source.write_bytes(packages.encode(FOUND))
    sbom.write(source, FACTS, path)
    return path


@pytest.fixture
def document(written: Path) -> Document:
    return parse_file(str(written))


def test_it_is_valid(document: Document):
    assert validate_full_spdx_document(document) == []


def test_it_says_what_the_image_contains(document: Document):
    by_id = {package.spdx_id: package for package in document.packages}
    related = [(one.relationship_type, by_id[str(one.related_spdx_element_id)].name) for one in document.relationships]
    contained = ["libstdc++6", "hydria-initramfs", "odd", "Msg_Spec", "hydria"]
    assert related == [
        (RelationshipType.DESCRIBES, "hydria-amphora-image"),
        *((RelationshipType.CONTAINS, name) for name in contained),
    ]
    assert {package.version for package in document.packages} >= {"0.1.0", "1:12.2.0-14+deb12u1", "0.22.0"}


def test_packages_are_found_by_their_purl(document: Document):
    locators = [package.external_references[0].locator for package in document.packages[1:]]
    assert locators == [
        "pkg:deb/debian/libstdc%2B%2B6@1%3A12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12",
        "pkg:deb/hydria/hydria-initramfs@1?arch=all",
        "pkg:deb/debian/odd@1~rc1?arch=all&distro=debian-12",
        "pkg:pypi/msg-spec@0.22.0",
        "pkg:pypi/hydria@0.1.0",
    ]


def test_licences_and_checksums_where_they_are_known(written: Path):
    told = {package["name"]: package for package in json.loads(written.read_text())["packages"]}
    assert told["libstdc++6"]["licenseDeclared"] == "GPL-2.0-or-later AND GPL-3.0-only"
    assert told["odd"]["licenseDeclared"] == "NOASSERTION"
    assert told["odd"]["licenseComments"] == "In the package's copyright file: GPL-2+; my-own-licence"
    assert told["hydria"]["licenseDeclared"] == "Apache-2.0"
    assert told["libstdc++6"]["checksums"] == [{"algorithm": "SHA256", "checksumValue": "a" * 64}]
    assert "checksums" not in told["odd"]
    assert "homepage" not in told["hydria-initramfs"]


def test_the_same_image_gives_the_same_document_and_another_one_another_name():
    first, again = sbom.document(FOUND, FACTS), sbom.document(FOUND, FACTS)
    other = sbom.document(FOUND, msgspec.structs.replace(FACTS, kernel="6.1.0-42-amd64"))
    assert sbom.encode(first) == sbom.encode(again)
    assert first["documentNamespace"] != other["documentNamespace"]


def test_no_packages_document_leaves_no_bill(tmp_path: Path):
    (tmp_path / "x.packages").write_text("{}x")
    with pytest.raises(msgspec.DecodeError):
        sbom.write(tmp_path / "x.packages", FACTS, tmp_path / "x.spdx.json")
    assert not (tmp_path / "x.spdx.json").exists()


@pytest.mark.parametrize(
    ("names", "expression"),
    [
        pytest.param(["Expat"], "MIT", id="another name"),
        pytest.param(["GPL-2", "LGPL-2.1+", "GPL-2"], "GPL-2.0-only AND LGPL-2.1-or-later", id="several"),
        pytest.param(["GPL-1+ or Artistic", "Zlib"], "(GPL-1.0-or-later OR Artistic-1.0-Perl) AND Zlib", id="choice"),
        pytest.param(["GPL-2+ or Artistic"], "GPL-2.0-or-later OR Artistic-1.0-Perl", id="choice alone"),
        pytest.param(["BSD-3-clause and ISC"], "BSD-3-Clause AND ISC", id="both"),
        pytest.param(["GFDL-NIV-1.3+"], "GFDL-1.3-no-invariants-or-later", id="documentation"),
        pytest.param(["GPL-2+ with OpenSSL exception"], None, id="exception"),
        pytest.param(["GPL-2+ or Artistic and MIT"], None, id="mixed"),
        pytest.param(["MIT", "public-domain"], None, id="one of them unknown"),
        pytest.param([], None, id="none"),
        pytest.param([""], None, id="empty"),
    ],
)
def test_licences_in_spdx_s_words(names: list[str], expression: str | None):
    assert licenses.expression(names) == expression
