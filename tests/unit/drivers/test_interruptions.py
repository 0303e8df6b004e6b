import pytest

from hydria.base.errors import Retryable
from hydria.drivers.cloud import PortRequest
from hydria.drivers.fakes import FakeCloud, id_of
from hydria.drivers.interruptions import Stopped


@pytest.fixture
def cloud() -> FakeCloud:
    cloud = FakeCloud()
    cloud.add_network("public", "203.0.113.0/24")
    return cloud


REQUEST = PortRequest(network_id=id_of("network", "public"), name="port")


@pytest.mark.parametrize(("effect", "ports"), [(False, 1), (True, 2)], ids=["before", "after it took effect"])
def test_the_caller_is_stopped_at_the_nth_call_and_stays_so(cloud: FakeCloud, effect: bool, ports: int) -> None:
    cloud.interruptions.stop_at(2, effect=effect)
    cloud.create_port(REQUEST)
    with pytest.raises(Stopped):
        cloud.create_port(REQUEST)
    with pytest.raises(Stopped):
        cloud.network("public")
    assert len(cloud.ports) == ports
    assert cloud.interruptions.resume()
    assert cloud.network("public") is not None


def test_a_planned_error_comes_once_and_nothing_happens(cloud: FakeCloud) -> None:
    cloud.interruptions.fail["create_port"].append(Retryable("503"))
    with pytest.raises(Retryable):
        cloud.create_port(REQUEST)
    assert not cloud.ports
    cloud.create_port(REQUEST)
    assert len(cloud.ports) == 1
