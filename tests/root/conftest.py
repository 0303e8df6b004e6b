"""Fixtures of the tests that work with real namespaces."""

from machine import fabric, machine

from root.amphora_world import amphora, here

__all__ = ["amphora", "fabric", "here", "machine"]
