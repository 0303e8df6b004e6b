from typing import Annotated

import pytest
from msgspec import Meta, Struct

from hydria.base.errors import Invalid
from hydria.model import field
from hydria.model.field import CREATE, INTERNAL, READ, REQUEST, Cidr, Ip, Text


class Thing(Struct, kw_only=True, frozen=True):
    id: Annotated[str, READ]
    address: Annotated[Ip, CREATE]
    name: Text = ""
    weight: Annotated[int, Meta(ge=0, le=256)] = 1
    cidrs: list[Cidr] | None = None
    wish: Annotated[bool, REQUEST] = False
    generation: Annotated[int, INTERNAL] = 0


def create(body: dict[str, object]) -> Thing:
    return field.new(Thing, field.decode(field.create_form(Thing), body), id="t1")


def test_create_takes_defaults_and_normalizes():
    thing = create({"address": "2001:DB8::0:1", "name": None, "cidrs": ["192.0.2.7/24"]})
    assert thing == Thing(id="t1", address="2001:db8::1", cidrs=["192.0.2.0/24"])


@pytest.mark.parametrize(
    ("body", "blamed", "text"),
    [
        pytest.param({}, "address", "Mandatory field missing", id="missing"),
        pytest.param({"address": "10.0.0.1", "colour": 1}, "colour", "Unknown attribute", id="unknown"),
        pytest.param({"address": "10.0.0.1", "id": "x"}, "id", "Unknown attribute", id="read-only"),
        pytest.param({"address": "10.0.0.1", "generation": 1}, "generation", "Unknown attribute", id="internal"),
        pytest.param({"address": "10.0.0.300"}, "address", "Value: '10.0.0.300'", id="no address"),
        pytest.param({"address": "fe80::1%eth0"}, "address", "scope id", id="scope id"),
        pytest.param({"address": None}, "address", "Expected", id="null where a value must be"),
        pytest.param({"address": "10.0.0.1", "weight": 257}, "weight", "Value: '257'", id="out of range"),
        pytest.param({"address": "10.0.0.1", "weight": "heavy"}, "weight", "got `str`", id="wrong type"),
        pytest.param({"address": "10.0.0.1", "name": "x" * 256}, "name", "length <= 255", id="too long"),
        pytest.param({"address": "10.0.0.1", "cidrs": ["10.0.0.0/33"]}, "cidrs", "10.0.0.0/33", id="no CIDR"),
    ],
)
def test_create_refuses(body: dict[str, object], blamed: str, text: str):
    with pytest.raises(Invalid) as error:
        create(body)
    assert error.value.field == blamed
    assert text in str(error.value)


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        pytest.param({}, {}, id="absent is unchanged"),
        pytest.param({"weight": None, "cidrs": None}, {"weight": 1, "cidrs": None}, id="null is the default"),
        pytest.param({"weight": 0}, {"weight": 0}, id="a value"),
    ],
)
def test_update(body: dict[str, object], changes: dict[str, object]):
    assert field.given(Thing, field.decode(field.update_form(Thing), body)) == changes


class Chosen(Struct, kw_only=True, frozen=True):
    algorithm: Text
    name: Text = ""


def test_a_required_value_cannot_be_taken_back():
    with pytest.raises(Invalid, match="algorithm"):
        field.given(Chosen, field.decode(field.update_form(Chosen), {"algorithm": None}))


def test_what_the_place_says_the_body_must_not():
    form = field.create_form(Thing, without=("address",))
    assert field.given(Thing, field.decode(form, {"name": "n"})) == {"name": "n"}
    with pytest.raises(Invalid, match=r"Unknown attribute.*address"):
        field.decode(form, {"address": "10.0.0.1"})


@pytest.mark.parametrize("name", ["address", "wish", "id", "generation"])
def test_update_refuses_what_is_not_mutable(name: str):
    with pytest.raises(Invalid, match=f"Unknown attribute.*{name}"):
        field.decode(field.update_form(Thing), {name: None})


def test_an_answer_shows_neither_wishes_nor_internals():
    assert field.public(create({"address": "10.0.0.1", "wish": True})) == {
        "id": "t1",
        "address": "10.0.0.1",
        "name": "",
        "weight": 1,
        "cidrs": None,
    }
