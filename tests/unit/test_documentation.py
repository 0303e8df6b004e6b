"""What the documentation names exists, and what is generated is up to date."""

import ast
import re
import shlex
import sys
from pathlib import Path

import pytest

from hydria.base import process
from hydria.cli.demo import guide

ROOT = Path(__file__).parent.parent.parent
TOUR = (ROOT / "docs" / "tour.md").read_text()
README = (ROOT / "README.md").read_text()


def test_configuration_md_is_what_config_py_says():
    generated = process.run([sys.executable, str(ROOT / "scripts" / "configuration.py"), "--print"]).stdout
    assert (ROOT / "docs" / "configuration.md").read_text() == generated, "run: make docs"


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`(hydria/[a-z0-9_/]+\.py)`", TOUR))))
def test_files_of_the_tour_exist(path: str):
    assert (ROOT / path).is_file()


@pytest.mark.parametrize(
    ("path", "name"), sorted(set(re.findall(r"`(hydria/[a-z0-9_/]+\.py)`[^`|]*`([A-Za-z_.]+)\(?\)?`", TOUR)))
)
def test_functions_of_the_tour_exist(path: str, name: str):
    defined = {
        node.name
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    assert name.rsplit(".", maxsplit=1)[-1] in defined


def test_the_tour_names_files_in_each_of_the_four_hops():
    hops = re.split(r"^## ", TOUR, flags=re.MULTILINE)[1:5]
    assert len(hops) == 4
    assert all(re.search(r"`hydria/\S+\.py`", hop) for hop in hops)


@pytest.mark.parametrize(
    "step", [guide.AGGREGATE, guide.COMPUTE_FLAVOR, guide.FLAVOR_STEP, guide.USE], ids=lambda step: step.title[:20]
)
def test_the_readme_shows_the_commands_that_the_demo_types(step: guide.Step):
    shown = [shlex.split(line) for line in README.splitlines() if line.startswith("    openstack ")]
    for line in step.commands:
        assert shlex.split(line) in shown


@pytest.mark.parametrize(
    "link", sorted({(page.name, link) for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
                    for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())})
)  # fmt: skip
def test_links_lead_somewhere(link: tuple[str, str]):
    page, target = link
    base = ROOT if page == "README.md" else ROOT / "docs"
    assert (base / target).exists()


def test_every_make_target_is_explained():
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    for target in phony[1].split():
        assert re.search(rf"^{target}:.*## ", makefile, re.MULTILINE), target
