"""The golden rule sets, read by the real nft."""

from pathlib import Path

import pytest

from hydria.base import process

pytestmark = pytest.mark.root

FILES = sorted((Path(__file__).parents[1] / "golden/nftables").glob("*.json"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_nft_takes_it(file: Path) -> None:
    process.run(["unshare", "-n", "nft", "-c", "-j", "-f", "-"], stdin=file.read_text())
