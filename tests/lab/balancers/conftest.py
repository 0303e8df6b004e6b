"""One Hydria for all files of this directory; afterwards every VF is back."""

from collections.abc import Iterator

import pytest
from hardware import as_before
from lab_scene import LabScene, opened


@pytest.fixture(scope="package", autouse=True)
def _every_vf_is_home_afterwards(_prepared_host: None) -> Iterator[None]:
    """After the last of these files: between them Hydria lives on."""
    with as_before():
        yield


@pytest.fixture(scope="package")
def scene(_every_vf_is_home_afterwards: None) -> Iterator[LabScene]:
    """Nothing is left over after the last load balancer of these tests."""
    with opened("lab") as made:
        yield made
        made.await_nothing_left()
