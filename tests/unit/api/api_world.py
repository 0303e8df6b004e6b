"""The API as it runs, over a real SQLite file and a cloud in memory; only identity is a table of tokens."""

import contextlib
import dataclasses
import datetime as dt
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar.testing import TestClient

from hydria.api import app
from hydria.api.asgi import Front
from hydria.api.call import Services
from hydria.api.identity import UNAUTHORIZED, Caller
from hydria.api.policy import Policy
from hydria.base import config
from hydria.base.config import Api, Config, Quotas
from hydria.base.errors import Unauthorized
from hydria.drivers.fake_key_manager import FakeKeyManager
from hydria.drivers.fakes import FakeCloud
from hydria.model.served import AMPHORA, Served
from hydria.store.database import Database
from hydria.store.queue import Queue
from hydria.store.wake import WakeSender

PROVISIONED = ("load_balancer", "pool", "listener", "l7policy", "l7rule", "member", "health_monitor")
"""Tables of what has statuses, parents first."""
OFFERED = ("flavor", "flavor_profile", "availability_zone", "availability_zone_profile")
"""Tables of what operators offer, parents last."""

LATER = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)


def caller(project_id: str | None, *roles: str) -> Caller:
    return Caller(user_id=f"user-of-{project_id}", project_id=project_id, roles=roles, expires_at=LATER)


TOKENS = {
    "admin": caller("admin", "admin", "member", "reader"),
    "demo": caller("demo", "member", "reader"),
    "demo-reader": caller("demo", "reader"),
    "demo-nobody": caller("demo"),
    "other": caller("other", "member", "reader"),
    "unscoped": caller(None, "member", "reader"),
}


class Tokens:
    def caller(self, token: str | None) -> Caller:
        if token not in TOKENS:
            raise Unauthorized(UNAUTHORIZED)
        return TOKENS[token]


@dataclass
class World:
    """The client and what stands behind the API."""

    client: TestClient[Any]
    services: Services
    cloud: FakeCloud
    keys: FakeKeyManager

    def call(self, method: str, path: str, body: object = None, *, who: str = "demo", **more: Any) -> Any:
        headers = {"X-Auth-Token": who, **more.pop("headers", {})}
        return self.client.request(method, f"/v2.0/lbaas{path}", json=body, headers=headers, **more)

    def get(self, path: str, **more: Any) -> Any:
        return self.done(self.call("GET", path, **more), 200)

    def post(self, path: str, body: object, **more: Any) -> Any:
        return self.done(self.call("POST", path, body, **more), 201)

    def put(self, path: str, body: object, **more: Any) -> Any:
        return self.done(self.call("PUT", path, body, **more), 200)

    def delete(self, path: str, **more: Any) -> None:
        self.done(self.call("DELETE", path, **more), 204)

    def done(self, response: Any, status: int) -> Any:
        assert response.status_code == status, response.text
        return next(iter(response.json().values())) if response.content else None

    def refused(self, response: Any, status: int, text: str) -> None:
        assert response.status_code == status, response.text
        fault = response.json()
        assert text in fault["faultstring"]
        assert fault["faultcode"] == ("Server" if status >= 500 else "Client")
        assert fault["debuginfo"] is None

    def rows(self) -> dict[str, Any]:
        """Everything there is, in the database and in the cloud: equal before and after means nothing changed."""
        with self.services.database.read() as tx:
            names = (*PROVISIONED, *OFFERED, "quota", "certificate", "dirty")
            rows = {name: tx.connection.exec_driver_sql(f"SELECT * FROM {name}").all() for name in names}  # noqa: S608 - names of this list
        return {**rows, "ports": dict(self.cloud.ports)}

    # Shorthands for what most tests start from.

    def load_balancer(self, **values: Any) -> Any:
        body = {"vip_subnet_id": self.public, **values}
        return self.post("/loadbalancers", {"loadbalancer": body})

    def listener(self, lb: Any, **values: Any) -> Any:
        body = {"loadbalancer_id": lb["id"], "protocol": "HTTP", "protocol_port": 80, **values}
        return self.post("/listeners", {"listener": body})

    def pool(self, lb: Any, **values: Any) -> Any:
        body = {"loadbalancer_id": lb["id"], "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", **values}
        return self.post("/pools", {"pool": body})

    def member(self, pool: Any, **values: Any) -> Any:
        body = {"address": "192.0.2.10", "protocol_port": 80, **values}
        return self.post(f"/pools/{pool['id']}/members", {"member": body})

    def monitor(self, pool: Any, **values: Any) -> Any:
        body = {"pool_id": pool["id"], "type": "TCP", "delay": 5, "timeout": 3, "max_retries": 2, **values}
        return self.post("/healthmonitors", {"healthmonitor": body})

    def policy(self, listener: Any, **values: Any) -> Any:
        return self.post("/l7policies", {"l7policy": {"listener_id": listener["id"], "action": "REJECT", **values}})

    def rule(self, policy: Any, **values: Any) -> Any:
        body = {"type": "PATH", "compare_type": "STARTS_WITH", "value": "/images", **values}
        return self.post(f"/l7policies/{policy['id']}/rules", {"rule": body})

    def flavor(self, data: str = '{"sriov_vip": true, "allow_member_sriov": true}', **values: Any) -> Any:
        profile = {"name": "profile", "provider_name": "amphora", "flavor_data": data}
        made = self.post("/flavorprofiles", {"flavorprofile": profile}, who="admin")
        body = {"name": f"flavor-of-{made['id']}", "flavor_profile_id": made["id"], **values}
        return self.post("/flavors", {"flavor": body}, who="admin")

    def zone(self, name: str = "zone", data: str = "{}", **values: Any) -> Any:
        profile = {"name": "profile", "provider_name": "amphora", "availability_zone_data": data}
        made = self.post("/availabilityzoneprofiles", {"availability_zone_profile": profile}, who="admin")
        body = {"name": name, "availability_zone_profile_id": made["id"], **values}
        return self.post("/availabilityzones", {"availability_zone": body}, who="admin")

    def settle(self) -> None:
        """What a controller writes when it has done everything."""
        with self.services.database.write() as tx:
            for table in reversed(PROVISIONED):
                gone = f"DELETE FROM {table} WHERE provisioning_status = 'PENDING_DELETE'"  # noqa: S608 - as above
                tx.connection.exec_driver_sql(gone)
                tx.connection.exec_driver_sql(f"UPDATE {table} SET provisioning_status = 'ACTIVE'")  # noqa: S608

    @property
    def public(self) -> str:
        return self.subnet("public", 4)

    @property
    def public6(self) -> str:
        return self.subnet("public", 6)

    @property
    def members(self) -> str:
        return self.subnet("members", 4)

    def subnet(self, network: str, version: int) -> str:
        found = self.cloud.network(network)
        assert found is not None
        return next(id_ for id_ in found.subnets if self.cloud.subnets[id_].ip_version == version)


def a_cloud() -> FakeCloud:
    made = FakeCloud()
    made.add_network("public", "203.0.113.0/24", "2001:db8:1::/64")
    made.add_network("members", "192.0.2.0/24", "2001:db8:2::/64")
    made.flavors.add("amphora-sriov-flavor")
    return made


@contextlib.contextmanager
def served(option: str, *values: str) -> Iterator[None]:
    """As if the amphorae of this version did `values`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(AMPHORA.choices, option, values)  # type: ignore[arg-type] # a dict: only its type says Mapping
        yield


ACTIONS = ("REJECT", "REDIRECT_TO_POOL", "REDIRECT_TO_URL", "REDIRECT_PREFIX")


NO_QUOTAS = Quotas()


@contextlib.contextmanager
def a_world(
    directory: Path,
    empty_database: Path,
    policy: Policy,
    api: Api,
    provider: Served = AMPHORA,
    *,
    quotas: Quotas = NO_QUOTAS,
) -> Iterator[World]:
    path = Path(shutil.copy(empty_database, directory / "hydria.db"))
    with contextlib.ExitStack() as undo:
        database = Database(f"sqlite:///{path}")
        undo.callback(database.close)
        wake = WakeSender(None)
        undo.callback(wake.close)
        cloud, keys = a_cloud(), FakeKeyManager()
        services = Services(
            config=Config(
                api=api, quotas=quotas, certificates=config.Certificates(directory=str(directory / "certificates"))
            ),
            database=database,
            queue=Queue(database),
            identity=Tokens(),
            policy=policy,
            cloud=cloud,
            key_manager=keys,
            wake=wake,
            served=provider,
        )
        application, services = undo.enter_context(_application(services))
        client = undo.enter_context(TestClient(application, raise_server_exceptions=False))
        yield World(client, services, cloud, keys)


_SPARE: defaultdict[bytes, list[tuple[Front, Services]]] = defaultdict(list)
"""Applications of worlds that are gone, by their options."""


@contextlib.contextmanager
def _application(services: Services) -> Iterator[tuple[Front, Services]]:
    """One that worked for another world before, if there is one: to make it takes longer than most tests do."""
    spare = _SPARE[msgspec.json.encode(services.config.api)]
    if spare:
        application, known = spare.pop()
        for field in dataclasses.fields(Services):
            object.__setattr__(known, field.name, getattr(services, field.name))
    else:
        application, known = app.create(services), services
    yield application, known
    spare.append((application, known))


NOBODY = "4f7a2f6e-1111-4000-8000-000000000000"


def refuse(world: World, there: Any, request: str, body: Any, fault: tuple[int, str], *, who: str = "demo") -> None:
    """`@name` in request and body stands for the id that `there` has under that name."""

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {filled(key): filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [filled(item) for item in value]
        return there.get(value[1:], value) if isinstance(value, str) and value.startswith("@") else value

    before = world.rows()
    method, path = request.split()
    path = "/".join(filled(step) for step in path.split("/"))
    world.refused(world.call(method, path, filled(body), who=who), *fault)
    assert world.rows() == before
