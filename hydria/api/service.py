"""The process: `run` serves until SIGTERM, and listens only when it can answer."""

import signal

import uvicorn

from hydria.api import app
from hydria.api.call import Services
from hydria.api.identity import Keystone
from hydria.api.policy import Policy
from hydria.base.config import Config
from hydria.base.log import Logger
from hydria.drivers.barbican import Barbican
from hydria.drivers.fake_key_manager import FakeKeyManager
from hydria.drivers.noop import NOTHING_IS_REAL, NoopCloud
from hydria.drivers.openstack import OpenStackCloud
from hydria.model.served import AMPHORA, EVERYTHING
from hydria.store.database import Database
from hydria.store.queue import Queue
from hydria.store.wake import WakeSender

logger = Logger(__name__)

DRAIN_SECONDS = 2
"""What a request under way has to end in after SIGTERM."""


def run(config: Config) -> None:
    database = Database(config.database.url)
    database.migrate()
    application = app.create(services(config, database))
    server = uvicorn.Server(
        uvicorn.Config(
            application,
            host=config.api.bind_host,
            port=config.api.bind_port,
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # it believes whoever connects from this machine; ours is asked for by configuration
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
    )
    # uvicorn stops at these signals and then raises them again, for whoever listened before: a clean exit.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    logger.info("serving the load balancer API", host=config.api.bind_host, port=config.api.bind_port)
    try:
        server.run()
    finally:
        database.close()


def services(config: Config, database: Database) -> Services:
    noop = config.drivers.kind == "noop"
    if noop:
        logger.warning(NOTHING_IS_REAL)
    return Services(
        config=config,
        database=database,
        queue=Queue(database),
        identity=Keystone(config.identity),
        policy=Policy(
            config.api.policy_file, variant=config.api.policy_variant, enforce_scope=config.api.enforce_scope
        ),
        cloud=NoopCloud() if noop else OpenStackCloud(config.identity),
        key_manager=FakeKeyManager(anything=True) if noop else Barbican(config.identity),
        wake=WakeSender(config.controller.wake_socket),
        served=EVERYTHING if noop else AMPHORA,
    )
