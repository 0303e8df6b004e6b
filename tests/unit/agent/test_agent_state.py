from pathlib import Path

from hydria.agent.state import State
from hydria.model.spec import Spec

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
