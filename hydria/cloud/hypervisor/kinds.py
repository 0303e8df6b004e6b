"""Which hypervisor the configuration asks for."""

from pathlib import Path

from hydria.base import config
from hydria.cloud.hypervisor.guest import Hypervisor
from hydria.cloud.hypervisor.namespace import Namespace
from hydria.cloud.hypervisor.qemu import Qemu


def hypervisor_of(cloud: config.Cloud) -> Hypervisor:
    """Raises NoQemu."""
    directory = Path(cloud.state_dir) / "servers"
    return Qemu(directory) if cloud.hypervisor == "qemu" else Namespace(directory, cloud.namespace_agent)
