import msgspec
import pytest
import render_specs as specs
from msgspec.structs import replace

import golden
from hydria.model.spec import ListenerSpec
from hydria.render import nftables


def elements(listeners: list[ListenerSpec]) -> dict[str, list[object]]:
    commands = msgspec.json.decode(nftables.render(listeners))["nftables"]
    sets = [command["add"]["set"] for command in commands if "set" in command.get("add", {})]
    return {one["name"]: [element["concat"] for element in one.get("elem", [])] for one in sets}


@pytest.mark.parametrize("name", specs.FIREWALLS)
def test_golden(name: str) -> None:
    text = nftables.render(specs.FIREWALLS[name].listeners, specs.FIREWALLS[name].peers)
    golden.check(f"nftables/{name}.json", msgspec.json.format(text, indent=1) + "\n")


def test_one_transaction_declares_deletes_and_defines() -> None:
    commands = msgspec.json.decode(nftables.render([]))["nftables"]
    assert [next(iter(command)) for command in commands[:3]] == ["add", "delete", "add"]
    assert all("table" in command[next(iter(command))] for command in commands[:3])


def test_h7_zero_prefix_opens_one_family_only() -> None:
    listener = replace(specs.LISTENER, allowed_cidrs=("0.0.0.0/0",))
    assert elements([listener]) == {"anyone4": [["tcp", 80]], "anyone6": [], "allowed4": [], "allowed6": []}


def test_overlapping_cidrs_are_one_interval() -> None:
    listener = replace(specs.LISTENER, allowed_cidrs=("10.0.0.0/9", "10.128.0.0/9", "10.1.0.0/16"))
    assert elements([listener])["allowed4"] == [[{"prefix": {"addr": "10.0.0.0", "len": 8}}, "tcp", 80]]


def test_h15_nothing_goes_untracked() -> None:
    assert "notrack" not in nftables.render([specs.LISTENER])


def test_order_of_listeners_does_not_matter() -> None:
    other = replace(specs.LISTENER, id="other", protocol_port=81, allowed_cidrs=("10.0.0.0/8", "2001:db8::/32"))
    assert nftables.render([specs.LISTENER, other]) == nftables.render([other, specs.LISTENER])


def test_mark_stands_in_the_table_and_changes_with_it() -> None:
    mark = nftables.mark_of([specs.LISTENER])
    assert f'"{mark}"' in nftables.render([specs.LISTENER])
    assert mark != nftables.mark_of([replace(specs.LISTENER, protocol_port=81)])


def rules(peers: tuple[str, ...]) -> list[str]:
    commands = msgspec.json.decode(nftables.render([specs.LISTENER], peers))["nftables"]
    return [str(command["add"]["rule"]["expr"]) for command in commands if "rule" in command.get("add", {})]


def test_h1_h2_h13_peers_and_nobody_else_may_speak_vrrp() -> None:
    alone, paired = rules(()), rules(("203.0.113.106", "2001:db8:1::106"))
    added = [rule for rule in paired if rule not in alone]
    assert paired[-1] == alone[-1], "all else is still dropped"
    assert not any("112" in rule or "1025" in rule for rule in alone)
    assert len(added) == 4
    for rule, address, family in zip(
        added, ["203.0.113.106"] * 2 + ["2001:db8:1::106"] * 2, ["'ip'"] * 2 + ["'ip6'"] * 2, strict=True
    ):
        assert address in rule
        assert family in rule
    assert ["'l4proto'}}, 'right': 112" in rule for rule in added] == [True, False, True, False]
    assert nftables.mark_of([specs.LISTENER]) != nftables.mark_of([specs.LISTENER], ("203.0.113.106",))


def test_union_closes_nothing_that_is_served_and_tightens_at_once() -> None:
    old = [specs.LISTENER, replace(specs.LISTENER, id="old", protocol_port=81)]
    new = [replace(specs.LISTENER, allowed_cidrs=("10.0.0.0/8",))]
    both = nftables.union(new, old)
    assert elements(list(both))["anyone4"] == [["tcp", 81]]
    assert elements(list(both))["allowed4"] == [[{"prefix": {"addr": "10.0.0.0", "len": 8}}, "tcp", 80]]
