"""Whether a start's options can be: of the devices, and of the servers that have VFs of them."""

from pathlib import Path

import msgspec
import pytest

from hydria.base.config import Cloud, Config, Fabric, Host
from hydria.base.errors import Conflict, Terminal
from hydria.cli.up import the_fabric
from hydria.cloud.compute.resources import Interface, interfaces
from hydria.cloud.database import Database
from hydria.fabric.sriov import SriovFabric


def config(directory: Path, pfs: dict[str, dict[str, str]]) -> Config:
    hosts = tuple(Host(name=name, pfs=own) for name, own in pfs.items())
    cloud = Cloud(database_url=f"sqlite:///{directory}/cloud.db", hosts=hosts)
    return Config(cloud=cloud, fabric=Fabric(kind="sriov"))


@pytest.fixture
def good_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SriovFabric, "check", lambda _: None)


def claim(before: Config, pf: str, server_id: str = "server1") -> None:
    database = Database(before.cloud.database_url)
    database.create_tables()
    with database.begin() as connection:
        interface = Interface(
            id=f"port-{server_id}",
            server_id=server_id,
            network_id="n",
            position=1,
            preserve=True,
            state="attached",
            host="a",
            pf=pf,
            vf=0,
        )
        interfaces.insert(connection, interface)
    database.close()


@pytest.mark.usefixtures("good_devices")
@pytest.mark.parametrize(
    ("after", "refused"),
    [
        pytest.param({"a": {"p0": "public", "p1": "members"}}, False, id="as it was"),
        pytest.param({"a": {"p0": "public"}}, False, id="an unused PF goes"),
        pytest.param({"a": {"p0": "public", "p1": "members", "p2": "members"}}, False, id="another PF comes"),
        pytest.param({"a": {"p1": "members"}}, True, id="its PF goes"),
        pytest.param({"a": {"p0": "storage", "p1": "members"}}, True, id="its PF gets another network"),
        pytest.param({"a": {"p1": "members"}, "b": {"p0": "public"}}, True, id="its PF gets another host"),
        pytest.param({"z": {"p0": "public", "p1": "members"}}, True, id="its host gets another name"),
    ],
)
def test_a_pf_whose_vfs_servers_have_stays(tmp_path: Path, after: dict[str, dict[str, str]], refused: bool) -> None:
    before = config(tmp_path, {"a": {"p0": "public", "p1": "members"}})
    claim(before, "p0")
    if refused:
        with pytest.raises(Conflict, match=r"PF p0 of host a cannot go .*server1 uses a VF"):
            the_fabric.check(config(tmp_path, after), before)
    else:
        the_fabric.check(config(tmp_path, after), before)


@pytest.mark.usefixtures("good_devices")
def test_any_pf_may_go_where_there_are_no_servers(tmp_path: Path) -> None:
    before = config(tmp_path, {"a": {"p0": "public"}})
    the_fabric.check(config(tmp_path, {"b": {"p9": "public"}}), before)
    assert not (tmp_path / "cloud.db").exists()


def test_devices_that_are_not_there_are_refused_when_they_are_asked_for(tmp_path: Path) -> None:
    wanted = config(tmp_path, {"a": {"no-such-pf": "public"}})
    with pytest.raises(Terminal, match="--pf no-such-pf=public: this machine has no network device"):
        the_fabric.check(wanted, None)
    with pytest.raises(Terminal, match="no-such-pf"):
        the_fabric.check(wanted, config(tmp_path, {"a": {"p0": "public"}}))


def test_a_device_that_went_away_does_not_stop_a_later_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = config(tmp_path, {"a": {"no-such-pf": "public"}})
    other_log = msgspec.structs.replace(before, log=msgspec.structs.replace(before.log, level="DEBUG"))
    the_fabric.check(other_log, before)
    assert "not as it was" in caplog.text
    assert "no-such-pf" in caplog.text
