"""The software bill of materials of an image: SPDX 2.3 as JSON, made of its packages document and its facts.

The same packages and facts give the same bytes. https://spdx.github.io/spdx-spec/v2.3/
"""

import hashlib
import re
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from hydria.image import licenses, packages
from hydria.image.facts import Facts
from hydria.image.packages import DebianPackage, Packages, PythonPackage

VERSION = "SPDX-2.3"
_NAME = "hydria-amphora-image"
_DOCUMENT, _IMAGE = "SPDXRef-DOCUMENT", "SPDXRef-Image"
_NAMESPACE = "https://spdx.org/spdxdocs/"
"""Where SPDX 2.3, 6.5, puts documents that have no page of their own: made unique by a UUID, never fetched."""
_UNKNOWN = "NOASSERTION"
_OWN_PREFIX = "hydria-"
"""Of packages that the build makes; no Debian has them."""

Document = dict[str, Any]


def write(packages_document: Path, facts: Facts, path: Path) -> None:
    """Raises msgspec.MsgspecError where `packages_document` is none, OSError."""
    path.write_bytes(encode(document(packages.decode(packages_document.read_bytes()), facts)))


def encode(spdx: Document) -> bytes:
    return msgspec.json.format(msgspec.json.encode(spdx), indent=2) + b"\n"


def document(found: Packages, facts: Facts) -> Document:
    inside = [*(_debian(one, facts) for one in found.debian), *(_python(one) for one in found.python)]
    content = hashlib.sha256(msgspec.json.encode([found, facts])).hexdigest()
    return {
        "spdxVersion": VERSION,
        "dataLicense": "CC0-1.0",
        "SPDXID": _DOCUMENT,
        "name": f"{_NAME}-{facts.version}",
        "documentNamespace": f"{_NAMESPACE}{_NAME}-{uuid.uuid5(uuid.NAMESPACE_URL, content)}",
        "creationInfo": {"created": facts.created, "creators": [f"Tool: hydria-{facts.version}"]},
        "packages": [_image(facts), *inside],
        "relationships": [_relation(_DOCUMENT, "DESCRIBES", _IMAGE)]
        + [_relation(_IMAGE, "CONTAINS", one["SPDXID"]) for one in inside],
    }


def _relation(one: str, type_: str, other: str) -> Document:
    return {"spdxElementId": one, "relationshipType": type_, "relatedSpdxElement": other}


def _package(spdx_id: str, name: str, version: str, **more: Any) -> Document:
    """`more`: SPDX's fields; those that are empty are left out."""
    return {
        "SPDXID": spdx_id,
        "name": name,
        "versionInfo": version,
        "downloadLocation": _UNKNOWN,
        "filesAnalyzed": False,
        "licenseConcluded": _UNKNOWN,
        "copyrightText": _UNKNOWN,
        **{field: value for field, value in more.items() if value},
    }


def _image(facts: Facts) -> Document:
    return _package(
        _IMAGE,
        _NAME,
        facts.version,
        primaryPackagePurpose="OPERATING-SYSTEM",
        licenseDeclared=_UNKNOWN,
        supplier=_UNKNOWN,
        summary=f"Amphora image: {facts.distribution} {facts.architecture}, kernel {facts.kernel}",
    )


def _debian(package: DebianPackage, facts: Facts) -> Document:
    own = package.name.startswith(_OWN_PREFIX)
    names = "; ".join(package.licenses)
    origin = {} if own else {"distro": facts.distribution}
    return _package(
        _id("deb", package.name, package.architecture),
        package.name,
        package.version,
        supplier="Organization: Hydria" if own else "Organization: Debian",
        licenseDeclared=licenses.expression(package.licenses) or _UNKNOWN,
        licenseComments=f"In the package's copyright file: {names}" if names else "",
        sourceInfo=f"built from source package {package.source}" if package.source else "",
        summary=package.summary,
        homepage=_url(package.homepage),
        checksums=_checksums(package.sha256),
        externalRefs=[
            _purl(
                "deb", "hydria" if own else "debian", package.name, package.version, arch=package.architecture, **origin
            )
        ],
    )


def _python(package: PythonPackage) -> Document:
    # https://packaging.python.org/en/latest/specifications/name-normalization/
    name = re.sub(r"[-_.]+", "-", package.name).lower()
    return _package(
        _id("pypi", name),
        package.name,
        package.version,
        supplier=_UNKNOWN,
        licenseDeclared=licenses.expression([package.license]) or _UNKNOWN,
        licenseComments=f"In the package's metadata: {package.license}" if package.license else "",
        summary=package.summary,
        homepage=_url(package.homepage),
        checksums=_checksums(package.sha256),
        externalRefs=[_purl("pypi", "", name, package.version)],
    )


def _id(*parts: str) -> str:
    """Letters, digits, full stops and hyphens only; names are in small letters, so that -2B is a plus and no name."""
    text = "-".join(parts)
    return "SPDXRef-" + re.sub(r"[^a-zA-Z0-9.-]", lambda match: f"-{ord(match[0]):X}", text)


def _purl(type_: str, namespace: str, name: str, version: str, **qualifiers: str) -> Document:
    """https://github.com/package-url/purl-spec"""
    path = "/".join(quote(part, safe="") for part in (namespace, name) if part)
    query = urlencode(sorted((key, value) for key, value in qualifiers.items() if value))
    locator = f"pkg:{type_}/{path}@{quote(version, safe='')}" + (f"?{query}" if query else "")
    return {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": locator}


def _checksums(sha256: str) -> Iterable[Document]:
    return [{"algorithm": "SHA256", "checksumValue": sha256}] if sha256 else []


def _url(homepage: str) -> str:
    return homepage if re.fullmatch(r"https?://[^\s<>\"]+", homepage) else ""
