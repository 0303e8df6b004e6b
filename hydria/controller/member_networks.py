"""Decides which member networks an amphora is attached to, by a VF or not, and which members that leaves out. Pure."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hydria.drivers.cloud import Subnet
from hydria.model.load_balancer import VnicType
from hydria.model.pool import Member

Nic = tuple[str, VnicType]
"""Network id, and how it is attached."""


@dataclass(frozen=True)
class Plan:
    nics: frozenset[Nic]
    """What has to be attached; the VIP's network is none of them."""
    served: Mapping[str, tuple[str, ...]]
    """Network id → members reached through it."""
    faults: Mapping[str, str]
    """Member id → why it cannot be served."""


@dataclass(frozen=True)
class Situation:
    vip: Nic
    subnets: Mapping[str, Subnet]
    """Of the members; one that is missing here is gone."""
    attached: frozenset[Nic] = frozenset()
    refused: Mapping[Nic, str] | None = None
    """What the cloud would not give this time, and why."""


def plan(members: Iterable[Member], situation: Situation) -> Plan:
    faults: dict[str, str] = {}
    by_network: dict[str, list[Member]] = {}
    for member in sorted(members, key=_seniority):
        network_id = _network(member, situation)
        if network_id is None:
            faults[member.id] = f"Subnet {member.subnet_id} of member {member.address} not found."
        else:
            by_network.setdefault(network_id, []).append(member)
    nics = set()
    for network_id, users in by_network.items():
        vnic_type, left_out = _choose(network_id, users, situation)
        faults |= left_out
        if vnic_type is not None and network_id != situation.vip[0]:
            nics.add((network_id, vnic_type))
    served = {
        network_id: tuple(member.id for member in users if member.id not in faults)
        for network_id, users in by_network.items()
    }
    return Plan(frozenset(nics), served, faults)


def _seniority(member: Member) -> tuple[str, str]:
    """Who was there first decides what two cannot have."""
    return (member.created_at.isoformat() if member.created_at else "", member.id)


def _network(member: Member, situation: Situation) -> str | None:
    if member.subnet_id is None:
        return situation.vip[0]
    subnet = situation.subnets.get(member.subnet_id)
    return subnet.network_id if subnet else None


def _choose(network_id: str, users: list[Member], situation: Situation) -> tuple[VnicType | None, dict[str, str]]:
    """How one network is attached (None: not at all), and the members which that leaves out."""
    if network_id == situation.vip[0]:
        return situation.vip[1], _conflicts(network_id, users, situation.vip[1], "the VIP's port, which is")
    if (network_id, "direct") in situation.attached:
        return "direct", {}
    normals = any(member.vnic_type == "normal" for member in users)
    # When all want a VF and none has it, the normal port serves nobody, and a VF takes its place.
    if normals and (network_id, "normal") in situation.attached:
        return "normal", _conflicts(network_id, users, "normal", "a port which is")
    faults: dict[str, str] = {}
    # Groups in the order of their eldest member: a refusal leaves out those who asked for just that.
    for vnic_type, _ in itertools.groupby(users, key=lambda member: member.vnic_type):
        reason = (situation.refused or {}).get((network_id, vnic_type))
        rest = [member for member in users if member.id not in faults]
        if reason is None:
            return vnic_type, faults | _conflicts(network_id, rest, vnic_type, "a port which is")
        faults |= {member.id: reason for member in rest if member.vnic_type == vnic_type}
    return None, faults


def _conflicts(network_id: str, users: list[Member], vnic_type: VnicType, by: str) -> dict[str, str]:
    """A VF serves everybody, a normal port only those who did not ask for a VF."""
    if vnic_type == "direct":
        return {}
    return {
        member.id: f"Member {member.id} ({member.address}) asks for an SR-IOV port, but network {network_id} "
        f"is attached by {by} not."
        for member in users
        if member.vnic_type == "direct"
    }
