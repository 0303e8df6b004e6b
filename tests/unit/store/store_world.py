"""What the store's tests put into a database, and the clock that they turn."""

from dataclasses import dataclass
from pathlib import Path

from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import HealthMonitor, Member, Pool
from hydria.store.database import Database
from hydria.store.load_balancers import insert_graph


@dataclass
class Clock:
    """Stands still until `advance`."""

    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@dataclass(frozen=True)
class Filled:
    """One load balancer with one of each below it."""

    lb: str = "lb-1"
    listener: str = "listener-1"
    pool: str = "pool-1"
    members: tuple[str, ...] = ("member-1", "member-2")
    monitor: str = "monitor-1"


def make_database(path: Path, clock: Clock) -> Database:
    database = Database(f"sqlite:///{path}", clock=clock)
    database.migrate()
    return database


def insert_filled(database: Database, names: Filled) -> Filled:
    with database.write() as tx:
        insert_graph(
            tx,
            LoadBalancer(id=names.lb, project_id="p"),
            pools=[
                Pool(id=names.pool, loadbalancer_id=names.lb, protocol="HTTP", lb_algorithm="ROUND_ROBIN"),
            ],
            listeners=[
                Listener(
                    id=names.listener,
                    loadbalancer_id=names.lb,
                    protocol="HTTP",
                    protocol_port=80,
                    default_pool_id=names.pool,
                )
            ],
            members=[
                Member(id=id_, pool_id=names.pool, address="192.0.2.9", protocol_port=port)
                for port, id_ in enumerate(names.members, start=8000)
            ],
            health_monitors=[
                HealthMonitor(id=names.monitor, pool_id=names.pool, type="TCP", delay=5, timeout=3, max_retries=2)
            ],
        )
    return names
