"""Hashes of packages, from apt's lists."""

import hashlib
from pathlib import Path

from hydria.image import hashes

PACKAGES = """\
Package: haproxy
Version: 2.6.12-1+deb12u4
Architecture: amd64
Description: fast proxy
 Package: not a field, but a description's line
SHA256: aaaa

Package: tzdata
Version: 2026f-0+deb12u1
Architecture: all
SHA256: bbbb

Package: without
Version: 1
Architecture: all
"""


def test_of_debs(tmp_path: Path) -> None:
    lists = tmp_path / hashes.LISTS
    lists.mkdir(parents=True)
    (lists / "mirror.example_dists_bookworm_main_binary-amd64_Packages").write_text(PACKAGES)
    (lists / "mirror.example_dists_bookworm_InRelease").write_text("Package: other\n")
    assert hashes.of_debs(tmp_path) == {
        "haproxy_2.6.12-1+deb12u4_amd64.deb": "aaaa",
        "tzdata_2026f-0+deb12u1_all.deb": "bbbb",
    }


def test_of_a_wheel(tmp_path: Path) -> None:
    wheel = tmp_path / "hydria-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"content")
    assert hashes.of_wheel(wheel) == {"hydria-0.1.0": hashlib.sha256(b"content").hexdigest()}
