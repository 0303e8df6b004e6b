"""A config drive as Nova makes it: what a virtual machine is told at its first boot. The documents are pure."""

import io
import ipaddress
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pycdlib

from hydria.cloud.hypervisor.guest import Machine, NicFacts

LABEL = "config-2"
DIRECTORY = "openstack/latest"


def documents(machine: Machine, user_data: bytes) -> Mapping[str, bytes]:
    """Name in DIRECTORY → content."""
    made = {
        "meta_data.json": json.dumps(meta_data(machine)).encode(),
        "network_data.json": json.dumps(network_data(machine.nics)).encode(),
    }
    return made | ({"user_data": user_data} if user_data else {})


def meta_data(machine: Machine) -> dict[str, Any]:
    return {
        "uuid": machine.id,
        "name": machine.name,
        "hostname": machine.name,
        "availability_zone": machine.zone,
        "project_id": machine.project_id,
        "launch_index": 0,
        "meta": dict(machine.metadata),
    }


def network_data(nics: tuple[NicFacts, ...]) -> dict[str, Any]:
    """A NIC without addresses is a link only: who uses it sets it up, not DHCP."""
    networks = [network for nic in nics for network in _networks(nic)]
    return {
        "links": [
            {"id": nic.id, "vif_id": nic.id, "type": "phy", "mtu": nic.mtu, "ethernet_mac_address": nic.mac}
            for nic in nics
        ],
        "networks": [{"id": f"network{number}", **network} for number, network in enumerate(networks)],
        "services": [],
    }


def _networks(nic: NicFacts) -> list[dict[str, Any]]:
    interfaces = [ipaddress.ip_interface(address) for address in nic.addresses]
    return [
        {
            "type": f"ipv{interface.version}",
            "link": nic.id,
            "ip_address": str(interface.ip),
            "netmask": str(interface.netmask),
            "routes": [],
        }
        for interface in interfaces
    ]


def write(path: Path, machine: Machine, user_data: bytes) -> None:
    """An ISO 9660 image that nobody else can read, whole or not at all."""
    image = pycdlib.PyCdlib()
    # Rock Ridge for Linux, Joliet for all others; names in capitals are what ISO 9660 itself has.
    image.new(interchange_level=3, rock_ridge="1.09", joliet=3, vol_ident=LABEL, sys_ident="LINUX")
    iso_path = joliet_path = ""
    for name in DIRECTORY.split("/"):
        iso_path, joliet_path = f"{iso_path}/{name.upper()}", f"{joliet_path}/{name}"
        image.add_directory(iso_path, rr_name=name, joliet_path=joliet_path)
    for number, (name, content) in enumerate(documents(machine, user_data).items()):
        image.add_fp(
            io.BytesIO(content),
            len(content),
            f"{iso_path}/FILE{number}.;1",
            rr_name=name,
            joliet_path=f"{joliet_path}/{name}",
        )
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "r+b") as file:
        image.write_fp(file)
    image.close()
    new.replace(path)
