"""The fabric of one `hydria up`: a name and a prefix that nobody has, then the links."""

import itertools

from hydria.base.config import Config, Fabric
from hydria.base.errors import Conflict
from hydria.cli.up.first_start import Options
from hydria.fabric import management
from hydria.fabric.software import SoftwareFabric
from hydria.sriov import namespaces


def choose(options: Options) -> Fabric:
    """For a first start: free name, free prefix. Raises Conflict when the wanted name is taken."""
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
    return Fabric(kind=options.fabric, name=name, management_prefix=management.pick_management_prefix())


def ensure(config: Config) -> None:
    """What is missing is made; what is there stays, with the servers plugged into it."""
    SoftwareFabric(config.fabric, config.cloud.hosts).ensure()
