"""diskimage-create.sh as its users type it: a real `hydria image build`, which says what it would build."""

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hydria.base import process
from hydria.image.options import Options

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "diskimage-create" / "diskimage-create.sh"
HYDRIA = Path(sys.executable).with_name("hydria")
DEFAULTS = json.loads(msgspec.json.encode(Options(), enc_hook=str))


class Installed:
    """The script outside a checkout: `hydria` is on the PATH, and told to build nothing."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.work = directory / "work"
        (directory / "bin").mkdir()
        self.work.mkdir()
        self._script = Path(shutil.copy(SCRIPT, directory))
        program = directory / "bin" / "hydria"
        # It also says which arguments every process was started with, up to the script that a person typed.
        program.write_text(
            "#!/bin/sh\n"
            f'tr "\\0" " " </proc/$$/cmdline >>{directory}/argv\n'
            f'case "$2" in build) set -- "$@" --dry-run ;; esac\nexec {HYDRIA} "$@"\n'
        )
        program.chmod(0o755)

    def run(self, *arguments: str, **environment: str) -> process.Completed:
        path = f"{self.directory}/bin:{os.environ['PATH']}"
        # Where `cd` would have led.
        here = {"AMP_OUTPUTFILENAME": f"{self.work}/amphora", "AMP_WORKING_DIR": str(self.work)}
        settings = {"PATH": path, **here, **environment}
        return process.run(["bash", str(self._script), *arguments], check=False, environment=settings)

    def asked(self, *arguments: str, **environment: str) -> dict[str, Any]:
        """What would be built, where it differs from the defaults."""
        done = self.run(*arguments, **environment)
        assert done.status == 0, done.stderr
        given = {"output": f"{self.work}/amphora.qcow2", "work_directory": str(self.work)}
        options = json.loads(done.stdout)
        return {name: value for name, value in options.items() if value not in (given.get(name), DEFAULTS[name])}

    @property
    def argv(self) -> str:
        return (self.directory / "argv").read_text()


@pytest.fixture
def script(tmp_path: Path) -> Installed:
    return Installed(tmp_path)


def test_the_guide_s_command(script: Installed):
    assert script.asked(DIB_OCTAVIA_AMP_USE_NFTABLES="True") == {}


@pytest.mark.parametrize(
    ("arguments", "changes"),
    [
        pytest.param(
            ["-a", "amd64", "-i", "debian-minimal", "-d", "bookworm", "-b", "haproxy"], {}, id="the only ones"
        ),
        pytest.param(["-s", "5"], {"size": 5}, id="-s"),
        pytest.param(["-m"], {"pinning": True}, id="-m"),
        pytest.param(["-n"], {}, id="-n"),
        pytest.param(["-x"], {"trace": True}, id="-x"),
        pytest.param(["-k", "linux-image-amd64"], {}, id="-k"),
        pytest.param(["-r", "a secret"], {"root_password": "(given)"}, id="-r"),
    ],
)
def test_options(script: Installed, arguments: list[str], changes: dict[str, Any]):
    assert script.asked(*arguments) == changes


def test_paths(script: Installed, tmp_path: Path):
    arguments = ["-o", f"{tmp_path}/a b", "-t", "vhd", "-c", "/c", "-w", str(tmp_path), "-l", f"{tmp_path}/log"]
    assert script.asked(*arguments) == {
        "output": f"{tmp_path}/a b.vhd",
        "format": "vhd",
        "cache_directory": "/c",
        "work_directory": str(tmp_path),
        "log_file": f"{tmp_path}/log",
    }


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        pytest.param(["-e"], {}, "-e: there is nothing to enforce", id="-e"),
        pytest.param(["-f"], {}, "-f: no tmpfs", id="-f"),
        pytest.param(["-g", "stable/x"], {}, "-g stable/x: not used", id="-g"),
        pytest.param(["-p"], {}, "-p: not used", id="-p"),
        pytest.param(
            [], {"CLOUD_INIT_DATASOURCES": "ConfigDrive"}, "CLOUD_INIT_DATASOURCES: not needed", id="cloud-init"
        ),
    ],
)
def test_what_changes_nothing_says_so(script: Installed, arguments: list[str], environment: dict[str, str], said: str):
    assert said in script.run(*arguments, **environment).stderr
    assert script.asked(*arguments, **environment) == {}


def test_the_root_password_is_in_no_argument_of_what_is_started(script: Installed):
    script.asked("-r", "Hunter2secret")
    assert "image build" in script.argv
    assert "Hunter2secret" not in script.argv


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        pytest.param(["-q"], 1, "-q: there is no such option", id="unknown option"),
        pytest.param(["--output", "x"], 1, "there is no such option", id="long option"),
        pytest.param(["amphora"], 1, "amphora: there are options only", id="argument"),
        pytest.param(["-o"], 1, "-o needs a value", id="no value"),
        pytest.param(["-y"], 1, "FIPS 140", id="FIPS"),
        pytest.param(["-b", "nginx"], 1, "-b nginx", id="backend"),
        pytest.param(["-k", "linux-image-cloud-amd64"], 1, "drivers of VFs", id="kernel without VFs"),
        pytest.param(["-i", "ubuntu-minimal"], 1, "no base ubuntu-minimal. There is debian-minimal", id="base"),
        pytest.param(["-d", "noble"], 1, "no release noble. There is bookworm", id="release"),
        pytest.param(["-a", "ppc64le"], 1, "no architecture ppc64le", id="architecture"),
        pytest.param(["-s", "0"], 1, "size 0 GB", id="size 0"),
        pytest.param(["-s", "big"], 2, "'-s' / '--size'", id="size in letters"),
        pytest.param(["-t", "iso"], 2, "'iso' is not one of", id="type"),
        pytest.param(
            ["-o", "/nonexistent/amphora"], 1, "output: there is no directory /nonexistent", id="no output directory"
        ),
        pytest.param(
            ["-w", "/nonexistent"], 1, "work directory: there is no directory /nonexistent", id="no working directory"
        ),
        pytest.param(
            ["-o", "/proc/amphora"], 1, "are needed, 0 MiB are free", id="output directory that takes no files"
        ),
        pytest.param(["-l", "/nonexistent/log"], 1, "log file: there is no directory", id="no log directory"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_made(script: Installed, arguments: list[str], status: int, said: str):
    done = script.run(*arguments)
    assert done.status == status
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert list(script.work.iterdir()) == []


@pytest.mark.parametrize("arguments", [["-q"], ["-o"], ["x"]])
def test_a_usage_error_shows_the_usage(script: Installed, arguments: list[str]):
    assert "Usage: diskimage-create.sh" in script.run(*arguments).stderr


def test_help_names_every_option_that_is_taken(script: Installed):
    done = script.run("-h")
    assert done.status == 0
    taken = re.search(r'getopts ":(\S+)"', SCRIPT.read_text())
    assert taken is not None
    assert re.findall(r"^  -(\w)", done.stdout, re.MULTILINE) == sorted(taken[1].replace(":", ""))


def test_version_is_hydria_s(script: Installed):
    assert script.run("-v").stdout == process.run([str(HYDRIA), "version"]).stdout


def test_without_an_installation_it_says_what_to_do(tmp_path: Path):
    alone = shutil.copy(SCRIPT, tmp_path)
    done = process.run(["bash", str(alone)], check=False, environment={"PATH": "/usr/bin:/bin"})
    assert done.status == 1
    assert "there is no hydria on the PATH" in done.stderr


def test_in_a_checkout_it_runs_that_checkout_s_hydria_from_any_directory(tmp_path: Path):
    line = f"cd {tmp_path} && {SCRIPT} -i ubuntu-minimal"
    done = process.run(["bash", "-c", line], check=False, environment={"PATH": "/usr/bin:/bin"})
    assert (done.status, "no base ubuntu-minimal" in done.stderr) == (1, True), done.stderr
