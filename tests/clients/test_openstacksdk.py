"""Every method of openstacksdk's load balancer proxy, and what it did."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import openstack
import pytest
from openstack.load_balancer.v2._proxy import Proxy

from clients.service import Service

Ids = Mapping[str, str]


@dataclass(frozen=True)
class Kind:
    """What has all of create_, get_, find_, update_, delete_ and a list."""

    singular: str
    plural: str
    attributes: Mapping[str, Any]
    change: Mapping[str, Any]
    parent: str = ""
    """Whose id all its methods take."""
    cloud: str = "demo"
    is_nameless: bool = False
    """It is found by its id alone."""

    @property
    def methods(self) -> set[str]:
        verbs = ("create", "get", "find", "update", "delete")
        return {f"{verb}_{self.singular}" for verb in verbs} | {self.plural}


KINDS = (
    Kind("load_balancer", "load_balancers", {"vip_subnet_id": "{subnet}"}, {"description": "words"}),
    Kind(
        "listener",
        "listeners",
        {"load_balancer_id": "{lb}", "protocol": "TCP", "protocol_port": 81},
        {"timeout_client_data": 9000},
    ),
    Kind(
        "pool",
        "pools",
        {"loadbalancer_id": "{lb}", "protocol": "HTTP", "lb_algorithm": "SOURCE_IP_PORT"},
        {"lb_algorithm": "ROUND_ROBIN"},
    ),
    Kind("member", "members", {"address": "192.0.2.12", "protocol_port": 80}, {"weight": 9}, parent="pool"),
    Kind(
        "health_monitor",
        "health_monitors",
        {"pool_id": "{spare}", "type": "PING", "delay": 5, "timeout": 3, "max_retries": 2},
        {"max_retries": 3},
    ),
    Kind("l7_policy", "l7_policies", {"listener_id": "{listener}", "action": "REJECT"}, {"description": "words"}),
    Kind(
        "l7_rule",
        "l7_rules",
        {"type": "PATH", "compare_type": "CONTAINS", "value": "/x"},
        {"rule_value": "/y"},
        parent="policy",
        is_nameless=True,
    ),
    Kind(
        "flavor_profile",
        "flavor_profiles",
        {"provider_name": "amphora", "flavor_data": "{{}}"},
        {"flavor_data": '{{"sriov_vip": true}}'},
        cloud="admin",
    ),
    Kind("flavor", "flavors", {"flavor_profile_id": "{flavorprofile}"}, {"description": "words"}, cloud="admin"),
    Kind(
        "availability_zone_profile",
        "availability_zone_profiles",
        {"provider_name": "amphora", "availability_zone_data": '{{"compute_zone": "nova"}}'},
        {"availability_zone_data": '{{"compute_zone": "other"}}'},
        cloud="admin",
    ),
    Kind(
        "availability_zone",
        "availability_zones",
        {"availability_zone_profile_id": "{azprofile}"},
        {"description": "words"},
        cloud="admin",
    ),
)


@pytest.fixture(scope="module")
def proxies(service: Service) -> Iterator[Callable[[str], Any]]:
    """User → proxy."""
    config = openstack.config.OpenStackConfig(config_files=[str(service.clouds)], load_envvars=False)
    made = {cloud: openstack.connection.Connection(config=config.get_one(cloud)) for cloud in ("admin", "demo")}
    yield lambda cloud: made[cloud].load_balancer
    for connection in made.values():
        connection.close()


def filled(attributes: Mapping[str, Any], ids: Ids) -> dict[str, Any]:
    return {key: value.format(**ids) if isinstance(value, str) else value for key, value in attributes.items()}


@pytest.mark.parametrize("kind", KINDS, ids=[kind.singular for kind in KINDS])
def test_resource(service: Service, proxies: Callable[[str], Any], kind: Kind) -> None:
    ids, proxy = service.tree(), proxies(kind.cloud)
    parent = [ids[kind.parent]] if kind.parent else []
    named = {} if kind.is_nameless else {"name": f"{ids['name']}-sdk"}
    made = getattr(proxy, f"create_{kind.singular}")(*parent, **filled(kind.attributes, ids), **named)
    key = made.name if kind.singular == "availability_zone" else made.id

    def get() -> Any:
        return getattr(proxy, f"get_{kind.singular}")(key, *parent)

    def settle() -> None:
        if "provisioning_status" in made.to_dict():
            proxy.wait_for_status(get(), "ACTIVE", interval=0.05, wait=20, attribute="provisioning_status")
        if kind.singular != "load_balancer":
            proxy.wait_for_load_balancer(ids["lb"], interval=0.05, wait=20)

    settle()
    found = getattr(proxy, f"find_{kind.singular}")(key if kind.is_nameless else named["name"], *parent)
    assert (found or made).id == made.id
    listed = getattr(proxy, kind.plural)(*parent)
    assert key in [one.name if kind.singular == "availability_zone" else one.id for one in listed]

    changed = filled(kind.change, ids)
    getattr(proxy, f"update_{kind.singular}")(key, *parent, **changed)
    settle()
    shown = get().to_dict()
    assert changed == {name: shown[name] for name in changed}

    getattr(proxy, f"delete_{kind.singular}")(key, *parent)
    proxy.wait_for_delete(get_or(made, get), interval=0.05, wait=20)
    assert getattr(proxy, f"find_{kind.singular}")(key, *parent) is None


def get_or(made: Any, get: Callable[[], Any]) -> Any:
    """As it is, or as it was when it is gone already."""
    try:
        return get()
    except openstack.exceptions.NotFoundException:
        return made


@dataclass(frozen=True)
class Place:
    """What a method is tried on: a tree of its own."""

    service: Service
    admin: Any
    demo: Any
    ids: Ids


def load_balancer_statistics(at: Place) -> None:
    assert at.demo.get_load_balancer_statistics(at.ids["lb"]).total_connections >= 0


def listener_statistics(at: Place) -> None:
    assert at.demo.get_listener_statistics(at.ids["listener"]).request_errors >= 0


def failover_load_balancer(at: Place) -> None:
    at.admin.failover_load_balancer(at.ids["lb"])
    at.service.await_amphora_replaced(at.ids["lb"], at.ids["amphora"])


def amphorae(at: Place) -> None:
    found = list(at.admin.amphorae(loadbalancer_id=at.ids["lb"]))
    assert [one.id for one in found] == [at.ids["amphora"]]


def get_amphora(at: Place) -> None:
    assert at.admin.get_amphora(at.ids["amphora"]).loadbalancer_id == at.ids["lb"]


def find_amphora(at: Place) -> None:
    assert at.admin.find_amphora(at.ids["amphora"]).id == at.ids["amphora"]
    assert at.admin.find_amphora(at.ids["lb"]) is None


def configure_amphora(at: Place) -> None:
    at.admin.configure_amphora(at.ids["amphora"])
    at.service.await_shown(f"/loadbalancers/{at.ids['lb']}", {"provisioning_status": "ACTIVE"})


def failover_amphora(at: Place) -> None:
    at.admin.failover_amphora(at.ids["amphora"])
    at.service.await_amphora_replaced(at.ids["lb"], at.ids["amphora"])


def providers(at: Place) -> None:
    assert "amphora" in {one.name for one in at.demo.providers()}


def provider_flavor_capabilities(at: Place) -> None:
    found = at.admin.provider_flavor_capabilities("amphora")
    assert {"sriov_vip", "allow_member_sriov"} <= {one.name for one in found}


def quotas(at: Place) -> None:
    proxy, project = at.admin, at.ids["spare_project"]
    proxy.update_quota(project, pools=3)
    assert (proxy.get_quota(project).pools, [one.project_id for one in proxy.quotas()]) == (3, [project])
    assert proxy.get_quota_default().pools == -1
    proxy.delete_quota(project)
    assert proxy.get_quota(project).pools == -1


OTHERS: Mapping[Callable[[Place], None], set[str]] = {
    load_balancer_statistics: {"get_load_balancer_statistics"},
    listener_statistics: {"get_listener_statistics"},
    failover_load_balancer: {"failover_load_balancer"},
    amphorae: {"amphorae"},
    get_amphora: {"get_amphora"},
    find_amphora: {"find_amphora"},
    configure_amphora: {"configure_amphora"},
    failover_amphora: {"failover_amphora"},
    providers: {"providers"},
    provider_flavor_capabilities: {"provider_flavor_capabilities"},
    quotas: {"quotas", "get_quota", "get_quota_default", "update_quota", "delete_quota"},
}


@pytest.mark.parametrize("use", OTHERS, ids=lambda use: use.__name__)
def test_method(service: Service, proxies: Callable[[str], Any], use: Callable[[Place], None]) -> None:
    use(Place(service, proxies("admin"), proxies("demo"), service.tree()))


def test_none_is_left_out() -> None:
    """`wait_for_...` serve the tests above."""
    known = {name for name, value in vars(Proxy).items() if callable(value) and not name.startswith("_")}
    used = set().union(*(kind.methods for kind in KINDS), *OTHERS.values())
    assert known == used | {"wait_for_status", "wait_for_load_balancer", "wait_for_delete"}
