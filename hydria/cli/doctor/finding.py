"""What a check says. Exit statuses are those that monitoring plug-ins have (Nagios): 0 OK, 1 WARNING, 2 CRITICAL."""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

Severity = Literal["ok", "note", "warning", "error"]

ORDER: tuple[Severity, ...] = ("ok", "note", "warning", "error")
_STATUS: dict[Severity, int] = {"ok": 0, "note": 0, "warning": 1, "error": 2}


class Finding(Struct, frozen=True):
    id: str
    """Of the check: it stays the same, programs may look for it."""
    severity: Severity
    subject: str
    """What was looked at."""
    text: str
    """How it is, and what follows from that where it is not well."""
    mend: str = ""
    """The command, for a shell of root."""


def worst(findings: Iterable[Finding]) -> Severity:
    return max((finding.severity for finding in findings), key=ORDER.index, default="ok")


def exit_status(findings: Iterable[Finding]) -> int:
    return _STATUS[worst(findings)]
