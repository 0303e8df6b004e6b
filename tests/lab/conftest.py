"""Fixtures of the tests that run in the lab's guest, and what must hold after each of their files."""

import os
from collections.abc import Callable, Iterator

import pytest
from hardware import CARDS, Cable, Card, bring_up, state, until

if "HYDRIA_LAB" not in os.environ:
    raise pytest.UsageError("tests/lab needs real NICs to spoil: make lab, or python -m lab tests/lab/FILE.")

# Tests of other directories that are also run here.
pytest.register_assert_rewrite("e2e", "root")


@pytest.fixture(scope="session", autouse=True)
def _prepared_host() -> None:
    bring_up()


@pytest.fixture(scope="module", autouse=True)
def _every_vf_is_home_afterwards(_prepared_host: None) -> Iterator[None]:
    """Unclaimed, with the settings that it had: whatever a file's tests are about, its VFs come back."""
    before = state()
    yield
    try:
        # Awaited: the kernel takes a moment to end the namespace of a guest that died.
        until("every VF is at home, as it was", lambda: state() == before, 30, 0.5)
    except AssertionError:
        after = state()
        changed = [f"{key}: {before.get(key)} -> {after.get(key)}" for key in after if after[key] != before.get(key)]
        pytest.fail(f"not as it was: {'; '.join(changed)}", pytrace=False)
    finally:
        bring_up()


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
