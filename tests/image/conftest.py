"""Images built once from this working tree, and one Hydria whose amphorae are virtual machines booted from them."""

import os
from collections.abc import Iterator

import pytest

# Before anything reads it. A machine takes a fifth of a minute to boot where there is no KVM.
os.environ.setdefault("HYDRIA_STAGE_PATIENCE", "5")

pytest.register_assert_rewrite("e2e", "image")

from image.vm_scene import VmScene, opened  # noqa: E402 - see above
from lab.amphora_image import Built, build  # noqa: E402


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever comes first waits for the image and for Hydria."""
    for item in items:
        if "/tests/image/" in str(item.path):
            item.add_marker(pytest.mark.timeout(2400))


@pytest.fixture(scope="session")
def built() -> Built:
    return build()


@pytest.fixture(scope="session")
def built_without_nftables(built: Built) -> Built:
    """After the usual one, which fills what they share."""
    assert built.disk.exists()
    return build(nftables=False)


@pytest.fixture(scope="session")
def scene(built: Built) -> Iterator[VmScene]:
    with opened("image", built) as made:
        yield made
