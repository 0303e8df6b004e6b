"""The real agent in a container: what it makes of specs, and that it can die."""

import itertools
import threading
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from hydria.model.spec import HealthMonitorSpec, Info, Observed, PoolSpec, Spec
from root.amphora_network import World, eventually
from root.amphora_world import (
    LISTENER,
    MEMBER_NIC,
    MEMBERS,
    POOL,
    SPEC,
    VIP,
    VIP6,
    VIP_NIC,
    Amphora,
    Certificates,
    Controller,
)

pytestmark = pytest.mark.root

RECORDED = Path(__file__).parents[1] / "golden" / "spec"
"""What controllers of older versions send, to this very amphora."""


def newer(spec: Spec, **changes: object) -> Spec:
    return replace(spec, generation=spec.generation + 1, **changes)


def kernel_state(amphora: Amphora) -> list[str]:
    """All that an apply could disturb, counters and all but the clock."""
    commands = (
        ("ip", "-o", "link"),
        ("ip", "-o", "address"),
        ("ip", "route", "show", "table", "all"),
        ("ip", "-6", "route", "show", "table", "all"),
        ("ip", "rule"),
        ("ip", "-6", "rule"),
        ("nft", "-a", "list", "table", "inet", "hydria"),
        ("cat", "/run/hydria/haproxy.pid"),
    )
    return [amphora.run(*command).stdout for command in commands]


def without_counters(state: list[str]) -> list[str]:
    return [
        " ".join(word for before, word in itertools.pairwise(["", *text.split()]) if before not in ("packets", "bytes"))
        for text in state
    ]


def test_spec_becomes_traffic_over_both_families(here: World, amphora: Amphora) -> None:
    observed = amphora.put(SPEC)
    assert observed.faults == ()
    assert observed.generation == 1
    assert {one.name: one.up for one in observed.interfaces} == {"eth1": True, "eth2": True}
    answers = [here.client.get(vip, 80)[1] for vip in (VIP, VIP6) for _ in range(3)]
    assert {msgspec.json.decode(answer)["backend"] for answer in answers} == {"b1", "b2", "b3"}


@pytest.mark.parametrize("version", ["v1"])
def test_an_older_controllers_spec_becomes_traffic(here: World, amphora: Amphora, version: str) -> None:
    status, answer = amphora.call("GET", "/v1/info")
    assert status == 200
    info = msgspec.json.decode(answer, type=Info)
    assert int(version[1:]) in info.spec_versions
    status, answer = amphora.call("PUT", "/v1/spec", (RECORDED / version / "spec.json").read_bytes())
    assert status == 200, answer
    observed = msgspec.json.decode(answer, type=Observed)
    assert (observed.faults, observed.generation) == ((), 7)
    for vip in (VIP, VIP6):
        assert {msgspec.json.decode(here.client.get(vip, 80)[1])["backend"] for _ in range(12)} == {"b1", "b2"}
    eventually(lambda: here.client.get(VIP, 81)[0] == 200)
    assert not here.stranger.can_connect(VIP, 81), "allowed_cidrs"
    assert "nbthread" not in amphora.run("cat", "/run/hydria/haproxy.cfg").stdout


def test_an_older_agents_spec_is_served_after_an_upgrade_in_place(here: World, amphora: Amphora) -> None:
    """The package was exchanged: its successor finds what the older one has left."""
    amphora.put(SPEC)
    amphora.shut_down()
    kept = here.directory / "var/lib/hydria/spec.json"
    older = msgspec.json.decode((RECORDED / "v1/spec.json").read_bytes())
    kept.write_bytes(msgspec.json.encode(older))
    amphora.boot()
    amphora.plug_vip()
    amphora.plug_members()
    eventually(lambda: here.client.can_connect(VIP, 80))
    eventually(lambda: amphora.observed().faults == ())
    assert amphora.observed().generation == older["generation"]
    assert here.client.get(VIP, 80)[0] == 200
    eventually(lambda: here.client.can_connect(VIP, 81))


def test_as_many_threads_as_the_spec_says(here: World, amphora: Amphora) -> None:
    amphora.put(replace(SPEC, threads=1))
    assert here.client.get(VIP, 80)[0] == 200
    (_master, worker) = sorted(amphora.pids("haproxy"))
    assert len(list(Path(f"/proc/{worker}/task").iterdir())) == 1
    assert amphora.put(newer(SPEC, threads=3)).reloads == 1
    eventually(lambda: 3 in [len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in amphora.pids("haproxy")])
    assert here.client.get(VIP, 80)[0] == 200


def test_same_spec_twice_changes_nothing(amphora: Amphora) -> None:
    amphora.put(SPEC)
    before = without_counters(kernel_state(amphora))
    assert amphora.put(SPEC).reloads == 0
    assert without_counters(kernel_state(amphora)) == before


def test_older_generation_is_refused_and_changes_nothing(amphora: Amphora) -> None:
    amphora.put(newer(SPEC))
    status, answer = amphora.call("PUT", "/v1/spec", msgspec.json.encode(replace(SPEC, listeners=())))
    assert status == 409, answer
    assert amphora.observed().generation == 2


@pytest.mark.parametrize(
    "body",
    [b"{", b"{}", msgspec.json.encode(replace(SPEC, version=99)), msgspec.json.encode(replace(SPEC, amphora_id="x"))],
    ids=["no JSON", "no spec", "other version", "other amphora"],
)
def test_spec_that_is_not_for_us_is_a_400(amphora: Amphora, body: bytes) -> None:
    assert amphora.call("PUT", "/v1/spec", body)[0] == 400
    assert amphora.observed().generation is None


def test_only_the_controllers_certificate_may_call(amphora: Amphora) -> None:
    """CVE-2019-17134: every amphora has a certificate of the same CA."""
    other = amphora.certificates.issue("another-amphora")
    assert amphora.call("PUT", "/v1/spec", msgspec.json.encode(SPEC), certificate=other)[0] == 403
    assert amphora.call("GET", "/v1/observed", certificate=other)[0] == 403
    assert amphora.observed().generation is None


def test_missing_nic_is_a_fault_and_the_rest_serves(here: World, tmp_path: Path) -> None:
    amphora = Amphora(here, Certificates(tmp_path))
    amphora.plug_vip()
    observed = amphora.put(replace(SPEC, pools=(replace(POOL, members=()),)))
    assert [(fault.resource_type, fault.resource_id) for fault in observed.faults] == [("interface", "port-members")]
    assert here.client.get(VIP, 80)[0] == 503
    # It comes later: nobody has to say so.
    amphora.plug_members()
    eventually(lambda: amphora.observed().faults == ())
    amphora.put(newer(SPEC))
    assert here.client.get(VIP, 80)[0] == 200


def test_nics_plugged_while_the_spec_waits(here: World, tmp_path: Path) -> None:
    amphora = Amphora(here, Certificates(tmp_path))
    plugging = threading.Timer(0.3, lambda: (amphora.plug_members(), amphora.plug_vip()))
    amphora.call("GET", "/v1/info")
    plugging.start()
    observed = amphora.put(SPEC)
    assert observed.faults == ()
    assert here.client.get(VIP, 80)[0] == 200
    plugging.join()


def test_names_swap(amphora: Amphora) -> None:
    """H-8's kin: what a NIC is called follows the spec alone."""
    amphora.put(replace(SPEC, interfaces=(replace(VIP_NIC, name="eth2"), replace(MEMBER_NIC, name="eth1"))))
    observed = amphora.put(newer(SPEC))
    names = {one.mac_address: (one.name, set(one.addresses)) for one in observed.interfaces}
    assert names[VIP_NIC.mac_address] == ("eth1", {*VIP_NIC.addresses, f"{VIP}/32", f"{VIP6}/128"})
    assert names[MEMBER_NIC.mac_address] == ("eth2", set(MEMBER_NIC.addresses))


def test_nic_that_the_spec_leaves_out_goes_quiet(amphora: Amphora) -> None:
    amphora.put(SPEC)
    observed = amphora.put(newer(SPEC, interfaces=(VIP_NIC,), pools=()))
    gone = next(one for one in observed.interfaces if one.mac_address == MEMBER_NIC.mac_address)
    assert (gone.addresses, gone.up) == ((), False)


def test_nic_that_the_spec_leaves_out_stays_for_requests_under_way(here: World, amphora: Amphora) -> None:
    amphora.put(replace(SPEC, pools=(replace(POOL, members=MEMBERS[:1]),)))
    (backend, *_) = here.backends
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(here.client.get(VIP, 80, "/held")[0]))
    asking.start()
    assert backend.holding.wait(10.0)
    telling = threading.Thread(target=amphora.put, args=(newer(SPEC, interfaces=(VIP_NIC,), pools=()),))
    telling.start()
    eventually(lambda: len(amphora.pids("haproxy")) > 2, 10.0)  # the master, its new worker and the one that is leaving
    backend.released.set()
    asking.join()
    telling.join()
    assert answers == [200]
    gone = next(one for one in amphora.observed().interfaces if one.mac_address == MEMBER_NIC.mac_address)
    assert (gone.addresses, gone.up) == ((), False)


def test_drift_is_mended_by_the_same_spec(here: World, amphora: Amphora) -> None:
    amphora.put(SPEC)
    for command in (
        ("nft", "flush", "ruleset"),
        ("ip", "address", "delete", f"{VIP}/32", "dev", "eth1"),
        ("ip", "route", "delete", "default", "table", "1"),
        ("ip", "rule", "delete", "from", VIP),
        ("ip", "link", "set", "eth2", "down"),
        ("ip", "address", "add", "198.51.100.1/24", "dev", "eth1"),
    ):
        amphora.run(*command)
    observed = amphora.put(SPEC)
    assert observed.faults == ()
    assert observed.reloads == 0
    addresses = {one.name: set(one.addresses) for one in observed.interfaces}
    assert addresses["eth1"] == {*VIP_NIC.addresses, f"{VIP}/32", f"{VIP6}/128"}
    assert "default via 203.0.113.1" in amphora.run("ip", "route", "show", "table", "1").stdout
    assert f"from {VIP} lookup 1" in amphora.run("ip", "rule").stdout
    assert "policy drop" in amphora.run("nft", "list", "table", "inet", "hydria").stdout
    assert here.client.get(VIP, 80)[0] == 200


def test_killed_agent_is_adopted_while_traffic_flows(here: World, amphora: Amphora) -> None:
    amphora.put(SPEC)
    (master,) = [int(amphora.run("cat", "/run/hydria/haproxy.pid").stdout)]
    keeper = here.client.connect(VIP, 80)
    amphora.kill_agent()
    assert here.client.get(VIP, 80)[0] == 200
    keeper.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert keeper.recv(12) == b"HTTP/1.1 200"
    keeper.close()
    observed = amphora.put(SPEC)
    assert (observed.faults, observed.reloads) == ((), 0)
    assert int(amphora.run("cat", "/run/hydria/haproxy.pid").stdout) == master


def test_lost_haproxy_is_started_again(here: World, amphora: Amphora) -> None:
    amphora.put(SPEC)
    amphora.run("bash", "-c", "kill -9 $(cat /run/hydria/haproxy.pid)")
    eventually(lambda: here.client.can_connect(VIP, 80), 10)


def test_last_spec_is_applied_after_a_reboot_by_itself(here: World, amphora: Amphora) -> None:
    """T15: interfaces, rules and VIP are there before the controller says anything."""
    amphora.put(SPEC)
    amphora.reboot()
    amphora.plug_members()
    amphora.plug_vip()
    eventually(lambda: here.client.can_connect(VIP, 80))
    assert here.client.get(VIP, 80)[0] == 200
    eventually(lambda: amphora.observed().faults == ())
    assert here.client.can_connect(VIP, 22) is False


def test_disabled_load_balancer_serves_nothing_and_keeps_its_interfaces(here: World, amphora: Amphora) -> None:
    amphora.put(SPEC)
    observed = amphora.put(newer(SPEC, admin_state_up=False))
    assert {one.name for one in observed.interfaces if one.up} == {"eth1", "eth2"}
    assert not here.client.can_connect(VIP, 80)
    assert amphora.pids("haproxy") == []


def test_reloads_refuse_no_connection(here: World, amphora: Amphora) -> None:
    """Structure changes while requests run, each on a connection of its own."""
    amphora.put(SPEC)
    stop, failures, done = threading.Event(), [], []

    def request() -> None:
        while not stop.is_set():
            try:
                status, _ = here.client.get(VIP, 80, timeout=5)
                (done if status == 200 else failures).append(status)
            except OSError as error:
                failures.append(error)

    threads = [threading.Thread(target=request) for _ in range(4)]
    for thread in threads:
        thread.start()
    spec, answers = SPEC, []
    try:
        for count in range(1, 11):
            spec = newer(spec, pools=(replace(POOL, members=MEMBERS[: 1 + count % 3]),))
            answers.append(amphora.put(spec))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert [(one.faults, one.reloads) for one in answers] == [((), count) for count in range(1, 11)]
    assert failures == []
    assert len(done) > 50


def test_checks_keep_their_state_over_a_reload(here: World, amphora: Amphora) -> None:
    """A member that is down must not be taken for healthy because another one came."""
    monitor = HealthMonitorSpec(id="hm", type="HTTP", delay=1, timeout=1, max_retries=3, max_retries_down=1)
    pool = replace(POOL, health_monitor=monitor, members=MEMBERS[:2])
    here.backends[0].healthy = False
    controller = Controller(here)
    amphora.put(replace(SPEC, pools=(pool,)))
    controller.until(lambda beat: beat.pools["pool1"].members.get("m1") == "DOWN")
    amphora.put(newer(SPEC, pools=(replace(pool, members=MEMBERS),)))
    beat = controller.until(lambda beat: beat.generation == 2)
    assert beat.pools["pool1"].members == {"m1": "DOWN", "m2": "UP", "m3": "UP"}
    answers = {msgspec.json.decode(here.client.get(VIP, 80)[1])["backend"] for _ in range(6)}
    assert answers == {"b2", "b3"}


def test_heartbeat_tells_status_and_totals_over_reload_and_restart(here: World, amphora: Amphora) -> None:
    controller = Controller(here)
    amphora.put(SPEC)
    for _ in range(5):
        here.client.get(VIP, 80)
    first = controller.until(lambda beat: beat.listeners["listener1"].stats.total_connections == 5)
    assert first.haproxy == "running"
    assert first.pools["pool1"].status == "UP"
    assert first.nics[VIP_NIC.mac_address].rx_packets > 0
    amphora.put(newer(SPEC, pools=(replace(POOL, members=MEMBERS[:2]),)))
    here.client.get(VIP, 80)
    controller.until(lambda beat: beat.listeners["listener1"].stats.total_connections == 6)
    amphora.kill_agent()
    here.client.get(VIP, 80)
    last = controller.until(lambda beat: beat.listeners["listener1"].stats.total_connections == 7)
    assert last.sequence > first.sequence
    assert last.listeners["listener1"].stats.bytes_out > first.listeners["listener1"].stats.bytes_out


def test_weight_and_admin_state_take_effect(here: World, amphora: Amphora) -> None:
    """The server-state file must not bring back what the spec has changed."""
    amphora.put(SPEC)
    drained = replace(MEMBERS[0], weight=0)
    disabled = replace(MEMBERS[1], admin_state_up=False)
    amphora.put(newer(SPEC, pools=(replace(POOL, members=(drained, disabled, MEMBERS[2])),)))
    assert {msgspec.json.decode(here.client.get(VIP, 80)[1])["backend"] for _ in range(5)} == {"b3"}
    amphora.put(newer(newer(SPEC)))
    assert {msgspec.json.decode(here.client.get(VIP, 80)[1])["backend"] for _ in range(6)} == {"b1", "b2", "b3"}


def test_headers_are_inserted(here: World, amphora: Amphora) -> None:
    """H-26: all six that the API takes."""
    names = ("For", "Port", "Proto", "IP")
    wanted = {**{f"X-Forwarded-{name}": "true" for name in names}, "X-Client-IP": "true", "X-Real-IP": "false"}
    amphora.put(replace(SPEC, listeners=(replace(LISTENER, insert_headers=wanted),)))
    headers = msgspec.json.decode(here.client.get(VIP, 80)[1])["headers"]
    assert {name.lower(): value for name, value in headers.items() if name.lower().startswith("x-")} == {
        "x-forwarded-for": "203.0.113.10",
        "x-forwarded-port": "80",
        "x-forwarded-proto": "http",
        "x-forwarded-ip": "203.0.113.10",
        "x-client-ip": "203.0.113.10",
    }


def test_a_fresh_amphora_serves_when_its_spec_is_answered(here: World, amphora: Amphora) -> None:
    amphora.put(SPEC)
    assert here.client.get(VIP, 80)[0] == 200


@pytest.mark.parametrize(
    "pool",
    [
        replace(POOL, lb_algorithm="SOURCE_IP_PORT"),
        replace(POOL, members=(replace(MEMBERS[0], id="x y"),)),
        replace(
            POOL,
            health_monitor=HealthMonitorSpec(
                id="hm", type="HTTP", delay=1, timeout=1, max_retries=1, expected_codes="no code"
            ),
        ),
    ],
    ids=["not rendered", "not a name", "refused by haproxy -c"],
)
def test_bad_configuration_leaves_the_old_one(here: World, amphora: Amphora, pool: PoolSpec) -> None:
    amphora.put(SPEC)
    observed = amphora.put(newer(SPEC, pools=(pool,)))
    assert [(fault.resource_type, fault.resource_id) for fault in observed.faults] == [("loadbalancer", "lb1")]
    assert (observed.generation, observed.reloads) == (2, 0)
    assert here.client.get(VIP, 80)[0] == 200
    amphora.kill_agent()
    assert here.client.get(VIP, 80)[0] == 200
    mended = amphora.put(newer(newer(SPEC)))
    assert (mended.faults, mended.generation) == ((), 3)


def test_port_that_is_taken_leaves_the_old_configuration(here: World, amphora: Amphora) -> None:
    """`haproxy -c` cannot know; the master does, and keeps its old worker."""
    amphora.put(SPEC)
    amphora.run("bash", "-c", f"exec python3 -m http.server -b {VIP} 81 >/dev/null 2>&1 & disown; echo $! >/run/pid")
    eventually(lambda: amphora.run("bash", "-c", f"echo >/dev/tcp/{VIP}/81", check=False).status == 0)
    wanted = newer(SPEC, listeners=(LISTENER, replace(LISTENER, id="listener2", protocol_port=81)))
    observed = amphora.put(wanted)
    assert [fault.resource_type for fault in observed.faults] == ["loadbalancer"]
    assert here.client.get(VIP, 80)[0] == 200
    amphora.run("bash", "-c", "kill $(cat /run/pid)")
    eventually(lambda: amphora.run("bash", "-c", f"echo >/dev/tcp/{VIP}/81", check=False).status != 0)
    assert amphora.put(wanted).faults == ()
    assert [here.client.get(VIP, port)[0] for port in (80, 81)] == [200, 200]
