"""Cloud over OpenStack's own APIs: Nova 2.1, Neutron 2.0, Glance 2, as plain JSON through one keystoneauth session."""

import copy
import json
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from keystoneauth1 import exceptions as keystone_errors
from keystoneauth1.adapter import Adapter
from keystoneauth1.identity.v3 import Password
from keystoneauth1.session import Session, TCPKeepAliveAdapter

from hydria.base.config import Identity
from hydria.base.errors import Conflict, Forbidden, HydriaError, Invalid, NotFound, Retryable, Terminal, Unauthorized
from hydria.drivers import openstack_shapes as shapes
from hydria.drivers.cloud import (
    FixedIp,
    Network,
    Port,
    PortRequest,
    SecurityGroup,
    SecurityGroupRule,
    Server,
    ServerRequest,
    Subnet,
)
from hydria.drivers.openstack_shapes import Json

_TIMEOUT = 30.0
_POOL = 32
"""Connections kept open per service: more threads than that never call at once."""
_DETACH_SECONDS = 15.0
"""Nova answers before the NIC is gone."""
_VERSIONS = {"network": "/v2.0", "image": "/v2", "compute": ""}
"""Appended to the catalogue's URL where that names no version."""

_EMBEDDED_FLAVOR = "2.47"
"""From this microversion on (Pike) a server tells its vCPUs, even if its flavor is gone or hidden."""
_GUARANTEED_RATE = "2.72"
"""Before this microversion Nova refuses servers whose ports have a minimum bandwidth."""


class Refused(HydriaError):
    """A 4xx of the cloud. The calls below give it its meaning."""

    def __init__(self, what: str, status: int, kind: str, text: str) -> None:
        super().__init__(f"{what}: {text}")
        self.status, self.kind, self.text = status, kind, text


def session(identity: Identity) -> Session:
    """Logged in with the service's own user, when it is first used."""
    auth = Password(
        auth_url=identity.auth_url,
        username=identity.username,
        password=identity.password,
        project_name=identity.project_name,
        user_domain_name=identity.user_domain_name,
        project_domain_name=identity.project_domain_name,
    )
    made = Session(auth=auth, verify=identity.cafile or True, timeout=_TIMEOUT, app_name="hydria")
    for scheme in ("http://", "https://"):
        made.session.mount(scheme, TCPKeepAliveAdapter(pool_maxsize=_POOL))
    return made


class OpenStackCloud:
    """drivers.cloud.Cloud. Threads share it; each service keeps its connections open."""

    instant = False

    def __init__(self, identity: Identity) -> None:
        self._session = session(identity)
        where = {"interface": identity.interface, "region_name": identity.region_name}
        self._services = {name: Adapter(self._session, service_type=name, **where) for name in _VERSIONS}
        self._prefixes: dict[str, str] = {}
        self._token: str | None = None
        """Whose look-ups these are; None: the service's own. Never log it."""

    def close(self) -> None:
        self._session.session.close()

    def seen_by(self, token: str) -> "OpenStackCloud":
        view = copy.copy(self)
        view._token = token  # noqa: SLF001 - a copy of ourselves
        return view

    def supposing(self, network_id: str | None, port_id: str | None, fixed_ips: Sequence[FixedIp]) -> "OpenStackCloud":
        del network_id, port_id, fixed_ips
        return self

    # Networks.

    def network(self, id_or_name: str) -> Network | None:
        key = "id" if _is_uuid(id_or_name) else "name"
        found = self._look("/networks", {key: id_or_name})["networks"]
        return shapes.network(found[0]) if found else None

    def subnet(self, subnet_id: str) -> Subnet | None:
        found = self._look("/subnets", {"id": subnet_id})["subnets"]
        return shapes.subnet(found[0]) if found else None

    def free_addresses(self, network_id: str) -> Mapping[str, int]:
        answer = self._network("GET", f"/network-ip-availabilities/{network_id}")["network_ip_availability"]
        return {item["subnet_id"]: item["total_ips"] - item["used_ips"] for item in answer["subnet_ip_availability"]}

    def port(self, port_id: str) -> Port | None:
        found = self._look("/ports", {"id": port_id})["ports"]
        return shapes.port(found[0]) if found else None

    def find_ports(self, **filters: str | Sequence[str]) -> tuple[Port, ...]:
        return tuple(map(shapes.port, self._network("GET", "/ports", query=filters)["ports"]))

    def create_port(self, request: PortRequest) -> Port:
        try:
            return shapes.port(self._network("POST", "/ports", {"port": shapes.port_body(request)})["port"])
        except Refused as error:
            if error.kind in ("IpAddressInUse", "IpAddressAlreadyAllocated"):
                raise Conflict(error.message) from error
            if error.status == 404:
                raise NotFound(error.message) from error
            if error.status == 400:
                raise Invalid(error.message) from error
            raise Terminal(error.message) from error

    def set_allowed_addresses(self, port_id: str, addresses: Sequence[str]) -> None:
        self._change_port(port_id, {"allowed_address_pairs": [{"ip_address": address} for address in addresses]})

    def set_security_groups(self, port_id: str, group_ids: Sequence[str]) -> None:
        self._change_port(port_id, {"security_groups": list(group_ids)})

    def _change_port(self, port_id: str, values: Json) -> None:
        try:
            self._network("PUT", f"/ports/{port_id}", {"port": values})
        except Refused as error:
            raise (NotFound if error.status == 404 else Terminal)(error.message) from error

    def find_security_groups(self, name: str) -> tuple[SecurityGroup, ...]:
        # Names are free: a tenant may call one of his own so.
        query = {"name": name, "project_id": self._session.get_project_id()}
        try:
            found = self._network("GET", "/security-groups", query=query)["security_groups"]
        except Refused as error:
            raise Terminal(error.message) from error
        found.sort(key=lambda group: (group.get("created_at") or "", group["id"]))
        return tuple(map(shapes.security_group, found))

    def create_security_group(self, name: str) -> SecurityGroup:
        body = {"security_group": {"name": name, "description": "Made by Hydria, which keeps its rules."}}
        try:
            return shapes.security_group(self._network("POST", "/security-groups", body)["security_group"])
        except Refused as error:
            raise Terminal(error.message) from error

    def add_security_group_rules(self, group_id: str, rules: Sequence[SecurityGroupRule]) -> None:
        body = {"security_group_rules": shapes.rule_bodies(group_id, rules)}
        try:
            self._network("POST", "/security-group-rules", body)
        except Refused as error:
            # The group is gone, or another of us was faster: the next round sees it.
            passes = error.status == 404 or error.kind == "SecurityGroupRuleExists"
            raise (Retryable if passes else Terminal)(error.message) from error

    def remove_security_group_rule(self, rule_id: str) -> None:
        self._gone("network", f"/security-group-rules/{rule_id}")

    def delete_security_group(self, group_id: str) -> None:
        self._gone("network", f"/security-groups/{group_id}")

    def ensure_rate_policy(self, name: str, *, min_mbps: int, max_mbps: int) -> str:
        try:
            policy = self._rate_policy(name)
            for kind, field, mbps in (
                ("bandwidth_limit", "max_kbps", max_mbps),
                ("minimum_bandwidth", "min_kbps", min_mbps),
            ):
                if mbps:
                    self._ensure_rate(policy, kind, {field: mbps * 1000, "direction": "egress"})
        except Refused as error:
            raise Terminal(error.message) from error
        id_: str = policy["id"]
        return id_

    def _rate_policy(self, name: str) -> Json:
        """Neutron lets two have one name, as when two of us made it at once: all take the elder."""
        found = self._network("GET", "/qos/policies", query={"name": name})["policies"]
        project = self._session.get_project_id()
        ours = [policy for policy in found if (policy.get("project_id") or policy.get("tenant_id")) == project]
        if ours:
            return min(ours, key=lambda policy: (policy.get("created_at") or "", policy["id"]))
        body = {"policy": {"name": name, "description": "Rate of virtual functions, made by Hydria."}}
        policy: Json = self._network("POST", "/qos/policies", body)["policy"]
        return policy

    def _ensure_rate(self, policy: Json, kind: str, wanted: Json) -> None:
        path = f"/qos/policies/{policy['id']}/{kind}_rules"
        same = [
            rule
            for rule in policy.get("rules") or ()
            if rule["type"] == kind and rule.get("direction", "egress") == wanted["direction"]
        ]
        if not same:
            try:
                self._network("POST", path, {f"{kind}_rule": wanted})
            except Refused as error:
                # Another of us was faster.
                if error.status != 409:
                    raise
        elif wanted.items() - same[0].items():
            self._network("PUT", f"{path}/{same[0]['id']}", {f"{kind}_rule": wanted})

    def delete_port(self, port_id: str) -> None:
        self._gone("network", f"/ports/{port_id}")

    # Servers.

    def find_servers(self, name: str) -> tuple[Server, ...]:
        # Nova takes a regular expression; a name of ours holds nothing that means something in one.
        query = {"name": f"^{name}$"}
        answer = self._call("compute", "GET", "/servers/detail", query=query, microversion=_EMBEDDED_FLAVOR)
        return tuple(server for server in map(shapes.server, answer["servers"]) if server.name == name)

    def server(self, server_id: str) -> Server | None:
        try:
            path = f"/servers/{server_id}"
            return shapes.server(self._call("compute", "GET", path, microversion=_EMBEDDED_FLAVOR)["server"])
        except Refused as error:
            if error.status == 404:
                return None
            raise Terminal(error.message) from error

    def create_server(self, request: ServerRequest) -> Server:
        try:
            microversion = _GUARANTEED_RATE if request.guaranteed_rate else None
            body = shapes.server_body(request)
            made = self._call("compute", "POST", "/servers", body, microversion=microversion)["server"]
        except Refused as error:
            raise Terminal(error.message) from error
        return Server(
            id=made["id"], name=request.name, status="BUILD", flavor=request.flavor, image_id=request.image_id
        )

    def delete_server(self, server_id: str) -> None:
        self._gone("compute", f"/servers/{server_id}")

    def attach_port(self, server_id: str, port_id: str) -> None:
        body = {"interfaceAttachment": {"port_id": port_id}}
        try:
            self._compute("POST", f"/servers/{server_id}/os-interface", body)
        except Refused as error:
            port = self.port(port_id)
            if port is not None and port.device_id == server_id:
                return
            # 404, 409: the server is gone or busy with something else, which the next round sees.
            raise (Retryable if error.status in (404, 409) else Terminal)(error.message) from error
        except Retryable as error:
            if "PortBindingFailed" in error.message:
                raise Terminal(error.message) from error
            raise

    def detach_port(self, server_id: str, port_id: str) -> None:
        self._gone("compute", f"/servers/{server_id}/os-interface/{port_id}")
        deadline = time.monotonic() + _DETACH_SECONDS
        pause = threading.Event()
        while (port := self.port(port_id)) is not None and port.device_id == server_id:
            if time.monotonic() > deadline:
                raise Retryable(f"Detaching port {port_id} from server {server_id}: it is still attached.")
            pause.wait(0.05)

    # The rest.

    def flavor_exists(self, flavor_id: str) -> bool:
        return self._there("compute", f"/flavors/{flavor_id}")

    def zone_exists(self, name: str) -> bool:
        try:
            zones = self._compute("GET", "/os-availability-zone")["availabilityZoneInfo"]
        except Refused as error:
            raise Terminal(error.message) from error
        return any(zone["zoneName"] == name for zone in zones)

    def image_by_tag(self, tag: str) -> str | None:
        query = {"tag": tag, "status": "active", "sort": "created_at:desc", "limit": "1"}
        images = self._call("image", "GET", "/images", query=query)["images"]
        return images[0]["id"] if images else None

    def exists(self, kind: Literal["qos-policies", "security-groups"], id_: str) -> bool:
        path = f"/{'qos/policies' if kind == 'qos-policies' else kind}/{id_}"
        return self._there("network", path, self._token)

    # Requests.

    def _network(self, method: str, path: str, body: Json | None = None, query: Mapping[str, Any] = {}) -> Json:
        return self._call("network", method, path, body, query)

    def _look(self, path: str, query: Mapping[str, Any]) -> Json:
        return self._call("network", "GET", path, query=query, token=self._token)

    def _compute(self, method: str, path: str, body: Json | None = None, query: Mapping[str, Any] = {}) -> Json:
        return self._call("compute", method, path, body, query)

    def _there(self, service: str, path: str, token: str | None = None) -> bool:
        try:
            self._call(service, "GET", path, token=token)
        except Refused as error:
            if error.status == 404:
                return False
            raise Terminal(error.message) from error
        return True

    def _gone(self, service: str, path: str) -> None:
        try:
            self._call(service, "DELETE", path)
        except Refused as error:
            if error.status == 404:
                return
            # A port or server that is busy now can be deleted a little later.
            raise (Retryable if error.status == 409 else Terminal)(error.message) from error

    def _call(
        self,
        service: str,
        method: str,
        path: str,
        body: Json | None = None,
        query: Mapping[str, Any] = {},
        *,
        token: str | None = None,
        microversion: str | None = None,
    ) -> Json:
        """The parsed answer. Raises Retryable (no answer, 401, 429, 5xx) and Refused; neither quotes the request.

        With another's `token` 401 and 403 are his: Unauthorized and Forbidden.
        """
        what = f"{service} {method} {path}"
        try:
            url = self._prefix(service) + path
            how: Json = {} if token is None else {"headers": {"X-Auth-Token": token}, "authenticated": False}
            if microversion is not None:
                how["microversion"] = microversion
            answer = self._services[service].request(url, method, json=body, params=query, raise_exc=False, **how)
        except keystone_errors.ClientException as error:
            raise Retryable(f"{what}: {error}") from error
        status, text = answer.status_code, answer.text
        if status < 300:
            return answer.json() if text else {}
        kind, reason = _reason(text)
        if token is not None and status in (401, 403):
            raise (Unauthorized if status == 401 else Forbidden)(f"{what}: {status} {reason}")
        if status in (401, 408, 413, 429) or status >= 500:
            raise Retryable(f"{what}: {status} {reason}", after=seconds(answer.headers.get("Retry-After")))
        raise Refused(what, status, kind, f"{status} {reason}")

    def _prefix(self, service: str) -> str:
        if service not in self._prefixes:
            endpoint = self._services[service].get_endpoint()
            if endpoint is None:
                raise Retryable(f"The cloud's catalogue has no service of type {service}.")
            version = _VERSIONS[service]
            self._prefixes[service] = "" if endpoint.rstrip("/").endswith(version) else version
        return self._prefixes[service]


def seconds(text: str | None) -> float | None:
    return float(text) if text and text.isdigit() else None


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _reason(text: str) -> tuple[str, str]:
    """Type and message of an error body: {"NeutronError": {"type", "message"}}, {"badRequest": {"message"}}."""
    try:
        body = next(iter(json.loads(text).values()))
        return str(body.get("type", "")), str(body["message"])
    except (ValueError, LookupError, AttributeError, TypeError, StopIteration):
        return "", text.strip()[:500]
