"""An amphora whose PF loses its link, or is gone, moves to the host's other PF by itself. One Hydria for all tests.

Both PFs are on the physical network public: the outside world's NIC is a bridge over both wires' ends.
"""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hardware import CARDS, Cable, Card, has_carrier, ip, is_home, outside_nic, until
from lab_scene import Json, LabScene, LabStage

from e2e.scene import Traffic, member
from hydria.base import process
from hydria.cli.demo import guide
from hydria.cli.demo.client import Client
from hydria.cli.demo.stage import await_condition
from hydria.sriov import namespaces

DRIVER = Path("/sys/bus/pci/drivers/igb")
ADDRESSES = ("203.0.113.253/24", "2001:db8:0:cb::253/64")
FLAVOR_DATA = {"compute_flavor": "vfs", "sriov_vip": True}


@pytest.fixture(scope="module")
def scene() -> Iterator[LabScene]:
    """Client and backend are both outside, so that no PF matters to them."""
    with contextlib.ExitStack() as stack:
        world = stack.enter_context(joined("world"))
        pfs = {card.pf: "public" for card in CARDS.values()}
        stage = stack.enter_context(LabStage("replacement", host_names=[guide.HOST], pfs=pfs))
        outside = stage.host("outside", namespaces.named(world), ADDRESSES)
        outside.serve()
        users = {cloud: Client(stage.state.clouds, cloud) for cloud in ("admin", "service", "demo")}
        made = LabScene(stage=stage, client=outside, flavor_id=flavor_of(users), **users)
        yield made
        made.await_nothing_left()


@contextlib.contextmanager
def joined(name: str) -> Iterator[str]:
    """A namespace with a bridge over the NICs at both wires' ends."""
    nics = [outside_nic(card) for card in CARDS.values()]
    ip(f"netns add {name}")
    try:
        ip("link set dev lo up", netns=name)
        ip("link add world type bridge forward_delay 0 mcast_snooping 0", netns=name)
        for nic in nics:
            ip(f"link set dev {nic} netns {name}")
            ip(f"link set dev {nic} master world up", netns=name)
        for address in ADDRESSES:
            ip(f"addr add {address} dev world{' nodad' if ':' in address else ''}", netns=name)
        ip("link set dev world up", netns=name)
        yield name
    finally:
        for nic in nics:
            ip(f"link set dev {nic} nomaster down", netns=name, check=False)
            ip(f"link set dev {nic} netns 1", netns=name, check=False)
        ip(f"netns delete {name}")


def flavor_of(users: dict[str, Client]) -> str:
    flavor = {"id": "vfs", "name": "vfs", "vcpus": 1, "ram": 512, "disk": 1, "os-flavor-access:is_public": False}
    users["service"].call("POST", "/flavors", {"flavor": flavor}, service="compute")
    profile = {"name": "vfs", "provider_name": "amphora", "flavor_data": json.dumps(FLAVOR_DATA)}
    made = users["admin"].create("flavorprofiles", **profile)
    return str(users["admin"].create("flavors", name="vfs", flavor_profile_id=made["id"])["id"])


@pytest.fixture(scope="module")
def balancer(scene: LabScene) -> Iterator[Json]:
    backend = member(ADDRESSES[0].partition("/")[0], scene.subnet("public-subnet"))
    with scene.balancer("moves", [backend], flavor_id=scene.flavor_id) as made:
        scene.await_answer(made["vip_address"])
        yield made


def pull(end: Cable) -> None:
    """So that VFs hear of it: QEMU gives the mailbox interrupt, by which a PF tells that, to the wrong vector of a VF.
    What they see without it is that their PF was reset."""
    end.pull()
    until("the PF has no link", lambda: not has_carrier(end.card.pf))
    process.run(["ethtool", "--negotiate", end.card.pf])


def its_card(scene: LabScene) -> Card:
    """The one that the amphora's only VF is of."""
    (pf,) = (pf for pf, count in scene.vfs_in_use().items() if count)
    return next(card for card in CARDS.values() if card.pf == pf)


def other_than(card: Card) -> Card:
    (other,) = (one for one in CARDS.values() if one != card)
    return other


def servers(scene: LabScene) -> set[str]:
    return {str(one["id"]) for one in scene.servers()}


def link_is_up(scene: LabScene, card: Card) -> bool:
    """As the cloud's API shows it to an operator."""
    (host,) = scene.admin.call("GET", "/os-hypervisors/detail", service="compute")["hypervisors"]
    return any(pf["link_up"] for pf in host["hydria:pfs"] if pf["pci_address"] == card.pci)


def await_moved(scene: LabScene, balancer: Json, old: set[str], card: Card) -> None:
    """Another amphora serves on a VF of `card`, and the old one's VF is back in the pool."""
    vip = balancer["vip_address"]
    await_condition("there is another server", lambda: bool(servers(scene)) and not servers(scene) & old, 30, 0.1)
    scene.await_answer(vip, seconds=20)
    scene.demo.await_active(balancer["id"], seconds=30)
    wanted = {one.pf: int(one == card) for one in CARDS.values() if one.pf}
    await_condition("one VF is in use, the other is back", lambda: scene.vfs_in_use() == wanted, 30, 0.1)
    assert scene.kinds(vip) == {"eth1": "vf"}
    with Traffic(scene.client, vip) as traffic:
        traffic.await_more(5)
    assert traffic.failures == []


def test_the_pf_is_gone(scene: LabScene, balancer: Json) -> None:
    """As when its driver is bound anew; its VFs go with it."""
    card, old = its_card(scene), servers(scene)
    other, name = other_than(card), card.pf
    until("both have a link", lambda: all(has_carrier(one.pf) for one in CARDS.values()))
    (DRIVER / "unbind").write_text(card.pci)
    try:
        await_moved(scene, balancer, old, other)
    finally:
        (DRIVER / "bind").write_text(card.pci)
        until("it is there again", lambda: card.pf == name)
        card.prepare()
    await_condition("the cloud sees it again", lambda: link_is_up(scene, card), 10, 0.1)
    assert its_card(scene) == other


def test_the_pfs_link_is_lost(scene: LabScene, balancer: Json, cable: Callable[[Card], Cable]) -> None:
    card, old = its_card(scene), servers(scene)
    other = other_than(card)
    pull(cable(card))
    await_condition("the cloud says so", lambda: not link_is_up(scene, card), 1, 0.02)
    await_moved(scene, balancer, old, other)
    assert any("has had no link for" in reason for reason in scene.demo.reasons(balancer["id"]))
    assert all(is_home(vf) for vf in card.vfs)


def test_it_stays_where_no_other_link_can_be_had(
    scene: LabScene, balancer: Json, cable: Callable[[Card], Cable]
) -> None:
    card, old = its_card(scene), servers(scene)
    mine, others = cable(card), cable(other_than(card))
    pull(others)
    await_condition("the cloud says so", lambda: not link_is_up(scene, other_than(card)), 1, 0.02)
    pull(mine)
    await_condition("the reason is told", lambda: "stays until" in " ".join(scene.demo.reasons(balancer["id"])), 30)
    assert not scene.connects(balancer["vip_address"], 80)
    assert old <= servers(scene)
    mine.plug()
    scene.await_answer(balancer["vip_address"], seconds=20)
    scene.demo.await_active(balancer["id"], seconds=30)
    # A VF has its link seconds after its PF: an attempt of just then finds VFs again, and one of the two goes.
    await_condition("one amphora is left", lambda: len(servers(scene)) == 1, 60)
    scene.await_answer(balancer["vip_address"], seconds=20)
    assert its_card(scene) == card
