"""Fixtures of the tests that work with real namespaces."""

from machine import fabric, machine

__all__ = ["fabric", "machine"]
