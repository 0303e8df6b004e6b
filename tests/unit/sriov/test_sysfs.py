"""Machines as trees of files: what is read from each shape of sysfs, and what is written where."""

from pathlib import Path

import pytest

from hydria.sriov.sysfs import PfDevice, Sysfs, SysfsFailed, VfDevice


class Tree:
    """/sys of a machine that the tests make."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pci = root / "bus/pci"
        (self.pci / "devices").mkdir(parents=True)
        (self.pci / "drivers_probe").write_text("")

    def device(self, address: str, *, driver: str | None = None, group: int | None = None, **files: object) -> Path:
        device = self.pci / "devices" / address
        device.mkdir()
        for name, text in files.items():
            (device / name).write_text(f"{text}\n")
        if driver:
            (self.pci / "drivers" / driver).mkdir(parents=True, exist_ok=True)
            for file in ("bind", "unbind"):
                (self.pci / "drivers" / driver / file).write_text("")
            (device / "driver").symlink_to(f"../../drivers/{driver}")
        if group is not None:
            members = self.root / "kernel/iommu_groups" / str(group) / "devices"
            members.mkdir(parents=True, exist_ok=True)
            (members / address).symlink_to(device)
            (device / "iommu_group").symlink_to(members.parent)
        return device

    def pf(self, address: str, *, driver: str | None = "igb", numa_node: int = -1, **files: object) -> Path:
        return self.device(address, driver=driver, sriov_totalvfs=7, numa_node=numa_node, **files)

    def vf(self, pf: str, index: int, address: str, *, driver: str | None = "igbvf", group: int | None = None) -> Path:
        device = self.device(address, driver=driver, group=group, driver_override="(null)")
        (self.pci / "devices" / pf / f"virtfn{index}").symlink_to(f"../{address}")
        return device

    def netdev(self, device: Path, name: str, **files: object) -> None:
        (device / "net" / name).mkdir(parents=True)
        for file, text in files.items():
            (device / "net" / name / file).write_text(f"{text}\n")

    def pfs(self) -> tuple[PfDevice, ...]:
        return Sysfs(self.root).pfs()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_no_nics(tree: Tree, tmp_path: Path) -> None:
    assert tree.pfs() == ()
    assert Sysfs(tmp_path / "nothing").pfs() == ()


def test_other_devices(tree: Tree) -> None:
    tree.device("0000:00:01.0", driver="pcieport")
    tree.pf("0000:00:02.0", driver="nvme", **{"class": "0x010802"})
    tree.pf("0000:00:03.0", **{"class": "0x020000"})
    assert [pf.address for pf in tree.pfs()] == ["0000:00:03.0"]


@pytest.mark.parametrize(("numa_node", "read"), [(-1, None), (0, 0), (1, 1)])
def test_pf(tree: Tree, numa_node: int, read: int | None) -> None:
    tree.netdev(tree.pf("0000:01:00.0", numa_node=numa_node), "eth0")
    assert tree.pfs() == (
        PfDevice(address="0000:01:00.0", driver="igb", netdev="eth0", numa_node=read, totalvfs=7, vfs=()),
    )


def test_pf_without_driver(tree: Tree) -> None:
    tree.pf("0000:01:00.0", driver=None)
    assert tree.pfs() == (PfDevice(address="0000:01:00.0", totalvfs=7),)


def test_vfs_in_order_of_their_index(tree: Tree) -> None:
    tree.pf("0000:01:00.0")
    for index in (10, 2, 0):
        tree.vf("0000:01:00.0", index, f"0000:01:{16 + index // 8:x}.{index % 8}")
    (pf,) = tree.pfs()
    assert [(vf.index, vf.address) for vf in pf.vfs] == [(0, "0000:01:10.0"), (2, "0000:01:10.2"), (10, "0000:01:11.2")]


def test_switchdev_with_representors(tree: Tree) -> None:
    """Representors are in the PF's directory, and their names sort before and after its own."""
    pf = tree.pf("0000:03:00.0", driver="mlx5_core")
    tree.netdev(pf, "enp3s0f0npf0vf0", phys_port_name="pf0vf0")
    tree.netdev(pf, "enp3s0f0np0", phys_port_name="p0")
    tree.netdev(pf, "a0", phys_port_name="c1pf0vf1")
    tree.netdev(pf, "a1", phys_port_name="pf0sf88")
    tree.netdev(tree.vf("0000:03:00.0", 0, "0000:03:00.2", driver="mlx5_core"), "enp3s0f0v0")
    (found,) = tree.pfs()
    assert (found.netdev, found.vfs[0].netdev) == ("enp3s0f0np0", "enp3s0f0v0")


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        pytest.param({}, {"driver": "igbvf", "netdev": None}, id="away"),
        pytest.param({"netdev": True}, {"driver": "igbvf", "netdev": "eth3"}, id="at home"),
        pytest.param({"driver": "vfio-pci", "group": 11}, {"driver": "vfio-pci", "group": 11}, id="bound to vfio-pci"),
        pytest.param({"driver": None}, {"driver": None}, id="no driver"),
    ],
)
def test_vf(tree: Tree, shape: dict[str, object], wanted: dict[str, object]) -> None:
    tree.pf("0000:01:00.0")
    has_netdev = shape.pop("netdev", False)
    device = tree.vf("0000:01:00.0", 3, "0000:01:10.6", **shape)  # type: ignore[arg-type]
    if has_netdev:
        tree.netdev(device, "eth3", address="fa:16:3e:00:00:01", addr_assign_type=0)
    incarnation = device.stat().st_ino
    (pf,) = tree.pfs()
    assert pf.vfs == (VfDevice(3, "0000:01:10.6", incarnation=incarnation, **wanted),)  # type: ignore[arg-type]
    again = Sysfs(tree.root).vf("0000:01:10.6")
    assert again is not None
    assert (again.address, again.driver, again.incarnation) == ("0000:01:10.6", wanted["driver"], incarnation)


def test_mac_that_a_driver_made_up(tree: Tree) -> None:
    tree.pf("0000:01:00.0")
    device = tree.vf("0000:01:00.0", 0, "0000:01:10.0")
    tree.netdev(device, "eth1", address="3e:00:00:00:00:01", addr_assign_type=1)
    assert tree.pfs()[0].vfs[0].random_mac == "3e:00:00:00:00:01"


def test_vf_that_is_gone(tree: Tree) -> None:
    assert Sysfs(tree.root).vf("0000:01:10.0") is None


@pytest.mark.parametrize(("text", "speed"), [("1000", 1000), ("-1", None), ("", None), (None, None)])
def test_speed(tree: Tree, text: str | None, speed: int | None) -> None:
    directory = tree.root / "class/net/eth0"
    directory.mkdir(parents=True)
    if text is not None:
        (directory / "speed").write_text(text)
    assert Sysfs(tree.root).speed("eth0") == speed


def test_what_is_written_where(tree: Tree) -> None:
    sysfs = Sysfs(tree.root)
    device = tree.device("0000:01:10.0", driver="igbvf", driver_override="(null)")
    sysfs.unbind("0000:01:10.0")
    sysfs.bind("0000:01:10.0", "igbvf")
    assert (tree.pci / "drivers/igbvf/unbind").read_text() == "0000:01:10.0"
    assert (tree.pci / "drivers/igbvf/bind").read_text() == "", "it is bound already"
    sysfs.probe("0000:01:10.0")
    assert (tree.pci / "drivers_probe").read_text() == "0000:01:10.0"
    (device / "driver_override").write_text("")
    sysfs.override("0000:01:10.0", "vfio-pci")
    assert (device / "driver_override").read_text() == "vfio-pci"
    assert sysfs.vf("0000:01:10.0").override == "vfio-pci"  # type: ignore[union-attr]


def test_writing_to_a_driver_that_is_not_there(tree: Tree) -> None:
    tree.device("0000:01:10.0")
    with pytest.raises(SysfsFailed, match=r"^Bind 0000:01:10.0 to driver iavf: No such file or directory$"):
        Sysfs(tree.root).bind("0000:01:10.0", "iavf")
    Sysfs(tree.root).unbind("0000:01:10.0")


def test_iommu_group(tree: Tree) -> None:
    tree.device("0000:01:10.0", driver="igbvf", group=5)
    tree.device("0000:01:10.1", driver="vfio-pci", group=5)
    assert Sysfs(tree.root).group_members("0000:01:10.0") == [("0000:01:10.0", "igbvf"), ("0000:01:10.1", "vfio-pci")]
    assert Sysfs(tree.root).group_members("0000:01:10.7") == []
