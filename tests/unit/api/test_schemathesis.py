"""Every call of the API's description, with what it allows and with what it does not: answers are as described."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from api_world import OFFERED, World, a_world
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi import checks

from hydria.api import app, openapi
from hydria.api.policy import Policy
from hydria.base.config import Api
from hydria.drivers.fake_key_manager import Issuer
from hydria.model.amphora import Amphora
from hydria.model.served import EVERYTHING
from hydria.store import amphorae

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
EXAMPLES = 12
"""Of each operation and mode."""

AS_DESCRIBED = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


CERTIFICATE = {"type": "CA", "content": Issuer("described").certificate.decode()}
TEXTS = {"flavor_data": "{}", "availability_zone_data": "{}", "content": CERTIFICATE["content"]}
"""Fields whose text has a form that no schema says."""


class Scene:
    """A settled load balancer with one of everything, made anew when a call has taken something away."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ids: dict[str, str] = {}
        self.fields: dict[str, str] = {}

    def ready(self) -> None:
        if not self.ids:
            self._make()
        self.world.settle()

    def _make(self) -> None:
        world = self.world
        world.cloud.ports.clear()
        with world.services.database.write() as tx:
            for name in ("amphora", "load_balancer", *OFFERED, "quota", "certificate"):
                tx.connection.exec_driver_sql(f"DELETE FROM {name}")  # noqa: S608 - names of this list
        flavor = world.flavor("{}", name="plain")
        zone = world.zone()
        lb = world.load_balancer(name="lb", flavor_id=flavor["id"], availability_zone=zone["name"])
        pool, free_pool = world.pool(lb, name="pool"), world.pool(lb, name="free")
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
            "availabilityzones": zone["name"],
            "availabilityzoneprofiles": zone["availability_zone_profile_id"],
            "quotas": "demo",
            "amphorae": str(uuid.uuid4()),
            "certificates": world.post("/certificates", {"certificate": CERTIFICATE})["id"],
        }
        with world.services.database.write() as tx:
            amphorae.insert(tx, Amphora(id=self.ids["amphorae"], loadbalancer_id=lb["id"]))
        self.fields = {
            "loadbalancer_id": lb["id"],
            "listener_id": listener["id"],
            "pool_id": free_pool["id"],
            "default_pool_id": pool["id"],
            "redirect_pool_id": pool["id"],
            "flavor_id": flavor["id"],
            "flavor_profile_id": flavor["flavor_profile_id"],
            "availability_zone": zone["name"],
            "availability_zone_profile_id": zone["availability_zone_profile_id"],
            "subnet_id": world.members,
            "vip_subnet_id": world.public,
        }

    def real(self, case: Case) -> None:
        """Ids of what there is in the place of ids, and nothing else of the cloud."""
        collections = [step for step in case.path.split("/") if step in self.ids]
        for name, kind in zip(case.path_parameters or {}, collections, strict=False):
            case.path_parameters[name] = self.ids[kind]
        case.body = self._filled(case.body)
        new = case.body.get("loadbalancer", case.body.get("pool")) if isinstance(case.body, dict) else None
        if case.method == "POST" and isinstance(new, dict):
            parent = "loadbalancer_id" if "pool" in case.body else "vip_subnet_id"
            new[parent] = self.fields[parent]

    def _filled(self, value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: self._filled(item, key) for key, item in value.items()}
        if name in ("vip_sg_ids", "additional_vips") and isinstance(value, list):
            return []
        if isinstance(value, list):
            return [self._filled(item) for item in value]
        if name in TEXTS and isinstance(value, str):
            return TEXTS[name]
        elsewhere = name.endswith("_id") or name in ("availability_zone", "vip_address")
        return self.fields.get(name) if elsewhere and isinstance(value, str) else value


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, empty_database: Any, default_policy: Policy) -> Iterator[Scene]:
    with a_world(tmp_path_factory.mktemp("described"), empty_database, default_policy, Api(), EVERYTHING) as world:
        yield Scene(world)


def ask(scene: Scene, case: Case, who: str | None = "admin") -> Any:
    sent = case.as_transport_kwargs(base_url="http://testserver.local")
    if not isinstance(sent.get("data"), dict | None):
        sent["content"] = sent.pop("data")  # httpx's name for what is no form
    headers = {**sent.pop("headers"), **({"X-Auth-Token": who} if who else {})}
    sent.pop("cookies", None)
    response = scene.world.client.request(headers=headers, **sent)
    if response.status_code in (201, 202, 204):  # a PUT of what is there leaves it there
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


SHOWN = [label for label in OPERATIONS if label.startswith("GET /v2") and label.endswith("/{id}")]


@pytest.mark.parametrize("label", SHOWN)
def test_an_answer_has_everything_that_is_described(scene: Scene, label: str):
    """No schema can say it, since `fields` may choose less."""
    scene.ready()
    steps = [step for step in label.split("/") if step in scene.ids]
    path = label.removeprefix("GET ")
    for kind in steps:
        head, _, tail = path.partition("}")
        path = head[: head.index("{")] + scene.ids[kind] + tail
    answer = scene.world.client.get(path, headers={"X-Auth-Token": "admin"})
    assert answer.status_code == 200, answer.text
    ((root, shown),) = answer.json().items()
    success = DOCUMENT["paths"][label.removeprefix("GET ")]["get"]["responses"]["200"]
    whole = described(success["content"]["application/json"]["schema"])
    assert set(shown) == set(described(whole["properties"][root])["properties"])


def described(schema: dict[str, Any]) -> dict[str, Any]:
    """What it refers to, or itself."""
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = DOCUMENT["components"]["schemas"][name] if name else schema
    return found


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
