"""Rules of the fields about TLS: what listeners and pools may say, what they say when they say nothing."""

from typing import Any

import msgspec
import pytest

from hydria.base.config import OWASP_SUITE_B, Api
from hydria.base.errors import Invalid
from hydria.model import field, rules, tls_rules
from hydria.model.listener import Listener
from hydria.model.pool import Pool

KEY = "https://keys.example.com/v1/containers/1"
API = Api()
STRICT = Api(minimum_tls_version="TLSv1.2", tls_cipher_prohibit_list="RC4-MD5:NULL-SHA")
CLOSED = Api(allow_tls_terminated_listeners=False, allow_prometheus_listeners=False)
PROTOCOLS = ("TCP", "UDP", "SCTP", "HTTP", "HTTPS", "TERMINATED_HTTPS", "PROMETHEUS")


def listener(protocol: Any = "TERMINATED_HTTPS", **values: Any) -> Listener:
    if protocol == "TERMINATED_HTTPS":
        values = {"default_tls_container_ref": KEY, **values}
    return Listener(id="l1", loadbalancer_id="lb", protocol=protocol, protocol_port=443, **values)


def pool(protocol: Any = "HTTP", **values: Any) -> Pool:
    return Pool(id="p1", loadbalancer_id="lb", protocol=protocol, lb_algorithm="ROUND_ROBIN", **values)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(listener(), id="default certificate"),
        pytest.param(listener(default_tls_container_ref=None, sni_container_refs=[KEY]), id="SNI alone"),
        pytest.param(listener("PROMETHEUS"), id="metrics in the clear"),
        pytest.param(listener("PROMETHEUS", default_tls_container_ref=KEY), id="metrics by TLS"),
        pytest.param(
            listener(client_authentication="MANDATORY", client_ca_tls_container_ref=KEY), id="client authentication"
        ),
        pytest.param(listener(client_ca_tls_container_ref=KEY, client_crl_container_ref=KEY), id="revocations"),
        pytest.param(listener(hsts_max_age=0), id="HSTS taken back"),
        pytest.param(listener(hsts_max_age=9, hsts_preload=True, hsts_include_subdomains=True), id="HSTS"),
        pytest.param(listener("HTTP", tls_ciphers="AES128-SHA", tls_versions=["TLSv1.3"]), id="kept without TLS"),
        pytest.param(pool(tls_enabled=True, tls_container_ref=KEY, ca_tls_container_ref=KEY), id="members by TLS"),
        pytest.param(pool(ca_tls_container_ref=KEY, crl_container_ref=KEY), id="members' revocations"),
    ],
)
def test_allowed(row: Listener | Pool) -> None:
    tls_rules.check(row, API)
    tls_rules.check(row, STRICT)


REFUSED = [
    *(
        pytest.param(listener(protocol, **{name: KEY}), name, id=f"{name} on {protocol}")
        for protocol in PROTOCOLS[:5]
        for name in ("default_tls_container_ref", "client_ca_tls_container_ref", "client_crl_container_ref")
    ),
    pytest.param(listener("HTTP", sni_container_refs=[KEY]), "sni_container_refs", id="SNI on HTTP"),
    pytest.param(listener(default_tls_container_ref=None), "default_tls_container_ref", id="no certificate"),
    pytest.param(listener(default_tls_container_ref=""), "default_tls_container_ref", id="empty reference"),
    pytest.param(listener("PROMETHEUS", client_ca_tls_container_ref=KEY), "default_tls_container_ref", id="only a CA"),
    pytest.param(listener(client_authentication="OPTIONAL"), "client_authentication", id="no CA"),
    pytest.param(listener("TCP", client_authentication="MANDATORY"), "client_authentication", id="no TLS"),
    pytest.param(listener(client_crl_container_ref=KEY), "client_crl_container_ref", id="revocations of no CA"),
    pytest.param(listener(hsts_preload=True), "hsts_preload", id="preload of no HSTS"),
    pytest.param(listener(hsts_include_subdomains=True), "hsts_include_subdomains", id="subdomains of no HSTS"),
    *(
        pytest.param(listener(protocol, hsts_max_age=60), "hsts_max_age", id=f"HSTS on {protocol}")
        for protocol in PROTOCOLS
        if protocol != "TERMINATED_HTTPS"
    ),
    *(
        pytest.param(make(protocol, tls_versions=["TLSv1.3"]), "tls_versions", id=f"{make.__name__} of {protocol}")
        for make in (listener, pool)
        for protocol in ("UDP", "SCTP")
    ),
    pytest.param(pool("UDP", tls_enabled=True), "tls_enabled", id="TLS to UDP members"),
    pytest.param(pool("SCTP", tls_container_ref=KEY), "tls_enabled", id="certificate for SCTP members"),
    pytest.param(pool(crl_container_ref=KEY), "crl_container_ref", id="pool's revocations of no CA"),
]


@pytest.mark.parametrize(("row", "name"), REFUSED)
def test_refused(row: Listener | Pool, name: str) -> None:
    with pytest.raises(Invalid) as caught:
        tls_rules.check(row, API)
    assert caught.value.field == name


@pytest.mark.parametrize(
    ("row", "deployment", "text"),
    [
        pytest.param(listener(), CLOSED, "not allowed in this deployment: TERMINATED_HTTPS", id="TLS"),
        pytest.param(listener("PROMETHEUS"), CLOSED, "not allowed in this deployment: PROMETHEUS", id="metrics"),
        pytest.param(
            listener("PROMETHEUS", sni_container_refs=[KEY]),
            Api(allow_tls_terminated_listeners=False),
            "PROMETHEUS with TLS",
            id="metrics by TLS",
        ),
        pytest.param(listener(tls_versions=["TLSv1", "TLSv1.3"]), STRICT, "TLSv1: the oldest", id="version"),
        pytest.param(pool(tls_versions=["SSLv3"]), STRICT, "SSLv3: the oldest", id="version to members"),
        pytest.param(listener(tls_ciphers="NULL-SHA:AES128-SHA"), STRICT, "NULL-SHA", id="cipher"),
        pytest.param(pool(tls_ciphers="RC4-MD5"), STRICT, "RC4-MD5", id="cipher to members"),
    ],
)
def test_what_the_operator_forbids(row: Listener | Pool, deployment: Api, text: str) -> None:
    with pytest.raises(Invalid, match=text):
        tls_rules.check(row, deployment)
    changed = msgspec.structs.replace(row, name="changed")
    tls_rules.check(changed, deployment, row)  # what was there before it was forbidden stays


@pytest.mark.parametrize(
    ("row", "filled"),
    [
        pytest.param(listener(), True, id="TERMINATED_HTTPS"),
        pytest.param(listener("PROMETHEUS", default_tls_container_ref=KEY), True, id="metrics by TLS"),
        pytest.param(listener("PROMETHEUS"), False, id="metrics in the clear"),
        pytest.param(listener("HTTP"), False, id="HTTP"),
        pytest.param(pool(tls_enabled=True), True, id="members by TLS"),
        pytest.param(pool(), False, id="members in the clear"),
    ],
)
def test_defaults(row: Listener | Pool, filled: bool) -> None:
    if isinstance(row, Listener):
        done: Listener | Pool = tls_rules.listener_with_defaults(row, API)
    else:
        done = tls_rules.pool_with_defaults(row, API)
    values = (done.tls_ciphers, done.tls_versions, done.alpn_protocols)
    suite = (OWASP_SUITE_B, ["TLSv1.2", "TLSv1.3"], ["h2", "http/1.1", "http/1.0"])
    assert values == (suite if filled else (None, None, None))


def test_defaults_leave_alone_what_is_said() -> None:
    said = listener(tls_ciphers="AES128-SHA", tls_versions=["TLSv1.3"], alpn_protocols=["h2"])
    assert tls_rules.listener_with_defaults(said, API) == said


@pytest.mark.parametrize("resource", [Listener, Pool], ids=["listener", "pool"])
@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"tls_versions": []}, id="no version"),
        pytest.param({"tls_versions": ["TLSv1.4"]}, id="version"),
        pytest.param({"alpn_protocols": []}, id="no ALPN"),
        pytest.param({"alpn_protocols": ["spdy/3"]}, id="ALPN"),
        pytest.param({"tls_ciphers": "AES128-SHA\n  bind *:1"}, id="line feed in ciphers"),
        pytest.param({"tls_ciphers": "AES128-SHA ssl"}, id="space in ciphers"),
        pytest.param({"tls_ciphers": ""}, id="no cipher"),
        pytest.param({"tls_ciphers": "A" * 2049}, id="long ciphers"),
        pytest.param({"tls_versions": "TLSv1.3"}, id="no list"),
    ],
)
def test_forms(resource: type[Listener | Pool], values: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        field.decode(field.update_form(resource), values)
    assert (caught.value.field or "").startswith(next(iter(values)))


@pytest.mark.parametrize(
    ("protocol", "header", "text"),
    [
        ("TERMINATED_HTTPS", "X-SSL-Client-CN", None),
        ("TERMINATED_HTTPS", "X-Forwarded-For", None),
        ("HTTP", "X-Real-IP", None),
        ("HTTP", "X-SSL-Client-CN", "X-SSL-Client-CN is not a valid option for a HTTP listener"),
        ("TERMINATED_HTTPS", "X-Nonsense", "X-Nonsense is not a valid option for insert_headers"),
        ("HTTPS", "X-Forwarded-For", "not possible on a HTTPS listener"),
        ("UDP", "X-Forwarded-For", "not possible on a UDP listener"),
    ],
)
def test_inserted_headers(protocol: Any, header: str, text: str | None) -> None:
    row = listener(protocol, insert_headers={header: "true"})
    balancer = rules.LoadBalancer(id="lb", vip_address="203.0.113.5")
    if text is None:
        rules.check_listener(row, balancer, {4}, ())
        return
    with pytest.raises(Invalid, match=text):
        rules.check_listener(row, balancer, {4}, ())


def test_references_with_their_use() -> None:
    row = listener(sni_container_refs=["a", "b"], client_ca_tls_container_ref="c", client_crl_container_ref="d")
    assert [(use, ref) for _, use, ref in tls_rules.references(row)] == [
        ("certificate", KEY),
        ("certificate", "a"),
        ("certificate", "b"),
        ("authority", "c"),
        ("revocations", "d"),
    ]


def test_every_field_that_is_a_reference_is_known_as_one() -> None:
    for resource, known in tls_rules.REFERENCES.items():
        named = {item.name for item in field.fields(resource) if item.name.endswith(("_ref", "_refs"))}
        assert named == set(known)
