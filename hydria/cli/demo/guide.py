"""The commands of the operator's guide "Using SR-IOV Ports with Octavia", as they are typed there. Runs nothing."""

from typing import Literal

import msgspec

HOST = "sriov-host.example.org"
FLAVOR = "SRIOV-public-members"


class Step(msgspec.Struct, frozen=True):
    title: str
    cloud: Literal["admin", "service", "demo"]
    """Who types it: an entry of clouds.yaml."""
    commands: tuple[str, ...]


AGGREGATE = Step(
    "2. A host aggregate, with the simple and the advanced form of its properties",
    "admin",
    (
        "openstack aggregate create sriov_aggregate",
        "openstack aggregate add host sriov_aggregate sriov-host.example.org",
        "openstack aggregate set --property sriov-nic=true sriov_aggregate",
        "openstack aggregate set --property public-sriov=true --property members-sriov=true sriov_aggregate",
    ),
)
COMPUTE_FLAVOR = Step(
    "3. A compute flavor with the matching properties, private to the load balancer service's project",
    "service",
    (
        (
            "openstack flavor create --id amphora-sriov-flavor --ram 1024 --disk 3 --vcpus 1 --private sriov.amphora "
            "--property hw_rng:allowed=True --property public-sriov=true --property members-sriov=true"
        ),
    ),
)
VIP_PROFILE = Step(
    "4. The first form of a flavor profile: a VF for the VIP only",
    "admin",
    (
        (
            "openstack loadbalancer flavorprofile create --name amphora-sriov-profile --provider amphora "
            '--flavor-data \'{"compute_flavor": "amphora-sriov-flavor", "sriov_vip": true}\''
        ),
    ),
)
NOT_IN_THE_GUIDE = Step(
    "   The second form has the same name, which a flavor could then not tell apart: so the first one goes",
    "admin",
    ("openstack loadbalancer flavorprofile delete amphora-sriov-profile",),
)
FLAVOR_STEP = Step(
    "4. The second form, which also allows VFs for members, and the flavor that users choose",
    "admin",
    (
        (
            "openstack loadbalancer flavorprofile create --name amphora-sriov-profile --provider amphora "
            '--flavor-data \'{"compute_flavor": "amphora-sriov-flavor", "sriov_vip": true, '
            '"allow_member_sriov": true}\''
        ),
        (
            "openstack loadbalancer flavor create --name SRIOV-public-members --flavorprofile amphora-sriov-profile "
            "--description \"A load balancer that uses SR-IOV for the 'public' network and 'members' network.\" "
            "--enable"
        ),
    ),
)
USE = Step(
    "6. What a user of the service types",
    "demo",
    (
        "openstack loadbalancer create --name lb1 --vip-subnet-id public-subnet --flavor SRIOV-public-members --wait",
        "openstack loadbalancer listener create --name listener1 --protocol HTTP --protocol-port 80 --wait lb1",
        (
            "openstack loadbalancer pool create --name pool1 --lb-algorithm ROUND_ROBIN --listener listener1 "
            "--protocol HTTP --wait"
        ),
        (
            "openstack loadbalancer member create --subnet-id members-subnet --address 192.0.2.10 --protocol-port 80 "
            "--request-sriov --wait pool1"
        ),
    ),
)

OPERATOR = (AGGREGATE, COMPUTE_FLAVOR, VIP_PROFILE, NOT_IN_THE_GUIDE, FLAVOR_STEP)
"""What makes the flavor that a user then chooses."""
