"""What failed in a guest, in short: the run's last lines are what a CI keeps of it."""

import xml.etree.ElementTree as ET
from pathlib import Path

LINES = 12
"""Of each failure: the end, where the reason is."""


def failures(directory: Path) -> list[str]:
    """Each test that failed there, with the end of what it said; where no results were written, the output's end."""
    results = directory / "junit.xml"
    if not results.exists():
        return [_end((directory / "out.log").read_text(errors="replace"))] if (directory / "out.log").exists() else []
    cases = ET.parse(results).iter("testcase")  # noqa: S314 - as above
    return [
        f"{case.get('classname')}::{case.get('name')}\n{_end(fault.text or '')}"
        for case in cases
        for fault in case
        if fault.tag in {"failure", "error"}
    ]


def _end(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.rstrip().splitlines()[-LINES:])
