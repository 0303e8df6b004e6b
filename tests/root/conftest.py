"""Fixtures of the tests that work with real namespaces."""

from amphora_world import amphora, here
from machine import fabric, machine

__all__ = ["amphora", "fabric", "here", "machine"]
