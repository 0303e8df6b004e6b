"""Commands with all options of members, health monitors, L7 policies and rules."""

from typing import Any

from clients.effects import Command, gone, lists, made, shows
from clients.options_of_balancers import OFF, ON, TAGS
from clients.test_octaviaclient import MEMBER, MEMBERS, MONITOR, POLICY, RULE, RULES

MEMBERS_ = (
    Command(
        "loadbalancer member create --address 192.0.2.11 --protocol-port 81 --subnet-id clients-subnet --enable-backup"
        " --monitor-port 8081 --monitor-address 192.0.2.12 --disable --tag new --wait {pool}",
        made(
            MEMBERS,
            subnet_id="{subnet}",
            backup=True,
            monitor_port=8081,
            monitor_address="192.0.2.12",
            vnic_type="normal",
            tags=["new"],
            **OFF,
        ),
    ),
    Command(
        "loadbalancer member create --address 192.0.2.11 --protocol-port 81 --disable-backup --enable --no-tag {pool}",
        made(MEMBERS, backup=False, tags=[], **ON),
    ),
    Command(
        f"loadbalancer member list {TAGS} {{pool}}",
        lists(id="{member}"),
        before="loadbalancer member set --tag old {pool} {member}",
    ),
    Command(
        "loadbalancer member set --name {name}-o --enable-backup --monitor-port 8082 --disable --tag new --wait {pool}"
        " {member}",
        shows(MEMBER, name="{name}-o", backup=True, monitor_port=8082, tags=["new"], **OFF),
    ),
    Command(
        "loadbalancer member set --enable --no-tag {pool} {member}",
        shows(MEMBER, tags=[], **ON),
        before="loadbalancer member set --disable --tag new {pool} {member}",
    ),
    Command(
        "loadbalancer member unset --name --monitor-address --tag new --wait {pool} {member}",
        shows(MEMBER, name="", monitor_address=None, tags=["old"]),
        before="loadbalancer member set --monitor-address 192.0.2.12 --tag new --tag old {pool} {member}",
    ),
    Command(
        "loadbalancer member unset --all-tag {pool} {member}",
        shows(MEMBER, tags=[]),
        before="loadbalancer member set --tag new {pool} {member}",
    ),
    Command("loadbalancer member delete --wait {pool} {member}", gone(MEMBER)),
)
PROBE = "--domain-name www.example.com --http-version 1.1 --max-retries-down 5 --http-method HEAD --url-path /up"
PROBE_SHOWN: dict[str, Any] = {
    "domain_name": "www.example.com",
    "http_version": 1.1,
    "max_retries_down": 5,
    "http_method": "HEAD",
    "url_path": "/up",
}
MONITORS = (
    Command(
        f"loadbalancer healthmonitor create --type HTTP --delay 7 --timeout 4 --max-retries 3 {PROBE} --expected-codes"
        " 200-204 --disable --tag new --wait {spare}",
        made("/healthmonitors", expected_codes="200-204", tags=["new"], **PROBE_SHOWN, **OFF),
    ),
    Command(
        "loadbalancer healthmonitor create --type TCP --delay 7 --timeout 4 --max-retries 3 --enable --no-tag {spare}",
        made("/healthmonitors", tags=[], **ON),
    ),
    Command(
        f"loadbalancer healthmonitor list {TAGS}",
        lists(id="{monitor}"),
        before="loadbalancer healthmonitor set --tag old {monitor}",
    ),
    Command(
        f"loadbalancer healthmonitor set --name {{name}}-o --timeout 2 --max-retries 6 {PROBE} --enable --tag new"
        " --wait {monitor}",
        shows(MONITOR, name="{name}-o", timeout=2, max_retries=6, tags=["new"], **PROBE_SHOWN, **ON),
    ),
    Command("loadbalancer healthmonitor set --no-tag {monitor}", shows(MONITOR, tags=[])),
    Command(
        "loadbalancer healthmonitor unset --domain-name --http-version --expected-codes --max-retries-down --tag new"
        " --wait {monitor}",
        shows(MONITOR, domain_name=None, http_version=None, expected_codes="200", max_retries_down=3, tags=["old"]),
        before=f"loadbalancer healthmonitor set {PROBE} --expected-codes 201 --tag new --tag old {{monitor}}",
    ),
    Command(
        "loadbalancer healthmonitor unset --all-tag {monitor}",
        shows(MONITOR, tags=[]),
        before="loadbalancer healthmonitor set --tag new {monitor}",
    ),
    Command("loadbalancer healthmonitor delete --wait {monitor}", gone(MONITOR)),
)
POLICIES = (
    Command(
        "loadbalancer l7policy create --description words --action REDIRECT_TO_URL --redirect-url http://b.example/"
        " --redirect-http-code 307 --disable --tag new --wait {listener}",
        made(
            "/l7policies",
            description="words",
            redirect_url="http://b.example/",
            redirect_http_code=307,
            tags=["new"],
            **OFF,
        ),
    ),
    Command(
        "loadbalancer l7policy create --action REDIRECT_PREFIX --redirect-prefix https://b.example --enable --no-tag"
        " {listener}",
        made("/l7policies", redirect_prefix="https://b.example", tags=[], **ON),
    ),
    Command(
        f"loadbalancer l7policy list {TAGS}",
        lists(id="{policy}"),
        before="loadbalancer l7policy set --tag old {policy}",
    ),
    Command(
        "loadbalancer l7policy set --name {name}-o --description words --action REDIRECT_TO_URL --redirect-url"
        " http://c.example/ --redirect-http-code 303 --position 1 --disable --tag new --wait {policy}",
        shows(
            POLICY,
            name="{name}-o",
            description="words",
            redirect_url="http://c.example/",
            redirect_http_code=303,
            position=1,
            tags=["new"],
            **OFF,
        ),
    ),
    Command(
        "loadbalancer l7policy set --action REDIRECT_TO_POOL --redirect-pool {spare} --enable --no-tag {policy}",
        shows(POLICY, action="REDIRECT_TO_POOL", redirect_pool_id="{spare}", tags=[], **ON),
        before="loadbalancer l7policy set --disable --tag new {policy}",
    ),
    Command(
        "loadbalancer l7policy unset --name --tag new --wait {policy}",
        shows(POLICY, name="", tags=["old"]),
        before="loadbalancer l7policy set --tag new --tag old {policy}",
    ),
    Command(
        "loadbalancer l7policy unset --all-tag {policy}",
        shows(POLICY, tags=[]),
        before="loadbalancer l7policy set --tag new {policy}",
    ),
    Command("loadbalancer l7policy delete --wait {policy}", gone(POLICY)),
    Command(
        "loadbalancer l7rule create --type COOKIE --key session --compare-type REGEX --value a.* --invert --disable"
        " --tag new --wait {policy}",
        made(RULES, key="session", value="a.*", invert=True, tags=["new"], **OFF),
    ),
    Command(
        "loadbalancer l7rule create --type PATH --compare-type EQUAL_TO --value /b --enable --no-tag {policy}",
        made(RULES, invert=False, tags=[], **ON),
    ),
    Command(
        f"loadbalancer l7rule list {TAGS} {{policy}}",
        lists(id="{rule}"),
        before="loadbalancer l7rule set --tag old {policy} {rule}",
    ),
    Command(
        "loadbalancer l7rule set --key X-New --invert --disable --tag new --wait {policy} {rule}",
        shows(RULE, key="X-New", invert=True, tags=["new"], **OFF),
    ),
    Command(
        "loadbalancer l7rule set --enable --no-tag {policy} {rule}",
        shows(RULE, tags=[], **ON),
        before="loadbalancer l7rule set --disable --tag new {policy} {rule}",
    ),
    Command(
        "loadbalancer l7rule unset --tag new --wait {policy} {rule}",
        shows(RULE, tags=["old"]),
        before="loadbalancer l7rule set --tag new --tag old {policy} {rule}",
    ),
    Command(
        "loadbalancer l7rule unset --key {policy} {rule}",
        shows(RULE, key=None),
        before="loadbalancer l7rule set --type PATH --compare-type EQUAL_TO --value /x {policy} {rule}",
    ),
    Command(
        "loadbalancer l7rule unset --all-tag {policy} {rule}",
        shows(RULE, tags=[]),
        before="loadbalancer l7rule set --tag new {policy} {rule}",
    ),
    Command("loadbalancer l7rule delete --wait {policy} {rule}", gone(RULE)),
)
