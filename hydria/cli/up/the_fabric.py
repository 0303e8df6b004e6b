"""The fabric of one `hydria up`: a name and a prefix that nobody has, whether it can be, then the links."""

import itertools
from pathlib import Path

from sqlalchemy import make_url

from hydria.base import log
from hydria.base.config import Config, Fabric
from hydria.base.errors import Conflict, HydriaError
from hydria.cli.up.first_start import Options
from hydria.cloud.compute.resources import interfaces
from hydria.cloud.database import Database
from hydria.fabric import management
from hydria.fabric.kinds import fabric_of
from hydria.fabric.sriov import SriovFabric
from hydria.sriov import namespaces

logger = log.Logger(__name__)


def choose(options: Options) -> Fabric:
    """For a first start: free name, free prefix. Raises Conflict when the wanted name is taken."""
    if options.noop:
        return Fabric()
    taken = namespaces.all_named()
    default = Fabric().name
    if options.fabric_name is None:
        candidates = itertools.chain([default], (f"{default}-{number}" for number in itertools.count(2)))
        name = next(candidate for candidate in candidates if candidate not in taken)
    elif options.fabric_name in taken:
        raise Conflict(
            f"Network namespace {options.fabric_name} exists. If it is a fabric that nobody needs any more: "
            f"hydria fabric down --fabric {options.fabric_name}"
        )
    else:
        name = options.fabric_name
    return Fabric(kind=options.fabric or "software", name=name, management_prefix=management.pick_management_prefix())


def check(config: Config, before: Config | None) -> None:
    """Before anything is written. Raises HydriaError where the devices are not as the new options say."""
    if config.fabric.kind != "sriov":
        return
    asked = before is None or (config.cloud.hosts, config.fabric) != (before.cloud.hosts, before.fabric)
    try:
        SriovFabric(config.fabric, config.cloud.hosts).check()
    except HydriaError as error:
        if asked:
            raise
        # The load balancers on the other NICs need us all the more.
        logger.error("a device of an earlier start is not as it was", reason=error.message)  # noqa: TRY400
    if before is not None:
        _refuse_to_lose(config, before)


def _refuse_to_lose(config: Config, before: Config) -> None:
    """A PF that a server has VFs of stays with its host."""
    pfs = {(host.name, pf): network for host in config.cloud.hosts for pf, network in host.pfs.items()}
    old = {(host.name, pf): network for host in before.cloud.hosts for pf, network in host.pfs.items()}
    lost = {place for place, network in old.items() if pfs.get(place) != network}
    for (host, pf), servers in sorted(_users(config).items()):
        if (host, pf) in lost:
            raise Conflict(
                f"PF {pf} of host {host} cannot go or change its physical network: server {servers[0]} uses a VF of it"
                f"{f' (and {len(servers) - 1} more)' if len(servers) > 1 else ''}. Delete it first."
            )


def _users(config: Config) -> dict[tuple[str, str], list[str]]:
    """Host and PF → ids of the servers that have VFs of it."""
    name = make_url(config.cloud.database_url).database
    if name is None or not Path(name).exists():
        return {}
    database = Database(config.cloud.database_url)
    try:
        database.create_tables()
        with database.read() as connection:
            claims = interfaces.select(connection, None, interfaces.table.c.pf.is_not(None))
    finally:
        database.close()
    users: dict[tuple[str, str], list[str]] = {}
    for claim in claims:
        users.setdefault((claim.host, claim.pf or ""), []).append(claim.server_id)
    return users


def ensure(config: Config) -> None:
    """What is missing is made; what is there stays, with the servers plugged into it."""
    if config.drivers.kind == "noop":
        return
    fabric_of(config).ensure()
