"""All services of the embedded cloud, on one port: identity, compute, networking, image, placement. Only wires."""

from dataclasses import dataclass

from litestar import Litestar
from litestar.di import Provide

from hydria.base.config import Config
from hydria.cloud import faults
from hydria.cloud.compute import api as compute_api
from hydria.cloud.compute.service import Compute
from hydria.cloud.database import Database
from hydria.cloud.identity import api as identity_api
from hydria.cloud.identity.service import Identity
from hydria.cloud.image import api as image_api
from hydria.cloud.image.service import Images
from hydria.cloud.network import api as network_api
from hydria.cloud.network.service import Network
from hydria.cloud.resource_providers import api as resource_providers_api
from hydria.cloud.seed import seed
from hydria.fabric.kinds import fabric_of


@dataclass(frozen=True)
class Services:
    """One object per service; they call each other directly and share one database."""

    config: Config
    database: Database
    identity: Identity
    network: Network
    image: Images
    compute: Compute

    def close(self) -> None:
        """Servers live on."""
        self.compute.close()
        self.database.close()


def open_services(config: Config) -> Services:
    """Open, and at the first start fill, the database and the state directory."""
    database = Database(config.cloud.database_url)
    network = Network(config, database)
    images = Images(config.cloud, database)
    fabric = fabric_of(config)
    services = Services(
        config=config,
        database=database,
        identity=Identity(config.cloud, database),
        network=network,
        image=images,
        compute=Compute(
            cloud=config.cloud,
            database=database,
            network=network,
            images=images,
            nics=fabric.nics(),
            fabric=fabric,
        ),
    )
    database.create_tables()
    services.image.recover()
    seed(services.config, services.identity, services.network, services.image)
    if config.drivers.kind != "noop":  # without a fabric there is nothing to adopt, and another's must not be touched
        services.compute.start()
    return services


def create_app(services: Services) -> Litestar:
    """Handlers ask for `context` (who calls) and for the services by name."""
    return Litestar(
        route_handlers=[
            identity_api.router,
            network_api.router,
            image_api.router,
            compute_api.router,
            resource_providers_api.router,
        ],
        dependencies={
            # A dictionary lookup for a token seen before, so that it need not go through a thread.
            "context": Provide(identity_api.authenticated, sync_to_thread=False),
            "identity": Provide(lambda: services.identity, sync_to_thread=False),
            "network": Provide(lambda: services.network, sync_to_thread=False),
            "image": Provide(lambda: services.image, sync_to_thread=False),
            "compute": Provide(lambda: services.compute, sync_to_thread=False),
        },
        exception_handlers={Exception: faults.to_response},
        openapi_config=None,
        logging_config=None,
    )
