"""Which fabric a configuration means."""

from hydria.base.config import Config
from hydria.fabric.software import SoftwareFabric
from hydria.fabric.sriov import SriovFabric


def fabric_of(config: Config) -> SoftwareFabric | SriovFabric:
    if config.fabric.kind == "sriov":
        return SriovFabric(config.fabric, config.cloud.hosts)
    return SoftwareFabric(config.fabric, config.cloud.hosts)
