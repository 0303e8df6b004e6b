"""Fixtures of the tests that work with real namespaces."""

from pathlib import Path

import pytest
import tiny_guest
from machine import fabric, machine

from root.amphora_world import amphora, here

__all__ = ["amphora", "fabric", "here", "machine", "tiny"]


@pytest.fixture(scope="session")
def tiny() -> Path:
    """What a tiny guest boots. Made, where it is not there, before a test goes into a network that has no way out."""
    return tiny_guest.built()
