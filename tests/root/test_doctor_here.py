"""The doctor on this machine: what it tries really works or really does not."""

import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from hydria.base import process
from hydria.cli.doctor import books, trials
from hydria.cli.doctor.kernel import FEATURES
from hydria.cloud.database import Database

pytestmark = pytest.mark.root

HYDRIA = (sys.executable, "-m", "hydria.cli.main")


def doctor(*options: str) -> tuple[int, dict[str, Any]]:
    done = process.run([*HYDRIA, "doctor", "--json", *options], check=False)
    assert done.stderr == ""
    return done.status, json.loads(done.stdout)


def test_it_finds_what_the_other_root_tests_use():
    status, told = doctor()
    found = {one["id"]: one for one in told["findings"]}
    for name in ("feature-veth", "feature-bridge", "feature-macvlan", "feature-network-namespaces", "nftables",
                 "feature-conntrack", "haproxy", "bubblewrap", "kernel-version"):  # fmt: skip
        assert found[name]["severity"] == "ok", found[name]
    assert status == {"ok": 0, "note": 0, "warning": 1, "error": 2}[told["status"]]
    assert all(one["mend"] for one in told["findings"] if one["severity"] != "ok")


def test_trials_cover_every_feature_and_leave_nothing_behind():
    before = process.run(["ip", "-br", "link"]).stdout
    tried = trials.features()
    assert tried.keys() == FEATURES.keys()
    assert all(trial.works or trial.reason for trial in tried.values())
    assert process.run(["ip", "-br", "link"]).stdout == before


def test_ports_and_the_state_directory(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        free = other.getsockname()[1]
    config = tmp_path / "hydria.toml"
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        config.write_text(
            f'[cloud]\nbind_port = {taken}\ndatabase_url = "sqlite:///{tmp_path}/cloud.db"\n[api]\nbind_port = {free}\n'
        )
        tmp_path.chmod(0o700)
        config.chmod(0o640)
        status, told = doctor("--state-dir", str(tmp_path))
    found = [(one["id"], one["severity"], one["subject"]) for one in told["findings"]]
    assert status == 2
    assert ("port", "error", f"tcp port {taken} at 127.0.0.1 of cloud") in found
    assert ("port", "ok", f"tcp port {free} at 127.0.0.1 of api") in found
    assert ("state-dir", "ok", str(tmp_path)) in found
    assert ("state-dir", "error", str(config)) in found
    assert not (tmp_path / "cloud.db").exists(), "the doctor only reads"


def test_the_books_of_a_cloud_that_has_none(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/cloud.db"
    assert books.read(url) == (None, None)
    (tmp_path / "cloud.db").touch()
    assert books.read(url) == (None, None)
    Database(url).create_tables()
    assert books.read(url) == ((), frozenset())
