"""The compute service: wires its parts. Knows no HTTP."""

from pathlib import Path

from hydria.base import config
from hydria.cloud.compute.aggregates import Aggregates
from hydria.cloud.compute.boot_images import BootImages
from hydria.cloud.compute.flavors import Flavors
from hydria.cloud.compute.hosts import Hosts
from hydria.cloud.compute.lifecycle import Lifecycle
from hydria.cloud.compute.machine_wiring import wiring_of
from hydria.cloud.compute.pf_watch import PfWatch
from hydria.cloud.compute.placement import Placement
from hydria.cloud.compute.server_groups import ServerGroups
from hydria.cloud.compute.servers import Servers
from hydria.cloud.compute.wiring import Fabric
from hydria.cloud.database import Database
from hydria.cloud.hypervisor.guest import Hypervisor
from hydria.cloud.hypervisor.kinds import hypervisor_of
from hydria.cloud.image.service import Images
from hydria.cloud.network.service import Network
from hydria.sriov.nics import Nics


class Compute:
    """`start` after the tables are made; `close` leaves the servers running."""

    def __init__(
        self,
        *,
        cloud: config.Cloud,
        database: Database,
        network: Network,
        images: Images,
        nics: Nics,
        fabric: Fabric,
        hypervisor: Hypervisor | None = None,
    ) -> None:
        self.database = database
        self.network = network
        self.state_dir = Path(cloud.state_dir)
        self.hypervisor = hypervisor or hypervisor_of(cloud)
        self.hosts = Hosts(database, nics, cloud.hosts)
        self.flavors = Flavors(database)
        self.aggregates = Aggregates(database, self.hosts.names)
        self.groups = ServerGroups(database)
        placement = Placement(database, network, self.hosts)
        self._pf_watch = PfWatch(nics, self.hosts.saw, placement.show_links)
        self.lifecycle = Lifecycle(placement, wiring_of(self.hypervisor, nics, fabric), self.hypervisor)
        boot_images = BootImages(images, is_needed=self.hypervisor.boots_images)
        self.servers = Servers(database, network, self.hosts, self.flavors, self.groups, boot_images, self.lifecycle)

    def start(self) -> None:
        """Adopt running servers, end what an earlier run left half done. Returns before the slow part is done."""
        self.network.on_port_deleted(lambda port: self.lifecycle.port_deleted(port.id, port.device_id))
        self.network.on_port_changed(lambda port: self.lifecycle.port_changed(port.id, port.device_id))
        self.lifecycle.start()
        self._pf_watch.start()

    def close(self) -> None:
        self._pf_watch.close()
        self.lifecycle.close()
