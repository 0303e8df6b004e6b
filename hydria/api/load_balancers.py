"""Load balancers: the whole tree in one POST, status tree, counters, events."""

import dataclasses
import operator
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from hydria.api import availability_zones, creation, forms, query, tls_references, vips
from hydria.api.call import Answer, Call
from hydria.api.collection import Collection, differences
from hydria.api.draft import Draft, build, check_subnets
from hydria.api.health_monitors import HealthMonitors
from hydria.api.l7_policies import L7Policies
from hydria.api.l7_rules import L7Rules
from hydria.api.listeners import Listeners, Stats
from hydria.api.members import Members
from hydria.api.pools import Pools
from hydria.api.route import Parts, operation
from hydria.api.status_tree import StatusTree, status_tree
from hydria.base.errors import Invalid, not_found
from hydria.model import field, rules
from hydria.model.event import Event
from hydria.model.flavor import Flavor, FlavorData, FlavorProfile, parse_flavor_data
from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer
from hydria.model.offer import check_provider
from hydria.store import amphorae, graph, health, load_balancers, resources
from hydria.store import query as stored
from hydria.store.database import Transaction

_NEWEST_FIRST: Sequence[tuple[str, Literal["asc", "desc"]]] = (("created_at", "desc"),)
_EXISTING: Mapping[str, tuple[str, str]] = {
    "vip_qos_policy_id": ("qos-policies", "QoS policy"),
    "vip_sg_ids": ("security-groups", "Security group"),
}


_PARTS: Parts = {
    "loadbalancer": {"listeners": (Listeners, True), "pools": (Pools, True)},
    "listener": {"default_pool": (Pools, False), "l7policies": (L7Policies, True)},
    "l7policy": {"rules": (L7Rules, True)},
    "pool": {"members": (Members, True), "healthmonitor": (HealthMonitors, False)},
}
"""What `_whole` makes."""


class LoadBalancers(Collection[LoadBalancer]):
    resource = LoadBalancer
    singular, plural, links = "loadbalancer", "loadbalancers", "loadbalancers_links"
    title, rule = "Load Balancer", "loadbalancer"

    @operation(parts=_PARTS)
    def create(self, call: Call) -> Answer:
        form = forms.load_balancer(call.form(self.singular))
        values = {**form.values, "project_id": form.values.get("project_id") or call.caller.project_id}
        if not values["project_id"]:
            raise Invalid("Missing project ID in request where one is required.", field="project_id")
        self._authorize(call, "post", values["project_id"], values)
        provider, flavor = _flavor(call, values)
        with call.services.database.read() as tx:
            zone = availability_zones.zone_data(tx, values.get("availability_zone"))
        topology = rules.topology(flavor, call.services.config.controller.loadbalancer_topology)
        _check_existing(call, values)
        check_subnets(call.cloud, [member for pool in form.pools for member in pool.members])
        tls_references.check_new(call, form.listeners, form.pools)
        projects = (values["project_id"], call.caller.project_id)
        chosen = vips.plan(call.services.cloud, call.cloud, values, topology=topology, projects=projects)
        availability_zones.check_vip_network(zone, chosen.network_id)
        vnic_type = rules.vip_vnic_type(flavor)
        ours = {"provider": provider, "topology": topology, "vip_vnic_type": vnic_type, "generation": 1}
        owned = {"vip_port_owned": chosen.port is None, "vip_network_id": chosen.network_id}
        load_balancer = build(LoadBalancer, {**values, **ours, **owned})
        config = call.services.config
        draft = Draft(config.api, call.services.served, config.quotas, load_balancer, flavor, chosen.families)
        draft.add_graph(form)
        rules.check_load_balancer(load_balancer, draft.new_listeners)
        stored = creation.create(call, draft, chosen)
        with call.services.database.read() as tx:
            (shown,) = self.answers(tx, (stored,))
            shown |= _whole(tx, draft)
        return Answer({self.singular: shown}, 201)

    def update(self, call: Call) -> Answer:
        form = field.decode(field.update_form(LoadBalancer), call.form(self.singular))
        changes = field.given(LoadBalancer, form)
        with call.services.database.read() as tx:
            self._authorize(call, "put", self.load(tx, call).project_id, changes)
        _check_existing(call, changes)
        with call.services.database.write() as tx:
            old = self.load(tx, call)
            new = msgspec.structs.replace(old, **changes)
            rules.check_load_balancer(new, resources.find(tx, Listener, loadbalancer_id=old.id))
            strict = call.services.config.api.strict_immutable
            load_balancers.touch(tx, old.id, strict=strict, itself=True)
            if changed := differences(old, new):
                resources.update(tx, LoadBalancer, old.id, **changed)
            (shown,) = self.answers(tx, (self.find(tx, old.id),))
        call.services.wake.send()
        return Answer({self.singular: shown})

    @operation(flags={"cascade": "With everything below it; without, it must have no children."})
    def delete(self, call: Call) -> Answer:
        with call.services.database.write() as tx:
            row = self.load(tx, call)
            call.authorize("loadbalancer:delete", row.project_id)
            strict = call.services.config.api.strict_immutable
            load_balancers.delete_load_balancer(tx, row.id, cascade=call.flag("cascade"), strict=strict)
        call.services.wake.send()
        return Answer(status=204)

    @operation(summary="Replace its amphorae", status=202)
    def failover(self, call: Call) -> Answer:
        with call.services.database.write() as tx:
            row = self.load(tx, call)
            call.authorize("loadbalancer:put_failover", row.project_id)
            strict = call.services.config.api.strict_immutable
            load_balancers.touch(tx, row.id, strict=strict, itself=True, mends=True)
            reason = "a failover of the load balancer was asked for."
            amphorae.ask_failover(tx, amphorae.of_load_balancer(tx, row.id), reason)
        call.services.wake.send()
        return Answer(status=202)

    @operation(summary="Statuses of everything below a load balancer", answer=StatusTree)
    def status(self, call: Call) -> Answer:
        with call.services.database.read() as tx:
            call.authorize("loadbalancer:get_status", self.load(tx, call).project_id)
            whole = graph.load_graph(tx, call.path["id"])
        if whole is None:
            raise not_found(self.title, call.path["id"])
        return Answer(status_tree(whole))

    @operation(summary="Counters of a load balancer", answer=Stats)
    def stats(self, call: Call) -> Answer:
        with call.services.database.read() as tx:
            row = self.load(tx, call)
            call.authorize("loadbalancer:get_stats", row.project_id)
            return Answer({"stats": health.load_balancer_stats(tx, row.id)})

    @operation(summary="Reasons of its errors, the newest first", lists=Event, extension=True)
    def events(self, call: Call) -> Answer:
        """Ours: the reasons of its errors, the newest first, in pages. Octavia has no such call."""
        with call.services.database.read() as tx:
            row = self.load(tx, call)
            call.authorize("loadbalancer:get_status", row.project_id)
            own = {"loadbalancer_id": (row.id,)}
            wanted = query.parse(call.query, api=call.services.config.api, project_id=None, more=own)
            wanted = dataclasses.replace(wanted, sort=wanted.sort or _NEWEST_FIRST)
            page = stored.select(tx, Event, wanted)
        only = query.fields(call)
        events = [query.restricted(msgspec.to_builtins(event), only) for event in page.rows]
        return Answer({"events": events, "events_links": query.links(call, wanted, page)})

    def _authorize(self, call: Call, verb: str, project_id: str, values: Mapping[str, Any]) -> None:
        call.authorize(f"loadbalancer:{verb}", project_id)
        if "vip_sg_ids" in values:
            call.authorize(f"loadbalancer:{verb}:vip_sg_ids", project_id)


def _flavor(call: Call, values: Mapping[str, Any]) -> tuple[str, FlavorData]:
    """The provider's name and what the flavor says. Raises Invalid."""
    asked = values.get("provider")
    if asked is not None:
        check_provider(asked)
    if values.get("flavor_id") is None:
        return asked or call.services.config.api.default_provider_driver, FlavorData()
    with call.services.database.read() as tx:
        flavor = resources.get(tx, Flavor, values["flavor_id"])
        profile = resources.get(tx, FlavorProfile, flavor.flavor_profile_id) if flavor else None
    if flavor is None or profile is None:
        raise Invalid(f"Flavor {values['flavor_id']} not found.", field="flavor_id")
    if not flavor.enabled:
        raise Invalid(f"The selected flavor is not allowed in this deployment: {flavor.id}", field="flavor_id")
    if asked not in (None, profile.provider_name):
        raise Invalid(f"Flavor {flavor.id} is not supported by provider '{asked}'.", field="provider")
    return profile.provider_name, parse_flavor_data(profile.flavor_data)


def _check_existing(call: Call, values: Mapping[str, Any]) -> None:
    """What the request names in the cloud is there. Raises Invalid."""
    for name, (kind, title) in _EXISTING.items():
        named = values.get(name) or ()
        for id_ in (named,) if isinstance(named, str) else named:
            if not call.cloud.exists(kind, id_):  # type: ignore[arg-type] # the table's two kinds
                raise Invalid(f"{title} {id_} not found.", field=name)


def _whole(tx: Transaction, draft: Draft) -> dict[str, Any]:
    """What only the answer to a POST has: everything below in full."""
    pools = {item["id"]: item for item in Pools().answers(tx, draft.new_pools)}
    for item in pools.values():
        item |= {"members": [], "healthmonitor": None}
    for member, shown in zip(draft.new_members, Members().answers(tx, draft.new_members), strict=True):
        pools[member.pool_id]["members"].append(shown)
    monitors = HealthMonitors().answers(tx, draft.new_health_monitors)
    for monitor, shown in zip(draft.new_health_monitors, monitors, strict=True):
        pools[monitor.pool_id]["healthmonitor"] = shown
    listeners = {item["id"]: item for item in Listeners().answers(tx, draft.new_listeners)}
    for item in listeners.values():
        item |= {"default_pool": pools.get(item["default_pool_id"]), "l7policies": []}
    policies = {item["id"]: {**item, "rules": []} for item in L7Policies().answers(tx, draft.new_policies)}
    for rule, shown in zip(draft.new_rules, L7Rules().answers(tx, draft.new_rules), strict=True):
        policies[rule.l7policy_id]["rules"].append(shown)
    for item in sorted(policies.values(), key=operator.itemgetter("position")):
        listeners[item["listener_id"]]["l7policies"].append(item)
    return {"listeners": list(listeners.values()), "pools": list(pools.values())}
