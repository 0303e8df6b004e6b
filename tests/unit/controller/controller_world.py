"""A cloud in memory, a database in a file, and a controller between them whose process can be killed."""

import itertools
import threading
import uuid
from typing import Any, TypeVar

import msgspec
import pytest

from hydria.base.config import Config, Controller
from hydria.controller.health import Health
from hydria.controller.leftovers import Sweeper
from hydria.controller.load_balancer import LoadBalancers
from hydria.controller.lookups import Lookups
from hydria.controller.loop import Loop
from hydria.controller.outside import Outside
from hydria.controller.vitals import Breaker, Vitals
from hydria.controller.watch import Watch
from hydria.drivers.certificates import Authority
from hydria.drivers.cloud import FixedIp, PortRequest
from hydria.drivers.fake_amphorae import FakeAmphorae
from hydria.drivers.fakes import FakeCloud, id_of
from hydria.drivers.interruptions import Stopped
from hydria.model.flavor import Flavor, FlavorData, FlavorProfile
from hydria.model.graph import Graph
from hydria.model.heartbeat import Heartbeat, NicCounters, seal
from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import Member, Pool
from hydria.model.resource import Provisioned
from hydria.model.spec import Spec
from hydria.model.status import ProvisioningStatus
from hydria.store import amphorae, load_balancers, resources
from hydria.store.database import Database
from hydria.store.events import list_events
from hydria.store.graph import load_graph
from hydria.store.queue import Queue

R = TypeVar("R", bound=Provisioned)
_LEASE = 30.0


class _Instant(threading.Event):
    """The fakes need calls, not time: waiting between two looks at them is over at once."""

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - threading.Event's signature
        return self.is_set()


class World:
    """What the API would have written, and what a controller makes of it."""

    def __init__(self, database: Database, authority: Authority) -> None:
        self.now = 1_700_000_000.0
        self._ids = itertools.count(1)
        self.database = database
        self.database.clock = self._clock
        self.queue = Queue(self.database)
        self.cloud = FakeCloud()
        self.cloud.add_network("lb-mgmt-net", "198.18.0.0/20")
        self.cloud.add_network("public", "203.0.113.0/24", "2001:db8:1::/64")
        self.cloud.add_network("members", "192.0.2.0/24", mtu=9000)
        self.cloud.add_network("other", "198.51.100.0/24")
        self.cloud.add_host("host1", public=2, members=2, other=1)
        self.amphorae = FakeAmphorae(self.cloud)
        self.authority = authority
        self.config = Config(controller=Controller(boot_timeout=5.0))
        self.start()

    def _clock(self) -> float:
        self.now += 0.001
        return self.now

    def start(self) -> None:
        """A fresh controller process, which knows nothing but the database and the cloud."""
        self.vitals = Vitals(self.config.controller.heartbeat_timeout, clock=lambda: self.now)
        self.outside = Outside(
            config=self.config,
            cloud=self.cloud,
            client=self.amphorae,
            authority=self.authority,
            lookups=Lookups(self.cloud),
            vitals=self.vitals,
            breaker=Breaker(clock=lambda: self.now),
            link_breaker=Breaker(clock=lambda: self.now, replacements=8),
            stopping=_Instant(),
        )
        self.sweeper = Sweeper(self.outside)
        reconcile = LoadBalancers(self.outside, self.database, self.sweeper).reconcile
        self.loop = Loop(
            self.database,
            self.queue,
            reconcile,
            stopping=self.outside.stopping,
            lease_seconds=_LEASE,
            observe=self.outside.metrics.reconciled,
        )

    def kill_and_restart(self) -> bool:
        """Whether there was somebody to kill. Leases of the dead have run out."""
        stopped = self.cloud.interruptions.resume()
        self.now += _LEASE + 1
        self.start()
        return stopped

    def run(self, rounds: int = 30) -> None:
        """Until nothing is due within a minute."""
        for _ in range(rounds):
            while self.loop.step():
                pass
            due = self.queue.next_due()
            if due is None or due > self.now + 60:
                return
            self.now = max(self.now, due)
        pytest.fail("the controller never comes to rest")

    def run_until_killed(self) -> bool:
        try:
            self.run()
        except Stopped:
            return True
        return False

    # What users ask for.

    def flavor(self, data: FlavorData) -> str:
        with self.database.write() as tx:
            text = msgspec.json.encode(data).decode()
            profile = FlavorProfile(id=self.new_id(), name=self.new_id(), provider_name="amphora", flavor_data=text)
            resources.insert(tx, profile)
            flavor = Flavor(id=self.new_id(), name=self.new_id(), flavor_profile_id=profile.id)
            resources.insert(tx, flavor)
        return flavor.id

    def new_id(self) -> str:
        return str(uuid.UUID(int=next(self._ids)))

    def load_balancer(self, *, sriov: bool = False, flavor_id: str | None = None, **values: Any) -> LoadBalancer:
        """As the API makes it: with its VIP port, and marked dirty."""
        lb_id = self.new_id()
        network = self.cloud.networks[id_of("network", "public")]
        port = self.cloud.create_port(
            PortRequest(
                network_id=network.id,
                name=f"octavia-lb-{lb_id}",
                fixed_ips=(FixedIp(subnet_id=network.subnets[0]),),
                device_id=f"lb-{lb_id}",
                admin_state_up=False,
                project_id="demo",
            )
        )
        lb = LoadBalancer(
            **{
                "id": lb_id,
                "project_id": "demo",
                "flavor_id": flavor_id or (self.flavor(FlavorData(sriov_vip=True)) if sriov else None),
                "vip_vnic_type": "direct" if sriov else "normal",
                "vip_network_id": network.id,
                "vip_subnet_id": network.subnets[0],
                "vip_port_id": port.id,
                "vip_address": port.fixed_ips[0].ip_address,
                "generation": 1,
                **values,
            }
        )
        with self.database.write() as tx:
            return load_balancers.insert_graph(tx, lb)

    def add(self, lb_id: str, resource: R) -> R:
        with self.database.write() as tx:
            generation = load_balancers.touch(tx, lb_id, strict=False)
            return resources.insert(tx, msgspec.structs.replace(resource, generation=generation))

    def listener(self, lb: LoadBalancer, port: int = 80, **values: Any) -> Listener:
        new = Listener(id=self.new_id(), loadbalancer_id=lb.id, protocol="HTTP", protocol_port=port, **values)
        return self.add(lb.id, new)

    def pool(self, lb: LoadBalancer, **values: Any) -> Pool:
        new = Pool(id=self.new_id(), loadbalancer_id=lb.id, protocol="HTTP", lb_algorithm="ROUND_ROBIN", **values)
        return self.add(lb.id, new)

    def member(self, pool: Pool, address: str, network: str | None = "members", **values: Any) -> Member:
        subnet = self.cloud.networks[id_of("network", network)].subnets[0] if network else None
        new = Member(id=self.new_id(), pool_id=pool.id, address=address, protocol_port=80, subnet_id=subnet, **values)
        return self.add(pool.loadbalancer_id, new)

    def remove(self, lb_id: str, resource: Provisioned) -> None:
        with self.database.write() as tx:
            generation = load_balancers.touch(tx, lb_id, strict=False)
            load_balancers.mark_pending(tx, type(resource), resource.id, ProvisioningStatus.PENDING_DELETE, generation)

    def change(self, lb_id: str, resource: Provisioned, **values: Any) -> None:
        with self.database.write() as tx:
            generation = load_balancers.touch(tx, lb_id, strict=False)
            resources.update(tx, type(resource), resource.id, generation=generation, **values)

    def delete(self, lb_id: str) -> None:
        with self.database.write() as tx:
            load_balancers.delete_load_balancer(tx, lb_id, cascade=True)

    def touch(self, lb_id: str) -> None:
        with self.database.write() as tx:
            load_balancers.touch(tx, lb_id, strict=False)

    def fail_over(self, lb_id: str) -> None:
        """As the API takes it down."""
        with self.database.write() as tx:
            load_balancers.touch(tx, lb_id, strict=False, itself=True, mends=True)
            amphorae.ask_failover(tx, amphorae.of_load_balancer(tx, lb_id), "a failover was asked for.")

    # What there is.

    def graph(self, lb_id: str) -> Graph:
        with self.database.read() as tx:
            graph = load_graph(tx, lb_id)
        assert graph is not None
        return graph

    def statuses(self, lb_id: str) -> dict[str, str]:
        return {resource.id: resource.provisioning_status.value for resource in self.graph(lb_id).resources()}

    def status(self, lb_id: str) -> str:
        return self.graph(lb_id).load_balancer.provisioning_status.value

    def reasons(self, lb_id: str) -> list[str]:
        with self.database.read() as tx:
            return [event.reason for event in list_events(tx, lb_id)]

    def spec(self, lb_id: str) -> Spec:
        (spec,) = (spec for spec in self.amphorae.specs.values() if spec.load_balancer_id == lb_id)
        return spec

    def _groups(self) -> object:
        """What each security group lets in, and the ports that have it, by their names without ids."""
        ports = list(self.cloud.ports.values())
        return sorted(
            (
                group.name,
                sorted(repr(rule).replace(id_, "itself") for rule in group.rules.values()),
                sorted(port.name[: -len(self.new_id())] for port in ports if id_ in port.security_groups),
            )
            for id_, group in self.cloud.security_groups.items()
        )

    def summary(self) -> object:
        """The whole world but for ids and addresses that the cloud chose: equal worlds are equally good."""
        with self.database.read() as tx:
            lbs = resources.find(tx, LoadBalancer)
        servers = {server.id: server.name for server in self.cloud.servers}
        amphorae = {spec.amphora_id for spec in self.amphorae.specs.values()}
        return {
            "statuses": {lb.id: self.statuses(lb.id) for lb in lbs},
            "amphorae": sorted(row.status.value for lb in lbs for row in self.graph(lb.id).amphorae),
            "told": sorted(
                name
                for lb in lbs
                for row in self.graph(lb.id).amphorae
                for name in row.__struct_fields__
                if getattr(row, name) is not None
            ),
            "known": {row.id for lb in lbs for row in self.graph(lb.id).amphorae} == amphorae,
            "servers": sorted(server.status for server in self.cloud.servers),
            "ports": sorted(
                (
                    port.name[: -len(self.new_id())] if "vrrp" in port.name or "member" in port.name else port.name,
                    port.network_id,
                    port.vnic_type,
                    bool(port.device_id in servers),
                )
                for port in self.cloud.ports.values()
            ),
            "groups": self._groups(),
            "specs": sorted(
                (
                    spec.load_balancer_id,
                    spec.generation,
                    len(spec.listeners),
                    sorted(member.id for pool in spec.pools for member in pool.members),
                    sorted((nic.name, nic.network_id, nic.vnic_type) for nic in spec.interfaces),
                )
                for spec in self.amphorae.specs.values()
            ),
            "vfs": {network: self.cloud.free_vfs(network) for network in ("public", "members", "other")},
            "dirty": self.queue.next_due() is not None,
        }


class Mouth:
    """Speaks for the only amphora of a load balancer."""

    def __init__(self, world: World, lb_id: str) -> None:
        self.world, self.lb_id = world, lb_id
        self.sequence = 0
        self.health = Health(world.database, world.queue, world.vitals, key=world.authority.heartbeat_key)
        self.watch = Watch(world.database, world.cloud, world.vitals, world.config.controller)
        self.health.check()

    @property
    def amphora_id(self) -> str:
        return self.world.graph(self.lb_id).amphorae[0].id

    def generation(self) -> int | None:
        return next(
            (spec.generation for id_, spec in self.world.amphorae.specs.items() if id_ == self.amphora_id), None
        )

    def datagram(self, **values: object) -> bytes:
        self.sequence += 1
        heartbeat = Heartbeat(
            **{
                "amphora_id": self.amphora_id,
                "load_balancer_id": self.lb_id,
                "generation": self.generation(),
                "sequence": self.sequence,
                "time": self.world.now,
                **values,
            }
        )
        return seal(heartbeat, self.world.authority.heartbeat_key.encode())

    def nics(self, *, carrier: bool = True) -> dict[str, NicCounters]:
        """Of the amphora as it is, the VIP's with or without a link."""
        interfaces = self.world.spec(self.lb_id).interfaces
        return {
            nic.mac_address: NicCounters(name=nic.name, carrier=carrier or nic.name != "eth1", rx_bytes=5)
            for nic in interfaces
        }

    def speak(self, **values: object) -> int:
        self.health.take(self.datagram(**values), self.world.now)
        return self.health.write()
