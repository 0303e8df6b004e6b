"""Every method of openstacksdk's load balancer proxy, and what it did."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import openstack
import pytest
from openstack.load_balancer.v2._proxy import Proxy

from clients.effects import COUNTERS, sent_anew
from clients.service import Service

# What the SDK says of its own calls of its own methods.
pytestmark = pytest.mark.filterwarnings("ignore:.*:PendingDeprecationWarning")

Ids = Mapping[str, str]


@dataclass(frozen=True)
class Kind:
    """What has all of create_, get_, find_, update_, delete_ and a list."""

    singular: str
    plural: str
    path: str
    """Of the collection, in the API."""
    attributes: Mapping[str, Any]
    change: Mapping[str, Any]
    parent: str = ""
    """Whose id all its methods take."""
    cloud: str = "demo"
    is_nameless: bool = False
    """It is found by its id alone."""
    key: str = "id"
    """Its attribute that paths name it by."""

    @property
    def methods(self) -> set[str]:
        verbs = ("create", "get", "find", "update", "delete")
        return {f"{verb}_{self.singular}" for verb in verbs} | {self.plural}


KINDS = (
    Kind("load_balancer", "load_balancers", "/loadbalancers", {"vip_subnet_id": "{subnet}"}, {"description": "words"}),
    Kind(
        "listener",
        "listeners",
        "/listeners",
        {"load_balancer_id": "{lb}", "protocol": "TCP", "protocol_port": 81},
        {"timeout_client_data": 9000},
    ),
    Kind(
        "pool",
        "pools",
        "/pools",
        {"loadbalancer_id": "{lb}", "protocol": "HTTP", "lb_algorithm": "SOURCE_IP_PORT"},
        {"lb_algorithm": "ROUND_ROBIN"},
    ),
    Kind(
        "member",
        "members",
        "/pools/{pool}/members",
        {"address": "192.0.2.12", "protocol_port": 80},
        {"weight": 9},
        parent="pool",
    ),
    Kind(
        "health_monitor",
        "health_monitors",
        "/healthmonitors",
        {"pool_id": "{spare}", "type": "PING", "delay": 5, "timeout": 3, "max_retries": 2},
        {"max_retries": 3},
    ),
    Kind(
        "l7_policy",
        "l7_policies",
        "/l7policies",
        {"listener_id": "{listener}", "action": "REJECT"},
        {"description": "words"},
    ),
    Kind(
        "l7_rule",
        "l7_rules",
        "/l7policies/{policy}/rules",
        {"type": "PATH", "compare_type": "CONTAINS", "value": "/x"},
        {"invert": True},
        parent="policy",
        is_nameless=True,
    ),
    Kind(
        "flavor_profile",
        "flavor_profiles",
        "/flavorprofiles",
        {"provider_name": "amphora", "flavor_data": "{{}}"},
        {"flavor_data": '{{"sriov_vip": true}}'},
        cloud="admin",
    ),
    Kind(
        "flavor",
        "flavors",
        "/flavors",
        {"flavor_profile_id": "{flavorprofile}"},
        {"description": "words"},
        cloud="admin",
    ),
    Kind(
        "availability_zone_profile",
        "availability_zone_profiles",
        "/availabilityzoneprofiles",
        {"provider_name": "amphora", "availability_zone_data": '{{"compute_zone": "nova"}}'},
        {"availability_zone_data": '{{"compute_zone": "other"}}'},
        cloud="admin",
    ),
    Kind(
        "availability_zone",
        "availability_zones",
        "/availabilityzones",
        {"availability_zone_profile_id": "{azprofile}"},
        {"description": "words"},
        cloud="admin",
        key="name",
    ),
)


@pytest.fixture(scope="module")
def proxies(service: Service) -> Iterator[Callable[[str], Any]]:
    """User → proxy."""
    logins = json.loads(service.clouds.read_text())["clouds"]
    with contextlib.ExitStack() as stack:
        made = {
            cloud: stack.enter_context(
                openstack.connect(load_yaml_config=False, load_envvars=False, **logins[cloud])
            ).load_balancer
            for cloud in ("admin", "demo")
        }
        yield made.__getitem__


def filled(attributes: Mapping[str, Any], ids: Ids) -> dict[str, Any]:
    return {key: value.format(**ids) if isinstance(value, str) else value for key, value in attributes.items()}


@pytest.mark.parametrize("kind", KINDS, ids=[kind.singular for kind in KINDS])
def test_resource(service: Service, proxies: Callable[[str], Any], kind: Kind) -> None:
    ids, proxy = service.tree(), proxies(kind.cloud)
    parent = [ids[kind.parent]] if kind.parent else []
    named = {} if kind.is_nameless else {"name": f"{ids['name']}-sdk"}
    asked = {**filled(kind.attributes, ids), **named}
    made = getattr(proxy, f"create_{kind.singular}")(*parent, **asked)
    key = getattr(made, kind.key)
    path = f"{kind.path.format(**ids)}/{key}"

    def settle() -> None:
        lb_id = made.id if kind.singular == "load_balancer" else ids["lb"]
        proxy.wait_for_load_balancer(lb_id, interval=0.05, wait=20)
        if "provisioning_status" in made.to_dict():
            shown = getattr(proxy, f"get_{kind.singular}")(key, *parent)
            proxy.wait_for_status(shown, "ACTIVE", interval=0.05, wait=20, attribute="provisioning_status")

    settle()
    before = service.shown(path)
    assert before.keys() >= named.keys()
    assert {name: asked[name] for name in asked.keys() & before} == {
        name: before[name] for name in asked.keys() & before
    }
    found = getattr(proxy, f"find_{kind.singular}")(key if kind.is_nameless else named["name"], *parent)
    assert getattr(found, kind.key) == key
    assert key in [getattr(one, kind.key) for one in getattr(proxy, kind.plural)(*parent)]

    changed = filled(kind.change, ids)
    assert all(before[name] != value for name, value in changed.items())
    getattr(proxy, f"update_{kind.singular}")(key, *parent, **changed)
    settle()
    service.await_shown(path, changed)
    shown = getattr(proxy, f"get_{kind.singular}")(key, *parent).to_dict()
    assert changed == {name: shown[name] for name in changed}

    getattr(proxy, f"delete_{kind.singular}")(key, *parent)
    service.await_gone(path)
    proxy.wait_for_delete(found, interval=0.05, wait=20)
    assert getattr(proxy, f"find_{kind.singular}")(key, *parent) is None


@dataclass(frozen=True)
class Place:
    """What a method is tried on: a tree of its own."""

    service: Service
    admin: Any
    demo: Any
    ids: Ids


def load_balancer_statistics(at: Place) -> None:
    found = at.demo.get_load_balancer_statistics(at.ids["lb"]).to_dict()
    assert {name: found[name] for name in COUNTERS} == at.service.shown(f"/loadbalancers/{at.ids['lb']}/stats")


def listener_statistics(at: Place) -> None:
    found = at.demo.get_listener_statistics(at.ids["listener"]).to_dict()
    assert {name: found[name] for name in COUNTERS} == at.service.shown(f"/listeners/{at.ids['listener']}/stats")


def delete_load_balancer_with_all_below(at: Place) -> None:
    with pytest.raises(openstack.exceptions.BadRequestException, match="children"):
        at.demo.delete_load_balancer(at.ids["lb"])
    at.demo.delete_load_balancer(at.ids["lb"], cascade=True)
    at.service.await_gone(f"/loadbalancers/{at.ids['lb']}")
    assert at.service.shown(f"/pools/{at.ids['pool']}") is None


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
    sent_anew(at.service, at.ids)


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
    at.service.await_shown(f"/quotas/{project}", {"pool": 3})
    assert proxy.get_quota(project).pools == 3
    assert [one.pools for one in proxy.quotas() if one.project_id == project] == [3]
    proxy.delete_quota(project)
    at.service.await_shown(f"/quotas/{project}", {"pool": proxy.get_quota_default().pools})
    assert project not in [one.project_id for one in proxy.quotas()]


OTHERS: Mapping[Callable[[Place], None], set[str]] = {
    load_balancer_statistics: {"get_load_balancer_statistics"},
    listener_statistics: {"get_listener_statistics"},
    delete_load_balancer_with_all_below: {"delete_load_balancer"},
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
