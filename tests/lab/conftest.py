"""Fixtures of the tests that run in the lab's guest, and what must hold after each of their files."""

import os
from collections.abc import Callable, Iterator

import pytest
from hardware import CARDS, Cable, Card, as_before, bring_up

if "HYDRIA_LAB" not in os.environ:
    raise pytest.UsageError("tests/lab needs real NICs to spoil: make lab, or python -m lab tests/lab/FILE.")

# Tests of other directories that are also run here.
pytest.register_assert_rewrite("e2e", "root")


@pytest.fixture(scope="session", autouse=True)
def _prepared_host() -> None:
    bring_up()


@pytest.fixture(scope="module", autouse=True)
def _every_vf_is_home_afterwards(_prepared_host: None) -> Iterator[None]:
    """After each file, whatever its tests are about."""
    with as_before():
        yield


@pytest.fixture
def public() -> Card:
    return CARDS["public"]


@pytest.fixture
def members() -> Card:
    return CARDS["members"]


@pytest.fixture
def cable() -> Iterator[Callable[[Card], Cable]]:
    """`cable(public).pull()`; whatever was pulled is plugged in again afterwards."""
    pulled: list[Cable] = []

    def of(card: Card) -> Cable:
        pulled.append(Cable(card))
        return pulled[-1]

    yield of
    for one in pulled:
        one.plug()
