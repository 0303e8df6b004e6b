"""Specs of other versions, recorded (tests/golden/spec) and to come."""

from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hydria.base.errors import Invalid
from hydria.model import spec_versions
from hydria.model.spec import (
    VERSION,
    VERSIONS,
    Fault,
    HealthMonitorSpec,
    Heartbeats,
    Info,
    Interface,
    ListenerSpec,
    MemberSpec,
    Observed,
    PoolSpec,
    Route,
    Spec,
)
from hydria.model.spec_versions import NoCommonVersion, Step, for_agent, read

RECORDED = Path(__file__).parents[2] / "golden" / "spec"
OLDER = [version for version in VERSIONS if version < VERSION]
SPEC = Spec(amphora_id="amphora-1", load_balancer_id="lb-1", generation=3, threads=4)


def recorded(version: int, name: str) -> bytes:
    return (RECORDED / f"v{version}" / f"{name}.json").read_bytes()


def schema(version: int) -> Any:
    return msgspec.json.decode(recorded(version, "schema"))


_text = st.text(max_size=8)
_routes = st.builds(Route, destination=_text, nexthop=st.none() | _text)
SPECS = st.builds(
    Spec,
    version=st.just(VERSION),
    amphora_id=_text,
    load_balancer_id=_text,
    generation=st.integers(0, 2**40),
    interfaces=st.lists(
        st.builds(Interface, addresses=st.tuples(_text), routes=st.lists(_routes, max_size=2).map(tuple)), max_size=2
    ).map(tuple),
    listeners=st.lists(st.builds(ListenerSpec, allowed_cidrs=st.none() | st.tuples(_text)), max_size=2).map(tuple),
    pools=st.lists(
        st.builds(
            PoolSpec,
            members=st.lists(st.builds(MemberSpec), max_size=2).map(tuple),
            health_monitor=st.none() | st.builds(HealthMonitorSpec, http_version=st.none() | st.just(1.1)),
        ),
        max_size=2,
    ).map(tuple),
    peers=st.lists(_text, max_size=2).map(tuple),
    heartbeats=st.builds(Heartbeats, controllers=st.tuples(_text), interval=st.just(2.0)),
    threads=st.none() | st.integers(1, 64),
)


def test_there_is_a_step_between_all_versions_and_a_record_of_each_older_one() -> None:
    assert list(VERSIONS) == list(range(min(VERSIONS), VERSION + 1))
    assert sorted(spec_versions.STEPS) == OLDER
    assert sorted(path.name for path in RECORDED.iterdir()) == [f"v{version}" for version in OLDER]


@pytest.mark.parametrize("version", OLDER)
def test_a_recorded_document_is_understood_whole(version: int) -> None:
    spec = read(recorded(version, "spec"))
    assert (spec.version, spec.threads) == (VERSION, None)
    back = for_agent(spec, (version,))
    assert msgspec.json.decode(back.body) == msgspec.json.decode(recorded(version, "spec"))
    assert (back.version, back.losses) == (version, ())


@pytest.mark.parametrize("version", OLDER)
def test_what_older_agents_answer_is_understood(version: int) -> None:
    info = msgspec.json.decode(recorded(version, "info"), type=Info)
    assert (info.spec_versions, info.nftables) == ((version,), True)
    observed = msgspec.json.decode(recorded(version, "observed"), type=Observed)
    assert (observed.version, observed.generation, observed.reloads) == (version, 7, 2)
    assert [(nic.name, nic.up, nic.carrier) for nic in observed.interfaces] == [
        ("eth1", True, False),
        ("eth2", False, True),
    ]
    assert observed.faults[0].resource_id == "port-members"


def test_what_newer_agents_answer_is_understood() -> None:
    fault = {"resource_type": "l7policy", "resource_id": "p", "reason": "r", "code": 5}
    body = {"version": VERSION + 1, "amphora_id": "a", "generation": 3, "faults": [fault], "mood": "good"}
    observed = msgspec.convert(body, Observed)
    assert (observed.generation, observed.faults[0].resource_type) == (3, "l7policy")
    info = {"agent_version": "9", "spec_versions": [VERSION, VERSION + 1], "haproxy_version": None, "mood": "good"}
    assert msgspec.convert(info, Info).spec_versions == (VERSION, VERSION + 1)


@pytest.mark.parametrize("version", OLDER)
@given(spec=SPECS)
def test_an_older_agent_gets_what_its_schema_allows_and_nothing_else(version: int, spec: Spec) -> None:
    document = for_agent(spec, (version,))
    closed = schema(version)
    for definition in closed["$defs"].values():
        if definition.get("type") == "object" and "properties" in definition:
            definition["additionalProperties"] = False
    jsonschema.validate(msgspec.json.decode(document.body), closed)
    assert document.version == msgspec.json.decode(document.body)["version"] == version


@given(SPECS)
def test_there_and_back_changes_nothing_but_what_the_older_version_has_not(spec: Spec) -> None:
    assert read(for_agent(spec, VERSIONS).body) == spec
    assert read(for_agent(spec, (1,)).body) == replace(spec, threads=None)


@pytest.mark.parametrize(
    ("versions", "chosen"),
    [((1,), 1), ((1, 2), 2), ((2,), 2), ((2, 3), 2), ((1, 2, 3, 4), 2), ((0, 1), 1)],
    ids=str,
)
def test_the_highest_common_version_is_spoken(versions: tuple[int, ...], chosen: int) -> None:
    assert for_agent(SPEC, versions).version == chosen


@pytest.mark.parametrize(
    ("versions", "said", "cure"),
    [
        ((0,), "version 0, and", "^.*Upload an amphora image of this version"),
        ((), "version none", "Upload an amphora image of this version"),
        ((3, 4), "versions 3 and 4, and", "Upgrade the controller"),
    ],
    ids=["too old", "says nothing", "too new"],
)
def test_no_common_version_names_both_sides_and_the_cure(versions: tuple[int, ...], said: str, cure: str) -> None:
    with pytest.raises(NoCommonVersion, match=cure) as caught:
        for_agent(SPEC, versions)
    assert f"agent of amphora amphora-1 takes specs of {said}" in caught.value.message
    assert "this controller makes versions 1 and 2" in caught.value.message


def test_a_version_that_nobody_here_knows_is_refused_naming_those_known() -> None:
    with pytest.raises(Invalid, match="Spec of version 3: this agent knows versions 1 and 2") as caught:
        read(msgspec.json.encode(replace(SPEC, version=3)))
    assert caught.value.field == "version"


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"{}", b'{"version": "1"}', b'{"version": 1, "amphora_id": 5}', b'{"version": 2}'],
    ids=["no JSON", "a list", "nothing", "a text", "of another type", "no amphora"],
)
def test_what_is_no_spec_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid, match="Not a spec"):
        read(body)


def test_the_first_version_could_be_left_out() -> None:
    body = b'{"amphora_id": "a", "load_balancer_id": "l", "generation": 1}'
    assert read(body) == Spec(amphora_id="a", load_balancer_id="l", generation=1)


def test_a_loss_takes_its_resource_along_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the step down from a version would do that says of a listener what version 2 cannot."""

    def down(document: dict[str, Any]) -> list[Fault]:
        gone = [one["id"] for one in document["listeners"] if one["protocol"] == "UDP"]
        document["listeners"] = [one for one in document["listeners"] if one["id"] not in gone]
        return [Fault(resource_type="listener", resource_id=id_, reason="too new") for id_ in gone]

    monkeypatch.setattr(spec_versions, "VERSION", 3)
    monkeypatch.setattr(spec_versions, "VERSIONS", (1, 2, 3))
    monkeypatch.setitem(spec_versions.STEPS, 2, Step(up=lambda _: None, down=down))
    kept = ListenerSpec(id="kept", protocol="TCP", protocol_port=53)
    spec = replace(SPEC, version=3, listeners=(kept, replace(kept, id="lost", protocol="UDP")))
    for version in (1, 2):
        document = for_agent(spec, (version,))
        assert [fault.resource_id for fault in document.losses] == ["lost"]
        body = msgspec.json.decode(document.body)
        assert ([one["id"] for one in body["listeners"]], "threads" in body) == (["kept"], version == 2)
    assert for_agent(spec, (3,)).losses == ()
