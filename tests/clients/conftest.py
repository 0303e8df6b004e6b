"""One `hydria up --noop` for all clients."""

from collections.abc import Iterator

import pytest

from clients.service import Service, running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/clients/" in str(item.path):
            item.add_marker(pytest.mark.client)


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    with running() as made:
        yield made
