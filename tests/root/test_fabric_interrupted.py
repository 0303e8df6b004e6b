"""Killed between any two messages to the kernel: the next run mends it, and down leaves nothing."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from machine import guest, look, new_fabric, new_name

from hydria.base import process
from hydria.fabric import hosts
from hydria.fabric.software import SoftwareFabric
from hydria.sriov import namespaces
from hydria.sriov.inventory import VfId, VfSettings
from hydria.sriov.netlink import Netlink

pytestmark = pytest.mark.root

VF = VfId("pf-public", 0)
MAC = "fa:16:3e:00:00:01"


class Killed(BaseException):
    """Nothing of ours catches it, as nothing catches SIGKILL."""


def interruptions(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> Iterator[int]:
    """Run `work` up to its first, second, third ... step, until it gets to its end; yields after each."""
    for last in itertools.count(1):
        steps = itertools.count(1)

        def stepping(
            original: Callable[..., Any], steps: Iterator[int] = steps, last: int = last
        ) -> Callable[..., Any]:
            def step(*args: Any, **kwargs: Any) -> Any:
                if next(steps) >= last:
                    raise Killed
                return original(*args, **kwargs)

            return step

        with monkeypatch.context() as patch:
            patch.setattr(Netlink, "_ask", stepping(Netlink._ask))
            patch.setattr(process, "run", stepping(process.run))
            try:
                work()
            except Killed:
                pass
            else:
                return
        yield last


def kinds(pid: int) -> list[str]:
    with Netlink(namespaces.of_process(pid)) as netlink:
        return sorted(link.kind for link in netlink.links() if link.kind)


@pytest.mark.usefixtures("machine")
def test_ensure(monkeypatch: pytest.MonkeyPatch) -> None:
    before = look()
    made = new_fabric(vfs=1, physical_networks=("public",))
    try:
        for steps in interruptions(monkeypatch, made.ensure):
            if steps % 2:
                made.ensure()
                (pf,) = made.nics().scan()
                assert (pf.link_up, [vf.id for vf in pf.free(())]) == (True, [VF])
                assert "198.18.0.1/20" in look()["addr"]
            made.down()
            assert look() == before
            assert not namespaces.named(made.name).exists()
    finally:
        made.down()


def test_plug_and_unplug(fabric: SoftwareFabric, monkeypatch: pytest.MonkeyPatch) -> None:
    with guest() as pid:

        def plug() -> None:
            fabric.plug(port_id="port", mac=MAC, physical_network="public", pid=pid, name="nic0")

        for steps in interruptions(monkeypatch, plug):
            if steps % 2:
                plug()
                assert kinds(pid) == ["veth"]
                assert fabric.ports() == {"port"}
            fabric.unplug(port_id="port")
            assert kinds(pid) == []


def test_hand_over_and_take_back(fabric: SoftwareFabric, monkeypatch: pytest.MonkeyPatch) -> None:
    nics = fabric.nics()

    def free() -> int:
        return sum(len(pf.free(())) for pf in nics.scan())

    with guest() as pid:
        for steps in interruptions(monkeypatch, lambda: nics.hand_over(VF, VfSettings(mac=MAC), pid=pid)):
            if steps % 2:
                nics.hand_over(VF, VfSettings(mac=MAC), pid=pid)
                assert (kinds(pid), free()) == (["macvlan"], 5)
            nics.take_back(VF)
            assert (kinds(pid), free()) == ([], 6)
        nics.hand_over(VF, VfSettings(mac=MAC), pid=pid)
        for _ in interruptions(monkeypatch, lambda: nics.take_back(VF)):
            nics.take_back(VF)
            assert (kinds(pid), free()) == ([], 6)
            nics.hand_over(VF, VfSettings(mac=MAC), pid=pid)


def test_add_host(fabric: SoftwareFabric, monkeypatch: pytest.MonkeyPatch) -> None:
    name = new_name()
    for _ in interruptions(monkeypatch, lambda: hosts.add(fabric.name, name, "public")):
        assert not namespaces.named(name).exists()
        assert hosts.listing(fabric.name) == []
    assert [host.addresses[0] for host in hosts.listing(fabric.name)] == ["203.0.113.254/24"]
