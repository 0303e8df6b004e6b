import io
import logging

import pytest

from hydria.base import log


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    before = logging.getLogger().handlers[:]
    log.setup("INFO")
    yield stream
    logging.getLogger().handlers = before


def test_pairs_and_context_follow_the_message(lines: io.StringIO):
    with log.context(load_balancer_id="lb1"), log.context(reconcile_id=7):
        log.Logger("hydria.test").info("port created", port_id="p1", why="no reason")
    log.Logger("hydria.test").info("after")
    first, second = lines.getvalue().splitlines()
    assert first.endswith(
        'INFO hydria.test: port created port_id=p1 why="no reason" load_balancer_id=lb1 reconcile_id=7'
    )
    assert second.endswith("INFO hydria.test: after")


def test_exception_keeps_the_traceback(lines: io.StringIO):
    try:
        raise KeyError("lost")
    except KeyError:
        log.Logger("hydria.test").exception("reconcile failed")
    assert "KeyError: 'lost'" in lines.getvalue()
