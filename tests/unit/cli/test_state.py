import os
import stat
from pathlib import Path

import pytest

from hydria.base.config import Config
from hydria.cli.up.state import InUse, StateDirectory


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_made_for_its_owner_alone_and_found_again(tmp_path: Path):
    state = StateDirectory(tmp_path / "deep" / "state")
    for _ in range(2):
        with state.held():
            assert [mode(path) for path in (state.root, state.logs, state.certificates)] == [0o700] * 3


def test_it_has_one_holder(tmp_path: Path):
    state = StateDirectory(tmp_path)
    with state.held(), pytest.raises(InUse, match=str(os.getpid())), StateDirectory(tmp_path).held():
        pass
    with state.held():
        pass


def test_ready_is_true_only_of_the_holder_who_said_so(tmp_path: Path):
    state = StateDirectory(tmp_path)
    state.ready.touch()  # left by a crash
    with state.held():
        assert not state.ready.exists()
        state.ready.touch()
    assert not state.ready.exists()


def test_the_configuration_comes_back_as_it_was_saved_and_is_secret(tmp_path: Path):
    state = StateDirectory(tmp_path)
    assert state.load() is None
    state.save(Config())
    state.save(Config())
    assert state.load() == Config()
    assert mode(state.config) == 0o600
