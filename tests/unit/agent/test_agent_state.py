from pathlib import Path

import pytest

from hydria.agent.state import State
from hydria.model.spec import VERSION, Spec

RECORDED = sorted((Path(__file__).parents[2] / "golden" / "spec").glob("*/spec.json"))
SPEC = Spec(amphora_id="a", load_balancer_id="l", generation=3)


def test_spec_is_kept_for_root_only(tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    assert state.load_spec() is None
    state.save_spec(SPEC)
    state.save_spec(SPEC)
    assert State(tmp_path / "state").load_spec() == SPEC
    (file,) = (tmp_path / "state").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_read_was_never_there(tmp_path: Path) -> None:
    state = State(tmp_path)
    (tmp_path / "spec.json").write_text('{"half')
    assert state.load_spec() is None
    state.save_spec(SPEC)
    assert state.load_spec() == SPEC


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda path: path.parent.name)
def test_an_older_agents_spec_is_taken_over(tmp_path: Path, recorded: Path) -> None:
    (tmp_path / "spec.json").write_bytes(recorded.read_bytes())
    spec = State(tmp_path).load_spec()
    assert spec is not None
    assert (spec.version, spec.generation, len(spec.listeners)) == (VERSION, 7, 3)


def test_a_newer_agents_spec_was_never_there(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text('{"version": 99, "amphora_id": "a", "load_balancer_id": "l", "generation": 3}')
    assert State(tmp_path).load_spec() is None
