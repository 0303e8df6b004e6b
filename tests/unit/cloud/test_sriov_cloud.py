"""A cloud on real NICs: what it holds after its first start, and that it starts while the NICs are away."""

from pathlib import Path

import msgspec
from running_cloud import make_config

from hydria.base.config import Config, Fabric, Host
from hydria.cloud.app import open_services
from hydria.cloud.context import CLOUD
from hydria.fabric.kinds import fabric_of
from hydria.fabric.sriov import SriovFabric


def sriov_config(directory: Path) -> Config:
    config = make_config(directory)
    pfs = {"no-such-pf0": "public", "no-such-pf1": "storage", "no-such-pf2": "public"}
    return msgspec.structs.replace(
        config,
        cloud=msgspec.structs.replace(config.cloud, hosts=(Host(name="host1", pfs=pfs),)),
        fabric=Fabric(kind="sriov", name="no-such-fabric"),
    )


def test_networks_are_those_of_the_pfs_and_the_management_network(tmp_path: Path):
    services = open_services(sriov_config(tmp_path))
    try:
        found = services.network.networks.documents(CLOUD, {})[0]
        subnets = services.network.subnets.documents(CLOUD, {})[0]
        networks = {one["name"]: one["provider:physical_network"] for one in found}
        assert networks == {"public": "public", "storage": "storage", "lb-mgmt-net": "mgmt"}
        # A network that the guide does not have is the operator's to number.
        assert {one["name"] for one in subnets} == {"public-subnet", "public-subnet6", "lb-mgmt-subnet"}
        assert services.compute.hosts.inventory() == {"host1": []}
    finally:
        services.close()


def test_the_kind_says_whose_pfs_they_are(tmp_path: Path):
    fabric = fabric_of(sriov_config(tmp_path))
    assert isinstance(fabric, SriovFabric)
    assert fabric.nics().scan() == ()
    assert not isinstance(fabric_of(make_config(tmp_path)), SriovFabric)
