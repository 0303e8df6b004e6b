"""Which Options come of what is typed and of Octavia's variables."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from hydria.base.errors import Invalid
from hydria.cli.image import asked
from hydria.image.options import Format, Options

DEFAULTS = Options()


def test_without_anything_the_defaults_of_options():
    assert asked.options({}, {}) == DEFAULTS


@pytest.mark.parametrize(
    ("environment", "changes"),
    [
        pytest.param({"DIB_OCTAVIA_AMP_USE_NFTABLES": "True"}, {"nftables": True}, id="nftables True"),
        pytest.param({"DIB_OCTAVIA_AMP_USE_NFTABLES": "False"}, {"nftables": False}, id="nftables False"),
        pytest.param({"DIB_OCTAVIA_AMP_USE_NFTABLES": "false"}, {"nftables": False}, id="nftables false"),
        pytest.param({"DIB_OCTAVIA_AMP_USE_NFTABLES": "0"}, {"nftables": False}, id="nftables 0"),
        pytest.param({"DIB_OCTAVIA_AMP_USE_NFTABLES": ""}, {}, id="empty is not set"),
        pytest.param({"AMP_OUTPUTFILENAME": "/x/y.qcow2"}, {"output": Path("/x/y.qcow2")}, id="output"),
        pytest.param({"AMP_OUTPUTFILENAME": "/x/y.z"}, {"output": Path("/x/y.z.qcow2")}, id="output without a type"),
        pytest.param(
            {"AMP_IMAGETYPE": "raw"}, {"format": Format.RAW, "output": Path("amphora-x64-haproxy.raw")}, id="type"
        ),
        pytest.param({"AMP_IMAGESIZE": "5"}, {"size": 5}, id="size"),
        pytest.param({"AMP_ARCH": "arm64"}, {"architecture": "arm64"}, id="architecture"),
        pytest.param({"AMP_BASEOS": "x", "AMP_DIB_RELEASE": "y"}, {"base": "x", "release": "y"}, id="base"),
        pytest.param({"AMP_ROOTPW": "a b"}, {"root_password": "a b"}, id="root's password"),
        pytest.param({"AMP_WORKING_DIR": "/w"}, {"work_directory": Path("/w")}, id="work directory"),
        pytest.param({"AMP_CACHEDIR": "/c"}, {"cache_directory": Path("/c")}, id="cache"),
        pytest.param({"AMP_LOGFILE": "/l"}, {"log_file": Path("/l")}, id="log"),
        pytest.param({"AMP_ENABLE_CPUPINNING": "1"}, {"pinning": True}, id="pinning"),
        pytest.param({"AMP_ENABLE_SSHD": "1"}, {"sshd": True}, id="sshd"),
        pytest.param({"AMP_DISABLE_SSHD": "0"}, {"sshd": True}, id="sshd not disabled"),
        pytest.param({"AMP_DISABLE_SSHD": "1"}, {}, id="sshd disabled"),
        pytest.param({"AMP_DISABLE_SSHD": "1", "AMP_ENABLE_SSHD": "1"}, {"sshd": True}, id="sshd both"),
        pytest.param(
            {"DIB_LOCAL_ELEMENTS": "one two", "DIB_LOCAL_ELEMENTS_PATH": "/a:/b"},
            {"elements": ("one", "two"), "elements_path": (Path("/a"), Path("/b"))},
            id="elements",
        ),
    ],
)
def test_variables(environment: dict[str, str], changes: dict[str, Any]):
    assert asked.options({}, environment) == msgspec.structs.replace(DEFAULTS, **changes)


def test_what_is_typed_comes_before_the_variable():
    environment = {"AMP_IMAGESIZE": "5", "DIB_OCTAVIA_AMP_USE_NFTABLES": "False", "AMP_DISABLE_SSHD": "0"}
    typed = {"size": 3, "nftables": True, "sshd": False, "output": None}
    assert asked.options(typed, environment) == msgspec.structs.replace(DEFAULTS, size=3)


@pytest.mark.parametrize(
    ("typed", "environment", "text"),
    [
        pytest.param({}, {"AMP_IMAGESIZE": "big"}, "AMP_IMAGESIZE is 'big'", id="size"),
        pytest.param({}, {"AMP_IMAGETYPE": "iso"}, "AMP_IMAGETYPE is 'iso'", id="type"),
        pytest.param(
            {}, {"DIB_OCTAVIA_AMP_USE_NFTABLES": "maybe"}, "DIB_OCTAVIA_AMP_USE_NFTABLES is 'maybe'", id="switch"
        ),
        pytest.param({}, {"AMP_DISABLE_SSHD": "2"}, "AMP_DISABLE_SSHD is '2'", id="switch of sshd"),
        pytest.param({"output": Path("x.raw")}, {}, "named as a raw image", id="name of another type"),
    ],
)
def test_bad_values_are_refused_by_name(typed: dict[str, Any], environment: dict[str, str], text: str):
    with pytest.raises(Invalid, match=text):
        asked.options(typed, environment)


def test_every_variable_belongs_to_a_field():
    assert set(asked.VARIABLES) <= set(Options.__struct_fields__)
