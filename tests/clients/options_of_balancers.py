"""Commands with all options of load balancers, listeners and pools."""

import json
from typing import Any

from clients.effects import Command, Ids, gone, lists, made, named, replaced, shows
from clients.service import Service
from clients.test_octaviaclient import ACTIVE, LB, LISTENER, POOL

ON, OFF = {"admin_state_up": True}, {"admin_state_up": False}
TAGS = "--tags old --any-tags old,other --not-tags old,new --not-any-tags new,newer"
KEY, CHAIN, CA, CRL = (f"https://keys.example.com/v1/secrets/{name}" for name in ("key", "chain", "ca", "crl"))
TLS = "--tls-ciphers ECDHE-RSA-AES128-GCM-SHA256 --tls-version TLSv1.2 --tls-version TLSv1.3 --alpn-protocol h2"
TLS_SHOWN: dict[str, Any] = {
    "tls_ciphers": "ECDHE-RSA-AES128-GCM-SHA256",
    "tls_versions": ["TLSv1.2", "TLSv1.3"],
    "alpn_protocols": ["h2"],
}
REFERENCES = (
    f"--default-tls-container-ref {KEY} --sni-container-refs {KEY} {CHAIN} --client-ca-tls-container-ref {CA}"
    f" --client-crl-container-ref {CRL} --client-authentication OPTIONAL"
)
REFERENCES_SHOWN: dict[str, Any] = {
    "default_tls_container_ref": KEY,
    "sni_container_refs": [KEY, CHAIN],
    "client_ca_tls_container_ref": CA,
    "client_crl_container_ref": CRL,
    "client_authentication": "OPTIONAL",
}
HSTS = "--hsts-max-age 1000 --hsts-include-subdomains --hsts-preload"
HSTS_SHOWN: dict[str, Any] = {"hsts_max_age": 1000, "hsts_include_subdomains": True, "hsts_preload": True}
MEMBER_REFERENCES = f"--tls-container-ref {KEY} --ca-tls-container-ref {CA} --crl-container-ref {CRL}"
MEMBER_REFERENCES_SHOWN = {"tls_container_ref": KEY, "ca_tls_container_ref": CA, "crl_container_ref": CRL}
TIMEOUTS = "--timeout-member-connect 6000 --timeout-member-data 60000 --timeout-tcp-inspect 10"
TIMEOUTS_SHOWN = {"timeout_member_connect": 6000, "timeout_member_data": 60000, "timeout_tcp_inspect": 10}
TLS_LISTENER = (
    "loadbalancer listener create --name {name}-tls --protocol TERMINATED_HTTPS --protocol-port 443"
    f" {REFERENCES} {TLS} {HSTS} {{lb}}"
)
ANOTHER = "loadbalancer create --name {name}-o --vip-subnet-id clients-subnet"


def everything_of_a_load_balancer(service: Service, ids: Ids, printed: str) -> None:
    path = f"/loadbalancers/{json.loads(printed)['id']}"
    expected = {
        "description": "words",
        "vip_qos_policy_id": ids["qos"],
        "vip_sg_ids": [ids["group"]],
        "project_id": ids["project"],
        "availability_zone": ids["az"],
        "flavor_id": ids["flavor"],
        **OFF,
        **ACTIVE,
    }
    service.await_shown(path, expected)
    (vip,) = service.shown(path)["additional_vips"]
    assert (vip["subnet_id"], vip["ip_address"]) == (ids["other_subnet"], "198.51.100.9")


LOAD_BALANCERS = (
    Command(
        "loadbalancer create --name {name}-o --description words --vip-subnet-id clients-subnet --vip-qos-policy-id"
        " clients-qos --additional-vip subnet-id=clients-subnet-2,ip-address=198.51.100.9 --vip-sg-id clients-group"
        " --project demo --provider amphora --availability-zone {az} --flavor {name}-flavor --disable --wait",
        everything_of_a_load_balancer,
        "admin",
    ),
    Command(
        "loadbalancer create --vip-network-id clients-net --enable --no-tag",
        made("/loadbalancers", vip_network_id="{network}", tags=[], **ON),
    ),
    Command("loadbalancer create --vip-port-id clients-port", made("/loadbalancers", vip_port_id="{port}"), "admin"),
    Command(
        f"loadbalancer list --enable --project demo --vip-subnet-id clients-subnet"
        f" --provisioning-status ACTIVE --operating-status ONLINE --provider amphora {TAGS}",
        lists(id="{lb}"),
        "admin",
        when=shows(LB, operating_status="ONLINE"),
    ),
    Command(
        "loadbalancer list --disable --flavor {name}-flavor --availability-zone {az} --vip-qos-policy-id clients-qos",
        lists(name="{name}-o"),
        "admin",
        before="loadbalancer create --name {name}-o --vip-subnet-id clients-subnet --flavor {name}-flavor"
        " --availability-zone {az} --vip-qos-policy-id clients-qos --disable",
    ),
    Command(
        "loadbalancer list --vip-port-id clients-port",
        lists(name="{name}-o"),
        "admin",
        before="loadbalancer create --name {name}-o --vip-port-id clients-port",
    ),
    Command(
        "loadbalancer list --vip-network-id clients-net",
        lists(name="{name}-o"),
        before="loadbalancer create --name {name}-o --vip-network-id clients-net --project demo",
    ),
    Command(
        "loadbalancer set --vip-sg-id clients-group --enable --tag new --wait {name}-o",
        named("loadbalancers", "{name}-o", vip_sg_ids=["{group}"], tags=["new"], **ON, **ACTIVE),
        "admin",
        before=f"{ANOTHER} --disable",
    ),
    Command("loadbalancer set --no-tag {lb}", shows(LB, tags=[])),
    Command(
        "loadbalancer unset --vip-qos-policy-id --vip-sg-id --tag new --wait {name}-o",
        named("loadbalancers", "{name}-o", vip_qos_policy_id=None, vip_sg_ids=[], tags=["old"]),
        "admin",
        before=f"{ANOTHER} --vip-qos-policy-id clients-qos --vip-sg-id clients-group --tag new --tag old",
    ),
    Command("loadbalancer failover --wait {lb}", replaced(LB, **ACTIVE), "admin"),
    Command("loadbalancer delete --cascade --wait {lb}", gone(LB)),
)
LISTENERS = (
    Command(
        "loadbalancer listener create --name {name}-o --description words --protocol HTTP --protocol-port 81"
        " --default-pool {name}-pool --insert-headers X-Forwarded-For=true,X-Forwarded-Port=true"
        f" --timeout-client-data 7000 --disable {TIMEOUTS} --tag new --wait {{lb}}",
        made(
            "/listeners",
            description="words",
            default_pool_id="{pool}",
            insert_headers={"X-Forwarded-For": "true", "X-Forwarded-Port": "true"},
            timeout_client_data=7000,
            tags=["new"],
            **TIMEOUTS_SHOWN,
            **OFF,
        ),
    ),
    Command(
        f"loadbalancer listener create --protocol TERMINATED_HTTPS --protocol-port 443 {REFERENCES} {TLS} {HSTS}"
        " --enable --no-tag {lb}",
        made("/listeners", **REFERENCES_SHOWN, **TLS_SHOWN, **HSTS_SHOWN, **ON),
    ),
    Command(
        "loadbalancer listener list --name {name}-tls --enable --project demo --tags new --any-tags new,other"
        " --not-tags new,old --not-any-tags old",
        lists(name="{name}-tls"),
        "admin",
        before=TLS_LISTENER.replace("{lb}", "--tag new {lb}"),
    ),
    Command(
        "loadbalancer listener list --disable",
        lists(id="{listener}"),
        before="loadbalancer listener set --disable {listener}",
    ),
    Command(
        "loadbalancer listener set --name {name}-o --description words --connection-limit 9 --allowed-cidr 10.0.0.0/8"
        f" --enable {TIMEOUTS} --tag new --wait {{listener}}",
        shows(
            LISTENER,
            name="{name}-o",
            description="words",
            connection_limit=9,
            allowed_cidrs=["10.0.0.0/8"],
            tags=["new"],
            **TIMEOUTS_SHOWN,
            **ON,
        ),
    ),
    Command("loadbalancer listener set --disable --no-tag {listener}", shows(LISTENER, tags=[], **OFF)),
    Command(
        f"loadbalancer listener set {REFERENCES} {TLS} {HSTS} --wait {{name}}-tls",
        named("listeners", "{name}-tls", **REFERENCES_SHOWN, **TLS_SHOWN, **HSTS_SHOWN),
        before="loadbalancer listener create --name {name}-tls --protocol TERMINATED_HTTPS --protocol-port 443"
        f" --default-tls-container-ref {CHAIN} {{lb}}",
    ),
    Command(
        "loadbalancer listener unset --name --description --insert-headers --timeout-client-data"
        " --timeout-member-connect --timeout-member-data --timeout-tcp-inspect --tag new --wait {listener}",
        shows(
            LISTENER,
            name="",
            description="",
            insert_headers={},
            timeout_client_data=50000,
            timeout_member_connect=5000,
            timeout_member_data=50000,
            timeout_tcp_inspect=0,
            tags=[],
        ),
        before="loadbalancer listener set --description words --insert-headers X-Forwarded-For=true --tag new"
        f" --timeout-client-data 7000 {TIMEOUTS} {{listener}}",
    ),
    Command(
        "loadbalancer listener unset --sni-container-refs --client-ca-tls-container-ref --client-crl-container-ref"
        " --client-authentication --tls-versions --tls-ciphers --alpn-protocols --hsts-max-age"
        " --hsts-include-subdomains --hsts-preload --wait {name}-tls",
        named(
            "listeners",
            "{name}-tls",
            default_tls_container_ref=KEY,
            sni_container_refs=[],
            client_ca_tls_container_ref=None,
            client_crl_container_ref=None,
            client_authentication="NONE",
            alpn_protocols=["h2", "http/1.1", "http/1.0"],
            hsts_max_age=None,
            hsts_include_subdomains=False,
            hsts_preload=False,
        ),
        before=TLS_LISTENER,
    ),
    Command(
        "loadbalancer listener unset --default-tls-container-ref --all-tag {name}-tls",
        named("listeners", "{name}-tls", default_tls_container_ref=None, sni_container_refs=[KEY, CHAIN]),
        before=TLS_LISTENER,
    ),
    Command("loadbalancer listener delete --wait {listener}", gone(LISTENER)),
)
POOLS = (
    Command(
        "loadbalancer pool create --name {name}-o --description words --protocol HTTP --lb-algorithm ROUND_ROBIN"
        f" --listener {{name}}-l --enable-tls {MEMBER_REFERENCES} {TLS} --disable --tag new --wait",
        made(
            "/pools",
            description="words",
            tls_enabled=True,
            tags=["new"],
            **MEMBER_REFERENCES_SHOWN,
            **TLS_SHOWN,
            **OFF,
        ),
        before="loadbalancer listener create --name {name}-l --protocol HTTP --protocol-port 81 {lb}",
    ),
    Command(
        "loadbalancer pool create --protocol HTTP --lb-algorithm ROUND_ROBIN --loadbalancer {lb} --disable-tls --enable"
        " --no-tag",
        made("/pools", tls_enabled=False, tags=[], **ON),
    ),
    Command(
        f"loadbalancer pool list {TAGS}",
        lists(id="{pool}"),
        before="loadbalancer pool set --tag old {pool}",
    ),
    Command(
        "loadbalancer pool set --name {name}-o --session-persistence type=APP_COOKIE,cookie_name=here --enable-tls"
        f" {MEMBER_REFERENCES} {TLS} --disable --tag new --wait {{pool}}",
        shows(POOL, name="{name}-o", tls_enabled=True, tags=["new"], **MEMBER_REFERENCES_SHOWN, **TLS_SHOWN, **OFF),
    ),
    Command(
        "loadbalancer pool set --disable-tls --enable --no-tag {pool}",
        shows(POOL, tls_enabled=False, tags=[], **ON),
        before="loadbalancer pool set --enable-tls --disable --tag new {pool}",
    ),
    Command(
        "loadbalancer pool unset --description --tls-container-ref --ca-tls-container-ref --crl-container-ref"
        " --tls-versions --tls-ciphers --alpn-protocols --tag new --wait {pool}",
        shows(
            POOL,
            description="",
            tls_container_ref=None,
            ca_tls_container_ref=None,
            crl_container_ref=None,
            tls_enabled=True,
            tags=["old"],
        ),
        before=f"loadbalancer pool set --description words --enable-tls {MEMBER_REFERENCES} {TLS} --tag new --tag old"
        " {pool}",
    ),
    Command(
        "loadbalancer pool unset --all-tag {pool}",
        shows(POOL, tags=[]),
        before="loadbalancer pool set --tag new {pool}",
    ),
    Command("loadbalancer pool delete --wait {pool}", gone(POOL)),
)
