import pytest

from hydria.base.errors import Invalid
from hydria.model.heartbeat import Heartbeat, ListenerHealth, ListenerStats, PoolHealth, seal, unseal

HEARTBEAT = Heartbeat(
    amphora_id="a1",
    sequence=5,
    time=1.5,
    generation=3,
    listeners={"l1": ListenerHealth(status="OPEN", stats=ListenerStats(bytes_in=10))},
    pools={"p1": PoolHealth(status="UP", members={"m1": "no check"})},
)


def test_what_was_sealed_comes_back():
    assert unseal(seal(HEARTBEAT, b"key"), b"key") == HEARTBEAT


@pytest.mark.parametrize(
    "datagram",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"x" * 40, id="noise"),
        pytest.param(seal(HEARTBEAT, b"another key"), id="another key"),
        pytest.param(seal(HEARTBEAT, b"key")[1:], id="a byte lost"),
        pytest.param(b"y" + seal(HEARTBEAT, b"key")[1:], id="a byte changed"),
    ],
)
def test_what_was_not_sealed_by_us_is_refused(datagram: bytes):
    with pytest.raises(Invalid):
        unseal(datagram, b"key")
