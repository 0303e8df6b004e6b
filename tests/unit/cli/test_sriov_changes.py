"""What `hydria sriov watch` says of two looks at the PFs."""

import msgspec
import pytest

from hydria.cli.sriov.changes import changes
from hydria.sriov.inventory import Pf, Vf, VfId

FREE, OURS, OTHER = (
    Vf(VfId("eth0", 0)),
    Vf(VfId("eth0", 0), at_home=False, holder="port 9a1f"),
    Vf(VfId("eth0", 0), at_home=False, holder="port 77aa"),
)
PF = Pf(name="eth0", physical_network="public", driver="igb", pci_address="0000:01:00.0", link_up=True, vfs=(FREE,))


def but(**values: object) -> Pf:
    return msgspec.structs.replace(PF, **values)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param((PF,), (PF,), [], id="nothing"),
        pytest.param((PF,), (), [("pf-gone", "PF eth0 is gone")], id="PF gone"),
        pytest.param((), (PF,), [("pf-new", "PF eth0 is here, link up, 1 VFs")], id="PF new"),
        pytest.param((PF,), (but(name="enp1s0"),), [], id="PF renamed: the same"),
        pytest.param((PF,), (but(link_up=False),), [("link-lost", "PF eth0 has lost its link")], id="link lost"),
        pytest.param((but(link_up=False),), (PF,), [("link-back", "PF eth0 has its link back")], id="link back"),
        pytest.param((PF,), (but(vfs=()),), [("vfs-changed", "PF eth0 has 0 VFs, it had 1")], id="VFs taken away"),
        pytest.param(
            (PF,), (but(vfs=(OURS,)),), [("vf-handed-over", "VF eth0/0 is handed over to port 9a1f")], id="handed over"
        ),
        pytest.param(
            (but(vfs=(OURS,)),), (PF,), [("vf-given-back", "VF eth0/0 is given back by port 9a1f")], id="given back"
        ),
        pytest.param(
            (but(vfs=(OURS,)),),
            (but(vfs=(OTHER,)),),
            [("vf-handed-over", "VF eth0/0 is handed over to port 77aa")],
            id="from one to another",
        ),
    ],
)
def test_changes(before: tuple[Pf, ...], after: tuple[Pf, ...], expected: list[tuple[str, str]]):
    assert [(change.event, change.text) for change in changes(before, after)] == expected
