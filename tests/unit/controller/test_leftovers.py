import time

from controller_world import World

from hydria.base.errors import Retryable
from hydria.drivers.cloud import PortRequest, ServerRequest
from hydria.drivers.fakes import id_of


def late_call_of_a_killed_process(world: World, amphora_id: str) -> None:
    network = id_of("network", "public")
    port = world.cloud.create_port(
        PortRequest(network_id=network, name=f"octavia-lb-vrrp-{amphora_id}", vnic_type="direct")
    )
    world.cloud.create_server(
        ServerRequest(name=f"amphora-{amphora_id}", flavor="amphora", image_id="image-1", ports=(port.id,))
    )


def test_what_appears_after_the_cleaning_is_found_later(world: World) -> None:
    lb = world.load_balancer()
    world.run()
    (row,) = world.graph(lb.id).amphorae
    world.delete(lb.id)
    world.run()
    late_call_of_a_killed_process(world, row.id)
    assert world.sweeper.sweep() == 0, "too early"
    world.cloud.interruptions.fail["find_servers"].append(Retryable("503"))
    later = time.monotonic() + 1000
    assert world.sweeper.sweep(later) == 0, "the cloud does not answer"
    assert world.sweeper.sweep(later) == 2
    assert not world.cloud.ports
    assert not world.cloud.servers
    late_call_of_a_killed_process(world, row.id)
    assert world.sweeper.sweep(later) == 0, "it is looked at once"


def test_what_another_octavia_made_is_none_of_our_business(world: World) -> None:
    late_call_of_a_killed_process(world, "9d1f7f0e-0000-4000-8000-000000000000")
    before = dict(world.cloud.ports)
    lb = world.load_balancer()
    world.run()
    world.delete(lb.id)
    world.run()
    world.sweeper.sweep(time.monotonic() + 1000)
    assert dict(world.cloud.ports) == before
    assert len(world.cloud.servers) == 1
