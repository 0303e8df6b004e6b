"""Every call of the API's description, with what it allows and with what it does not: answers are as described."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from api_world import World, a_world
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar.testing import TestClient
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi import checks

from hydria.api import app, openapi
from hydria.api.policy import Policy
from hydria.base.config import Api
from hydria.drivers.fake_key_manager import Issuer
from hydria.model.served import EVERYTHING

DOCUMENT = openapi.document(app.routes())
OPERATIONS = {
    result.ok().label: result.ok()
    for result in schemathesis.openapi.from_dict({**DOCUMENT, "security": []}).get_all_operations()
}
CALLS = [
    pytest.param(label, mode, id=f"{label} {mode.value}")
    for label, operation in OPERATIONS.items()
    for mode in GenerationMode
    # What takes nothing cannot be called wrongly.
    if mode is GenerationMode.POSITIVE or "{" in label or operation.query or operation.body
]
CA = Issuer("described").certificate.decode()
EXAMPLES = 12
"""Of each operation and mode."""

AS_DESCRIBED = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


class Scene:
    """A settled load balancer with one of everything, made anew when a call has taken something away."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ids: dict[str, str] = {}

    def ready(self) -> None:
        if not self.ids:
            self._make()
        self.world.settle()

    def _make(self) -> None:
        world = self.world
        with world.services.database.write() as tx:
            for name in ("load_balancer", "flavor", "flavor_profile", "certificate"):
                tx.connection.exec_driver_sql(f"DELETE FROM {name}")  # noqa: S608 - names of this list
        flavor = world.flavor("{}", name="plain")
        lb = world.load_balancer(name="lb", flavor_id=flavor["id"])
        pool = world.pool(lb, name="pool")
        listener = world.listener(lb, default_pool_id=pool["id"])
        policy = world.policy(listener)
        self.ids = {
            "loadbalancers": lb["id"],
            "listeners": listener["id"],
            "pools": pool["id"],
            "members": world.member(pool)["id"],
            "healthmonitors": world.monitor(pool)["id"],
            "l7policies": policy["id"],
            "rules": world.rule(policy)["id"],
            "flavors": flavor["id"],
            "flavorprofiles": flavor["flavor_profile_id"],
            "certificates": world.post("/certificates", {"certificate": {"type": "CA", "content": CA}})["id"],
            "subnets": world.members,
        }

    def named(self, name: str) -> str | None:
        """The id that a field or parameter of this name may have."""
        kinds = {
            "loadbalancer_id": "loadbalancers",
            "listener_id": "listeners",
            "pool_id": "pools",
            "default_pool_id": "pools",
            "redirect_pool_id": "pools",
            "l7policy_id": "l7policies",
            "flavor_id": "flavors",
            "flavor_profile_id": "flavorprofiles",
            "subnet_id": "subnets",
            "vip_subnet_id": "subnets",
        }
        return self.ids.get(kinds.get(name, ""))

    def real(self, case: Case) -> None:
        """Ids of what there is in the place of ids."""
        collections = [step for step in case.path.split("/") if step in self.ids]
        for name in case.path_parameters or {}:
            known = self.named(name) or (self.ids[collections[-1]] if name == "id" and collections else None)
            if known is not None:
                case.path_parameters[name] = known
        case.body = self._filled(case.body)

    def _filled(self, value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: self._filled(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item) for item in value]
        return self.named(name) or value if isinstance(value, str) else value


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, empty_database: Any, default_policy: Policy) -> Iterator[Scene]:
    with a_world(tmp_path_factory.mktemp("described"), empty_database, default_policy, Api()) as world:
        services = dataclasses.replace(world.services, served=EVERYTHING)
        with TestClient(app.create(services), raise_server_exceptions=False) as client:
            yield Scene(dataclasses.replace(world, client=client, services=services))


def ask(scene: Scene, case: Case, who: str | None = "admin") -> Any:
    sent = case.as_transport_kwargs(base_url="http://testserver.local")
    if not isinstance(sent.get("data"), dict | None):
        sent["content"] = sent.pop("data")  # httpx's name for what is no form
    headers = {**sent.pop("headers"), **({"X-Auth-Token": who} if who else {})}
    sent.pop("cookies", None)
    response = scene.world.client.request(headers=headers, **sent)
    if case.method in ("DELETE", "POST") and response.status_code < 300:
        scene.ids = {}
    return response


BOUNDED = settings(
    max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize(("label", "mode"), CALLS)
def test_answers_are_as_described(scene: Scene, label: str, mode: GenerationMode):
    operation = OPERATIONS[label]

    @BOUNDED
    @given(case=operation.as_strategy(generation_mode=mode), real=st.booleans())
    def answers(case: Case, real: bool) -> None:
        scene.ready()
        if real:
            scene.real(case)
        response = ask(scene, case)
        assert response.status_code < 500 or response.status_code == 501, response.text
        expected = list(AS_DESCRIBED)
        if mode is GenerationMode.NEGATIVE and not real:
            expected.append(checks.negative_data_rejection)
        case.validate_response(response, checks=expected)

    answers()


NEEDS_A_TOKEN = [label for label in OPERATIONS if label not in ("GET /", "GET /healthcheck")]


@pytest.mark.parametrize("label", NEEDS_A_TOKEN)
def test_without_a_token_nothing_is_told_and_nothing_done(scene: Scene, label: str):
    operation = OPERATIONS[label]

    @settings(parent=BOUNDED, max_examples=3)
    @given(case=operation.as_strategy())
    def refused(case: Case) -> None:
        scene.ready()
        scene.real(case)
        before = scene.world.rows()
        response = ask(scene, case, who=None)
        assert response.status_code == 401, response.text
        case.validate_response(response, checks=AS_DESCRIBED)
        assert scene.world.rows() == before

    refused()
