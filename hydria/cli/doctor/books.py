"""What the embedded cloud's database says of networks and claimed VFs. Only reads, also while the cloud runs."""

from pathlib import Path

from sqlalchemy import make_url, select
from sqlalchemy.exc import OperationalError

from hydria.cli.doctor.facts import NetworkMtu
from hydria.cloud.compute.resources import interfaces
from hydria.cloud.database import Database
from hydria.cloud.network.tables import networks
from hydria.sriov.inventory import VfId

Books = tuple[tuple[NetworkMtu, ...] | None, frozenset[VfId] | None]


def read(url: str) -> Books:
    """None and None: there are no books yet."""
    file = make_url(url).database
    if not file or not Path(file).exists():
        return None, None
    database = Database(url)
    try:
        return _read(database)
    except OperationalError:  # a first start that has not made its tables yet
        return None, None
    finally:
        database.close()


def _read(database: Database) -> Books:
    network, interface = networks.c, interfaces.table.c
    with database.read() as connection:
        mtus = tuple(
            NetworkMtu(name, physical_network, mtu)
            for name, physical_network, mtu in connection.execute(
                select(network.name, network["provider:physical_network"], network.mtu)
            )
            if physical_network
        )
        claims = connection.execute(select(interface.pf, interface.vf).where(interface.pf.is_not(None)))
        return mtus, frozenset(VfId(pf, index) for pf, index in claims)
