import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hydria.base.config import Config, Fabric, dump, load
from hydria.base.errors import Invalid
from hydria.cli.up.clouds import clouds_yaml
from hydria.cli.up.first_start import Options, check_environment, first_config, with_options
from hydria.cloud.network.service import physical_networks

ROOT = Path("/srv/hydria")
SRIOV = Fabric(kind="sriov", name="f1", management_prefix="198.18.16.0/20")
SOFTWARE = Fabric(kind="software", name="f1", management_prefix="198.18.16.0/20")


def first(
    fabric: Fabric = SOFTWARE, root: Path = ROOT, *, environment: Mapping[str, str] | None = None, **options: object
) -> Config:
    preferred = load(None, environment or {})
    return first_config(root, Options(**options), fabric, lambda _address, port, _kind: port + 1, preferred)  # type: ignore[arg-type]


def test_everything_lies_below_the_state_directory_and_ports_are_those_that_were_free():
    config = first()
    assert config.database.url == "sqlite:////srv/hydria/hydria.db"
    assert config.cloud.database_url == "sqlite:////srv/hydria/cloud.db"
    assert config.cloud.state_dir == "/srv/hydria/cloud"
    assert config.certificates.directory == "/srv/hydria/certificates"
    assert config.controller.wake_socket == "/srv/hydria/wake"
    assert config.identity.auth_url == "http://127.0.0.1:9876/identity/v3"
    assert config.cloud.load_balancer_url == "http://127.0.0.1:9877"
    assert config.controller.heartbeat_address == "198.18.16.1:5556"
    assert (config.controller.heartbeat_bind_host, config.controller.heartbeat_bind_port) == ("198.18.16.1", 5556)


def test_passwords_are_generated_and_the_service_logs_in_with_its_own():
    one, other = first(), first()
    assert set(one.cloud.passwords) == {"admin", "hydria", "demo"}
    everything = [*one.cloud.passwords.values(), *other.cloud.passwords.values()]
    assert len(set(everything)) == 6
    assert all(len(password) >= 32 for password in everything)
    assert one.identity.password == one.cloud.passwords["hydria"]


def test_the_environment_says_which_ports_are_tried_first_and_nothing_else_of_it_is_remembered():
    config = first(
        environment={
            "HYDRIA_API__BIND_PORT": "1000",
            "HYDRIA_CLOUD__BIND_PORT": "2000",
            "HYDRIA_CONTROLLER__HEARTBEAT_BIND_PORT": "3000",
            "HYDRIA_CONTROLLER__WORKERS": "9",
        }
    )
    assert (config.api.bind_port, config.cloud.bind_port, config.controller.heartbeat_bind_port) == (1001, 2001, 3001)
    assert config.identity.auth_url == "http://127.0.0.1:2001/identity/v3"
    assert config.cloud.load_balancer_url == "http://127.0.0.1:1001"
    assert config.controller.workers == Config().controller.workers


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        pytest.param("HYDRIA_API__BIND_PORT", "1", "told 9877", id="port of the API"),
        pytest.param("HYDRIA_CLOUD__BIND_PORT", "1", "told 9876", id="port of the cloud"),
        pytest.param("HYDRIA_API__BIND_HOST", "192.0.2.1", "--bind", id="address"),
        pytest.param("HYDRIA_IDENTITY__AUTH_URL", "http://192.0.2.1/v3", "identity/v3", id="another identity service"),
    ],
)
def test_an_environment_that_clients_are_not_told_of_is_refused(tmp_path: Path, name: str, text: str, said: str):
    config = first()
    path = tmp_path / "hydria.toml"
    path.write_text(dump(config))
    check_environment(config, load(path, {"HYDRIA_CONTROLLER__WORKERS": "9"}))
    with pytest.raises(Invalid, match=f"{name} is {text}.*{said}"):
        check_environment(config, load(path, {name: text}))


def test_what_was_written_is_read_back(tmp_path: Path):
    config = first(host_names=("a", "b"), vfs=3)
    path = tmp_path / "hydria.toml"
    path.write_text(dump(config))
    assert load(path, {}) == config


def test_each_host_has_software_pfs_of_its_own():
    hosts = first(host_names=("one.example.org", "two.example.org")).cloud.hosts
    assert [host.name for host in hosts] == ["one.example.org", "two.example.org"]
    names = [name for host in hosts for name in host.pfs]
    assert len(names) == len(set(names)) == 4
    assert [sorted(host.pfs.values()) for host in hosts] == [["members", "public"]] * 2


@pytest.mark.parametrize(
    ("bind", "host"),
    [
        pytest.param("10.0.0.7", "10.0.0.7", id="IPv4"),
        pytest.param("fd00::7", "[fd00::7]", id="IPv6"),
    ],
)
def test_all_urls_use_the_address_that_everything_binds_to(bind: str, host: str):
    config = first(bind=bind)
    assert config.api.bind_host == config.cloud.bind_host == bind
    assert config.identity.auth_url == f"http://{host}:9876/identity/v3"
    assert config.cloud.load_balancer_url == f"http://{host}:9877"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        pytest.param({"bind": "0.0.0.0"}, "one address of this machine", id="wildcard"),
        pytest.param({"bind": "::"}, "one address of this machine", id="IPv6 wildcard"),
        pytest.param({"bind": "localhost"}, "--bind localhost", id="name"),
        pytest.param({"fabric_name": "f2"}, "--fabric-name f2", id="other fabric name"),
        pytest.param({"hypervisor": "qemu"}, "--hypervisor qemu: .*made with namespace", id="other hypervisor"),
    ],
)
def test_what_a_later_start_cannot_change_is_refused(options: dict[str, Any], text: str):
    with pytest.raises(Invalid, match=text):
        with_options(first(), Options(**options))


def test_hypervisor_is_what_the_first_start_said():
    assert first().cloud.hypervisor == "namespace"
    machines = first(hypervisor="qemu")
    assert machines.cloud.hypervisor == "qemu"
    assert with_options(machines, Options()).cloud.hypervisor == "qemu"
    assert with_options(machines, Options(hypervisor="qemu")) == machines


def pfs(config: Config) -> dict[str, dict[str, str]]:
    return {host.name: dict(host.pfs) for host in config.cloud.hosts}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({"pfs": ("p0=public", "p1=members")}, {"a": {"p0": "public", "p1": "members"}}, id="one host"),
        pytest.param({"pfs": ("a:p0=public",)}, {"a": {"p0": "public"}}, id="one host, named"),
        pytest.param(
            {"host_names": ("a", "b"), "pfs": ("a:p0=public", "b:p1=public", "a:p2=members")},
            {"a": {"p0": "public", "p2": "members"}, "b": {"p1": "public"}},
            id="two hosts",
        ),
    ],
)
def test_real_pfs_belong_to_the_hosts_that_are_named(options: dict[str, Any], expected: dict[str, dict[str, str]]):
    config = first(SRIOV, **{"host_names": ("a",), **options})
    assert pfs(config) == expected
    assert with_options(config, Options()) == config


def test_bridges_of_physical_networks_are_remembered():
    config = first(SRIOV, pfs=("p0=public",), bridges=("public=br0", "members=br1"))
    assert config.fabric.bridge_mappings == {"public": "br0", "members": "br1"}
    later = with_options(config, Options(bridges=("public=br9",)))
    assert later.fabric.bridge_mappings == {"public": "br9"}
    assert pfs(later) == pfs(config)


def test_a_later_start_renames_the_only_host_and_changes_pfs():
    config = first(SRIOV, host_names=("a",), pfs=("p0=public",))
    assert pfs(with_options(config, Options(host_names=("z",)))) == {"z": {"p0": "public"}}
    assert pfs(with_options(config, Options(pfs=("p7=public",)))) == {"a": {"p7": "public"}}
    both = with_options(config, Options(host_names=("a", "b"), pfs=("a:p0=public", "b:p1=public")))
    assert pfs(both) == {"a": {"p0": "public"}, "b": {"p1": "public"}}
    assert with_options(both, Options(host_names=("b", "a"))) == both


@pytest.mark.parametrize(
    ("fabric", "options", "text"),
    [
        pytest.param(SRIOV, {}, "say which NICs", id="no PF"),
        pytest.param(SRIOV, {"pfs": ("p0",)}, "--pf p0: expected", id="no network"),
        pytest.param(SRIOV, {"pfs": ("=public",)}, "--pf =public: expected", id="no name"),
        pytest.param(SRIOV, {"pfs": ("a:=public",)}, "--pf a:=public: expected", id="host without PF"),
        pytest.param(SRIOV, {"pfs": ("p0=public", "p0=members")}, "PF p0 is given twice", id="PF twice"),
        pytest.param(SRIOV, {"pfs": ("c:p0=public",)}, "there is no host c", id="unknown host"),
        pytest.param(SRIOV, {"host_names": ("a", "b"), "pfs": ("p0=public",)}, "say whose of a, b", id="whose"),
        pytest.param(SRIOV, {"pfs": ("p0=public",), "vfs": 3}, "hydria sriov enable", id="VFs"),
        pytest.param(SRIOV, {"pfs": ("p0=public",), "bridges": ("br0",)}, "--bridge br0: expected", id="bridge"),
        pytest.param(
            SRIOV,
            {"pfs": ("p0=public",), "bridges": ("public=x", "public=y")},
            "has bridge x already",
            id="two bridges",
        ),
        pytest.param(SOFTWARE, {"pfs": ("p0=public",)}, "only with --fabric sriov", id="PF of a software fabric"),
        pytest.param(SOFTWARE, {"bridges": ("a=b",)}, "only with --fabric sriov", id="bridge of a software fabric"),
    ],
)
def test_nics_that_cannot_be_meant_are_refused(fabric: Fabric, options: dict[str, Any], text: str):
    with pytest.raises(Invalid, match=text):
        first(fabric, **{"host_names": ("a",), **options})


def test_hosts_whose_pfs_nobody_can_tell_are_refused():
    config = first(SRIOV, host_names=("a",), pfs=("p0=public",))
    with pytest.raises(Invalid, match="say which PFs are whose"):
        with_options(config, Options(host_names=("a", "b")))


def test_the_kind_of_fabric_stays():
    with pytest.raises(Invalid, match="--fabric sriov: this state directory was made with software"):
        with_options(first(), Options(fabric="sriov"))


def test_metrics_have_ports_of_their_own_on_this_machine():
    metrics = first(bind="10.0.0.7").metrics
    assert (metrics.bind_host, metrics.cloud_port, metrics.controller_port) == ("127.0.0.1", 9879, 9880)


def test_a_later_start_without_options_changes_nothing():
    config = first(host_names=("a", "b"), bind="10.0.0.7", vfs=3)
    assert with_options(config, Options()) == config
    again = Options(fabric="software", fabric_name="f1", host_names=("a", "b"), bind="10.0.0.7", vfs=3)
    assert with_options(config, again) == config


def test_a_later_start_keeps_secrets_and_ports_whatever_its_options():
    before = first()
    after = with_options(before, Options(host_names=("x",), vfs=12, bind="10.0.0.7"))
    assert after.cloud.passwords == before.cloud.passwords
    assert after.api.bind_port == before.api.bind_port
    assert (after.fabric.vfs, after.cloud.hosts[0].name) == (12, "x")


def test_a_socket_path_that_the_kernel_would_refuse_is_left_out():
    assert first(root=Path("/" + "x" * 120)).controller.wake_socket is None


def test_clouds_yaml_has_the_three_logins():
    config = first()
    clouds = json.loads(clouds_yaml(config))["clouds"]
    logins = {name: (c["auth"]["username"], c["auth"]["project_name"]) for name, c in clouds.items()}
    assert logins == {"admin": ("admin", "admin"), "service": ("hydria", "service"), "demo": ("demo", "demo")}
    for cloud in clouds.values():
        assert cloud["auth"]["password"] == config.cloud.passwords[cloud["auth"]["username"]]
        assert cloud["auth"]["auth_url"] == config.identity.auth_url


def test_what_is_pretended_needs_no_host_and_no_fabric():
    config = first(Fabric(), noop=True)
    assert (config.drivers.kind, config.fabric.kind, config.cloud.hosts) == ("noop", "none", ())
    assert config.controller.heartbeat_bind_host == "127.0.0.1"


@pytest.mark.parametrize(("fabric", "noop"), [(SOFTWARE, False), (Fabric(), True)], ids=["software", "pretended"])
def test_where_no_network_is_real_users_may_make_their_own(fabric: Fabric, *, noop: bool):
    config = first(fabric, noop=noop)
    assert config.cloud.tenant_physical_network in physical_networks(config)


@pytest.mark.parametrize(
    ("made_with", "options", "text"),
    [
        pytest.param({"noop": True}, {}, "made with --noop", id="pretended, started as real"),
        pytest.param({}, {"noop": True}, "made without it", id="real, started as pretended"),
        pytest.param({"noop": True}, {"noop": True, "vfs": 3}, "--vfs", id="VFs"),
        pytest.param({"noop": True}, {"noop": True, "fabric": "sriov"}, "--fabric", id="fabric"),
        pytest.param({"noop": True}, {"noop": True, "hypervisor": "qemu"}, "--hypervisor", id="hypervisor"),
        pytest.param({"noop": True}, {"noop": True, "host_names": ("a",)}, "--host-name", id="host"),
    ],
)
def test_what_is_pretended_and_what_is_real_do_not_mix(made_with: Any, options: Any, text: str):
    config = first(Fabric() if made_with else SOFTWARE, **made_with)
    with pytest.raises(Invalid, match=text):
        with_options(config, Options(**options))
