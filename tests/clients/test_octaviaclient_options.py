"""Every option of every subcommand of `openstack loadbalancer`, typed, and what it did."""

from importlib.metadata import entry_points
from types import SimpleNamespace

import pytest

from clients.effects import COUNTERS, Command, is_broken, lists, made, prints, replaced, sent_anew, shows
from clients.options_of_balancers import LISTENERS, LOAD_BALANCERS, POOLS
from clients.options_of_parts import MEMBERS_, MONITORS, POLICIES
from clients.service import Service
from clients.test_octaviaclient import ACTIVE, COMMANDS, FLAVOR, LB, LISTENER, QUOTA, ZONE

OFFERS = (
    Command(
        "loadbalancer flavorprofile list --name {name}-profile --provider amphora", lists(id="{flavorprofile}"), "admin"
    ),
    Command(
        'loadbalancer flavorprofile set --provider amphora --flavor-data {{"sriov_vip":true}} {unused_flavorprofile}',
        shows("/flavorprofiles/{unused_flavorprofile}", flavor_data='{{"sriov_vip":true}}'),
        "admin",
    ),
    Command(
        "loadbalancer flavor create --name {name}-o --flavorprofile {name}-profile --enable",
        made("/flavors", enabled=True),
        "admin",
    ),
    Command(
        "loadbalancer flavor list --name {name}-flavor --flavorprofile {name}-profile --enable",
        lists(id="{flavor}"),
        "admin",
    ),
    Command(
        "loadbalancer flavor list --disable", lists(id="{flavor}"), before="loadbalancer flavor set --disable {flavor}"
    ),
    Command(
        "loadbalancer flavor set --name {name}-o --enable {flavor}",
        shows(FLAVOR, name="{name}-o", enabled=True),
        "admin",
        before="loadbalancer flavor set --disable {flavor}",
    ),
    Command(
        "loadbalancer availabilityzoneprofile list --name {name}-zones --provider amphora",
        lists(id="{azprofile}"),
        "admin",
    ),
    Command(
        "loadbalancer availabilityzoneprofile set --provider amphora --availability-zone-data"
        ' {{"compute_zone":"other"}} {unused_azprofile}',
        shows("/availabilityzoneprofiles/{unused_azprofile}", availability_zone_data='{{"compute_zone":"other"}}'),
        "admin",
    ),
    Command(
        "loadbalancer availabilityzone create --name {name}-o --availabilityzoneprofile {name}-zones --enable"
        " --description words",
        made("/availabilityzones", "name", description="words", enabled=True),
        "admin",
    ),
    Command(
        "loadbalancer availabilityzone list --name {az} --availabilityzoneprofile {name}-zones --enable",
        lists(name="{az}"),
        "admin",
    ),
    Command(
        "loadbalancer availabilityzone list --disable",
        lists(name="{az}"),
        before="loadbalancer availabilityzone set --disable {az}",
    ),
    Command(
        "loadbalancer availabilityzone set --description words --enable {az}",
        shows(ZONE, description="words", enabled=True),
        "admin",
        before="loadbalancer availabilityzone set --disable {az}",
    ),
)
LIMITS = "--listener 1 --member 2 --pool 3 --l7policy 4 --l7rule 5"
OPERATOR = (
    Command(
        "loadbalancer provider capability list --availability-zone amphora",
        lists(type="availability_zone", name="compute_zone"),
        "admin",
    ),
    Command(
        "loadbalancer quota list --project clients-project",
        lists(project_id="{spare_project}"),
        "admin",
        before="loadbalancer quota set --pool 3 {spare_project}",
    ),
    Command(
        f"loadbalancer quota set {LIMITS} {{spare_project}}",
        shows(QUOTA, listener=1, member=2, pool=3, l7policy=4, l7rule=5),
        "admin",
    ),
    Command(
        "loadbalancer quota unset --listener --pool --member --healthmonitor --l7policy --l7rule {spare_project}",
        shows(QUOTA, listener=-1, member=-1, pool=-1, healthmonitor=-1, l7policy=-1, l7rule=-1),
        "admin",
        before=f"loadbalancer quota set --healthmonitor 6 {LIMITS} {{spare_project}}",
    ),
    Command(
        "loadbalancer amphora list --role STANDALONE --provisioning-status ALLOCATED --compute-id {compute} --image-id"
        " {image} --long",
        lists(id="{amphora}"),
        "admin",
    ),
    Command(
        "loadbalancer amphora stats show --listener {listener} {amphora}",
        prints(**dict.fromkeys(COUNTERS, 0)),
        "admin",
        when=shows(LISTENER, operating_status="ONLINE"),
    ),
    Command("loadbalancer amphora configure --wait {amphora}", sent_anew, "admin"),
    Command("loadbalancer amphora failover --wait {amphora}", replaced(LB, **ACTIVE), "admin"),
    Command("loadbalancer amphora delete --wait {amphora}", replaced(LB, **ACTIVE), "admin", when=is_broken),
)
OPTIONS = (*LOAD_BALANCERS, *LISTENERS, *POOLS, *MEMBERS_, *MONITORS, *POLICIES, *OFFERS, *OPERATOR)

OF_THE_OUTPUT = {
    *("--help", "--format", "--column", "--quote", "--noindent", "--max-width", "--fit-width", "--print-empty"),
    *("--prefix", "--sort-column", "--sort-ascending", "--sort-descending", "--variable"),
}
ELSEWHERE = {"--request-sriov"}
"""It wants a flavor of its own: the guide's, as typed in tests/e2e/test_guide.py."""


@pytest.mark.parametrize("command", OPTIONS, ids=lambda command: command.name)
def test_options(service: Service, command: Command) -> None:
    command.run(service)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the client's own imports
def test_none_is_left_out() -> None:
    left, known = {}, OF_THE_OUTPUT | ELSEWHERE
    for entry in entry_points(group="openstack.load_balancer.v2"):
        name = entry.name.replace("_", " ")
        lines = [f"{one.typed} {one.before}" for one in (*COMMANDS, *OPTIONS) if one.name == name]
        parser = entry.load()(SimpleNamespace(), SimpleNamespace()).get_parser("openstack")
        actions = [set(action.option_strings) for action in parser._actions]
        unused = [min(names) for names in actions if names and not names & {*" ".join(lines).split(), *known}]
        if unused:
            left[name] = sorted(unused)
    assert left == {}
