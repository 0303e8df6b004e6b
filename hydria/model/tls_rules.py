"""Rules of the fields about TLS, pure and the same for a POST, a full-graph POST and a PUT.

What certificates hold is not known here: the API reads them after these rules are kept. Each function raises Invalid
or returns what it was asked for.
"""

from collections.abc import Collection
from typing import Final, Literal, Protocol, get_args

import msgspec

from hydria.base.errors import Invalid, invalid_field
from hydria.base.tls_options import AlpnProtocol, TlsVersion
from hydria.model.listener import Listener
from hydria.model.pool import Pool

CLIENT_HEADERS: Final = (
    "X-SSL-Client-Verify",
    "X-SSL-Client-Has-Cert",
    "X-SSL-Client-DN",
    "X-SSL-Client-CN",
    "X-SSL-Issuer",
    "X-SSL-Client-SHA1",
    "X-SSL-Client-Not-Before",
    "X-SSL-Client-Not-After",
)
"""What a listener that ends the client's TLS can tell members of him."""

Use = Literal["certificate", "authority", "revocations"]
REFERENCES: Final[dict[type[Listener | Pool], dict[str, Use]]] = {
    Listener: {
        "default_tls_container_ref": "certificate",
        "sni_container_refs": "certificate",
        "client_ca_tls_container_ref": "authority",
        "client_crl_container_ref": "revocations",
    },
    Pool: {
        "tls_container_ref": "certificate",
        "ca_tls_container_ref": "authority",
        "crl_container_ref": "revocations",
    },
}
"""Fields that name something in the key manager, and what it has to be."""

_DATAGRAMS: Final = ("UDP", "SCTP")
_TERMINATING: Final = ("TERMINATED_HTTPS", "PROMETHEUS")


class Deployment(Protocol):
    """What the operator decides: `[api]` of the configuration."""

    @property
    def allow_tls_terminated_listeners(self) -> bool: ...
    @property
    def allow_prometheus_listeners(self) -> bool: ...
    @property
    def default_listener_ciphers(self) -> str: ...
    @property
    def default_pool_ciphers(self) -> str: ...
    @property
    def tls_cipher_prohibit_list(self) -> str: ...
    @property
    def default_listener_tls_versions(self) -> tuple[TlsVersion, ...]: ...
    @property
    def default_pool_tls_versions(self) -> tuple[TlsVersion, ...]: ...
    @property
    def minimum_tls_version(self) -> TlsVersion | None: ...
    @property
    def default_listener_alpn_protocols(self) -> tuple[AlpnProtocol, ...]: ...
    @property
    def default_pool_alpn_protocols(self) -> tuple[AlpnProtocol, ...]: ...


def references(row: Listener | Pool) -> list[tuple[str, Use, str]]:
    """Field, use and reference of all that `row` names in the key manager."""
    found = []
    for name, use in REFERENCES[type(row)].items():
        named = getattr(row, name)
        found += [(name, use, ref) for ref in (named if isinstance(named, list) else [named]) if ref]
    return found


def ends_tls(listener: Listener) -> bool:
    """The client's TLS ends here; on a PROMETHEUS listener only with a certificate."""
    return listener.protocol == "TERMINATED_HTTPS" or (listener.protocol == "PROMETHEUS" and bool(references(listener)))


def listener_with_defaults(listener: Listener, deployment: Deployment) -> Listener:
    if not ends_tls(listener):
        return listener
    return msgspec.structs.replace(
        listener,
        tls_ciphers=listener.tls_ciphers or deployment.default_listener_ciphers,
        tls_versions=listener.tls_versions or list(deployment.default_listener_tls_versions),
        alpn_protocols=listener.alpn_protocols or list(deployment.default_listener_alpn_protocols),
    )


def pool_with_defaults(pool: Pool, deployment: Deployment) -> Pool:
    if not pool.tls_enabled:
        return pool
    return msgspec.structs.replace(
        pool,
        tls_ciphers=pool.tls_ciphers or deployment.default_pool_ciphers,
        tls_versions=pool.tls_versions or list(deployment.default_pool_tls_versions),
        alpn_protocols=pool.alpn_protocols or list(deployment.default_pool_alpn_protocols),
    )


def check(row: Listener | Pool, deployment: Deployment, old: Listener | Pool | None = None) -> None:
    """`old`: what a PUT changes. What the operator has forbidden since then, and the PUT leaves alone, may stay."""
    if isinstance(row, Listener):
        _check_listener(row, deployment, new=old is None)
    else:
        _check_pool(row)
    _check_options(row, old, deployment)


def _check_listener(listener: Listener, deployment: Deployment, *, new: bool) -> None:
    if new:
        _check_allowed(listener, deployment)
    _check_listener_references(listener)
    if listener.client_authentication != "NONE" and not listener.client_ca_tls_container_ref:
        raise Invalid(
            f"client_authentication {listener.client_authentication} needs a client_ca_tls_container_ref.",
            field="client_authentication",
        )
    _check_hsts(listener)


def _check_pool(pool: Pool) -> None:
    if pool.protocol in _DATAGRAMS and (pool.tls_enabled or references(pool)):
        raise Invalid(f"A {pool.protocol} pool cannot use TLS.", field="tls_enabled")
    _check_revocations(pool, "ca_tls_container_ref", "crl_container_ref")


def _check_allowed(listener: Listener, deployment: Deployment) -> None:
    refused = "The selected protocol is not allowed in this deployment:"
    if not deployment.allow_prometheus_listeners and listener.protocol == "PROMETHEUS":
        raise Invalid(f"{refused} PROMETHEUS", field="protocol")
    if not deployment.allow_tls_terminated_listeners and ends_tls(listener):
        with_tls = " with TLS" if listener.protocol == "PROMETHEUS" else ""
        raise Invalid(f"{refused} {listener.protocol}{with_tls}", field="protocol")


def _check_listener_references(listener: Listener) -> None:
    named = references(listener)
    if named and listener.protocol not in _TERMINATING:
        raise Invalid(
            f"{named[0][0]} is not possible on a {listener.protocol} listener, which does not end TLS.",
            field=named[0][0],
        )
    if ends_tls(listener) and not any(use == "certificate" for _, use, _ in named):
        raise Invalid(
            f"A {listener.protocol} listener that ends TLS needs a certificate: default_tls_container_ref or "
            "sni_container_refs.",
            field="default_tls_container_ref",
        )
    _check_revocations(listener, "client_ca_tls_container_ref", "client_crl_container_ref")


def _check_revocations(row: Listener | Pool, authority: str, revocations: str) -> None:
    if getattr(row, revocations) and not getattr(row, authority):
        raise Invalid(f"A {revocations} needs a {authority}, which signed it.", field=revocations)


def _check_hsts(listener: Listener) -> None:
    if listener.hsts_max_age is None:
        for name in ("hsts_include_subdomains", "hsts_preload"):
            if getattr(listener, name):
                raise Invalid(f"{name} is only possible together with hsts_max_age.", field=name)
    elif listener.protocol != "TERMINATED_HTTPS":
        raise Invalid(
            f"hsts_max_age is only possible on a TERMINATED_HTTPS listener, not on a {listener.protocol} one.",
            field="hsts_max_age",
        )


def _check_options(row: Listener | Pool, old: Listener | Pool | None, deployment: Deployment) -> None:
    """Also where there is no TLS: such values are kept, and nobody shall find them refused later."""
    for name in ("tls_ciphers", "tls_versions", "alpn_protocols"):
        if row.protocol in _DATAGRAMS and getattr(row, name) is not None:
            raise invalid_field(name, getattr(row, name), f"{row.protocol} cannot use TLS.")
    if old is None or row.tls_ciphers != old.tls_ciphers:
        _check_ciphers(row.tls_ciphers or "", deployment)
    if old is None or row.tls_versions != old.tls_versions:
        _check_versions(row.tls_versions or (), deployment.minimum_tls_version)


def _check_ciphers(ciphers: str, deployment: Deployment) -> None:
    prohibited = set(deployment.tls_cipher_prohibit_list.split(":")) - {""}
    if refused := [cipher for cipher in ciphers.split(":") if cipher in prohibited]:
        raise Invalid(
            f"The operator has prohibited these ciphers of tls_ciphers: {', '.join(refused)}.", field="tls_ciphers"
        )


def _check_versions(versions: Collection[TlsVersion], least: TlsVersion | None) -> None:
    order = get_args(TlsVersion)
    old = [version for version in versions if least and order.index(version) < order.index(least)]
    if old:
        raise Invalid(
            f"tls_versions {', '.join(old)}: the oldest one that is allowed in this deployment is {least}.",
            field="tls_versions",
        )
