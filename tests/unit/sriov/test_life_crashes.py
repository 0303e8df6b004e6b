"""The life of a VF that is cut short: killed at every step, its guest dead, its PF gone."""

import errno

import pytest
from fake_kernel import killed_after
from life_world import VF, WANTED, World
from msgspec import structs

from hydria.base.errors import Retryable, Terminal
from hydria.sriov.inventory import VfSettings, strays

STEPS = 60
"""More calls than a hand over needs."""


@pytest.mark.parametrize("name_taken", [False, True])
def test_guest_dies(world: World, name_taken: bool) -> None:
    before = world.vf()
    world.hand_over()
    if name_taken:
        spare = world.kernel.fake("public0", 2).netdev
        assert spare is not None
        assert before.netdev is not None
        spare.name = before.netdev
    world.kernel.end_guest(world.guest)
    assert not world.vf().at_home, "it has the guest's VLAN and trust: nobody may get it"
    assert list(strays(world.nics.scan(), ())) == [VF]
    world.nics.take_back(VF)
    assert structs.replace(world.vf(), netdev=None) == structs.replace(before, netdev=None)
    assert (world.vf().netdev == before.netdev) is not name_taken


@pytest.mark.parametrize("calls", range(STEPS))
@pytest.mark.parametrize("again", [False, True], ids=["then taken back", "then handed over again"])
def test_killed_while_handing_over(world: World, calls: int, again: bool) -> None:
    before = world.vf()
    with killed_after(world.kernel, calls):
        world.hand_over()
    world.restart()
    if world.vf().at_home:
        assert world.vf() == before, "it would be given to the next one as it is"
    if again:
        world.hand_over()
        assert world.is_given()
    world.nics.take_back(VF)
    assert world.vf() == before
    assert not world.records()


@pytest.mark.parametrize("calls", range(STEPS))
@pytest.mark.parametrize("alive", [False, True], ids=["guest dead", "guest alive"])
def test_killed_while_taking_back(world: World, calls: int, alive: bool) -> None:
    before = world.vf()
    world.hand_over()
    if not alive:
        world.kernel.end_guest(world.guest)
    with killed_after(world.kernel, calls):
        world.nics.take_back(VF)
    world.restart()
    if world.vf().at_home:
        assert world.vf() == before
    world.nics.take_back(VF)
    assert world.vf() == before
    assert not world.records()


@pytest.mark.parametrize("calls", range(STEPS))
def test_killed_while_undoing(world: World, calls: int) -> None:
    before = world.vf()
    world.kernel.pfs_["public0"].refuses = {"link_state": errno.EOPNOTSUPP}
    with killed_after(world.kernel, calls), pytest.raises(Terminal):
        world.hand_over(settings=structs.replace(WANTED, link_state="enable"))
    world.restart()
    world.nics.take_back(VF)
    assert world.vf() == before
    assert not world.records()


def test_steps_are_enough(world: World) -> None:
    world.kernel.calls = 0
    world.hand_over()
    assert world.kernel.calls < STEPS
    world.hand_over(pid=world.kernel.start_guest())
    world.kernel.calls = 0
    world.nics.take_back(VF)
    assert world.kernel.calls < STEPS


def test_guest_is_gone(world: World) -> None:
    before = world.vf()
    world.kernel.end_guest(world.guest)
    with pytest.raises(Retryable, match="network namespace"):
        world.hand_over()
    assert world.vf() == before


def test_guest_goes_while_it_is_handed_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.vf()
    move = world.kernel.move
    monkeypatch.setattr(world.kernel, "move", lambda link, pid: (world.kernel.end_guest(pid), move(link, pid=pid)))
    with pytest.raises(Retryable, match="network namespace"):
        world.hand_over()
    assert world.vf() == before
    assert not world.records()


def test_pf_vanishes(world: World) -> None:
    world.hand_over()
    gone = world.kernel.pfs_.pop("public0")
    assert [pf.name for pf in world.nics.scan()] == ["members0"]
    with pytest.raises(Terminal, match="VF public0/1 is not there: this host has no PF 'public0'"):
        world.hand_over()
    world.nics.take_back(VF)
    world.nics.take_back(VF)
    assert not world.records()
    world.kernel.pfs_["public0"] = gone
    world.kernel.recreate_pf("public0")
    assert world.vf().at_home


def test_pf_is_made_anew(world: World) -> None:
    world.hand_over()
    world.kernel.recreate_pf("public0")
    assert world.vf().at_home, "the record is of a VF that is no more"
    before = world.vf()
    world.nics.take_back(VF)
    assert world.vf() == before
    assert not world.records()


@pytest.mark.parametrize("numvfs", [0, 1, 3])
def test_vfs_are_made_anew_while_one_is_away(world: World, numvfs: int) -> None:
    world.hand_over()
    world.kernel.set_numvfs("public0", 0)
    world.kernel.set_numvfs("public0", numvfs)
    world.nics.take_back(VF)
    assert not world.records()
    assert world.pf().numvfs == numvfs
    assert all(vf.at_home and vf.settings.vlan == 0 for vf in world.pf().vfs)


@pytest.mark.parametrize("where", ["away", "home"])
def test_record_is_lost(world: World, where: str) -> None:
    """The tag says that it is ours; what it was before, nobody knows: it becomes what a NIC makes."""
    world.hand_over()
    if where == "home":
        world.kernel.end_guest(world.guest)
    (file,) = world.directory.glob("*.json")
    file.write_text("{")
    assert (world.vf().at_home, world.vf().foreign) == (False, False)
    world.nics.take_back(VF)
    now = world.vf()
    assert (now.at_home, now.holder) == (True, "")
    assert now.settings == VfSettings(mtu=1500)


@pytest.mark.parametrize("calls", range(STEPS))
def test_killed_while_giving_to_vfio(world: World, calls: int) -> None:
    before = world.vf()
    with killed_after(world.kernel, calls):
        world.nics.hand_over_to_machine(VF, WANTED)
    world.restart()
    world.nics.take_back(VF)
    assert world.vf() == before
    assert not world.records()
