"""Writes docs/configuration.md from hydria/base/config.py: `make docs`. With --print it only prints it."""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "hydria" / "base" / "config.py"
PLAIN = {"Limit": "int"}
"""Names that a reader of the page does not know → what to write in the file."""
TARGET = ROOT / "docs" / "configuration.md"

INTRODUCTION = """# Configuration

Every service reads one TOML file (`--config FILE`). `hydria up` writes it at its first start: `DIR/hydria.toml`,
readable by its owner alone. An environment variable `HYDRIA_SECTION__KEY` wins over the file:
`HYDRIA_LOG__LEVEL=DEBUG`, `HYDRIA_API__BIND_PORT=19876`.
An unknown section or key is an error that says where. `hydria up` must be started again for a change to take effect.

Of a compute host with real SR-IOV NICs the PFs are listed in the file:

    [[cloud.hosts]]
    name = "compute-1"
    pfs = { ens1f0 = "public", ens1f1 = "members" }

This page is generated from `hydria/base/config.py` by `make docs`.
"""


def sections() -> dict[str, ast.ClassDef]:
    """Section name → class, in the order of `Config`; what only nests in a section comes after them."""
    classes = {node.name: node for node in ast.parse(SOURCE.read_text()).body if isinstance(node, ast.ClassDef)}
    top = {field.target.id: classes[ast.unparse(field.annotation)] for field in fields(classes["Config"])}
    return {**top, "[cloud.hosts]": classes["Host"]}


def fields(section: ast.ClassDef) -> list[ast.AnnAssign]:
    return [node for node in section.body if isinstance(node, ast.AnnAssign)]


def meaning(section: ast.ClassDef, field: ast.AnnAssign) -> str:
    """The string after the field; the class's own for the section."""
    following = section.body[section.body.index(field) + 1 :]
    if following and isinstance(following[0], ast.Expr) and isinstance(following[0].value, ast.Constant):
        return " ".join(str(following[0].value.value).split())
    return ""


def page() -> str:
    lines = [INTRODUCTION]
    for name, section in sections().items():
        lines += [f"## [{name}]", ""]
        if text := ast.get_docstring(section):
            lines += [" ".join(text.split()), ""]
        lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
        for field in fields(section):
            kind = ast.unparse(field.annotation).replace("|", "\\|")
            kind = PLAIN.get(kind, kind)
            default = f"`{ast.unparse(field.value)}`" if field.value is not None else "required"
            lines.append(f"| `{ast.unparse(field.target)}` | {kind} | {default} | {meaning(section, field)} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    if "--print" in sys.argv:
        sys.stdout.write(page())
    else:
        TARGET.write_text(page())
