"""Every subcommand of `openstack loadbalancer`, typed, and what it did."""

from importlib.metadata import entry_points
from typing import Any

import pytest

from clients.effects import (
    COUNTERS,
    Command,
    gone,
    is_broken,
    lists,
    made,
    prints,
    prints_counters,
    prints_tree,
    replaced,
    sent_anew,
    shows,
)
from clients.service import Service

ACTIVE: dict[str, Any] = {"provisioning_status": "ACTIVE"}
LB, LISTENER, POOL, MONITOR = (
    "/loadbalancers/{lb}",
    "/listeners/{listener}",
    "/pools/{pool}",
    "/healthmonitors/{monitor}",
)
MEMBERS, RULES = "/pools/{pool}/members", "/l7policies/{policy}/rules"
MEMBER, POLICY, RULE = MEMBERS + "/{member}", "/l7policies/{policy}", RULES + "/{rule}"
FLAVOR, PROFILE = "/flavors/{flavor}", "/flavorprofiles/{flavorprofile}"
ZONE, ZONES = "/availabilityzones/{az}", "/availabilityzoneprofiles/{azprofile}"
QUOTA = "/quotas/{spare_project}"

LOAD_BALANCERS = (
    Command(
        "loadbalancer create --name {name}-new --vip-subnet-id clients-subnet --vip-address 203.0.113.77 --tag a",
        made("/loadbalancers", name="{name}-new", vip_address="203.0.113.77", tags=["a"], **ACTIVE),
    ),
    Command("loadbalancer list --name {name}", lists(id="{lb}", **ACTIVE)),
    Command(
        "loadbalancer show {name}",
        prints(id="{lb}", operating_status="ONLINE", vip_vnic_type="normal", **ACTIVE),
        when=shows(LB, operating_status="ONLINE"),
    ),
    Command(
        "loadbalancer set --name {name}-b --description words --vip-qos-policy-id clients-qos --disable {lb}",
        shows(LB, name="{name}-b", description="words", vip_qos_policy_id="{qos}", admin_state_up=False, **ACTIVE),
    ),
    Command("loadbalancer unset --name --description --all-tag {lb}", shows(LB, name="", description="", tags=[])),
    Command("loadbalancer delete --cascade {lb}", gone(LB)),
    Command("loadbalancer failover {lb}", replaced(LB, **ACTIVE), "admin"),
    Command("loadbalancer stats show {lb}", prints_counters(LB + "/stats")),
    Command("loadbalancer status show {lb}", prints_tree, when=shows(LISTENER, operating_status="ONLINE")),
)
LISTENERS = (
    Command(
        "loadbalancer listener create --name {name}-l --protocol TCP --protocol-port 81 --connection-limit 5"
        " --allowed-cidr 203.0.113.0/24 {lb}",
        made("/listeners", name="{name}-l", protocol_port=81, connection_limit=5, **ACTIVE),
    ),
    Command("loadbalancer listener list --loadbalancer {lb}", lists(id="{listener}", protocol="HTTP")),
    Command("loadbalancer listener show {name}-listener", prints(id="{listener}", connection_limit=100)),
    Command(
        "loadbalancer listener set --timeout-client-data 7000 --insert-headers X-Forwarded-For=true"
        " --default-pool {name}-spare {listener}",
        shows(
            LISTENER,
            timeout_client_data=7000,
            insert_headers={"X-Forwarded-For": "true"},
            default_pool_id="{spare}",
            **ACTIVE,
        ),
    ),
    Command(
        "loadbalancer listener unset --connection-limit --allowed-cidrs --default-pool {listener}",
        shows(LISTENER, connection_limit=-1, allowed_cidrs=None, default_pool_id=None, **ACTIVE),
    ),
    Command("loadbalancer listener delete {listener}", gone(LISTENER)),
    Command("loadbalancer listener stats show {listener}", prints_counters(LISTENER + "/stats")),
)
POOLS = (
    Command(
        "loadbalancer pool create --name {name}-p --protocol HTTP --lb-algorithm LEAST_CONNECTIONS --loadbalancer {lb}"
        " --session-persistence type=APP_COOKIE,cookie_name=here",
        made("/pools", name="{name}-p", lb_algorithm="LEAST_CONNECTIONS", **ACTIVE),
    ),
    Command("loadbalancer pool list --loadbalancer {lb}", lists(id="{spare}", name="{name}-spare")),
    Command("loadbalancer pool show {name}-pool", prints(id="{pool}", healthmonitor_id="{monitor}")),
    Command(
        "loadbalancer pool set --lb-algorithm SOURCE_IP --description words --enable-tls {pool}",
        shows(POOL, lb_algorithm="SOURCE_IP", description="words", tls_enabled=True, **ACTIVE),
    ),
    Command(
        "loadbalancer pool unset --session-persistence --name {pool}",
        shows(POOL, session_persistence=None, name="", **ACTIVE),
    ),
    Command("loadbalancer pool delete {spare}", gone("/pools/{spare}")),
)
MEMBERS_ = (
    Command(
        "loadbalancer member create --name {name}-m --address 192.0.2.11 --protocol-port 81 --weight 3 {pool}",
        made(MEMBERS, address="192.0.2.11", protocol_port=81, weight=3, **ACTIVE),
    ),
    Command("loadbalancer member list {pool}", lists(id="{member}", address="192.0.2.10")),
    Command("loadbalancer member show {pool} {member}", prints(name="{name}-member", weight=7)),
    Command(
        "loadbalancer member set --weight 0 --monitor-address 192.0.2.99 --disable-backup {pool} {member}",
        shows(MEMBER, weight=0, monitor_address="192.0.2.99", backup=False, **ACTIVE),
    ),
    Command(
        "loadbalancer member unset --weight --backup --monitor-port {pool} {member}",
        shows(MEMBER, weight=1, backup=False, monitor_port=None, **ACTIVE),
    ),
    Command("loadbalancer member delete {pool} {member}", gone(MEMBER)),
)
MONITORS = (
    Command(
        "loadbalancer healthmonitor create --name {name}-h --type TCP --delay 7 --timeout 4 --max-retries 3 {spare}",
        made("/healthmonitors", name="{name}-h", type="TCP", delay=7, timeout=4, max_retries=3, **ACTIVE),
    ),
    Command("loadbalancer healthmonitor list", lists(id="{monitor}", type="HTTP")),
    Command("loadbalancer healthmonitor show {name}-monitor", prints(id="{monitor}", url_path="/health")),
    Command(
        "loadbalancer healthmonitor set --delay 9 --expected-codes 200-204 --disable {monitor}",
        shows(MONITOR, delay=9, expected_codes="200-204", admin_state_up=False, **ACTIVE),
    ),
    Command(
        "loadbalancer healthmonitor unset --http-method --url-path --name {monitor}",
        shows(MONITOR, http_method="GET", url_path="/", name="", **ACTIVE),
    ),
    Command("loadbalancer healthmonitor delete {monitor}", gone(MONITOR)),
)
L7 = (
    Command(
        "loadbalancer l7policy create --name {name}-l7 --action REDIRECT_TO_POOL --redirect-pool {spare} --position 1"
        " {listener}",
        made("/l7policies", name="{name}-l7", position=1, redirect_pool_id="{spare}", **ACTIVE),
    ),
    Command("loadbalancer l7policy list --listener {listener}", lists(id="{policy}", position=1)),
    Command("loadbalancer l7policy show {name}-policy", prints(id="{policy}", redirect_http_code=308)),
    Command(
        "loadbalancer l7policy set --action REDIRECT_PREFIX --redirect-prefix https://b.example {policy}",
        shows(POLICY, action="REDIRECT_PREFIX", redirect_prefix="https://b.example", redirect_url=None, **ACTIVE),
    ),
    Command(
        "loadbalancer l7policy unset --description --redirect-http-code {policy}",
        shows(POLICY, description="", redirect_http_code=302, **ACTIVE),
    ),
    Command("loadbalancer l7policy delete {policy}", gone(POLICY)),
    Command(
        "loadbalancer l7rule create --type PATH --compare-type STARTS_WITH --value /new {policy}",
        made(RULES, type="PATH", value="/new", **ACTIVE),
    ),
    Command("loadbalancer l7rule list {policy}", lists(id="{rule}", type="HEADER")),
    Command("loadbalancer l7rule show {policy} {rule}", prints(key="X-Old", invert=True)),
    Command(
        "loadbalancer l7rule set --type HOST_NAME --compare-type ENDS_WITH --value .example {policy} {rule}",
        shows(RULE, type="HOST_NAME", compare_type="ENDS_WITH", value=".example", **ACTIVE),
    ),
    Command("loadbalancer l7rule unset --invert {policy} {rule}", shows(RULE, invert=False, **ACTIVE)),
    Command("loadbalancer l7rule delete {policy} {rule}", gone(RULE)),
)
OFFERS = (
    Command(
        "loadbalancer flavorprofile create --name {name}-fp --provider amphora --flavor-data {{}}",
        made("/flavorprofiles", name="{name}-fp", provider_name="amphora", flavor_data="{{}}"),
        "admin",
    ),
    Command("loadbalancer flavorprofile list", lists(id="{flavorprofile}"), "admin"),
    Command("loadbalancer flavorprofile show {flavorprofile}", prints(name="{name}-profile"), "admin"),
    Command(
        "loadbalancer flavorprofile set --name {name}-other {flavorprofile}",
        shows(PROFILE, name="{name}-other"),
        "admin",
    ),
    Command(
        "loadbalancer flavorprofile delete {unused_flavorprofile}",
        gone("/flavorprofiles/{unused_flavorprofile}"),
        "admin",
    ),
    Command(
        "loadbalancer flavor create --name {name}-f --flavorprofile {name}-profile --description words --disable",
        made("/flavors", flavor_profile_id="{flavorprofile}", description="words", enabled=False),
        "admin",
    ),
    Command("loadbalancer flavor list", lists(id="{flavor}", enabled=True)),
    Command("loadbalancer flavor show {name}-flavor", prints(id="{flavor}")),
    Command(
        "loadbalancer flavor set --description words --disable {flavor}",
        shows(FLAVOR, description="words", enabled=False),
        "admin",
    ),
    Command(
        "loadbalancer flavor unset --description {flavor}",
        shows(FLAVOR, description=""),
        "admin",
        before="loadbalancer flavor set --description words {flavor}",
    ),
    Command("loadbalancer flavor delete {flavor}", gone(FLAVOR), "admin"),
)
ZONES_ = (
    Command(
        "loadbalancer availabilityzoneprofile create --name {name}-z --provider amphora"
        ' --availability-zone-data {{"compute_zone":"nova"}}',
        made("/availabilityzoneprofiles", name="{name}-z", availability_zone_data='{{"compute_zone":"nova"}}'),
        "admin",
    ),
    Command("loadbalancer availabilityzoneprofile list", lists(id="{azprofile}"), "admin"),
    Command("loadbalancer availabilityzoneprofile show {azprofile}", prints(name="{name}-zones"), "admin"),
    Command(
        "loadbalancer availabilityzoneprofile set --name {name}-other {azprofile}",
        shows(ZONES, name="{name}-other"),
        "admin",
    ),
    Command(
        "loadbalancer availabilityzoneprofile delete {unused_azprofile}",
        gone("/availabilityzoneprofiles/{unused_azprofile}"),
        "admin",
    ),
    Command(
        "loadbalancer availabilityzone create --name {name}-a --availabilityzoneprofile {name}-zones --disable",
        made("/availabilityzones", "name", availability_zone_profile_id="{azprofile}", enabled=False),
        "admin",
    ),
    Command("loadbalancer availabilityzone list", lists(name="{az}", enabled=True)),
    Command("loadbalancer availabilityzone show {az}", prints(availability_zone_profile_id="{azprofile}")),
    Command("loadbalancer availabilityzone set --disable {az}", shows(ZONE, enabled=False), "admin"),
    Command(
        "loadbalancer availabilityzone unset --description {az}",
        shows(ZONE, description=""),
        "admin",
        before="loadbalancer availabilityzone set --description words {az}",
    ),
    Command("loadbalancer availabilityzone delete {az}", gone(ZONE), "admin"),
)
OPERATOR = (
    Command("loadbalancer provider list", lists(name="amphora")),
    Command("loadbalancer provider capability list --flavor amphora", lists(type="flavor", name="sriov_vip"), "admin"),
    Command(
        "loadbalancer quota list",
        lists(project_id="{spare_project}", pool=3),
        "admin",
        before="loadbalancer quota set --pool 3 {spare_project}",
    ),
    Command(
        "loadbalancer quota show clients-project",
        prints(member=8),
        "admin",
        before="loadbalancer quota set --member 8 {spare_project}",
    ),
    Command("loadbalancer quota defaults show", prints(load_balancer=-1, health_monitor=-1)),
    Command(
        "loadbalancer quota set --loadbalancer 4 --healthmonitor 5 {spare_project}",
        shows(QUOTA, loadbalancer=4, healthmonitor=5),
        "admin",
    ),
    Command(
        "loadbalancer quota unset --loadbalancer {spare_project}",
        shows(QUOTA, loadbalancer=-1, listener=6),
        "admin",
        before="loadbalancer quota set --loadbalancer 4 --listener 6 {spare_project}",
    ),
    Command(
        "loadbalancer quota reset {spare_project}",
        shows(QUOTA, listener=-1),
        "admin",
        before="loadbalancer quota set --listener 6 {spare_project}",
    ),
    Command("loadbalancer amphora list --loadbalancer {lb}", lists(id="{amphora}", status="ALLOCATED"), "admin"),
    Command("loadbalancer amphora show {amphora}", prints(loadbalancer_id="{lb}", role="STANDALONE"), "admin"),
    Command(
        "loadbalancer amphora stats show {amphora}",
        prints(**dict.fromkeys(COUNTERS, 0)),
        "admin",
        when=shows(LISTENER, operating_status="ONLINE"),
    ),
    Command("loadbalancer amphora configure {amphora}", sent_anew, "admin"),
    Command("loadbalancer amphora failover {amphora}", replaced(LB, **ACTIVE), "admin"),
    Command("loadbalancer amphora delete {amphora}", replaced(LB, **ACTIVE), "admin", when=is_broken),
)
COMMANDS = (*LOAD_BALANCERS, *LISTENERS, *POOLS, *MEMBERS_, *MONITORS, *L7, *OFFERS, *ZONES_, *OPERATOR)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_subcommand(service: Service, command: Command) -> None:
    command.run(service)


def test_amphora_delete_is_for_those_in_error(service: Service) -> None:
    ids = service.tree()
    refused = service.openstack("admin", "loadbalancer", "amphora", "delete", ids["amphora"], check=False)
    assert refused.status != 0
    assert f"{ids['amphora']} is immutable and cannot be updated" in refused.stderr
    assert service.shown(f"/loadbalancers/{ids['lb']}")["provisioning_status"] == "ACTIVE"


def test_none_is_left_out() -> None:
    known = {entry.name.replace("_", " ") for entry in entry_points(group="openstack.load_balancer.v2")}
    assert known == {command.name for command in COMMANDS}
