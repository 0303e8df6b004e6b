"""Compares a rendering with the file that holds it. GOLDEN_UPDATE=1 writes the file instead: review the difference."""

import os
from pathlib import Path

DIRECTORY = Path(__file__).parents[2] / "golden"


def check(path: str, text: str) -> None:
    file = DIRECTORY / path
    if os.environ.get("GOLDEN_UPDATE") == "1":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert text == file.read_text(), f"{file} differs; GOLDEN_UPDATE=1 writes it anew"
