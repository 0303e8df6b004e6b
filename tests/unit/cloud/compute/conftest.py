import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from compute_world import Kind, World

from hydria.cloud.resource import new_id


@pytest.fixture
def kind() -> Kind:
    """What guests are; a module that is about both asks for both."""
    return "containers"


@pytest.fixture
def make_world(tmp_path: Path, kind: Kind) -> Iterator[Callable[..., World]]:
    with contextlib.ExitStack() as stack:

        def make(**options: int) -> World:
            directory = tmp_path / new_id()
            directory.mkdir()
            world = World(directory, kind=kind, **options)
            stack.callback(_end, world)
            return world

        yield make


def _end(world: World) -> None:
    world.points.countdown = None
    world.close()
    for child in list(world.hypervisor.processes):
        world.hypervisor._end(child)
    queues = (*world.fabric.taps.values(), *world.nics.queues.values())
    assert not any(queue.is_open() for queue in queues)


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """Its background steps run in the background."""
    made = make_world()
    made.compute.start()
    return made
