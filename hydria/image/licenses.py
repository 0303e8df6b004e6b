"""Licences as Debian's copyright files and Python's metadata name them → SPDX expressions. Pure.

https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/#license-specification, https://spdx.org/licenses/
"""

import re
from collections.abc import Iterable

_GNU = re.compile(r"(AGPL|LGPL|GPL)-(\d)(?:\.(\d))?(\+|-or-later|-only)?")
_GFDL = re.compile(r"GFDL-NIV-(\d\.\d)(\+)?")
_SPDX = {
    name.lower(): name
    for name in (
        "AFL-2.1", "Apache-2.0", "Artistic-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSD-4-Clause", "BSL-1.0", "CC0-1.0",
        "curl", "FSFAP", "FSFUL", "FSFULLR", "HPND", "ISC", "MIT", "MPL-1.1", "MPL-2.0", "NTP", "OFL-1.1", "OLDAP-2.8",
        "OpenSSL", "PSF-2.0", "Python-2.0", "Sleepycat", "TCL", "Unlicense", "Vim", "X11", "Zlib", "bzip2-1.0.6",
    )
} | {
    "apache-2": "Apache-2.0",
    "artistic": "Artistic-1.0-Perl",
    "artistic-1": "Artistic-1.0-Perl",
    "bsd-3": "BSD-3-Clause",
    "bsd-3-clause-generic": "BSD-3-Clause",
    "cc0": "CC0-1.0",
    "expat": "MIT",
    "psf-2": "PSF-2.0",
}  # fmt: skip
"""In small letters → as SPDX writes it. What is missing here is not declared at all: better than wrong."""


def expression(names: Iterable[str]) -> str | None:
    """All of a package's licences, each of which may be `A or B`. None: there is none, or not all have an SPDX name."""
    parts = [_part(name) for name in names]
    known = sorted({part for part in parts if part is not None})
    if not known or None in parts:
        return None
    return " AND ".join(f"({part})" if " " in part and len(known) > 1 else part for part in known)


def _part(name: str) -> str | None:
    for word in ("and", "or"):
        alternatives = re.split(rf",? {word} ", name, flags=re.IGNORECASE)
        if len(alternatives) > 1:
            found = [_one(one) for one in alternatives]
            return None if None in found else f" {word.upper()} ".join(filter(None, found))
    return _one(name)


def _one(name: str) -> str | None:
    name = name.strip()
    if match := _GNU.fullmatch(name):
        family, major, minor, how = match.groups()
        later = "or-later" if how in ("+", "-or-later") else "only"
        return f"{family}-{major}.{minor or 0}-{later}"
    if match := _GFDL.fullmatch(name):
        return f"GFDL-{match[1]}-no-invariants-{'or-later' if match[2] else 'only'}"
    return _SPDX.get(name.lower())
