"""Steps 2 and 3 of the SR-IOV guide, as typed, with the official client."""

import shlex

import pytest
from running_cloud import RunningCloud

pytestmark = pytest.mark.client

GUIDE = """
openstack aggregate create sriov_aggregate
openstack aggregate add host sriov_aggregate host1
openstack aggregate set --property sriov-nic=true sriov_aggregate
openstack aggregate set --property public-sriov=true --property members-sriov=true sriov_aggregate
openstack flavor create --id amphora-sriov-flavor --ram 1024 --disk 3 --vcpus 1 --private sriov.amphora \
 --property hw_rng:allowed=True --property public-sriov=true --property members-sriov=true
"""


def test_guide(cloud: RunningCloud):
    def openstack(line: str) -> str:
        program, *arguments = shlex.split(line)
        assert program == "openstack"
        return cloud.openstack(*arguments, user="hydria", project="service")

    for line in GUIDE.strip().splitlines():
        openstack(line)
    with cloud.client("hydria") as client:
        (aggregate,) = client.get("/compute/v2.1/os-aggregates").json()["aggregates"]
        specs = client.get("/compute/v2.1/flavors/amphora-sriov-flavor/os-extra_specs").json()["extra_specs"]
    assert aggregate["hosts"] == ["host1"]
    assert aggregate["metadata"] == {"sriov-nic": "true", "public-sriov": "true", "members-sriov": "true"}
    assert specs == {"hw_rng:allowed": "True", "public-sriov": "true", "members-sriov": "true"}
    assert openstack("openstack server list --all-projects -f value") == ""
