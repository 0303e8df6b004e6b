"""docs/benchmarks.md and what every section of it says of the machine. Knows nothing of what is measured."""

import os
import platform
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
MARK = "<!-- sections -->\n"


def insert(section: str) -> None:
    """As the newest one; the others stay."""
    PAGE.write_text(PAGE.read_text().replace(MARK, MARK + section, 1))


def machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores {platform.machine()}, {memory:.0f} GiB, Linux {platform.release().split('-')[0]}"
