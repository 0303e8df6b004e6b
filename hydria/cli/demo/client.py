"""The APIs as one user of clouds.yaml calls them: JSON in and out, and waiting for a status."""

from pathlib import Path
from typing import Any

import msgspec
from keystoneauth1.exceptions import ClientException
from keystoneauth1.identity.v3 import Password
from keystoneauth1.session import Session

from hydria.base.errors import HydriaError
from hydria.cli.demo.stage import await_condition

LBAAS = "/v2/lbaas"
POLL = 0.03


class CallFailed(HydriaError):
    """An API answered with another status than success, or did not answer: status 0."""

    def __init__(self, attempt: str, status: int, body: Any) -> None:
        fault = body.get("faultstring", body) if isinstance(body, dict) else body
        super().__init__(f"{attempt}: {status} {fault}")
        self.status, self.body = status, body

    @property
    def is_passing(self) -> bool:
        """Nobody was there, or what it needs was not: it may be being started again right now."""
        return self.status == 0 or self.status >= 500

    @property
    def text(self) -> str:
        return str(self.body.get("faultstring", "")) if isinstance(self.body, dict) else ""


class Client:
    """Thread-safe, as the session below is."""

    def __init__(self, clouds: Path, cloud: str) -> None:
        entry = msgspec.json.decode(clouds.read_bytes())["clouds"][cloud]
        self._session = Session(auth=Password(**entry["auth"]), timeout=30)
        self._region = entry["region_name"]

    def call(self, method: str, path: str, body: Any = None, *, service: str = "load-balancer") -> Any:
        """The answer's JSON. Raises CallFailed."""
        try:
            answer = self._session.request(
                path,
                method,
                json=body,
                endpoint_filter={"service_type": service, "interface": "public", "region_name": self._region},
                raise_exc=False,
            )
        except ClientException as error:
            raise CallFailed(f"{method} {path}", getattr(error, "http_status", 0), str(error)) from error
        value = answer.json() if answer.content else None
        if not answer.ok:
            raise CallFailed(f"{method} {path}", answer.status_code, value)
        return value

    def get(self, path: str) -> Any:
        """Of the load balancer service, below /v2/lbaas, without the envelope."""
        return _opened(self.call("GET", LBAAS + path))

    def create(self, collection: str, **fields: Any) -> Any:
        return _opened(self.call("POST", f"{LBAAS}/{collection}", {_singular(collection): fields}))

    def update(self, collection: str, id_: str, **fields: Any) -> Any:
        return _opened(self.call("PUT", f"{LBAAS}/{collection}/{id_}", {_singular(collection): fields}))

    def delete(self, collection: str, id_: str, *, cascade: bool = False) -> None:
        self.call("DELETE", f"{LBAAS}/{collection}/{id_}{'?cascade=true' if cascade else ''}")

    def named(self, collection: str, name: str) -> Any:
        """The only one of that name. Raises CallFailed when there is none."""
        found = self.get(f"/{collection}?name={name}")
        if len(found) != 1:
            raise CallFailed(f"Looking for {name} in {collection}", 404, {"faultstring": f"{len(found)} found"})
        return found[0]

    def subnet(self, name: str) -> Any:
        return self.call("GET", f"/v2.0/subnets?name={name}", service="network")["subnets"][0]

    def await_settled(self, lb_id: str, *, seconds: float = 30.0) -> Any:
        """The load balancer once it is neither PENDING; what it became is the caller's to judge."""
        seen: dict[str, Any] = {}

        def settled() -> bool:
            try:
                seen.update(self.get(f"/loadbalancers/{lb_id}"))
            except CallFailed as error:
                if not error.is_passing:
                    raise
                return False
            return not seen["provisioning_status"].startswith("PENDING_")

        await_condition(f"load balancer {lb_id} is settled", settled, seconds, POLL)
        return seen

    def await_active(self, lb_id: str, *, seconds: float = 30.0) -> Any:
        """Raises CallFailed with the events when it ends in another status."""
        balancer = self.await_settled(lb_id, seconds=seconds)
        if balancer["provisioning_status"] != "ACTIVE":
            raise CallFailed(f"Load balancer {lb_id}", 0, {"faultstring": "; ".join(self.reasons(lb_id))})
        return balancer

    def await_gone(self, lb_id: str, *, seconds: float = 30.0) -> None:
        def gone() -> bool:
            try:
                self.get(f"/loadbalancers/{lb_id}")
            except CallFailed as error:
                if error.status != 404 and not error.is_passing:
                    raise
                return error.status == 404
            return False

        await_condition(f"load balancer {lb_id} is gone", gone, seconds, POLL)

    def reasons(self, lb_id: str) -> list[str]:
        """Of its events, newest first."""
        return [event["reason"] for event in self.get(f"/loadbalancers/{lb_id}/events")]


def graph(name: str, vip_subnet_id: str, members: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """The body of a load balancer with one HTTP listener on port 80 and one pool, in a single call."""
    pool = {"name": f"{name}-pool", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": members}
    listener = {"name": f"{name}-http", "protocol": "HTTP", "protocol_port": 80, "default_pool": pool}
    return {"name": name, "vip_subnet_id": vip_subnet_id, "listeners": [listener], **fields}


def _opened(envelope: Any) -> Any:
    """Without the root key, and without the links beside it."""
    if envelope is None:
        return None
    return next(value for key, value in envelope.items() if not key.endswith("_links"))


def _singular(collection: str) -> str:
    return collection.rpartition("/")[2].removesuffix("s")
