"""The life of a VF: set, handed over, taken back, refused; for guests and for virtual machines."""

import errno
from collections.abc import Callable

import msgspec
import pytest
from fake_kernel import HOME
from life_world import OTHER, VF, WANTED, World
from msgspec import structs

from hydria.base.errors import Conflict, HydriaError, Retryable, Terminal
from hydria.sriov.inventory import VfId, VfSettings
from hydria.sriov.netlink import NetlinkFailed
from hydria.sriov.nics import PciDevice
from hydria.sriov.records import Records


def test_hand_over_and_take_back(world: World) -> None:
    before, qos = world.vf(), world.kernel.fake("public0", 1).state.vlan_qos
    assert before.settings.vlan == 7
    world.hand_over()
    assert world.is_given()
    assert (world.vf().at_home, world.vf().holder, world.vf().foreign) == (False, "port 1", False)
    world.nics.take_back(VF)
    assert world.vf() == before
    assert world.kernel.fake("public0", 1).state.vlan_qos == qos
    assert not world.records()


def test_everything_twice(world: World) -> None:
    before = world.vf()
    world.hand_over()
    netdev = world.kernel.fake("public0", 1).netdev
    world.hand_over()
    assert world.kernel.fake("public0", 1).netdev is netdev, "the guest would lose its connections"
    world.nics.take_back(VF)
    world.nics.take_back(VF)
    assert world.vf() == before


def test_records_are_nobody_elses_to_read(world: World) -> None:
    world.hand_over()
    (file,) = world.directory.glob("*.json")
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert msgspec.json.decode(file.read_bytes())["holder"] == "port 1"


def test_other_settings_are_set_while_the_guest_has_it(world: World) -> None:
    before = world.vf()
    world.hand_over()
    netdev = world.kernel.fake("public0", 1).netdev
    world.hand_over(settings=(changed := structs.replace(WANTED, max_tx_rate=10)), holder="port 2")
    assert world.kernel.fake("public0", 1).netdev is netdev
    assert world.is_given(changed)
    assert world.vf().holder == "port 2"
    world.kernel.pfs_["public0"].refuses = {"trust": errno.EOPNOTSUPP}
    with pytest.raises(Terminal, match="trust 0"):
        world.hand_over(settings=structs.replace(WANTED, vlan=8, trust=False))
    assert world.is_given(changed)
    world.kernel.pfs_["public0"].refuses = {}
    world.nics.take_back(VF)
    assert world.vf() == before


def test_another_mac_brings_it_in_anew(world: World) -> None:
    world.hand_over()
    world.hand_over(settings=(changed := structs.replace(WANTED, mac="fa:16:3e:00:00:99")))
    assert world.is_given(changed)


def test_guest_renames_and_moves_it_on(world: World) -> None:
    world.hand_over()
    netdev = world.kernel.fake("public0", 1).netdev
    assert netdev is not None
    netdev.name, netdev.namespace = "eth1", world.kernel.make_inner(world.guest)
    world.hand_over()
    assert world.kernel.fake("public0", 1).netdev is netdev
    world.nics.take_back(VF)
    assert world.vf().at_home


def test_retaken_from_another_guest(world: World) -> None:
    before = world.vf()
    world.hand_over()
    world.hand_over(pid=(other := world.kernel.start_guest()))
    assert world.is_given(pid=other)
    world.nics.take_back(VF)
    assert world.vf() == before


@pytest.mark.parametrize(
    ("setting", "code", "settings", "words"),
    [
        ("vlan", errno.EPROTONOSUPPORT, {}, "vlan 100, qos 0"),
        ("spoofchk", errno.EOPNOTSUPP, {}, "spoofchk 0"),
        ("trust", errno.EOPNOTSUPP, {"trust": False}, "trust 0"),
        ("mac", errno.EINVAL, {}, "mac fa:16:3e:00:00:01"),
        ("rate", errno.EINVAL, {"min_tx_rate": 5}, "min_tx_rate 5, max_tx_rate 100"),
        ("link_state", errno.EOPNOTSUPP, {"link_state": "enable"}, "link_state enable"),
    ],
)
def test_driver_refuses(world: World, setting: str, code: int, settings: dict[str, object], words: str) -> None:
    before = world.vf()
    world.kernel.pfs_["public0"].refuses = {setting: code}  # type: ignore[dict-item]
    with pytest.raises(Terminal, match=rf"^VF public0/1 \(0000:01:10.1\) cannot have {words}: driver igb .* refuses"):
        world.hand_over(settings=structs.replace(WANTED, **settings))
    assert world.vf() == before
    assert not world.records()


def test_what_is_not_asked_for_is_not_set(world: World) -> None:
    world.kernel.pfs_["public0"].refuses = dict.fromkeys(("vlan", "trust", "rate", "link_state"), errno.EOPNOTSUPP)
    as_it_is = VfSettings(mac=WANTED.mac, vlan=7, trust=True, max_tx_rate=50)
    world.hand_over(settings=as_it_is)
    assert world.is_given(structs.replace(as_it_is, mtu=1500))


def test_driver_says_later(world: World) -> None:
    before = world.vf()
    world.kernel.pfs_["public0"].refuses = {"vlan": errno.EAGAIN}
    with pytest.raises(NetlinkFailed):
        world.hand_over()
    assert world.vf() == before


def test_mtu_refused(world: World) -> None:
    before = world.vf()
    with pytest.raises(Terminal, match="cannot have mtu 100000: driver igbvf refuses: Invalid argument"):
        world.hand_over(settings=structs.replace(WANTED, mtu=100_000))
    assert world.vf() == before


def test_driver_does_not_forget_a_mac(world: World) -> None:
    world.hand_over()
    world.kernel.pfs_["public0"].refuses = {"mac": errno.EINVAL}
    world.nics.take_back(VF)
    assert world.vf().at_home
    assert not world.records()


def test_driver_does_not_take_a_setting_back(world: World) -> None:
    """igb sets a rate only while the PF has a link: the VF is nobody's until it has one again."""
    before = world.vf()
    world.hand_over()
    world.kernel.pfs_["public0"].refuses = {"rate": errno.EINVAL}
    world.nics.take_back(VF)
    now = world.vf()
    assert (now.at_home, now.netdev, now.settings.vlan) == (False, before.netdev, 7)
    assert now.holder == "nobody, but its PF does not take back: min_tx_rate 0, max_tx_rate 50"
    world.hand_over(settings=structs.replace(WANTED, max_tx_rate=100))
    world.kernel.pfs_["public0"].refuses = {}
    world.nics.take_back(VF)
    assert world.vf() == before


def up_with_address(world: World) -> str:
    netdev = world.kernel.fake("public0", 1).netdev
    assert netdev is not None
    netdev.is_up, netdev.addresses = True, ("198.51.100.1/24",)
    return "up with 198.51.100.1/24"


def enslaved(world: World) -> str:
    netdev = world.kernel.fake("public0", 1).netdev
    assert netdev is not None
    netdev.master = world.kernel.pfs_["members0"].index
    return "enslaved to members0"


def in_a_namespace(world: World) -> str:
    netdev = world.kernel.fake("public0", 1).netdev
    assert netdev is not None
    netdev.namespace = 99
    return "the network namespace of process 99"


def at_vfio(world: World) -> str:
    vf = world.kernel.fake("public0", 1)
    vf.driver, vf.netdev = "vfio-pci", None
    return "vfio-pci"


def at_another_driver(world: World) -> str:
    vf = world.kernel.fake("public0", 1)
    vf.driver, vf.netdev = "uio_pci_generic", None
    return "driver uio_pci_generic, which shows no netdev"


@pytest.mark.parametrize("somebody", [up_with_address, enslaved, in_a_namespace, at_vfio, at_another_driver])
def test_somebody_else_has_it(world: World, somebody: Callable[[World], str]) -> None:
    holder = somebody(world)
    before = structs.replace(world.vf())
    assert (before.foreign, before.holder) == (True, holder)
    with pytest.raises(Conflict, match=rf"VF public0/1 \(0000:01:10.1\) is not ours to give: {holder} has it"):
        world.hand_over()
    world.nics.take_back(VF)
    assert world.vf() == before
    assert VF not in [vf.id for vf in world.pf().free(())]


@pytest.mark.parametrize(
    ("mac", "who"),
    [
        pytest.param("52:54:00:00:00:00", "PF public0", id="its PF's"),
        pytest.param("FA:16:3E:00:00:02", r"VF members0/0 \(0000:02:10.0\)", id="another VF's"),
    ],
)
def test_mac_is_used_already(world: World, mac: str, who: str) -> None:
    world.hand_over(VfId("members0", 0), VfSettings(mac="fa:16:3e:00:00:02"))
    before = world.vf()
    with pytest.raises(Conflict, match=f"VF public0/1 .* cannot have MAC {mac}: {who} has it"):
        world.hand_over(settings=VfSettings(mac=mac))
    assert world.vf() == before
    assert world.records() == ["0000:02:10.0.json"]


def test_pf_of_another_network_may_have_the_mac(world: World) -> None:
    world.hand_over(settings=(wanted := VfSettings(mac="52:54:00:00:00:01", mtu=1500)))
    assert world.is_given(wanted)


def test_no_driver_fits(world: World) -> None:
    vf = world.kernel.fake("public0", 1)
    vf.driver, vf.netdev = None, None
    vf.override = "nothing"
    before = world.vf()
    with pytest.raises(HydriaError):
        world.hand_over()
    assert world.vf() == before


def test_vf_without_driver_gets_one_and_loses_it(world: World) -> None:
    vf = world.kernel.fake("public0", 1)
    vf.driver, vf.netdev = None, None
    before = world.vf()
    world.hand_over()
    assert world.is_given()
    world.nics.take_back(VF)
    assert (world.vf(), vf.driver) == (before, None)


def test_switchdev(world: World) -> None:
    world.kernel.devlink_mode["0000:01:00.0"] = "switchdev"
    with pytest.raises(Terminal, match="its PF is in switchdev mode"):
        world.hand_over()
    assert not world.records()


def test_vfio(world: World) -> None:
    before = world.vf()
    for _ in range(2):
        given = world.nics.hand_over_to_machine(VF, WANTED, holder="port 1")
        assert given == PciDevice(world.kernel.fake("public0", 1).address)
    vf = world.kernel.fake("public0", 1)
    assert (vf.driver, vf.override, vf.state.settings.mac) == ("vfio-pci", "vfio-pci", WANTED.mac)
    assert (world.vf().at_home, world.vf().foreign, world.vf().holder) == (False, False, "port 1")
    assert Records(world.directory).of_fabric("hydria") == {str(VF)}
    assert Records(world.directory).of_fabric("another") == frozenset()
    world.kernel.vfio_opened = {101}
    with pytest.raises(Retryable, match="still in use by process 4711"):
        world.nics.take_back(VF)
    world.kernel.vfio_opened = set()
    world.nics.take_back(VF)
    assert (world.vf(), vf.override) == (before, None)


@pytest.mark.parametrize(
    ("lacks", "reason"),
    [("iommu", "it has no IOMMU group"), ("modprobe_works", "no driver vfio-pci")],
)
def test_vfio_is_not_possible(world: World, lacks: str, reason: str) -> None:
    before = world.vf()
    setattr(world.kernel, lacks, False)
    with pytest.raises(Terminal, match=reason):
        world.nics.hand_over_to_machine(VF, WANTED)
    assert world.vf() == before
    assert not world.records()


def test_settings_while_a_virtual_machine_has_it(world: World) -> None:
    before = world.vf()
    with pytest.raises(Conflict, match="is with no virtual machine"):
        world.nics.adjust(VF, WANTED)
    assert (world.vf(), world.records()) == (before, [])
    world.nics.hand_over_to_machine(VF, WANTED, holder="port 1")
    world.kernel.vfio_opened = {101}
    world.nics.adjust(VF, structs.replace(WANTED, max_tx_rate=10, trust=False), holder="port 1")
    vf = world.kernel.fake("public0", 1)
    assert (vf.driver, vf.state.settings.max_tx_rate, vf.state.settings.trust) == ("vfio-pci", 10, False)
    with pytest.raises(Conflict, match="not with MAC"):
        world.nics.adjust(VF, structs.replace(WANTED, mac="fa:16:3e:00:00:99"))
    world.kernel.vfio_opened = set()
    world.nics.take_back(VF)
    assert world.vf() == before


def test_from_guest_to_virtual_machine_and_back(world: World) -> None:
    before = world.vf()
    world.hand_over()
    world.nics.hand_over_to_machine(VF, WANTED)
    assert world.kernel.fake("public0", 1).driver == "vfio-pci"
    world.hand_over()
    assert world.is_given()
    world.nics.take_back(VF)
    assert world.vf() == before


def test_nothing_is_taken_from_home(world: World) -> None:
    world.nics.take_back(OTHER)
    netdev = world.kernel.fake("public0", 2).netdev
    assert netdev is not None
    assert netdev.namespace == HOME
